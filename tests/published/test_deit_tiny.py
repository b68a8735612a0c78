"""DeiT-Ti on 300 ImageNet images against an independent implementation of the same physics, and against PyTorch.

Needs weights and images that do not ship; skipped where they are absent. The study is configs/deit_tiny.toml with two
trials, on two ranks.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
WEIGHTS = SHARED / "data/deit_tiny/deit_tiny_patch16_224.safetensors"
IMAGES = SHARED / "data/imagenet_val_300"
REFERENCE = SHARED / "reference/deit_tiny_reference.csv"
PROGRAM = Path(os.environ.get("CROSSWEEP_PROGRAM", ROOT / "build/release/bin/crossweep"))

pytestmark = pytest.mark.skipif(not (WEIGHTS.exists() and IMAGES.exists() and REFERENCE.exists()),
                                reason="DeiT-Ti or the 300 ImageNet images are not here")

# Chance that any of the twelve points fails although both implementations follow the same law.
ALPHA = 0.01


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deit_tiny")
    subprocess.run(["/usr/bin/python3", ROOT / "analysis/prepare_images.py", IMAGES, folder / "images.h5", "--crop-only",
                    "--model", "deit_tiny_patch16_224"], check=True)
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    subprocess.run(["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none", PROGRAM, "run",
                    ROOT / "configs/deit_tiny.toml", "--out", folder / "run", "--set", f"data.images={folder}/images.h5",
                    "--set", f"model.weights={WEIGHTS}", "--set", "study.trials=2"], check=True, env=environment)
    with h5py.File(folder / "run/results.h5") as file:
        yield file


def published() -> list[dict]:
    lines = [line for line in REFERENCE.read_text().splitlines() if not line.startswith("#")]
    return [row for row in csv.DictReader(lines) if row["transform"] != "clean"]


_ROWS = published() if REFERENCE.exists() else []
every_published_point = pytest.mark.parametrize("row", _ROWS, ids=[f"{r['gamma']}-{r['alpha']}-{r['beta']}" for r in _ROWS])


def point_of(results, row: dict) -> int:
    keys = {"device.write_noise_factor": row["gamma"], "transform.alpha": row["alpha"], "transform.beta": row["beta"]}
    match = np.ones(results["point"].shape, bool)
    for key, value in keys.items():
        match &= results[f"points/{key}"][:] == float(value)
    (point,) = np.flatnonzero(match)
    return int(point)


def agrees(ours: np.ndarray, theirs: float) -> bool:
    """Whether `ours` [trial, image], 0/1, and a published fraction of one draw are of the same law at level ALPHA / 12.

    The images are the same, so only noise differs: per image, two draws disagree with twice the variance of one.
    """
    trials, images = ours.shape
    assert trials == 2
    variance_of_one = np.mean(ours[0] != ours[1]) / 2 / images
    standard_error = np.sqrt(variance_of_one * (1 / trials + 1))
    threshold = statistics.NormalDist().inv_cdf(1 - ALPHA / 12 / 2)
    return abs(ours.mean() - theirs) <= threshold * standard_error + 0.5 / images


def test_clean_accuracy_is_241_of_300(results):
    assert int((results["reference/class"][0] == results["labels"][:]).sum()) == 241


@every_published_point
def test_accuracy_agrees_with_the_independent_implementation(results, row):
    point = point_of(results, row)
    correct = results["predictions/class"][point] == results["labels"][:]
    assert agrees(correct, float(row["top1"]) / 100)


@every_published_point
def test_snr_agrees_with_the_independent_implementation(results, row):
    # Sums over 300 images x 197 tokens: the scatter between chips is below 0.1 dB, the reference draws 30 of them.
    point = point_of(results, row)
    signal, noise = results["attention/signal"][point], results["attention/noise"][point]
    ours = np.mean(10 * np.log10(signal.sum(0) / noise.sum(0)))
    assert ours == pytest.approx(float(row["snr_dB"]), abs=0.25)


def test_the_check_sees_a_shift_of_fifteen_points(results):
    row = next(r for r in published() if r["gamma"] == "4" and r["alpha"] == "0")
    correct = results["predictions/class"][point_of(results, row)] == results["labels"][:]
    assert not agrees(correct, float(row["top1"]) / 100 - 0.15)


def test_ordering_is_the_published_one(results):
    accuracy = {}
    for row in published():
        correct = results["predictions/class"][point_of(results, row)] == results["labels"][:]
        accuracy[row["gamma"], row["alpha"], row["beta"]] = correct.mean()
    for gamma in ("3", "4", "5"):
        assert accuracy[gamma, "2", "1.0"] > accuracy[gamma, "1", "1.0"] > accuracy[gamma, "0", "1"]
    assert accuracy["3", "2", "0.25"] < accuracy["3", "0", "1"], "strong clipping hurts under mild noise"
    assert accuracy["5", "2", "0.25"] > accuracy["5", "0", "1"], "and helps under strong noise"


def test_margins_agree_with_pytorch(results):
    torch = pytest.importorskip("torch")
    sys.path.insert(0, str(ROOT / "analysis/training"))
    import safetensors_file
    from vit import Architecture, VisionTransformer

    tensors, _ = safetensors_file.load(WEIGHTS)
    model = VisionTransformer(Architecture(image_size=224, patch_size=16, in_channels=3, num_classes=1000, embed_dim=192,
                                           depth=12, num_heads=3))
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    model.eval()
    count = 16
    study = results.attrs["study_toml"]
    path = json.loads(next(l for l in study.splitlines() if l.startswith("images =")).partition("=")[2].strip())
    with h5py.File(path) as file:
        pixels = file["images"][:count].astype(np.float32) / 255
        pixels = (pixels - file["images"].attrs["mean"]) / file["images"].attrs["std"]
    with torch.no_grad():
        logits = model(torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2).contiguous()).numpy()
    labels = results["labels"][:count]
    of_label = logits[np.arange(count), labels]
    logits[np.arange(count), labels] = -np.inf
    # A margin is the difference of two logits, each within 1e-4.
    assert results["reference/margin"][0, :count] == pytest.approx(of_label - logits.max(1), abs=2e-4)
