"""The program as a user meets it: help, exit codes, and for every kind of bad input the sentence that says what is wrong
and what to do. In expected sentences, FOLDER stands for the folder of the test."""

import json
import os
import re
import shutil
import struct
import subprocess

import h5py
import numpy as np
import pytest
import tiny_study
from tiny_study import STUDY, Architecture, crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

DONE, USAGE, CONFIGURATION, DATA, INTERNAL, UNFINISHED = 0, 2, 3, 4, 5, 75
SUBCOMMANDS = ["check", "plan", "run", "status", "merge", "report", "replay", "inspect", "cost", "bench", "simulate", "schema", "version"]


@pytest.fixture(name="study")
def fixture_study(tmp_path):
    return tiny_study.write_study(tmp_path)


def assert_refused(result, folder, code, sentences):
    """The program ended with `code` and said exactly `sentences`, to stderr."""
    assert result.stderr.replace(str(folder), "FOLDER") == f"crossweep: {sentences}\n"
    assert result.returncode == code
    assert result.stdout == ""


# --- usage ---


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_has_help_with_an_example(subcommand):
    shown = crossweep(subcommand, "--help")
    assert shown.returncode == DONE
    assert f"crossweep {subcommand}" in shown.stdout.partition("Example:")[2]


def test_help_lists_subcommands_and_exit_codes():
    shown = crossweep("--help")
    assert shown.returncode == DONE
    assert all(f"  {subcommand} " in shown.stdout for subcommand in SUBCOMMANDS)
    assert "Exit codes: 0 done, 2 usage, 3 configuration, 4 data, 5 internal or failed units, 75" in shown.stdout


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run", "study.toml"], ["check", "a", "b"], ["status", "--fast"],
                                       ["replay", "run", "--point", "-1", "--trial", "0", "--shard", "0"],
                                       ["bench", "--seconds", "0"]])
def test_wrong_usage_exits_2(arguments):
    refused = crossweep(*arguments)
    assert refused.returncode == USAGE
    assert refused.stderr != ""


@pytest.mark.parametrize("part", ["0/2", "3/2", "x", "1/", "/2", "1/2/3"])
def test_bad_part_is_refused(study, tmp_path, part):
    refused = crossweep("run", study, "--out", tmp_path / "run", "--part", part)
    assert_refused(refused, tmp_path, USAGE,
                   f"--part {part} is not i/n with 1 <= i <= n. Write, for example, --part 3/16.")


def test_version_prints_json():
    facts = json.loads(crossweep("version", "--json").stdout)
    assert {"version", "git_commit", "compiler", "build_type", "instruction_set", "host"} <= facts.keys()
    assert facts["arithmetic_path"].startswith(f"{facts['instruction_set']} + oneDNN ")


def test_inspect_prints_json(study):
    facts = json.loads(crossweep("inspect", study.parent / "weights.safetensors", "--json").stdout)
    assert (facts["width"], facts["depth"], facts["heads"], facts["classes"]) == (16, 2, 2, 10)
    assert facts["parameters"] == sum(values.size for values in tiny_study.weights().values())


def test_schema_has_a_table_of_keys_for_every_table_of_a_study():
    schema = crossweep("schema").stdout
    for table, key in [("study", "trials"), ("data", "shard_images"), ("device", "write_noise_factor"),
                       ("crossbar", "input_bits"), ("run", "time_budget_s")]:
        assert f"| `{key}`" in schema.partition(f"## [{table}]")[2].partition("\n## ")[0]


def test_a_run_ends_with_a_table_and_where_the_results_are(study, tmp_path):
    finished = crossweep("run", study, "--out", tmp_path / "run")
    assert finished.returncode == DONE
    assert "top-1 accuracy in %" in finished.stdout
    assert f"results: {tmp_path}/run/results.h5" in finished.stderr
    assert (tmp_path / "run/results.h5").exists()


