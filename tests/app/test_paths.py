"""Records of two instruction-set paths in one run directory, as on a cluster of two kinds of nodes: nothing stops, and
whoever runs, merges or reads is told. DNNL_MAX_CPU_ISA makes one processor two."""

import json
import re

import h5py
import pytest
import tiny_study
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

NARROWER = ("AVX2", "SSE41")
NOTES = ("instruction-set paths are mixed", "of other instruction-set paths")
RECORDS, HALF = 18, 9  # of the tiny study: 4 points in 2 trials and the reference, in 2 shards


def path():
    return json.loads(crossweep("version", "--json").stdout)["arithmetic_path"]


@pytest.fixture(name="paths")
def fixture_paths(monkeypatch):
    """The processor's own path, a narrower one, and the setting that chooses it."""
    wide = path()
    for narrower in NARROWER:
        with monkeypatch.context() as patch:
            patch.setenv("DNNL_MAX_CPU_ISA", narrower)
            narrow = path()
        if narrow != wide:
            return wide, narrow, narrower
    return pytest.skip(f"this processor has no other path than {wide}")


@pytest.fixture(name="study")
def fixture_study(tmp_path):
    return tiny_study.write_study(tmp_path)


@pytest.fixture(name="half_done")
def fixture_half_done(paths, study, tmp_path, monkeypatch):
    """A run directory whose first half was computed on the narrower path."""
    with monkeypatch.context() as patch:
        patch.setenv("DNNL_MAX_CPU_ISA", paths[2])
        done = crossweep("run", study, "--out", tmp_path / "run", "--part", "1/2")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_run_that_goes_on_with_records_of_another_path_says_so_once(paths, study, half_done, ranks):
    wide, narrow, _ = paths
    resumed = crossweep("run", study, "--out", half_done, ranks=ranks)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count(f"of other instruction-set paths than this processor's: {HALF} on {narrow}; ") == 1
    assert f", {wide}\n" in resumed.stderr.partition("of other")[0]
    status = json.loads(crossweep("status", half_done, "--json").stdout)
    assert status["paths"] == {narrow: HALF, wide: RECORDS - HALF}
    assert sum(status["paths"].values()) == status["records"]


def test_merge_status_and_report_say_that_paths_are_mixed(paths, study, half_done):
    wide, narrow, _ = paths
    shown = [crossweep("run", study, "--out", half_done)]
    shown += [crossweep(subcommand, half_done) for subcommand in ("merge", "status", "report")]
    counts = ", ".join(f"{HALF} on {name}" for name in sorted((narrow, wide)))
    for said in shown:
        assert said.returncode == 0
        assert said.stdout.count(f"records of 2 instruction-set paths are mixed ({counts}): each is ") == 1
    assert json.loads(crossweep("report", half_done, "--json").stdout)["paths"] == {narrow: HALF, wide: HALF}


def test_results_name_the_path_of_each_record(paths, study, half_done):
    wide, narrow, _ = paths
    assert crossweep("run", study, "--out", half_done).returncode == 0
    with h5py.File(half_done / "results.h5") as file:
        names = file["paths/name"].asstr()[:]
        of_shard = names[file["records/path"][:]]
    assert of_shard.shape == (4, 2, 2)
    assert (of_shard[:, :, 0] == narrow).all() and (of_shard[:, :, 1] == wide).all()


def test_records_of_one_path_need_no_note(study, tmp_path):
    shown = [crossweep("run", study, "--out", tmp_path / "run") for _ in range(2)]
    shown += [crossweep(subcommand, tmp_path / "run") for subcommand in ("merge", "status", "report")]
    assert not any(note in said.stdout + said.stderr for said in shown for note in NOTES)
    assert json.loads(crossweep("report", tmp_path / "run", "--json").stdout)["paths"] == {path(): RECORDS}


def test_one_path_gives_the_same_bits_again(study, tmp_path, monkeypatch):
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    hashes = []
    for name in ("first", "second"):
        assert crossweep("run", study, "--out", tmp_path / name).returncode == 0
        hashes += re.findall(r"^content_hash: ([0-9a-f]{32})$", crossweep("merge", tmp_path / name).stdout, re.MULTILINE)
    assert len(hashes) == 2 and hashes[0] == hashes[1]
