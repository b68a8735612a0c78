#!/usr/bin/python3
"""Turn a published checkpoint into the safetensors file of weights that crossweep reads.

    import_checkpoint.py deit_small.pth deit_small.safetensors            a PyTorch file
    import_checkpoint.py checkpoint.pth.tar model.safetensors --ema       its averaged weights
    import_checkpoint.py bert-base-finetuned/ bert.safetensors            a folder of Hugging Face, in one file or several
    import_checkpoint.py model.safetensors out.safetensors --strip student.

Nothing in a checkpoint is ever executed: PyTorch files are read by its weights-only loader, and one that holds more than
tensors, numbers and texts is refused, as are TorchScript archives. Weights are looked for at the top or under `model`,
`module` or `state_dict` (with --ema: `model_ema`, `state_dict_ema` or `ema`); `module.` in front of every name and
`_orig_mod.` anywhere, left by training on several devices and by compilation, are taken off.

Tensors of floating point are written, F16 and F32 as they are, others as F32. Metadata: `imported_from`,
`imported_sha256`, `imported_key`, what a safetensors file had, and of a folder's config.json heads and LayerNorm's ε.
Exit codes: 0 done, 2 usage, 4 the checkpoint cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "training"))

import safetensors_file

_WEIGHTS = ("model", "module", "state_dict")
_AVERAGED = ("model_ema", "state_dict_ema", "ema")
_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt", ".tar")
_ZIP, _LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how PyTorch's two formats begin

# Names that only this family has, the most special first.
_FAMILIES = (("score_predictor.", "DynamicViT"), ("patch_embed.conv1.", "LV-ViT"), ("patch_embed.", "ViT or DeiT"),
             ("bert.", "BERT"), ("embeddings.", "BERT"), ("transformer.wte.", "GPT-2"), ("wte.", "GPT-2"))


class DataError(Exception):
    """The checkpoint cannot be used; the message says why and what to do."""


@dataclass
class Weights:
    tensors: dict[str, np.ndarray]
    key: str = ""  # where they were found
    metadata: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


# ---- reading ----------------------------------------------------------------------------------------------------

def read_checkpoint(path: Path, averaged: bool) -> tuple[Weights, str]:
    """Weights of a file or folder, and the SHA-256 of all that was read. Throws DataError."""
    digest = hashlib.sha256()
    weights = Weights({})
    for file in files_of(path):
        raw = file.read_bytes()
        digest.update(raw)
        part = read_pytorch(file, raw, averaged) if raw[:4] == _ZIP or raw.startswith(_LEGACY) else read_safetensors(file, raw)
        if averaged and not part.key:
            raise DataError(f"{file} has no averaged weights ({', '.join(_AVERAGED)}). Leave out --ema.")
        twice = sorted(part.tensors.keys() & weights.tensors.keys())
        if twice:
            raise DataError(f"{file} has the tensor {twice[0]} that another file of the folder has. Give one of the files.")
        weights.tensors |= part.tensors
        weights.metadata |= part.metadata
        weights.notes += part.notes
        weights.key = part.key
    if path.is_dir():
        weights.metadata |= metadata_of_config(path / "config.json")
    return weights, digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """The file itself; of a folder, the files that its index names, or the only file of weights in it."""
    if not path.is_dir():
        return [path]
    for index in sorted(path.glob("*.index.json"), key=lambda p: "safetensors" not in p.name):
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{index} is not an index of weights. Fetch it again, or give one file.") from None
        if any(Path(name).name != name for name in names):
            raise DataError(f"{index} names files outside the folder. Fetch it again, or give one file.")
        return [path / name for name in names]
    found = sorted(p for p in path.iterdir() if p.is_file() and p.suffix in _SUFFIXES)
    safe = [p for p in found if p.suffix == ".safetensors"]
    chosen = safe or found
    if len(chosen) != 1:
        raise DataError(f"{path} holds {len(chosen)} files of weights and no index of them. Give one file.")
    return chosen


def read_pytorch(file: Path, raw: bytes, averaged: bool) -> Weights:
    """Weights of what torch.save wrote. PyTorch gets the bytes, not the path: of paths it also takes tar archives."""
    try:
        import torch  # pylint: disable=import-outside-toplevel
    except ImportError:
        raise DataError("PyTorch is needed to read its checkpoints. Install python3-torch.") from None
    refusal = ("is not read, because that could run code of its maker. Where you trust it, load it with torch.load and "
               "save its weights alone with torch.save(model.state_dict(), …).")
    try:
        if raw.startswith(_ZIP) and "constants.pkl" in torch._C.PyTorchFileReader(io.BytesIO(raw)).get_all_records():
            raise DataError(f"{file} is a TorchScript archive, a program with weights: it {refusal}")
        content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except DataError:
        raise
    except Exception as error:  # whatever a hostile or damaged file makes of it
        reason = str(error).split("WeightsUnpickler error: ")[-1].strip().splitlines()
        if reason and reason[0].startswith(("Unsupported", "Trying to", "Can only", "Only persistent")):
            # Opcode 71 is a plain number with a fraction, which this version of the loader does not know.
            what = "numbers with a fraction" if reason[0] == "Unsupported operand 71" else reason[0]
            raise DataError(f"{file} holds more than weights ({what}): it {refusal}") from None
        raise DataError(f"{file} cannot be read as a PyTorch checkpoint ({reason[0] if reason else type(error).__name__}). "
                        "Fetch it again.") from None
    weights = Weights({})
    state, weights.key = find_weights(file, content, averaged)
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            weights.notes.append(f"{name} is no tensor and was left out")
        elif not value.is_floating_point():
            weights.notes.append(f"{name} holds {str(value.dtype).removeprefix('torch.')}, no weights, and was left out")
        elif value.layout != torch.strided:
            raise DataError(f"{file}: tensor {name} is sparse. Save it as a dense tensor.")
        else:
            as_stored = value.dtype in (torch.float16, torch.float32, torch.float64)
            # A copy: tensors that share memory are written each in full.
            weights.tensors[str(name)] = (value if as_stored else value.float()).detach().numpy().copy()
            if not as_stored:
                weights.notes.append(f"{name} became F32")
    return weights


def find_weights(file: Path, content: object, averaged: bool) -> tuple[dict, str]:
    """The mapping from names to tensors in `content`, and the keys that led there, joined by dots."""
    keys: list[str] = []
    while isinstance(content, dict):
        if averaged and not keys:
            key = next((k for k in _AVERAGED if isinstance(content.get(k), dict)), None)
            if key is None:
                raise DataError(f"{file} has no averaged weights ({', '.join(_AVERAGED)}). Leave out --ema.")
        else:
            key = next((k for k in _WEIGHTS if isinstance(content.get(k), dict)), None)
        if key is None:
            if any(hasattr(value, "is_floating_point") for value in content.values()):
                return content, ".".join(keys)
            break
        keys.append(key)
        content = content[key]
    there = ", ".join(map(str, content)) if isinstance(content, dict) and content else "nothing"
    raise DataError(f"{file} has no weights at the top or under {', '.join(_WEIGHTS)} (there is {there[:200]}). "
                    "Give a checkpoint with a state dict.")


def read_safetensors(file: Path, raw: bytes) -> Weights:
    """Weights of a safetensors file. Throws DataError for other files."""
    try:
        length = int.from_bytes(raw[:8], "little")
        if len(raw) < 8 or length > len(raw) - 8:
            raise ValueError
        header = json.loads(raw[8: 8 + length])
        metadata = {str(key): str(text) for key, text in header.pop("__metadata__", {}).items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise DataError(f"{file} is neither a PyTorch checkpoint nor a safetensors file. Check which file it is.") from None
    weights = Weights({}, metadata=metadata)
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
    for name, entry in header.items():
        try:
            if entry["dtype"] not in types:
                weights.notes.append(f"{name} holds {entry['dtype']}, no weights, and was left out")
                continue
            begin, end = entry["data_offsets"]
            if not 0 <= begin <= end <= len(raw) - 8 - length:
                raise ValueError
            values = np.frombuffer(raw[8 + length + begin: 8 + length + end], types[entry["dtype"]]).reshape(entry["shape"])
        except (KeyError, TypeError, ValueError):
            raise DataError(f"{file}: tensor {name} is not as the header describes it. Fetch the file again.") from None
        if entry["dtype"] == "BF16":  # the upper half of an F32
            values = (values.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
            weights.notes.append(f"{name} became F32")
        weights.tensors[name] = values
    return weights


# Of a config.json, what changes what is computed and no tensor tells.
_COMPUTED = {"hidden_act": "gelu", "activation_function": "gelu_new", "scale_attn_weights": True,
             "scale_attn_by_inverse_layer_idx": False, "position_embedding_type": "absolute"}


def metadata_of_config(config: Path) -> dict[str, str]:
    """What tensors do not say, of a folder's config.json as BERT and GPT-2 have it."""
    try:
        described = json.loads(config.read_text()) if config.exists() else {}
    except ValueError:
        raise DataError(f"{config} is not JSON. Fetch it again, or give the file of weights alone.") from None
    for key, computed in _COMPUTED.items():
        if described.get(key, computed) != computed:
            raise DataError(f"{config}: {key} is {described[key]!r}, and crossweep computes {computed!r} alone. Give a model "
                            "without it.")
    names = {"num_heads": ("num_attention_heads", "n_head"), "layer_norm_eps": ("layer_norm_eps", "layer_norm_epsilon")}
    architecture = {key: described[name] for key, others in names.items() for name in others if name in described}
    return {"architecture": json.dumps(architecture)} if architecture else {}


