"""Weights, images and the study itself are read by rank 0 alone, and errors of that reading end all ranks alike."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from runs import content_hash, descendants, run
from tiny_study import STUDY, command, environment, program, write_images, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def test_other_ranks_need_none_of_the_files(study, tmp_path):
    """They run where the study's folder is hidden under an empty one."""
    hide = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{study.parent}" && exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run([*hide, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted")
    rank = [str(program()), "run", str(study), "--out", str(tmp_path / "shared")]
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", "1", *rank, ":", "-n", "2", *hide, *rank]
    done = subprocess.run(launcher, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    run(study, tmp_path / "alone")
    assert content_hash(tmp_path / "shared") == content_hash(tmp_path / "alone")


def test_a_compressed_data_set_of_which_few_images_are_used(study, tmp_path):
    chosen = STUDY.replace("shard_images", 'count = 5\nchoice = "random"\nshard_images')
    other = write_study(tmp_path / "study", text=chosen)
    write_images(other.parent, 40, compressed=True)
    for ranks in (0, 3):
        assert run(other, tmp_path / str(ranks), ranks=ranks).returncode == 0
    assert content_hash(tmp_path / "0") == content_hash(tmp_path / "3")


@pytest.mark.parametrize("file, contents, sentence", [
    ("weights.safetensors", None, "cannot be read (no such file or folder). Check the name."),
    ("weights.safetensors", b"", "is 0 bytes long"),
    ("images.idx", None, "cannot be read (no such file or folder). Check the name."),
    ("labels.idx", b"\0\0", "is not an IDX file"),
])
def test_a_bad_file_is_one_sentence_and_one_exit_code(study, tmp_path, file, contents, sentence):
    folder = shutil.copytree(study.parent, tmp_path / "study")
    (folder / file).unlink()
    if contents is not None:
        (folder / file).write_bytes(contents)
    failed = run(folder / "study.toml", tmp_path / "out", ranks=3)
    assert failed.returncode == 4
    said = [line for line in failed.stderr.splitlines() if "crossweep: " in line]
    assert len(said) == 1 and said[0].startswith(f"crossweep: {folder / file}: ") and sentence in said[0]


def test_a_bad_study_is_reported_once(study, tmp_path):
    bad = study.parent / "bad.toml"
    bad.write_text(study.read_text().replace("alpha = 2", "alpha = -2"))
    failed = run(bad, tmp_path / "out", ranks=3)
    assert failed.returncode == 3 and failed.stderr.count("alpha") == run(bad, tmp_path / "out").stderr.count("alpha")


def test_nothing_is_left_in_shared_memory_after_a_kill(study, tmp_path):
    launcher = command("run", study, "--out", tmp_path / "out", "--set", "study.trials=5000", ranks=3)
    with subprocess.Popen(launcher, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as job:
        for line in job.stderr:
            if b" on 3 ranks, " in line:  # ready, and computing from now on
                break
        mapped = [Path(f"/proc/{pid}/maps").read_text() for pid in descendants(job.pid)]
        for pid in [job.pid, *descendants(job.pid)]:
            with contextlib.suppress(ProcessLookupError):  # mpirun takes its ranks along
                os.kill(pid, signal.SIGKILL)
    assert sum("/dev/shm/crossweep." in maps for maps in mapped) == 3
    names = {word for maps in mapped for word in maps.split() if word.startswith("/dev/shm/crossweep.")}
    assert names and not any(Path(name).exists() for name in names)
