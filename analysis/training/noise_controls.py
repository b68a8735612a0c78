#!/usr/bin/python3
"""Take apart how much noise a vision transformer bears: one law of noise, one thing changed at a time.

    ./noise_controls.py WEIGHTS.safetensors [--images images.h5 | (default) Fashion-MNIST] [--count 300] [--gamma 3 5]

Columns: write noise factor; what is changed; attention SNR in dB, mean over the blocks with noise, when every block
gets exact inputs ("alone") and in the noisy network; top-1; and of models with more than `--classes` classes, top-1
among that many: the label with others at random (the mean over all choices, from the label's rank), and the label with
those whose classifier weights are nearest to its own (hard to tell apart).

Changes: write noise in K or in V alone; written after centring (K and V lose each channel's mean over the tokens, which
is added back digitally); the largest magnitude in the law of write noise replaced by PEAK times the rms (no value is
clipped: what the tail of the distribution costs); all noise in some of the blocks alone. The noise is that of crossbar_noise.py, read noise drawn once per batch.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

import torch
from torch.nn import functional as F

import fashion_mnist
import vision_weights
from crossbar_noise import Crossbar

BATCH = 25


@dataclass
class ControlledCrossbar(Crossbar):
    """`Crossbar` with one thing changed in what is written for every input."""

    write_to: str = "KV"     # which of K and V have write noise
    centred: bool = False
    peak: float = 0.0        # 0: the largest magnitude as it is

    def __post_init__(self):
        self._writes = 0

    def write(self, operand: torch.Tensor) -> torch.Tensor:
        """K and V [B, T, D] in turns, as Attention.queries_keys_values writes them."""
        name = "KV"[self._writes % 2]
        self._writes += 1
        offset = operand.mean(dim=1, keepdim=True) if self.centred else torch.zeros_like(operand[:, :1])
        gamma = self.gamma if name in self.write_to else 0.0
        return offset + self._write(operand - offset, gamma)

    def _write(self, operand: torch.Tensor, gamma: float) -> torch.Tensor:
        w_max = operand.abs().amax(dim=(1, 2), keepdim=True)
        scale = self.peak * operand.square().mean(dim=(1, 2), keepdim=True).sqrt() if self.peak else w_max
        magnitude = self._quantise_magnitude(operand, w_max).abs()
        written = magnitude + gamma * self.write_sigma * self._normal(magnitude) * (magnitude * scale).sqrt()
        read = self.read_sigma * self._normal(written) * (written + w_max / (self.on_off_ratio - 1))
        return operand.sign() * (written + read)


def confine_noise(model, blocks: set[int]) -> None:
    """Only `blocks` see the crossbar from now on."""
    for index, block in enumerate(model.blocks):
        def forward(x, crossbar=None, visible=None, block=block, noisy=index in blocks):
            return type(block).forward(block, x, crossbar if noisy else None, visible)

        block.forward = forward


def run(model, images: torch.Tensor, crossbar) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits [n, classes] and the attention of every block (one tensor per batch and block)."""
    logits, attention = [], []
    for start in range(0, len(images), BATCH):
        logits.append(model(images[start : start + BATCH], crossbar))
        attention.append([block.attn.output for block in model.blocks])
    return torch.cat(logits), [torch.cat(of_block) for of_block in zip(*attention)]


def run_alone(model, images: torch.Tensor, crossbar) -> list[torch.Tensor]:
    """The attention of every block on its exact inputs: what its own noise does, without that of the blocks before."""
    attention = [[] for _ in model.blocks]

    def repeat_with_noise(block):
        def hook(module, inputs, _):
            type(module).forward(module, inputs[0], crossbar)
            attention[block].append(module.output)
        return hook

    handles = [block.attn.register_forward_hook(repeat_with_noise(i)) for i, block in enumerate(model.blocks)]
    for start in range(0, len(images), BATCH):
        model(images[start : start + BATCH])
    for handle in handles:
        handle.remove()
    return [torch.cat(of_block) for of_block in attention]


def snr_dB(clean: list[torch.Tensor], noisy: list[torch.Tensor], blocks: set[int]) -> float:
    """Mean over `blocks` of the decibels; where other tokens are kept, by position, as in results.h5."""
    ratios = [float(clean[i].square().sum() / (clean[i] - noisy[i]).square().sum()) for i in blocks]
    return sum(10 * math.log10(ratio) for ratio in ratios) / len(ratios)


