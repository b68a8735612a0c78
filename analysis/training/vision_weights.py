"""Vision models as safetensors files: the shipped ones by their metadata, published checkpoints by their tensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

import safetensors_file
from vit import FAMILIES, Architecture, VisionTransformer


def architecture_of(tensors: dict[str, np.ndarray]) -> Architecture:
    """What DeiT, LV-ViT-S and Sparse DeiT look like, from names and shapes; heads of 64 as all of these have."""
    family = ("lv_vit" if "aux_head.weight" in tensors else
              "sparse_vit" if any(name.startswith("score_predictor.") for name in tensors) else "vit")
    convolutional = "patch_embed.conv1.weight" in tensors
    first = tensors["patch_embed.conv1.weight" if convolutional else "patch_embed.proj.weight"]
    width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
    patch *= 2 if convolutional else 1
    side = round((tensors["pos_embed"].shape[1] - 1) ** 0.5)
    if width % 64 != 0:
        raise ValueError(f"a width of {width} is no multiple of 64, so the heads cannot be guessed")
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
    sizes = {"image_size": side * patch, "patch_size": patch, "in_channels": first.shape[1], "embed_dim": width,
             "num_classes": tensors["head.weight"].shape[0], "depth": depth, "num_heads": width // 64,
             "mlp_ratio": tensors["blocks.0.mlp.fc1.weight"].shape[0] // width,
             "qkv_bias": "blocks.0.attn.qkv.bias" in tensors, "stem_channels": first.shape[0] if convolutional else 0}
    if family == "lv_vit" and width == 768:  # LV-ViT-L
        sizes["skip_lam"] = 3.0
    return Architecture(**{**FAMILIES[family], "family": family, **sizes})


def load(path: str | Path) -> tuple[VisionTransformer, dict[str, str]]:
    """The model in `path`, ready for inference, and the file's metadata."""
    tensors, metadata = safetensors_file.load(path)
    try:
        described = metadata.get("architecture")
        arch = Architecture.from_dict(json.loads(described)) if described else architecture_of(tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    model = VisionTransformer(arch)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return model.eval(), metadata


def save(path: str | Path, model: VisionTransformer, metadata: dict[str, str]) -> None:
    """Write the model with its architecture; batch norm's step counters, which inference never reads, are left out."""
    tensors = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()
               if not name.endswith("num_batches_tracked")}
    safetensors_file.save(path, tensors, {"architecture": json.dumps(model.arch.to_dict()), **metadata})
