"""Whatever happens to a run, it says so in one sentence, keeps what is finished, and goes on to the undisturbed result
when the same command is given again."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import campaign
import h5py
import pytest
import tiny_study
from runs import content_hash, fixtures_of_undisturbed_run, run
from tiny_study import Architecture, crossweep
from watched_run import Ledger, WatchedRun, all_records, leftovers, records_of, segments, send

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

# About a second of work in 120 units when cut finely: long enough to be hit in the middle.
ARCHITECTURE = Architecture(image_size=16, patch_size=2, width=64, depth=4, mlp_width=128)
IMAGES, RECORDS = 90, 135
FINELY = ("--set", "run.points_per_unit=1", "--set", "run.segment_s=0.01")
DONE, DATA, INTERNAL, UNFINISHED = 0, 4, 5, 75


fixture_study, fixture_finished, fixture_expected = fixtures_of_undisturbed_run(ARCHITECTURE, IMAGES, *FINELY)


@pytest.fixture(name="copy")
def fixture_copy(finished, tmp_path):
    """A finished run directory to be damaged."""
    return shutil.copytree(finished, tmp_path / "run")


def in_the_middle(study, directory, *options, ranks=0, environment=None):
    """A run that has written segments and is not done."""
    started = WatchedRun(study, directory, *FINELY, *options, ranks=ranks, environment=environment)
    assert started.wait_for(lambda: len(segments(directory)) > 1), started.said()
    return started


def status(directory):
    return json.loads(crossweep("status", directory, "--json").stdout)


def test_a_short_campaign_loses_nothing(tmp_path):
    """Every fault of campaign.py once, in a smaller study; `campaign.py --kills 200` is the long form."""
    short = campaign.Campaign(tmp_path, seed=2, images=32, most_ranks=3, faults=campaign.FAULTS)
    short.strike()
    assert short.remarks == []
    assert sum(tally.faults for tally in short.tallies.values()) + short.late == len(campaign.FAULTS)


def test_the_campaign_would_see_a_loss(finished, copy):
    """Its ledger finds what is planted: a segment gone, one there twice, one with other records."""
    ledger = Ledger(copy, all_records(finished))
    assert ledger.look() == {"lost": 0, "twice": 0, "wrong": 0}
    first, second, third = segments(copy)[:3]
    sizes = {path: len(records_of(path)) for path in (first, second, third)}
    shutil.copy(first, copy / "segments/999998.h5")
    second.unlink()
    with h5py.File(third, "r+") as file:
        file["records/correct_top1"][0] += 1
    assert ledger.look() == {"lost": sizes[second], "twice": sizes[first], "wrong": sizes[third]}


# --- damage to segments ---


def flip_a_bit(segment, _other):
    contents = bytearray(segment.read_bytes())
    contents[len(contents) // 3] ^= 0x10
    segment.write_bytes(contents)


DAMAGE = {
    "truncated": lambda segment, _other: os.truncate(segment, segment.stat().st_size // 2),
    "one byte short": lambda segment, _other: os.truncate(segment, segment.stat().st_size - 1),
    "emptied": lambda segment, _other: os.truncate(segment, 0),
    "a bit flipped": flip_a_bit,
    "another HDF5 file": lambda segment, other: shutil.copy(other / "results.h5", segment),
    "no HDF5 file": lambda segment, other: shutil.copy(other / "study.toml", segment),
    "removed": lambda segment, _other: segment.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_costs_only_the_units_of_that_segment(study, finished, expected, copy, damage):
    victim = segments(copy)[1]
    left = RECORDS - len(records_of(victim))
    DAMAGE[damage](victim, finished)
    seen = crossweep("status", copy, "--json")
    assert json.loads(seen.stdout)["records"] == left
    if victim.exists():
        assert f"crossweep: warning: {victim}: the segment is damaged" in seen.stderr
        assert "Remove it from the run directory: its units will then be computed again." in seen.stderr
    again = run(study, copy, *FINELY, ranks=2)
    assert again.returncode == DONE, again.stderr
    assert f"{left} of {RECORDS} records are there" in again.stderr
    assert content_hash(copy) == expected


def test_a_segment_in_another_ones_place_costs_only_what_is_gone(study, expected, copy):
    first, second = segments(copy)[:2]
    left = RECORDS - len(records_of(second))
    shutil.copy(first, second)
    assert status(copy)["records"] == left
    assert run(study, copy).returncode == DONE
    assert content_hash(copy) == expected


def test_a_segment_of_another_study_never_enters_the_results(study, expected, copy, tmp_path):
    """It is whole, but its records are of other weights."""
    other = tiny_study.write_study(tmp_path / "other", ARCHITECTURE, IMAGES)
    tiny_study.write_weights(other.parent / "weights.safetensors", tiny_study.weights(ARCHITECTURE, seed=9))
    assert run(other, tmp_path / "other/run", *FINELY).returncode == DONE
    victim = segments(copy)[1]
    left = RECORDS - len(records_of(victim))
    shutil.copy(segments(tmp_path / "other/run")[0], victim)
    assert status(copy)["records"] == left
    assert crossweep("merge", copy).returncode == UNFINISHED
    again = run(study, copy)
    assert again.returncode == DONE and f"{victim}: the segment holds records of another study" in again.stderr
    assert f"{left} of {RECORDS} records are there" in again.stderr
    assert content_hash(copy) == expected


# --- leftovers of killed writers ---


def test_a_temporary_file_of_a_killed_writer_disturbs_nothing_and_goes(study, expected, tmp_path):
    directory = tmp_path / "run"
    started = in_the_middle(study, directory)
    started.kill()
    following = int(segments(directory)[-1].stem) + 1
    for name in (f"segments/{following:06}.h5.tmp", "results.h5.tmp"):
        (directory / name).write_bytes(b"half")
    assert status(directory)["segments_damaged"] == 0
    again = run(study, directory, *FINELY, ranks=2)
    assert again.returncode == DONE, again.stderr
    assert content_hash(directory) == expected
    assert leftovers(directory) == []


def test_killed_while_freezing_the_study(study, expected, tmp_path):
    (tmp_path / "run/segments").mkdir(parents=True)
    (tmp_path / "run/study.toml.tmp").write_text("[study]\nname = ")
    assert run(study, tmp_path / "run").returncode == DONE
    assert content_hash(tmp_path / "run") == expected
    assert leftovers(tmp_path / "run") == []


# --- disks and rights; tests/app has the disk that fills during a run and the disk that is read-only ---


def test_a_disk_that_is_full_at_the_merge_keeps_the_older_results(study, expected, finished, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False,
                                           capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        shutil.copytree(finished, disk / "run")
        older = (disk / "run/results.h5").read_bytes()
        with (disk / "filling").open("wb") as filling:
            filling.write(bytes(shutil.disk_usage(disk).free - 8192))
        full = crossweep("merge", disk / "run")
        assert full.returncode == DATA
        assert "results.h5.tmp: cannot be written (the disk is full). Free some space and start again." in full.stderr
        assert (disk / "run/results.h5").read_bytes() == older and leftovers(disk) == []
        (disk / "filling").unlink()
        assert content_hash(disk / "run") == expected
        assert run(study, disk / "run").returncode == DONE
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_limit_on_the_size_of_files_loses_nothing(study, expected, tmp_path):
    """As `ulimit -f` sets it; results.h5 is larger, segments are smaller."""
    limited = subprocess.run(["prlimit", "--fsize=20000", *tiny_study.command(
        "run", study, "--out", tmp_path / "run", *FINELY)], env=tiny_study.environment(), check=False, timeout=60)
    assert limited.returncode in (DATA, -signal.SIGXFSZ)
    assert status(tmp_path / "run")["records"] == RECORDS
    assert run(study, tmp_path / "run").returncode == DONE
    assert content_hash(tmp_path / "run") == expected
    assert leftovers(tmp_path / "run") == []


@pytest.fixture(name="as_somebody")
def fixture_as_somebody():
    """Runs the program as a user without rights here, with files in a folder that all can read."""
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if nobody and subprocess.run([*nobody, tiny_study.program(), "version"], check=False,
                                 capture_output=True).returncode != 0:
        pytest.skip("another user cannot be made to run the program")

    def call(*arguments):
        return subprocess.run([*nobody, *tiny_study.command(*arguments)], env=tiny_study.environment(), check=False,
                              capture_output=True, text=True, timeout=60)

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield call, Path(folder)


@pytest.mark.parametrize("locked", ["run", "run/segments"])
def test_a_directory_that_may_not_be_written_is_refused(as_somebody, locked):
    call, folder = as_somebody
    own, directory = tiny_study.write_study(folder / "study"), folder / "run"
    assert run(own, directory).returncode == DONE
    for path in (folder / "run", folder / "run/segments"):
        path.chmod(0o555 if path == folder / locked else 0o777)
    refused = call("run", own, "--out", directory)
    assert refused.returncode == DATA
    assert refused.stderr == (f"crossweep: {directory}: the run directory cannot be written (Permission denied). Choose "
                              "another --out or its rights.\n")
    assert call("status", directory).returncode == DONE
    for path in (folder / "run", folder / "run/segments"):
        path.chmod(0o755)


# --- several jobs in one directory ---


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_second_job_by_mistake_is_refused_and_the_first_unharmed(study, expected, tmp_path, ranks):
    first = in_the_middle(study, tmp_path / "run", ranks=ranks)
    send(first.rank_pids()[0], signal.SIGSTOP)  # in the middle for as long as it takes to try
    second = run(study, tmp_path / "run", *FINELY, ranks=ranks)
    send(first.rank_pids()[0], signal.SIGCONT)
    assert second.returncode == DATA
    assert (f"crossweep: {tmp_path}/run: another process is running this study here. Wait for it, or give each job its "
            "--part.\n") in second.stderr
    assert first.end()[0] == DONE, first.said()
    assert content_hash(tmp_path / "run") == expected
    assert Ledger(tmp_path / "run").look() == {"lost": 0, "twice": 0, "wrong": 0}


def test_parts_at_once_one_of_them_killed_and_started_again(study, expected, tmp_path):
    directory = tmp_path / "run"
    parts = [WatchedRun(study, directory, *FINELY, "--part", f"{part}/2", ranks=2) for part in (1, 2)]
    assert parts[0].wait_for(lambda: len(segments(directory)) > 3)
    parts[0].kill()
    again = WatchedRun(study, directory, *FINELY, "--part", "1/2")
    assert [again.end()[0], parts[1].end()[0]] == [DONE, DONE], again.said() + parts[1].said()
    assert content_hash(directory) == expected
    assert Ledger(directory).look()["twice"] == 0


# --- clocks ---

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (package faketime)")
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_wall_clock_that_jumps_changes_nothing(study, expected, tmp_path, ranks):
    """Hours ahead and days back, under a time budget: budgets are counted on the steady clock."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    started = in_the_middle(study, tmp_path / "run", "--set", "run.time_budget_s=600", ranks=ranks, environment={
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    done = len(segments(tmp_path / "run"))
    clock.write_text("+5h")
    started.wait_for(lambda: len(segments(tmp_path / "run")) > done + 1)
    clock.write_text("-30d")
    assert started.end()[0] == DONE, started.said()
    assert content_hash(tmp_path / "run") == expected