def among_random(logits: torch.Tensor, labels: torch.Tensor, classes: int) -> float:
    """Chance that the label beats `classes` - 1 others drawn without replacement, averaged over images."""
    others = logits.shape[1] - 1
    better = (logits > logits.gather(1, labels[:, None])).sum(dim=1).tolist()
    return sum(math.comb(others - b, classes - 1) / math.comb(others, classes - 1) for b in better) / len(better)


def among_nearest(logits: torch.Tensor, labels: torch.Tensor, head: torch.Tensor, classes: int) -> float:
    """Top-1 among the label and the classes whose rows of `head` [classes, D] have the largest cosine with its own."""
    rows = F.normalize(head, dim=1)
    near = (rows[labels] @ rows.T).topk(classes, dim=1).indices  # the label itself among them
    predicted = near.gather(1, logits.gather(1, near).argmax(dim=1, keepdim=True))
    return float((predicted[:, 0] == labels).float().mean())


def load(path: str | None, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` images at equal distances, normalised [n, channels, height, width], and their labels."""
    if path is None:
        images, labels = fashion_mnist.load("t10k")
    else:
        import h5py

        with h5py.File(path) as file:
            pixels = torch.from_numpy(file["images"][:]).float().div_(255)
            for channel, (mean, std) in enumerate(zip(file["images"].attrs["mean"], file["images"].attrs["std"])):
                pixels[..., channel].sub_(float(mean)).div_(float(std))
            images, labels = pixels.permute(0, 3, 1, 2), torch.from_numpy(file["labels"][:]).long()
    chosen = [i * len(images) // count for i in range(min(count, len(images)))]
    return images[chosen].contiguous(), labels[chosen]


def changes(depth: int, peak: float) -> dict[str, tuple[dict, set[int]]]:
    """What is changed -> (settings of the crossbar, blocks with noise)."""
    every, first_half = set(range(depth)), set(range(depth // 2))
    return {"nothing": ({}, every), "write noise in K alone": ({"write_to": "K"}, every),
            "write noise in V alone": ({"write_to": "V"}, every), "centred K and V": ({"centred": True}, every),
            f"peak of {peak:g} rms": ({"peak": peak}, every),
            "both of these": ({"centred": True, "peak": peak}, every),
            "noise in first block": ({}, {0}), "noise in all but first": ({}, every - {0}),
            "noise in first half": ({}, first_half), "noise in last half": ({}, every - first_half),
            "noise in every second": ({}, set(range(1, depth, 2)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--images", help="HDF5 as analysis/prepare_images.py makes it; default: Fashion-MNIST's test images")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--gamma", type=float, nargs="+", default=[3.0, 5.0])
    parser.add_argument("--peak", type=float, default=3.6, help="the peak to imitate (3.6: the shipped ViT's)")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--only", nargs="+", metavar="CHANGE", help="some of the changes, by their names in the output")
    options = parser.parse_args()
    model, _ = vision_weights.load(options.weights)
    images, labels = load(options.images, options.count)

    def line(gamma: str, change: str, snr: list[str], logits: torch.Tensor) -> None:
        parts = [float((logits.argmax(dim=1) == labels).float().mean())]
        if logits.shape[1] > options.classes:
            parts += [among_random(logits, labels, options.classes),
                      among_nearest(logits, labels, model.head.weight, options.classes)]
        percent = "".join(f" {100 * part:9.1f}" for part in parts)
        print(f"{gamma:>5} {change:<24} {snr[0]:>7} {snr[1]:>7}{percent}", flush=True)

    with torch.no_grad():
        logits, clean = run(model, images, None)
        print(f"{'gamma':>5} {'change':<24} {'alone':>7} {'SNR dB':>7} {'top-1':>9}"
              + (f" {f'of {options.classes}':>9} {'nearest':>9}" if logits.shape[1] > options.classes else ""))
        line("", "no noise", ["", ""], logits)
        for gamma in options.gamma:
            for name, (settings, blocks) in changes(model.arch.depth, options.peak).items():
                if options.only and name not in options.only:
                    continue
                confine_noise(model, blocks)
                crossbar = ControlledCrossbar(gamma=gamma, generator=torch.Generator().manual_seed(1), **settings)
                logits, noisy = run(model, images, crossbar)
                alone = run_alone(model, images, crossbar)
                line(f"{gamma:g}", name, [f"{snr_dB(clean, a, blocks):.2f}" for a in (alone, noisy)], logits)


if __name__ == "__main__":
    sys.exit(main())