def test_run_goes_on_from_any_folder(study, tmp_path):
    """Paths in the study are relative to the study, and the frozen study finds its files again."""
    assert crossweep("run", os.path.relpath(study), "--out", tmp_path / "run").returncode == DONE
    assert json.loads(crossweep("status", tmp_path / "run", "--json").stdout)["complete"] is True


# --- studies that are wrong ---

BAD_STUDIES = {
    "misspelt key": ("trials = 2", "trails = 2",
                     'FOLDER/study.toml:3:1: unknown key "study.trails"; did you mean "study.trials"?'),
    "wrong type": ("trials = 2", 'trials = "two"',
                   'FOLDER/study.toml:3:10: study.trials = "two" is text, not a number (number of chips per point). '
                   "Give a whole number from 1 to 1000000."),
    "out of range": ("beta = 0.25", "beta = 1.5",
                     'FOLDER/study.toml:14:8: transforms."(2, 0.25)".beta = 1.5 is above 1 (fraction of G_max). '
                     "Give a value in (0, 1]."),
    "empty axis": ("= [0, 5]", "= []",
                   "FOLDER/study.toml:16:29: device.write_noise_factor = [] has no values, so the study would have no "
                   "points. Give at least one value, or remove the axis."),
    "axis on a missing key": ("device.write_noise_factor", "device.write_noise_faktor",
                              'FOLDER/study.toml:16:8: unknown key "device.write_noise_faktor"; '
                              'did you mean "device.write_noise_factor"?'),
    "zipped axes of different length": (
        "[sweep.grid]", "[[sweep.zip]]\ndevice.g_max_S = [1e-6, 1e-5]\ndevice.on_off_ratio = [10, 20, 50]\n[sweep.grid]",
        "FOLDER/study.toml:17:8: device.on_off_ratio has 3 values and device.g_max_S has 2 (zipped keys walk together). "
        "Give as many of both."),
}


@pytest.mark.parametrize("subcommand", ["check", "plan", "run"])
@pytest.mark.parametrize("name", BAD_STUDIES)
def test_bad_study_is_refused(tmp_path, name, subcommand):
    old, new, sentence = BAD_STUDIES[name]
    study = tiny_study.write_study(tmp_path, text=STUDY.replace(old, new))
    out = ["--out", tmp_path / "run"] if subcommand == "run" else []
    assert_refused(crossweep(subcommand, study, *out), tmp_path, CONFIGURATION, sentence)
    assert not (tmp_path / "run").exists()


def test_problems_of_a_study_are_told_together(tmp_path):
    study = tiny_study.write_study(tmp_path, text=STUDY.replace("trials = 2", "trails = 2").replace("[0, 5]", "[]"))
    sentences = [BAD_STUDIES[name][2] for name in ("misspelt key", "empty axis")]
    assert_refused(crossweep("check", study), tmp_path, CONFIGURATION, "\n".join(sentences))


@pytest.mark.parametrize("override, sentence", [
    ("study.trails=3", '--set study.trails=3: unknown key "study.trails"; did you mean "study.trials"?'),
    ("study.trials", "--set study.trials: this is not key=value. Write for example device.g_max_S=2e-5.")])
def test_bad_override_is_refused(study, tmp_path, override, sentence):
    assert_refused(crossweep("check", study, "--set", override), tmp_path, CONFIGURATION, sentence)


def test_missing_study_is_refused(tmp_path):
    assert_refused(crossweep("check", tmp_path / "none.toml"), tmp_path, DATA,
                   "FOLDER/none.toml cannot be read (No such file or directory). Give the path of a study file.")


# --- weights that are wrong ---


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


def overwrite(path, begin, contents):
    path.write_bytes(path.read_bytes()[:begin] + contents + path.read_bytes()[begin + len(contents):])


def write_changed(path, change):
    tensors = tiny_study.weights()
    change(tensors)
    tiny_study.write_weights(path, tensors)


def misshape(tensors):
    tensors["norm.bias"] = np.zeros(17, np.float32)
    tensors["blocks.1.mlp.fc1.weight"] = np.zeros((32, 8), np.float32)


