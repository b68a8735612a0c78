"""Fashion-MNIST from Debian's package dataset-fashion-mnist, as tensors, and the augmentation used in training."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

FOLDER = Path("/usr/share/datasets/fashion-mnist")
MEAN, STD = 0.2860, 0.3530  # of the 60 000 training images, pixels scaled to [0, 1]


def _idx(path: Path) -> np.ndarray:
    with gzip.open(path, "rb") as file:
        raw = file.read()
    dimensions = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dimensions).copy()


def load(split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """`split` is "train" or "t10k"; returns normalised images [n, 1, 28, 28] and labels [n]."""
    images = torch.from_numpy(_idx(FOLDER / f"{split}-images-idx3-ubyte.gz")).float().div_(255).sub_(MEAN).div_(STD)
    return images.unsqueeze(1), torch.from_numpy(_idx(FOLDER / f"{split}-labels-idx1-ubyte.gz")).long()


def augment(images: torch.Tensor, generator: torch.Generator, shift: int = 2) -> torch.Tensor:
    """Random horizontal flip and random shift by up to `shift` pixels, each image its own."""
    count, _, height, width = images.shape
    flip = torch.rand(count, generator=generator) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    padded = F.pad(images, (shift,) * 4, value=-MEAN / STD)
    offset = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    rows = (offset[0][:, None] + torch.arange(height))[:, :, None]
    columns = (offset[1][:, None] + torch.arange(width))[:, None, :]
    return padded[torch.arange(count)[:, None, None], 0, rows, columns].unsqueeze(1)
