"""A study at circuit level, with calibrated converters, chip-level errors and a hybrid of devices, gives the same records
however it is run, and calibrates once."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import tiny_study
from runs import content_hash, descendants, run
from tiny_study import Architecture, crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

STUDY = """\
[study]
name = "circuit"
trials = 2
[model]
weights = "weights.safetensors"
[data]
images = "images.idx"
labels = "labels.idx"
count = 8
shard_images = 3
mean = [0.5]
std = [0.25]
[device]
stuck_at_g_max = 0.01
g_max_spread_sigma = 0.02
t_read_s = 100
drift_exponent = 0.02
drift_exponent_sigma = 0.01
[devices.sram]
bits_per_cell = 1
read_noise_sigma = 0
write_noise_factor = 0
[crossbar]
fidelity = "circuit"
array_rows = 12
array_columns = 20
adc_bits = 3
adc_gain_sigma = 0.01
adc_offset_sigma = 0.2
wire_resistance_ohm = 1
adc_calibration_images = 2
[transforms.clip]
alpha = 2
percentile = 99
clip_block = "head"
[sweep.grid]
"device_of.keys" = ["default", "sram"]
"transform.name" = ["none", "clip"]
"crossbar.mapping" = ["differential", "offset"]
"""
CALIBRATIONS = 8  # one per point: device of K, transform and mapping all change the sums


@pytest.fixture(scope="module", name="study")
def fixture_study(tmp_path_factory):
    return tiny_study.write_study(tmp_path_factory.mktemp("circuit"), Architecture(image_size=8, width=24, heads=3),
                                  text=STUDY)


@pytest.fixture(scope="module", name="finished")
def fixture_finished(study, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished") / "run"
    completed = run(study, directory)
    assert completed.returncode == 0, completed.stderr
    assert f"calibrating the ADCs of {CALIBRATIONS} settings" in completed.stderr
    return directory


@pytest.fixture(scope="module", name="expected")
def fixture_expected(finished):
    return content_hash(finished)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_change_neither_records_nor_calibration(study, finished, expected, tmp_path, ranks):
    assert run(study, tmp_path / "run", "--set", "run.points_per_unit=1", ranks=ranks).returncode == 0
    assert content_hash(tmp_path / "run") == expected
    assert (tmp_path / "run/calibration.json").read_text() == (finished / "calibration.json").read_text()


@pytest.mark.parametrize("setting", ["run.batch_images=1", "run.batch_images=7", "run.points_per_unit=3"])
def test_batches_and_units_change_nothing(study, expected, tmp_path, setting):
    assert run(study, tmp_path / "run", "--set", setting).returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_parts_share_one_calibration(study, finished, expected, tmp_path):
    assert run(study, tmp_path / "run", "--part", "1/2").returncode == 0
    second = run(study, tmp_path / "run", "--part", "2/2")
    assert "calibrating" not in second.stderr
    assert content_hash(tmp_path / "run") == expected


def test_parts_that_start_together_calibrate_once(study, finished, expected, tmp_path):
    command = [tiny_study.command("run", study, "--out", tmp_path / "run", "--part", f"{part}/3") for part in (1, 2, 3)]
    parts = [subprocess.Popen(one, env=tiny_study.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) for one in command]
    said = [part.communicate(timeout=120)[1] for part in parts]
    assert [part.returncode for part in parts] == [0, 0, 0]
    assert sum("calibrating" in text for text in said) == 1
    assert content_hash(tmp_path / "run") == expected


def calibrated(directory):
    """How many calibrations are stored."""
    file = directory / "calibration.json"
    return len(json.loads(file.read_text())) if file.exists() else 0


@pytest.mark.parametrize("ranks", [0, 2])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGUSR1"])
def test_stopped_during_the_calibration_and_resumed(study, finished, expected, tmp_path, ranks, name):
    process = subprocess.Popen(tiny_study.command("run", study, "--out", tmp_path / "run", "--set",
                                                  "crossbar.adc_calibration_images=8", ranks=ranks),
                               env=tiny_study.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while calibrated(tmp_path / "run") < 2:
        assert process.poll() is None
        time.sleep(0.001)
    for pid in descendants(process.pid) or [process.pid]:
        os.kill(pid, getattr(signal, name))
    code = process.wait(60)
    stored = calibrated(tmp_path / "run")
    if name != "SIGKILL" and stored < CALIBRATIONS:
        assert code == 75
    again = run(study, tmp_path / "run", "--set", "crossbar.adc_calibration_images=8", ranks=ranks)
    assert again.returncode == 0, again.stderr
    left = CALIBRATIONS - stored
    assert left == 0 or f"calibrating the ADCs of {left} setting" in again.stderr
    undisturbed = tmp_path / "undisturbed"
    assert run(study, undisturbed, "--set", "crossbar.adc_calibration_images=8").returncode == 0
    assert content_hash(tmp_path / "run") == content_hash(undisturbed)


def test_killed_and_resumed(study, expected, tmp_path):
    finely = ("--set", "run.points_per_unit=1", "--set", "run.segment_s=0.001")
    process = subprocess.Popen(tiny_study.command("run", study, "--out", tmp_path / "run", *finely, ranks=2),
                               env=tiny_study.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any((tmp_path / "run/segments").glob("*.h5")):
        assert process.poll() is None
        time.sleep(0.001)
    for pid in [*descendants(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)
    process.wait(30)
    assert run(study, tmp_path / "run", ranks=3).returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_more_points_calibrate_only_what_is_new(study, tmp_path):
    more_trials = ("--set", "study.trials=1")
    assert run(study, tmp_path / "run", *more_trials).returncode == 0
    stored = json.loads((tmp_path / "run/calibration.json").read_text())
    (tmp_path / "run/calibration.json").write_text(json.dumps(dict(list(stored.items())[1:])))
    again = run(study, tmp_path / "run")
    assert "calibrating the ADCs of 1 setting\n" in again.stderr
    assert json.loads((tmp_path / "run/calibration.json").read_text()) == stored


def test_a_stored_calibration_with_other_numbers_is_refused(study, finished, tmp_path):
    (tmp_path / "run").mkdir()
    stored = json.loads((finished / "calibration.json").read_text())
    for entry in stored.values():
        for row in entry["ranges"]:
            row["top_of_slice"] = [top / 2 for top in row["top_of_slice"]]
    (tmp_path / "run/calibration.json").write_text(json.dumps(stored))
    refused = run(study, tmp_path / "run")
    assert refused.returncode == 4
    assert "its numbers are not those that were written" in refused.stderr


BROKEN = {
    "no JSON": lambda rows: None,
    "no list": lambda rows: 3,
    "no operand": lambda rows: [{"layer": 0}],
    "unknown operand": lambda rows: [row | {"operand": "y"} for row in rows],
    "no slices": lambda rows: [row | {"top_of_slice": []} for row in rows],
    "beyond the range": lambda rows: [row | {"top_of_slice": [1e300 for _ in row["top_of_slice"]]} for row in rows],
    "a layer missing": lambda rows: [row for row in rows if row["layer"] == 0],
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("ranks", [0, 2])
def test_a_broken_calibration_is_one_sentence(study, finished, tmp_path, broken, ranks):
    (tmp_path / "run").mkdir()
    stored = json.loads((finished / "calibration.json").read_text())
    text = "{" if broken == "no JSON" else json.dumps(
        {name: entry | {"ranges": BROKEN[broken](entry["ranges"])} for name, entry in stored.items()})
    (tmp_path / "run/calibration.json").write_text(text)
    refused = run(study, tmp_path / "run", ranks=ranks)
    assert refused.returncode == 4
    assert "the calibration of the ADCs cannot be read" in refused.stderr
    assert "Remove the file to have it computed again." in refused.stderr


def test_more_calibration_images_than_there_are_is_one_sentence(study, tmp_path):
    refused = run(study, tmp_path / "run", "--set", "crossbar.adc_calibration_images=13")
    assert refused.returncode == 4
    assert "crossbar.adc_calibration_images = 13 is more than the 12 images of the data set." in refused.stderr


def test_replay_gives_the_stored_record(finished):
    replayed = crossweep("replay", finished, "--point", 5, "--trial", 1, "--shard", 2)
    assert "equal to the stored record, bit for bit" in replayed.stdout


def test_replay_without_a_calibration_computes_it_and_writes_nothing(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/calibration.json").unlink()
    replayed = crossweep("replay", tmp_path / "run", "--point", 5, "--trial", 1, "--shard", 2)
    assert "equal to the stored record, bit for bit" in replayed.stdout
    assert not (tmp_path / "run/calibration.json").exists()
