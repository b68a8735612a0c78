#!/usr/bin/python3
"""Print what decides how much a vision transformer feels write noise in K and V, layer by layer.

    ./attention_statistics.py WEIGHTS.safetensors [--images images.h5 | (default) Fashion-MNIST] [--count 100]

Works for every family of vit.py, shipped or published. Columns, as means over the images:
  peak K, peak V       largest magnitude / rms: write noise grows with its square root
  offset K, offset V   share of the mean square that is the channels' means over the tokens: it costs write noise, but
                       in K it adds the same to all logits of a query and so tells nothing
  logit spread         standard deviation of the attention logits along a row: how sharp attention is
  tokens attended      exponential of the entropy of a row: noise in V is averaged over them
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

import fashion_mnist
import vision_weights


def load_images(path: str | None, count: int) -> torch.Tensor:
    """Normalised images [count, channels, height, width]."""
    if path is None:
        return fashion_mnist.load("t10k")[0][:count]
    import h5py

    with h5py.File(path) as file:
        pixels = file["images"][:count].astype(np.float32) / 255
        pixels = (pixels - file["images"].attrs["mean"]) / file["images"].attrs["std"]
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def peak(y: torch.Tensor) -> float:
    """Largest magnitude over rms of y [B, T, D] for each image, averaged."""
    return float((y.abs().amax(dim=(1, 2)) / y.square().mean(dim=(1, 2)).sqrt()).mean())


def channel_offset(y: torch.Tensor) -> float:
    """Share of the mean square of y [B, T, D] that its channels' means over the tokens make, averaged over the images."""
    return float((y.mean(dim=1).square().mean(dim=1) / y.square().mean(dim=(1, 2))).mean())


def statistics_of(x: torch.Tensor, attention) -> dict[str, float]:
    """What the columns show, of one layer; x [B, T, D] are its inputs."""
    batch, tokens, width = x.shape
    q, k, v = attention.queries_keys_values(x)

    def by_head(y):
        return y.reshape(batch, tokens, attention.num_heads, -1).transpose(1, 2)

    logits = by_head(q) @ by_head(k).transpose(-2, -1) * (width // attention.num_heads) ** -0.5
    probabilities = logits.softmax(dim=-1)
    entropy = -(probabilities * probabilities.clamp_min(1e-30).log()).sum(dim=-1)
    return {"peak K": peak(k), "peak V": peak(v), "offset K": channel_offset(k), "offset V": channel_offset(v),
            "logit spread": float(logits.std(dim=-1).mean()), "tokens attended": float(entropy.exp().mean()),
            "of tokens": tokens}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--images", help="HDF5 as analysis/prepare_images.py makes it; default: Fashion-MNIST's test images")
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    model, _ = vision_weights.load(options.weights)
    images = load_images(options.images, options.count)
    rows: list[dict[str, float]] = []
    for block in model.blocks:
        block.attn.register_forward_hook(lambda module, inputs, _: rows.append(statistics_of(inputs[0], module)))
    with torch.no_grad():
        model(images)
    rows.append({column: float(np.mean([row[column] for row in rows])) for column in rows[0]})
    print(" ".join(["block", *(f"{column:>{len(column) + 1}}" for column in rows[0])]))
    for index, row in enumerate(rows):
        name = "mean" if index == len(model.blocks) else str(index)
        print(" ".join([f"{name:>5}", *(f"{value:{len(column) + 1}.{0 if column == 'of tokens' else 2}f}"
                                        for column, value in row.items())]))


if __name__ == "__main__":
    sys.exit(main())
