#!/usr/bin/python3
"""Print what decides how much a vision transformer feels write noise in K and V, layer by layer.

    ./attention_statistics.py WEIGHTS.safetensors [--images images.h5 | (default) Fashion-MNIST] [--count 100]

Columns: peak of K and of V (largest magnitude / rms, per image: write noise grows with its square root), standard
deviation of the attention logits along a row (how sharp attention is), and the number of tokens that a query attends to
(exponential of the entropy: noise in V is averaged over them).
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import torch

import fashion_mnist
import safetensors_file
from vit import Architecture, VisionTransformer


def load_model(path: str) -> VisionTransformer:
    """A shipped model by its metadata, or a timm DeiT by its shapes (heads of 64)."""
    tensors, metadata = safetensors_file.load(path)
    if "architecture" in metadata:
        arch = Architecture(**json.loads(metadata["architecture"]))
    else:
        width, channels, patch, _ = tensors["patch_embed.proj.weight"].shape
        side = round((tensors["pos_embed"].shape[1] - 1) ** 0.5)
        depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        arch = Architecture(image_size=side * patch, patch_size=patch, in_channels=channels, embed_dim=width,
                            num_classes=tensors["head.weight"].shape[0], depth=depth, num_heads=width // 64)
    model = VisionTransformer(arch)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return model.eval()


def load_images(path: str | None, count: int) -> torch.Tensor:
    """Normalised images [count, channels, height, width]."""
    if path is None:
        return fashion_mnist.load("t10k")[0][:count]
    import h5py

    with h5py.File(path) as file:
        pixels = file["images"][:count].astype(np.float32) / 255
        pixels = (pixels - file["images"].attrs["mean"]) / file["images"].attrs["std"]
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def statistics_of(x: torch.Tensor, attention) -> list[float]:
    """Peak of K, peak of V, logit spread, attended tokens of one layer; x [B, T, D] are its inputs."""
    batch, tokens, width = x.shape
    q, k, v = attention.qkv(x).chunk(3, dim=-1)
    peaks = [float((y.abs().amax(dim=(1, 2)) / y.square().mean(dim=(1, 2)).sqrt()).mean()) for y in (k, v)]

    def by_head(y):
        return y.view(batch, tokens, attention.num_heads, -1).transpose(1, 2)

    logits = by_head(q) @ by_head(k).transpose(-2, -1) * (width // attention.num_heads) ** -0.5
    probabilities = logits.softmax(dim=-1)
    entropy = -(probabilities * probabilities.clamp_min(1e-30).log()).sum(dim=-1)
    return [*peaks, float(logits.std(dim=-1).mean()), float(entropy.exp().mean())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--images", help="HDF5 as analysis/prepare_images.py makes it; default: Fashion-MNIST's test images")
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    model = load_model(options.weights)
    images = load_images(options.images, options.count)
    rows: list[list[float]] = []
    for block in model.blocks:
        block.attn.register_forward_hook(lambda module, inputs, _: rows.append(statistics_of(inputs[0], module)))
    with torch.no_grad():
        model(images)
    print(f"{'block':>5} {'peak K':>8} {'peak V':>8} {'logit spread':>13} {'tokens attended':>16}")
    for index, row in enumerate([*rows, list(np.mean(rows, axis=0))]):
        name = "mean" if index == len(rows) else str(index)
        print(f"{name:>5} {row[0]:8.2f} {row[1]:8.2f} {row[2]:13.2f} {row[3]:9.1f} of {model.arch.tokens}")


if __name__ == "__main__":
    sys.exit(main())
