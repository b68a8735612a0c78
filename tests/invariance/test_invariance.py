"""The same study gives the same records however it is run: on any number of ranks, in any batches and units, in parts,
killed and resumed. What is compared is the content hash, which every bit of every record enters."""

import json
import os
import signal
import subprocess
import time

import pytest
import tiny_study
from runs import content_hash, descendants, fixtures_of_undisturbed_run, run
from tiny_study import Architecture, crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

# About a second of work in 120 units when cut finely: long enough to be stopped in the middle.
ARCHITECTURE = Architecture(image_size=16, patch_size=2, width=64, depth=4, mlp_width=128)
IMAGES, SHARDS = 90, 15
RECORDS = 4 * 2 * SHARDS + SHARDS  # of 4 points in 2 trials, and of the reference
FINELY = ("--set", "run.points_per_unit=1", "--set", "run.segment_s=0.01")
UNFINISHED = 75


fixture_study, fixture_finished, fixture_expected = fixtures_of_undisturbed_run(ARCHITECTURE, IMAGES)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_change_nothing(study, expected, tmp_path, ranks):
    assert run(study, tmp_path / "run", *FINELY, ranks=ranks).returncode == 0
    assert content_hash(tmp_path / "run") == expected


@pytest.mark.parametrize("setting", ["run.batch_images=1", "run.batch_images=7", "run.points_per_unit=1",
                                     "run.points_per_unit=3", "run.points_per_unit=32"])
def test_batches_and_units_change_nothing(study, expected, tmp_path, setting):
    assert run(study, tmp_path / "run", "--set", setting).returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_parts_together_are_the_whole(study, expected, tmp_path):
    first = run(study, tmp_path / "run", "--part", "1/2")
    assert first.returncode == 0
    assert crossweep("merge", tmp_path / "run").returncode == UNFINISHED
    assert run(study, tmp_path / "run", "--part", "2/2").returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_parts_may_run_at_the_same_time(study, expected, tmp_path):
    parts = [start(study, tmp_path / "run", *FINELY, "--part", f"{part}/3") for part in (1, 2, 3)]
    assert [part.wait(60) for part in parts] == [0, 0, 0]
    assert content_hash(tmp_path / "run") == expected


def test_another_seed_changes_the_records(study, expected, tmp_path):
    assert run(study, tmp_path / "run", "--set", "study.seed=2").returncode == 0
    assert content_hash(tmp_path / "run") != expected


def test_more_trials_keep_those_that_are_done(study, expected, tmp_path):
    assert run(study, tmp_path / "run", "--set", "study.trials=1").returncode == 0
    extended = run(study, tmp_path / "run")
    assert extended.returncode == 0, extended.stderr
    assert f"{4 * SHARDS + SHARDS} of {RECORDS} records are there" in extended.stderr
    assert content_hash(tmp_path / "run") == expected


# --- stopped in the middle ---