# ---- making them ours -------------------------------------------------------------------------------------------

def renamed(weights: Weights, strip: list[str]) -> None:
    """Take off what wrappers put in front of names, and each of `strip`. Throws DataError if two become one."""
    names = {name: name.replace("_orig_mod.", "") for name in weights.tensors}
    for prefix in ("module.", *strip):
        if prefix in strip and not any(name.startswith(prefix) for name in names.values()):
            raise DataError(f"no tensor's name starts with {prefix}. Leave out --strip {prefix}")
        if prefix in strip or all(name.startswith(prefix) for name in names.values()):
            names = {old: new.removeprefix(prefix) for old, new in names.items()}
    tensors = {}
    for old, new in names.items():
        if new in tensors:
            raise DataError(f"two tensors would be called {new}. Leave out --strip.")
        tensors[new] = weights.tensors[old]
    weights.tensors = tensors


def checked(weights: Weights, path: Path) -> None:
    """Make F64 to F32. Throws DataError for values that are not finite and if nothing is left."""
    if not weights.tensors:
        raise DataError(f"{path} holds no tensor of floating point. Check which file it is.")
    for name, values in weights.tensors.items():
        if values.dtype == np.float64:
            with np.errstate(over="ignore"):
                values = weights.tensors[name] = values.astype(np.float32)
            weights.notes.append(f"{name} became F32")
        bad = values.size - int(np.isfinite(values).sum())
        if bad:
            raise DataError(f"{path}: tensor {name} has {bad} values that are not finite. Fetch the checkpoint again, or give "
                            "one from before training diverged.")