# --- units that fail ---


def test_units_that_fail_for_want_of_memory_are_named_and_mended_by_the_next_run(study, finished, tmp_path):
    """A worker that may not have more memory fails at the next chip that it programs; when it may, it goes on."""
    directory = tmp_path / "run"
    # Arrays are mapped one by one, so that the limit is met at once.
    started = in_the_middle(study, directory, "--set", "run.max_failed_units=1000", ranks=2,
                            environment={"MALLOC_MMAP_THRESHOLD_": "16384"})
    worker = str(started.rank_pids()[1])
    subprocess.run(["prlimit", "--pid", worker, "--as=4096:"], check=True)
    assert started.wait_for(lambda: any(record[3] for record in all_records(directory).values())), started.said()
    subprocess.run(["prlimit", "--pid", worker, "--as=unlimited"], check=True)
    assert started.end()[0] == INTERNAL, started.said()
    failed = status(directory)["records_failed"]
    assert failed > 0 and status(directory)["records"] == RECORDS - failed
    assert re.search(rf"^crossweep: failed unit: .+\. Replay: crossweep replay {directory} --point \d", started.said(),
                     re.MULTILINE), started.said()
    assert f"    crossweep replay {directory} --point " in crossweep("status", directory).stdout
    good = {key: record for key, record in all_records(directory).items() if not record[3]}
    assert good.items() <= all_records(finished).items()

    again = run(study, directory, *FINELY, ranks=2)
    assert again.returncode == DONE, again.stderr
    assert f"{RECORDS - failed} of {RECORDS} records are there" in again.stderr
    assert content_hash(directory) == content_hash(finished)
