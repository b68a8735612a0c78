#!/usr/bin/python3
"""Write tests/model/stored: a tiny vision transformer in F32, F16 and BF16, and PyTorch's logits for it.

The weights are random, so that every bias and every norm counts. `expected.safetensors` holds the stored images,
PyTorch's logits with the weights as each file rounds them, and the logits of DeiT-Ti (`--deit FILE`) for the image
sin(0.01 i), i the index of the value in [channel, row, column] order. Without `--deit` the stored ones are kept.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parents[1] / "analysis" / "training"))

import safetensors_file  # noqa: E402
from vit import Architecture, VisionTransformer  # noqa: E402

STORED = here / "stored"
TINY = Architecture(image_size=12, patch_size=4, in_channels=3, num_classes=5, embed_dim=32, depth=2, num_heads=2)
DEIT_TINY = Architecture(image_size=224, patch_size=16, in_channels=3, num_classes=1000, embed_dim=192, depth=12,
                         num_heads=3)
ROUNDINGS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def random_model() -> VisionTransformer:
    torch.manual_seed(20240610)
    model = VisionTransformer(TINY).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
    return model


def raw_bytes(tensor: torch.Tensor, dtype: str) -> bytes:
    if dtype == "BF16":  # NumPy has no such type: take the bits
        return tensor.to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    return tensor.to(ROUNDINGS[dtype]).numpy().tobytes()


def save_rounded(path: Path, state: dict[str, torch.Tensor], dtype: str, metadata: dict[str, str]) -> None:
    header: dict = {"__metadata__": metadata}
    body = b""
    for name, tensor in sorted(state.items()):
        raw = raw_bytes(tensor, dtype)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def deit_logits(path: str) -> np.ndarray:
    model = VisionTransformer(DEIT_TINY).eval()
    tensors, _ = safetensors_file.load(path)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    pixels = np.sin(0.01 * np.arange(3 * 224 * 224)).astype(np.float32).reshape(1, 3, 224, 224)
    with torch.no_grad():
        return model(torch.from_numpy(pixels))[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deit", help="deit_tiny_patch16_224.safetensors")
    options = parser.parse_args()
    STORED.mkdir(exist_ok=True)
    expected_path = STORED / "expected.safetensors"
    expected = safetensors_file.load(expected_path)[0] if expected_path.exists() else {}

    model = random_model()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(4, TINY.in_channels, TINY.image_size, TINY.image_size)
    expected["images"] = images.numpy()
    metadata = {"architecture": json.dumps(TINY.to_dict()),
                "normalisation": json.dumps({"mean": [0.25, 0.5, 0.75], "std": [0.5, 0.25, 0.125]})}
    for dtype, rounding in ROUNDINGS.items():
        save_rounded(STORED / f"tiny_{dtype.lower()}.safetensors", state, dtype, metadata)
        model.load_state_dict({name: tensor.to(rounding).float() for name, tensor in state.items()})
        with torch.no_grad():
            expected[f"logits_{dtype}"] = model(images).numpy()
    if options.deit:
        expected["logits_deit_tiny"] = deit_logits(options.deit)
    safetensors_file.save(expected_path, expected, {})


if __name__ == "__main__":
    main()