def family_of(names: list[str]) -> str:
    return next((family for mark, family in _FAMILIES if any(name.startswith(mark) for name in names)), "no known family")


def print_notes(notes: list[str]) -> None:
    """Each kind of note once, with the first tensor that it is about."""
    kinds: dict[str, list[str]] = {}
    for note in notes:
        name, _, rest = note.partition(" ")
        kinds.setdefault(rest, []).append(name)
    for rest, names in kinds.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        print(f"note: {names[0]} {rest}{more}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="PyTorch or safetensors file, or a folder of them")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="file to write")
    parser.add_argument("--model", metavar="NAME", help="name of the model, kept in the metadata")
    parser.add_argument("--ema", action="store_true", help="the averaged weights of a training checkpoint")
    parser.add_argument("--strip", action="append", default=[], metavar="PREFIX",
                        help="take this off the front of names that have it (repeatable)")
    options = parser.parse_args(arguments)
    path = options.checkpoint
    try:
        weights, digest = read_checkpoint(path, options.ema)
        renamed(weights, options.strip)
        checked(weights, path)
        weights.metadata |= {"format": "pt", "imported_from": path.name, "imported_sha256": digest, "imported_key": weights.key}
        if options.model:
            weights.metadata["model"] = options.model
        safetensors_file.save(options.out, weights.tensors, weights.metadata)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print_notes(weights.notes)
    print(f"{options.out}: {family_of(list(weights.tensors))} by its names, {len(weights.tensors)} tensors, "
          f"{sum(values.size for values in weights.tensors.values())} parameters"
          + (f", from {weights.key}" if weights.key else ""))
    print(f"What it is and whether it is whole: crossweep inspect {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
