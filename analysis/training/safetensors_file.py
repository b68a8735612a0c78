"""Reading and writing safetensors files: an 8-byte length, a JSON header, then the raw tensors (Debian has no package for it)."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

_DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "F64": np.dtype("<f8"), "I64": np.dtype("<i8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def save(path: str | Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write `tensors` and the string-valued `metadata` to `path`, through a temporary file and a rename."""
    header: dict = {"__metadata__": metadata}
    offset = 0
    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(tensors.items())}
    for name, array in arrays.items():
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = Path(path)
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
    temporary.replace(path)


def shapes(path: str | Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Return `(shape of each tensor, metadata)` from the header alone. Throws ValueError for other files."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > Path(path).stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    return {name: tuple(entry["shape"]) for name, entry in header.items()}, metadata


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return `(tensors, metadata)` of the file at `path`."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8: 8 + length])
    metadata = header.pop("__metadata__", {})
    body = memoryview(raw)[8 + length:]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[begin:end], _DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
    return tensors, metadata
