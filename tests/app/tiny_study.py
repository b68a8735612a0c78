"""A small vision transformer with random weights, a few random images and a study of them, written as files; and the
program under test. Shared by tests/app and tests/invariance."""

import gzip
import json
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ROOT = Path(__file__).resolve().parents[2]


def program():
    """The crossweep program: as CROSSWEEP_PROGRAM says, else the newest of the build folders, else None."""
    if named := os.environ.get("CROSSWEEP_PROGRAM"):
        return Path(named)
    built = sorted(_ROOT.glob("build/*/bin/crossweep"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else None


def environment():
    """That of a machine with one thread per rank, whose mpirun may run as root and with more ranks than cores."""
    return {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}


def crossweep(*arguments, ranks=0, timeout=120):
    """Run to the end; `ranks` = 0 is without mpirun."""
    return subprocess.run(command(*arguments, ranks=ranks), env=environment(), capture_output=True, text=True,
                          timeout=timeout, check=False)


def command(*arguments, ranks=0):
    launcher = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] if ranks else []
    return [*launcher, str(program()), *map(str, arguments)]


@dataclass(frozen=True)
class Architecture:
    """Shape of a vision transformer; the defaults are the smallest that has every part."""

    image_size: int = 8
    channels: int = 1
    patch_size: int = 4
    width: int = 16
    depth: int = 2
    heads: int = 2
    mlp_width: int = 32
    classes: int = 10


def weights(architecture=Architecture(), seed=1):
    """Random tensors under timm's names, of a variance that keeps activations of order one."""
    a, random = architecture, np.random.default_rng(seed)
    tokens = (a.image_size // a.patch_size) ** 2 + 1
    shapes = {
        "cls_token": (1, 1, a.width), "pos_embed": (1, tokens, a.width),
        "patch_embed.proj.weight": (a.width, a.channels, a.patch_size, a.patch_size),
        "patch_embed.proj.bias": (a.width,), "norm.weight": (a.width,), "norm.bias": (a.width,),
        "head.weight": (a.classes, a.width), "head.bias": (a.classes,)}
    for block in range(a.depth):
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in {
            "norm1.weight": (a.width,), "norm1.bias": (a.width,),
            "attn.qkv.weight": (3 * a.width, a.width), "attn.qkv.bias": (3 * a.width,),
            "attn.proj.weight": (a.width, a.width), "attn.proj.bias": (a.width,),
            "norm2.weight": (a.width,), "norm2.bias": (a.width,),
            "mlp.fc1.weight": (a.mlp_width, a.width), "mlp.fc1.bias": (a.mlp_width,),
            "mlp.fc2.weight": (a.width, a.mlp_width), "mlp.fc2.bias": (a.width,)}.items()}
    tensors = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape)
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 1
        if "norm" in name and name.endswith("weight"):
            values = 1 + 0.1 * values
        elif len(shape) == 1:
            values *= 0.1
        elif "embed.proj" in name or not name.endswith(("token", "embed")):
            values /= np.sqrt(fan_in)
        tensors[name] = values.astype(np.float32)
    return tensors


def write_weights(path, tensors, heads=2):
    """Write a safetensors file."""
    header = {"__metadata__": {"architecture": json.dumps({"num_heads": heads})}}
    offset = 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    write_safetensors(path, json.dumps(header).encode(), b"".join(values.tobytes() for values in tensors.values()))


def write_safetensors(path, header, data, length=None):
    """Write header and data as they are, with a length that may lie."""
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def write_idx(path, values, compressed=False):
    """Write an array of bytes as IDX."""
    contents = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(contents) if compressed else contents)


def write_images(folder, count=12, size=8, channels=1, classes=10, seed=2, compressed=False):
    """Write images.idx and labels.idx into `folder`."""
    random = np.random.default_rng(seed)
    shape = (count, size, size) if channels == 1 else (count, size, size, channels)
    write_idx(folder / "images.idx", random.integers(0, 256, shape, dtype=np.uint8), compressed)
    write_idx(folder / "labels.idx", random.integers(0, classes, count, dtype=np.uint8), compressed)


STUDY = """\
[study]
name = "tiny"
trials = 2
[model]
weights = "weights.safetensors"
[data]
images = "images.idx"
labels = "labels.idx"
shard_images = 6
mean = [0.5]
std = [0.25]
[transforms."(2, 0.25)"]
alpha = 2
beta = 0.25
[sweep.grid]
device.write_noise_factor = [0, 5]
transform.name = ["none", "(2, 0.25)"]
"""


def write_study(folder, architecture=Architecture(), images=12, text=STUDY):
    """Write a study with its weights and images into `folder`, made if need be; returns the study's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / "weights.safetensors", weights(architecture), architecture.heads)
    write_images(folder, images, architecture.image_size, architecture.channels, architecture.classes)
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"
