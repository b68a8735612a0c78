"""Studies of any size to time: a random vision transformer with timm's names, random images, and the TOML around them.

Speed and memory do not depend on the values, so nothing is trained. What is written, and how large it is, is decided
by `Work`; how it is run and measured is left to others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import safetensors_file

PATCH, CLASSES, MLP_RATIO, HEAD_WIDTH = 2, 10, 4, 64


@dataclass(frozen=True)
class Work:
    """One study: the shape of its model, and how many images, points and trials."""

    tokens: int = 50
    width: int = 64
    depth: int = 2
    images: int = 500
    points: int = 1
    trials: int = 1

    @property
    def inferences(self) -> int:
        """Noisy ones; the noise-free reference comes on top."""
        return self.images * self.points * self.trials

    @property
    def multiply_accumulates(self) -> int:
        """Of one inference: matrices of the encoder, attention (a tokens² term), embedding and head."""
        matrices = self.tokens * (4 + 2 * MLP_RATIO) * self.width ** 2
        attention = 2 * self.tokens ** 2 * self.width
        return self.depth * (matrices + attention) + (self.tokens - 1) * PATCH ** 2 * self.width + CLASSES * self.width


def write_study(work: Work, folder: Path) -> Path:
    """Write weights, images and study file into `folder` and return the study file."""
    random = np.random.default_rng(1)
    _write_weights(work, random, folder / "weights.safetensors")
    _write_images(work, random, folder / "images.h5")
    factors = np.linspace(0, 10, work.points + 1)[1:].round(6).tolist()
    study = folder / "study.toml"
    study.write_text(f"""[study]
name = "cost"
trials = {work.trials}
[model]
weights = "weights.safetensors"
[data]
images = "images.h5"
[sweep.grid]
"device.write_noise_factor" = {factors}
""")
    return study


def _write_weights(work: Work, random: np.random.Generator, path: Path) -> None:
    d, hidden = work.width, MLP_RATIO * work.width
    shapes = {"cls_token": (1, 1, d), "pos_embed": (1, work.tokens, d), "patch_embed.proj.weight": (d, 1, PATCH, PATCH),
              "patch_embed.proj.bias": (d,), "norm.weight": (d,), "norm.bias": (d,), "head.weight": (CLASSES, d),
              "head.bias": (CLASSES,)}
    for block in range(work.depth):
        for name, out, inputs in (("attn.qkv", 3 * d, d), ("attn.proj", d, d), ("mlp.fc1", hidden, d), ("mlp.fc2", d, hidden)):
            shapes |= {f"blocks.{block}.{name}.weight": (out, inputs), f"blocks.{block}.{name}.bias": (out,)}
        for norm in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{norm}.weight": (d,), f"blocks.{block}.{norm}.bias": (d,)}
    tensors = {}
    for name, shape in shapes.items():
        scale = np.prod(shape[1:]) ** -0.5 if name.endswith("weight") and len(shape) > 1 else 0.02
        mean = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        tensors[name] = random.normal(mean, scale, shape).astype(np.float32)
    architecture = {"num_heads": work.width // HEAD_WIDTH}
    safetensors_file.save(path, tensors, {"architecture": json.dumps(architecture)})


def _write_images(work: Work, random: np.random.Generator, path: Path) -> None:
    side = PATCH * round((work.tokens - 1) ** 0.5)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", data=random.integers(0, 256, (work.images, side, side, 1), np.uint8))
        images.attrs["mean"], images.attrs["std"] = [0.5], [0.25]
        file["labels"] = random.integers(0, CLASSES, work.images, np.int32)
