"""Shipped models of every family on real inputs: what crossweep's digital reference gives against PyTorch's definitions.

A run records a margin for every input: the logit of its label less the largest other one. Every input is therefore given
once with each label (to a language model: with each last token), which yields all logits up to a constant; the last row's
of a language model. A model that is not in data/ is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
PROGRAM = Path(os.environ.get("CROSSWEEP_PROGRAM", ROOT / "build/release/bin/crossweep"))
sys.path[:0] = [str(ROOT / "analysis"), str(ROOT / "analysis/training")]

torch = pytest.importorskip("torch")

STUDY = """\
[study]
name = "logits"
trials = 1
[model]
weights = {weights}
[data]
{inputs}
[crossbar]
written_scale = "token"
"""

# Texts of the kind that the models were trained on; the numbers of their classes do not matter here.
SENTENCES = ["In the beginning God created the heaven and the earth.", "Au commencement, Dieu créa les cieux et la terre.",
             "Am Anfang schuf Gott Himmel und Erde.", "En el principio creó Dios los cielos y la tierra.", "a"]
PROSE = ["and the evening and the morning were the first day.", "let there be light: and there was light", "it"]


def reference_margins(folder: Path, weights: Path, inputs: str) -> np.ndarray:
    (folder / "study.toml").write_text(STUDY.format(weights=json.dumps(str(weights)), inputs=inputs))
    done = subprocess.run([PROGRAM, "run", folder / "study.toml", "--out", folder / "run"], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "run/results.h5") as file:
        return file["reference/margin"][0]


def margins(logits: np.ndarray) -> np.ndarray:
    """[input, class]: of every class as the label. Logits [input, class] in double precision."""
    best = np.sort(logits, axis=1)
    largest_other = np.where(logits == best[:, -1:], best[:, -2:-1], best[:, -1:])
    return logits - largest_other


def expect_equal(found: np.ndarray, logits: torch.Tensor) -> None:
    """A margin is the difference of two logits, each within 1e-4 of the largest."""
    logits = logits.detach().double().numpy()
    expected = margins(logits)
    scale = max(1.0, np.abs(logits).max())
    assert np.abs(found.reshape(expected.shape) - expected).max() < 2e-4 * scale
    assert np.std(expected, axis=0).max() > 0.1, "inputs that look alike would show nothing"


def shipped(name: str) -> Path:
    path = DATA / f"{name}.safetensors"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


@pytest.mark.parametrize("name", ["fashion_vit", "fashion_vit_vat", "fashion_lv_vit", "fashion_lv_vit_vat",
                                  "fashion_sparse_vit", "fashion_sparse_vit_vat"])
def test_logits_of_real_images(name, tmp_path):
    weights = shipped(name)
    fashion_mnist = pytest.importorskip("fashion_mnist")
    vision_weights = pytest.importorskip("vision_weights")
    if not fashion_mnist.FOLDER.exists():
        pytest.skip(f"{fashion_mnist.FOLDER} is not here (package dataset-fashion-mnist)")
    model, metadata = vision_weights.load(weights)
    normalisation = json.loads(metadata["normalisation"])
    images = fashion_mnist.load("t10k")[0][:12]
    pixels = np.rint((images.double().numpy() * fashion_mnist.STD + fashion_mnist.MEAN) * 255).astype(np.uint8)
    classes = model.arch.num_classes
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = np.repeat(pixels.transpose(0, 2, 3, 1), classes, axis=0)
        file["labels"] = np.tile(np.arange(classes, dtype=np.int32), len(pixels))
    found = reference_margins(tmp_path, weights, f"images = {json.dumps(str(tmp_path / 'images.h5'))}")
    normalised = (pixels / 255.0 - normalisation["mean"][0]) / normalisation["std"][0]
    with torch.no_grad():
        expect_equal(found, model(torch.from_numpy(normalised.astype(np.float32))))


def write_texts(path: Path, tokens: np.ndarray, mask: np.ndarray, vocabulary: int, labels: np.ndarray | None) -> str:
    with h5py.File(path, "w") as file:
        file["tokens"], file["mask"] = tokens.astype(np.int32), mask.astype(np.uint8)
        file["tokens"].attrs.update({"task": "language_model" if labels is None else "classification",
                                     "vocabulary": vocabulary, "characters_per_token": 1.0})
        if labels is not None:
            file["labels"] = labels.astype(np.int32)
    return f"texts = {json.dumps(str(path))}"


def load_text_model(weights: Path, module):
    safetensors_file = pytest.importorskip("safetensors_file")
    tensors, metadata = safetensors_file.load(weights)
    described = json.loads(metadata["architecture"])
    arch = module.Architecture(**described)
    model = module.BertClassifier(arch) if arch.family == "bert" else module.Gpt2(arch)
    model.load_state_dict({name: torch.from_numpy(tensor).float() for name, tensor in tensors.items()})
    return model.eval()


def test_logits_of_real_sentences(tmp_path):
    weights = shipped("language_bert")
    tokenisers = pytest.importorskip("tokenisers")
    model = load_text_model(weights, pytest.importorskip("bert"))
    tokeniser = tokenisers.WordPiece.load(DATA / "language_bert.vocab.txt")
    length, classes = model.arch.max_length, model.arch.num_classes
    rows = [tokeniser.encode_pair(text, None)[0][:length] for text in SENTENCES]
    tokens = np.array([row + [0] * (length - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    inputs = write_texts(tmp_path / "texts.h5", np.repeat(tokens, classes, axis=0), np.repeat(mask, classes, axis=0),
                         model.arch.vocab_size, np.tile(np.arange(classes), len(rows)))
    found = reference_margins(tmp_path, weights, inputs)
    with torch.no_grad():
        expect_equal(found, model(torch.from_numpy(tokens), torch.from_numpy(mask)))


def test_logits_of_the_next_character_of_real_prose(tmp_path):
    weights = shipped("character_gpt")
    tokenisers = pytest.importorskip("tokenisers")
    model = load_text_model(weights, pytest.importorskip("gpt2"))
    tokeniser = tokenisers.Characters.load(DATA / "character_gpt.vocab.txt")
    vocabulary, longest = model.arch.vocab_size, model.arch.max_length
    for number, text in enumerate([*PROSE, 5 * (PROSE[0] + " ")]):
        row = tokeniser.encode(text)[: longest - 1]
        tokens = np.array([[*row, last] for last in range(vocabulary)])
        folder = tmp_path / str(number)
        folder.mkdir()
        found = reference_margins(folder, weights, write_texts(folder / "texts.h5", tokens, np.ones_like(tokens), vocabulary,
                                                               None))
        with torch.no_grad():
            logits = model(torch.tensor([row]))[:, -1]
        assert np.abs(found - margins(logits.double().numpy())[0]).max() < 2e-4 * max(1.0, float(logits.abs().max()))