def remove_three(tensors):
    for name in ("cls_token", "blocks.0.attn.proj.bias", "blocks.1.norm2.weight"):
        del tensors[name]


def spoil(tensors):
    tensors["head.bias"][:2] = np.inf
    tensors["blocks.0.attn.qkv.weight"][3, :4] = np.nan


def write_hostile(path, ranges):
    header = {name: {"dtype": "F32", "shape": [2], "data_offsets": offsets} for name, offsets in ranges.items()}
    tiny_study.write_safetensors(path, json.dumps(header).encode(), bytes(16))


NAMES = ("\nGive an intact safetensors file of a ViT or DeiT (timm), LV-ViT (TokenLabeling) or DynamicViT with its "
         "published names.")
BAD_WEIGHTS = {
    "missing": (lambda path: path.unlink(),
                "WEIGHTS: cannot be read (no such file or folder). Check the name."),
    "empty": (lambda path: truncate(path, 0),
              "WEIGHTS: is 0 bytes long (a safetensors file starts with the 8-byte length of its header). Copy it again."),
    "truncated": (lambda path: truncate(path, path.stat().st_size - 100),
                  'WEIGHTS: tensor "blocks.1.mlp.fc2.bias": bytes 20008..20072 reach beyond the data section of 19972 '
                  "bytes (the file is truncated or corrupt). Copy it again.\n"
                  'WEIGHTS: tensor "blocks.1.mlp.fc2.weight": bytes 17960..20008 reach beyond the data section of 19972 '
                  "bytes (the file is truncated or corrupt). Copy it again."),
    "corrupt header": (lambda path: overwrite(path, 20, b"\xff" * 40),
                       "WEIGHTS: the header is not JSON (the file is corrupt, or not a safetensors file). "
                       "Copy it again."),
    "header beyond the file": (lambda path: overwrite(path, 0, struct.pack("<Q", 99_999_999)),
                               "WEIGHTS: the header of 99999999 bytes reaches beyond the file of SIZE bytes "
                               "(the file is truncated or corrupt). Copy it again."),
    "absurd header": (lambda path: overwrite(path, 0, struct.pack("<Q", 2**63)),
                      "WEIGHTS: a header of 9223372036854775808 bytes is announced (the format allows 100000000: this "
                      "is not a safetensors file, or it is corrupt). Check which file it is."),
    "overlapping": (lambda path: write_hostile(path, {"a": [0, 8], "b": [4, 12]}),
                    'WEIGHTS: tensor "b": bytes 4..12 overlap those of "a" (the file is corrupt). Copy it again.'),
    "offsets out of range": (lambda path: write_hostile(path, {"a": [0, 8], "b": [16, 24]}),
                             'WEIGHTS: tensor "b": bytes 16..24 reach beyond the data section of 16 bytes (the file is '
                             "truncated or corrupt). Copy it again."),
    "wrong shapes": (lambda path: write_changed(path, misshape),
                     'WEIGHTS: tensor "blocks.1.mlp.fc1.weight" has shape [32, 8] where [32, 16] is expected\n'
                     'WEIGHTS: tensor "norm.bias" has shape [17] where [16] is expected' + NAMES),
    "missing tensors": (lambda path: write_changed(path, remove_three),
                        'WEIGHTS: tensor "blocks.0.attn.proj.bias" is missing\n'
                        'WEIGHTS: tensor "blocks.1.norm2.weight" is missing\n'
                        'WEIGHTS: tensor "cls_token" is missing' + NAMES),
    "not finite": (lambda path: write_changed(path, spoil),
                   'WEIGHTS: tensor "blocks.0.attn.qkv.weight" has 4 values that are not finite\n'
                   'WEIGHTS: tensor "head.bias" has 2 values that are not finite' + NAMES),
}