def start(study, directory, *options, ranks=0):
    return subprocess.Popen(tiny_study.command("run", study, "--out", directory, *options, ranks=ranks),
                            env=tiny_study.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_and_reach_the_middle(study, directory, ranks):
    """Start a run cut finely and return once it has written a segment."""
    process = start(study, directory, *FINELY, ranks=ranks)
    deadline = time.monotonic() + 60
    while not any(directory.glob("segments/*.h5")):
        assert process.poll() is None and time.monotonic() < deadline, "the run never wrote a segment"
        time.sleep(0.002)
    return process


def records_done(directory):
    return json.loads(crossweep("status", directory, "--json").stdout)["records"]


def assert_resumes(study, directory, expected, ranks=0):
    """The run is unfinished, keeps what it has, and another run of the same command completes it."""
    done = records_done(directory)
    assert 0 < done < RECORDS
    assert crossweep("merge", directory).returncode == UNFINISHED
    again = run(study, directory, *FINELY, ranks=ranks)
    assert again.returncode == 0, again.stderr
    assert f"resuming {directory}: {done} of {RECORDS} records are there" in again.stderr
    assert content_hash(directory) == expected


@pytest.mark.parametrize("ranks", [0, 3])
def test_killed_and_resumed(study, expected, tmp_path, ranks):
    process = start_and_reach_the_middle(study, tmp_path / "run", ranks)
    for pid in [*descendants(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait(30)
    assert_resumes(study, tmp_path / "run", expected, ranks=2)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_signal_stops_in_order_with_exit_75(study, expected, tmp_path, name):
    process = start_and_reach_the_middle(study, tmp_path / "run", ranks=0)
    process.send_signal(getattr(signal, name))
    assert process.wait(30) == UNFINISHED
    assert_resumes(study, tmp_path / "run", expected)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_signal_to_all_ranks_stops_in_order_with_exit_75(study, expected, tmp_path, name):
    """As a batch system signals a job: every rank at once."""
    process = start_and_reach_the_middle(study, tmp_path / "run", ranks=3)
    for pid in descendants(process.pid):
        os.kill(pid, getattr(signal, name))
    assert process.wait(30) == UNFINISHED
    assert_resumes(study, tmp_path / "run", expected, ranks=3)


def test_mpirun_hands_on_sigusr1(study, expected, tmp_path):
    process = start_and_reach_the_middle(study, tmp_path / "run", ranks=2)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == UNFINISHED
    assert_resumes(study, tmp_path / "run", expected)


@pytest.mark.parametrize("ranks", [0, 2])
def test_time_budget_stops_in_order_with_exit_75(study, expected, tmp_path, ranks):
    stopped = run(study, tmp_path / "run", *FINELY, "--set", "run.time_budget_s=0.12", ranks=ranks)
    assert stopped.returncode == UNFINISHED
    assert "give the same command again to go on" in stopped.stderr
    assert_resumes(study, tmp_path / "run", expected)


# --- what is printed ---


def test_plan_status_and_report_agree(study, finished, expected):
    plan, status, report = (json.loads(crossweep(*arguments, "--json").stdout) for arguments in
                            (("plan", study), ("status", finished), ("report", finished)))
    assert plan["records"] == status["records"] == status["records_planned"] == RECORDS
    assert status["complete"] is report["complete"] is True
    assert status["records_failed"] == status["segments_damaged"] == 0
    assert plan["points"] == len(report["points"]) == 4
    assert plan["trials"] == report["trials"] == 2
    assert plan["images"] == report["images"] == IMAGES
    assert [axis["size"] for axis in plan["axes"]] == [len(axis["values"]) for axis in report["axes"]]
    assert [axis["name"] for axis in plan["axes"]] == [axis["name"] for axis in report["axes"]]
    assert report["content_hash"] == expected


def test_run_prints_json(study, finished, expected):
    printed = json.loads(run(study, finished, "--json").stdout)
    assert printed["complete"] is True
    assert printed["content_hash"] == expected
    assert printed["units_failed"] == 0


@pytest.mark.parametrize("point, trial, shard", [(0, 0, 0), (3, 1, SHARDS - 1)])
def test_replay_gives_the_stored_record(finished, point, trial, shard):
    replayed = crossweep("replay", finished, "--point", point, "--trial", trial, "--shard", shard)
    assert replayed.returncode == 0
    assert "equal to the stored record, bit for bit" in replayed.stdout


def test_damaged_segment_is_named_and_computed_again(study, expected, tmp_path):
    assert run(study, tmp_path / "run", *FINELY).returncode == 0
    victim = sorted(tmp_path.glob("run/segments/*.h5"))[1]
    contents = bytearray(victim.read_bytes())
    contents[len(contents) // 2:] = bytes(len(contents) - len(contents) // 2)
    victim.write_bytes(contents)
    status = crossweep("status", tmp_path / "run", "--json")
    assert str(victim) in status.stderr
    assert json.loads(status.stdout)["segments_damaged"] == 1
    assert run(study, tmp_path / "run").returncode == 0
    assert content_hash(tmp_path / "run") == expected
