"""Models that drop tokens, tell classes of texts or tell the next token give the same records however they are run."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_study
from runs import content_hash, run

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

STORED = Path(__file__).resolve().parents[1] / "model/stored"
COUNT, CLASSES = 10, 5
STUDY = """\
[study]
name = "family"
trials = 2
[model]
weights = "weights.safetensors"
[data]
{data}
shard_images = 3
[crossbar]
{crossbar}
adc_calibration_images = 2
[transforms.clip]
alpha = 2
[[sweep.zip]]
"crossbar.fidelity" = ["behavioural", "sliced", "circuit", "large_small"]
"device.telegraph_amplitude" = [0, 0, 0, 0.2]
[sweep.grid]
"transform.name" = ["none", "clip"]
"device.write_noise_factor" = [0, 3]
"""


def write_images(folder):
    tiny_study.write_images(folder, COUNT, size=20, classes=CLASSES)
    return 'images = "images.idx"\nlabels = "labels.idx"\nmean = [0.5]\nstd = [0.25]'


def write_texts(folder, length, task):
    """Random texts; those to classify differ in length, and some have masked tokens inside."""
    random = np.random.default_rng(3)
    mask = np.ones((COUNT, length), np.uint8)
    with h5py.File(folder / "texts.h5", "w") as file:
        tokens = file.create_dataset("tokens", data=random.integers(0, 37, mask.shape, dtype=np.int32))
        tokens.attrs.update({"task": task, "tokeniser": "none", "vocabulary": 37, "characters_per_token": 1.0})
        if task == "classification":
            mask[::2, length - 3:] = 0
            mask[1::3, 2] = 0
            file["labels"] = random.integers(0, CLASSES, COUNT, dtype=np.int32)
        file["mask"] = mask
    return 'texts = "texts.h5"'


# What each stored model is asked, and what its crossbars need.
FAMILIES = {"sparse_vit": (write_images, ""),
            "bert": (lambda folder: write_texts(folder, 13, "classification"), ""),
            "gpt2": (lambda folder: write_texts(folder, 19, "language_model"), 'written_scale = "token"')}


@pytest.fixture(scope="module", params=FAMILIES, name="study")
def fixture_study(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write_data, crossbar = FAMILIES[request.param]
    shutil.copy(STORED / f"{request.param}.safetensors", folder / "weights.safetensors")
    (folder / "study.toml").write_text(STUDY.format(data=write_data(folder), crossbar=crossbar))
    return folder / "study.toml"


@pytest.fixture(scope="module", name="expected")
def fixture_expected(study):
    completed = run(study, study.parent / "expected")
    assert completed.returncode == 0, completed.stderr
    return content_hash(study.parent / "expected")


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_and_batches_change_nothing(study, expected, tmp_path, ranks):
    finely = ("--set", "run.points_per_unit=5", "--set", f"run.batch_images={ranks}")
    assert run(study, tmp_path / "run", *finely, ranks=ranks).returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_parts_together_are_the_whole(study, expected, tmp_path):
    assert run(study, tmp_path / "run", "--part", "2/2").returncode == 0
    assert run(study, tmp_path / "run", "--part", "1/2", ranks=2).returncode == 0
    assert content_hash(tmp_path / "run") == expected


def test_a_trial_more_keeps_the_records(study, expected, tmp_path):
    assert run(study, tmp_path / "run", "--set", "study.trials=1").returncode == 0
    assert run(study, tmp_path / "run").returncode == 0
    assert content_hash(tmp_path / "run") == expected