def damage_weights(folder, name):
    """Returns the sentences expected."""
    damage, sentences = BAD_WEIGHTS[name]
    path = folder / "weights.safetensors"
    damage(path)
    size = path.stat().st_size if path.exists() else 0
    return sentences.replace("WEIGHTS", "FOLDER/weights.safetensors").replace("SIZE", str(size))


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_weights_are_refused(study, tmp_path, name):
    sentences = damage_weights(tmp_path, name)
    assert_refused(crossweep("check", study), tmp_path, DATA, sentences)


@pytest.mark.parametrize("name", ["missing", "not finite"])
def test_one_rank_speaks_where_all_fail_alike(study, tmp_path, name):
    sentences = damage_weights(tmp_path, name)
    refused = crossweep("run", study, "--out", tmp_path / "run", ranks=2)
    assert refused.stderr.replace(str(tmp_path), "FOLDER").count(sentences) == 1
    assert refused.returncode == DATA


# --- data sets that are wrong ---

MISFIT = "FOLDER/images.idx: images of {} do not fit FOLDER/weights.safetensors, which takes {}. "
BAD_DATA = {
    "missing": (lambda folder: (folder / "images.idx").unlink(),
                "FOLDER/images.idx: cannot be read (no such file or folder). Check the name."),
    "no data set": (lambda folder: (folder / "images.idx").write_text("P6 8 8 255"),
                    "FOLDER/images.idx: is neither IDX nor HDF5 (its first bytes are of no known format). Convert it to "
                    "one of the two."),
    "other size": (lambda folder: tiny_study.write_images(folder, size=12),
                   MISFIT.format("12x12 pixels", "8x8") + "Prepare them with analysis/prepare_images.py."),
    "other channels": (lambda folder: tiny_study.write_images(folder, channels=3),
                       MISFIT.format("3 channels", "1") + "Choose another data set or model."),
    "label beyond the classes": (
        lambda folder: tiny_study.write_idx(folder / "labels.idx", np.arange(12, dtype=np.uint8)),
        "FOLDER/images.idx: label 11 of image 11 is beyond the 10 classes of FOLDER/weights.safetensors. Choose a model "
        "trained on these classes."),
    "too few labels": (lambda folder: tiny_study.write_idx(folder / "labels.idx", np.zeros(5, np.uint8)),
                       "FOLDER/labels.idx: has 5 labels for 12 images (every image needs one). Use files that belong "
                       "together."),
    "truncated": (lambda folder: truncate(folder / "images.idx", 300),
                  "FOLDER/images.idx: ends after 284 of 768 elements (the file is truncated). Copy it again."),
    "truncated gzip": (lambda folder: (tiny_study.write_images(folder, compressed=True),
                                       truncate(folder / "images.idx", 200)),
                       "FOLDER/images.idx: truncated gzip (the compressed data end before their end mark). "
                       "Copy it again."),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_are_refused(study, tmp_path, name):
    damage, sentence = BAD_DATA[name]
    damage(tmp_path)
    assert_refused(crossweep("check", study), tmp_path, DATA, sentence)


def test_gzip_and_plain_images_are_the_same_study(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run").returncode == DONE
    tiny_study.write_images(tmp_path, compressed=True)
    resumed = crossweep("run", study, "--out", tmp_path / "run")
    assert "18 of 18 records are there" in resumed.stderr


@pytest.mark.parametrize("old, new, sentence", [
    ("mean = [0.5]\nstd = [0.25]\n", "",
     "FOLDER/images.idx: neither the data set nor FOLDER/weights.safetensors says how to normalise the images. "
     "Set data.mean and data.std, one number per channel."),
    ("mean = [0.5]\nstd = [0.25]\n", "mean = [0, 0]\nstd = [1, 1]\n",
     "FOLDER/images.idx: a normalisation of 2 means and 2 standard deviations does not fit images of 1 channels. "
     "Set data.mean and data.std."),
    ("shard_images", "count = 100\nshard_images",
     "FOLDER/images.idx: the data set has 12 images, fewer than data.count = 100. Lower data.count.")])
def test_study_that_does_not_fit_the_data_is_refused(tmp_path, old, new, sentence):
    study = tiny_study.write_study(tmp_path, text=STUDY.replace(old, new))
    assert_refused(crossweep("check", study), tmp_path, DATA, sentence)


# --- run directories that are wrong ---


def test_directory_of_another_study_is_refused_with_what_differs(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run").returncode == DONE
    refused = crossweep("run", study, "--out", tmp_path / "run", "--set", "study.seed=2", "--set", "device.g_max_S=1e-6")
    assert_refused(refused, tmp_path, DATA,
                   "FOLDER/run: the run directory holds another study:\n"
                   "  study.seed is 1 in the stored study and 2 in the new one.\n"
                   "  device.g_max_S is 1e-05 in the stored study and 1e-06 in the new one.\n"
                   "Choose another --out, or run the study that it holds.")


def test_settings_of_the_run_are_no_part_of_the_study(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run").returncode == DONE
    assert crossweep("run", study, "--out", tmp_path / "run", "--set", "run.batch_images=3").returncode == DONE


@pytest.mark.parametrize("subcommand", ["status", "merge", "report"])
def test_folder_that_is_no_run_directory_is_refused(tmp_path, subcommand):
    assert_refused(crossweep(subcommand, tmp_path), tmp_path, DATA,
                   "FOLDER: this is not a run directory (it has no study.toml). "
                   "Give the directory that crossweep run --out made.")


def test_report_without_results_is_refused(study, tmp_path):
    crossweep("run", study, "--out", tmp_path / "run")
    (tmp_path / "run/results.h5").unlink()
    assert_refused(crossweep("report", tmp_path / "run"), tmp_path, DATA,
                   "FOLDER/run/results.h5: there are no results yet. Make them with crossweep merge.")


def test_merge_of_an_unfinished_run_exits_75_unless_partial(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run", "--part", "1/2").returncode == DONE
    assert_refused(crossweep("merge", tmp_path / "run"), tmp_path, UNFINISHED,
                   "FOLDER/run: 9 of 18 records are there. Go on with crossweep run, or merge what is there with "
                   "--partial.")
    merged = crossweep("merge", tmp_path / "run", "--partial")
    assert merged.returncode == DONE
    report = json.loads(crossweep("report", tmp_path / "run", "--json").stdout)
    assert report["complete"] is False
    assert all(point["top1_accuracy"]["best"] is not None for point in report["points"])


def test_replay_counts_what_results_say(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run").returncode == 0
    replayed = crossweep("replay", tmp_path / "run", "--point", 1, "--trial", 0, "--shard", 0)
    counted = re.search(r"counted for one image: (\S+) array reads, (\S+) conversions, (\S+) cells written with 1 pulses each",
                        replayed.stdout)
    with h5py.File(tmp_path / "run/results.h5") as file:
        stored = [file[f"cost/{name}"][1] for name in ("array_reads", "conversions", "cell_writes")]
    assert [float(number) for number in counted.groups()] == pytest.approx(stored, rel=1e-5)


def test_replay_of_a_record_that_is_not_in_the_study_is_refused(study, tmp_path):
    crossweep("run", study, "--out", tmp_path / "run")
    refused = crossweep("replay", tmp_path / "run", "--point", 5, "--trial", 0, "--shard", 0)
    assert_refused(refused, tmp_path, USAGE, "point 5, trial 0, shard 0 is not in the study of 4 points, 2 trials and 2 "
                                             "shards, counted from 0.")


def test_other_weights_under_the_same_settings_are_refused_and_harm_nothing(study, tmp_path):
    crossweep("run", study, "--out", tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    tiny_study.write_weights(tmp_path / "other.safetensors", tiny_study.weights(seed=9))
    refused = crossweep("run", study, "--out", tmp_path / "run", "--set", f"model.weights={tmp_path}/other.safetensors")
    assert refused.returncode == DATA and "other contents of the weights" in refused.stderr
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("below", ["", "/run"])
def test_file_in_place_of_the_directory_is_refused(study, tmp_path, below):
    (tmp_path / "file").touch()
    refused = crossweep("run", study, "--out", f"{tmp_path}/file{below}")
    assert_refused(refused, tmp_path, DATA, f"FOLDER/file{below}: the run directory cannot be written (Not a directory). "
                                            "Choose another --out or its rights.")


# --- disks ---


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path):
    """A file system of 200 KiB, and how to mount it with other options."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], capture_output=True, check=False)

    if os.geteuid() != 0 or shutil.which("mount") is None or mount("size=200k").returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield disk, mount
    subprocess.run(["umount", disk], check=True)


def test_read_only_disk_is_refused(study, small_disk, tmp_path):
    disk, mount = small_disk
    assert mount("remount,ro").returncode == 0
    assert_refused(crossweep("run", study, "--out", disk / "run"), tmp_path, DATA,
                   "FOLDER/disk/run: the run directory cannot be written (Read-only file system). Choose another --out "
                   "or its rights.")


@pytest.mark.parametrize("ranks", [0, 2])
def test_full_disk_stops_the_run_and_keeps_what_is_written(tmp_path, small_disk, ranks):
    disk, mount = small_disk
    architecture = Architecture(image_size=16, patch_size=2, width=64, depth=4, mlp_width=128)
    study = tiny_study.write_study(tmp_path / "study", architecture, images=60)
    run = ["run", study, "--out", disk / "run", "--set", "run.points_per_unit=1", "--set", "run.segment_s=0.01"]
    stopped = crossweep(*run, ranks=ranks)
    assert stopped.returncode == DATA
    written = len(list(disk.glob("run/segments/*.h5")))
    assert (f"{disk}/run/segments/{written + 1:06}.h5.tmp: cannot be written (the disk is full). "
            "Free some space and start again.") in stopped.stderr
    status = json.loads(crossweep("status", disk / "run", "--json").stdout)
    assert status["segments"] == written
    assert status["segments_damaged"] == 0
    assert 0 < status["records"] < status["records_planned"]

    assert mount("remount,size=20m").returncode == 0
    resumed = crossweep(*run, ranks=ranks)
    assert resumed.returncode == DONE
    assert f"{status['records']} of {status['records_planned']} records are there" in resumed.stderr


# --- points that fail ---


def test_point_without_a_finite_result_fails_alone(tmp_path):
    """Absurd noise gives no finite logits: such points fail, the others have their results, the exit code tells."""
    study = tiny_study.write_study(tmp_path, text=STUDY.replace("[0, 5]", "[0, 1e30]"))
    failed = crossweep("run", study, "--out", tmp_path / "run")
    assert failed.returncode == INTERNAL
    assert (f"crossweep: failed unit: image 6 gives logits that are not finite. Replay: crossweep replay {tmp_path}/run "
            "--point 2 --trial 1 --shard 1\n") in failed.stderr
    status = json.loads(crossweep("status", tmp_path / "run", "--json").stdout)
    assert (status["records"], status["records_failed"]) == (10, 8)
    points = json.loads(crossweep("report", tmp_path / "run", "--json").stdout)["points"]
    assert [point["top1_accuracy"]["best"] is None for point in points] == [False, False, True, True]
    replayed = crossweep("replay", tmp_path / "run", "--point", 2, "--trial", 1, "--shard", 1)
    assert replayed.returncode == INTERNAL
    assert "failed: image 6 gives logits that are not finite" in replayed.stdout


def test_too_many_failures_stop_the_run(tmp_path):
    study = tiny_study.write_study(tmp_path, text=STUDY.replace("[0, 5]", "[0, 1e30]"))
    stopped = crossweep("run", study, "--out", tmp_path / "run", "--set", "run.max_failed_units=1", "--set",
                        "run.points_per_unit=1", "--set", "data.shard_images=1")
    assert stopped.returncode == INTERNAL
    assert "stopped: more than 1 unit has failed (run.max_failed_units)" in stopped.stderr
