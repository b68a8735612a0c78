#!/usr/bin/python3
"""Write tests/model/stored: tiny random models of every family, and what PyTorch's definitions give for them.

The weights are random, so that every bias and every norm counts. `expected.safetensors` holds images, PyTorch's logits
with the weights of a ViT as F32, F16 and BF16 round them, and the logits of DeiT-Ti (`--deit FILE`) for the image
sin(0.01 i), i the index of the value in [channel, row, column] order. Without `--deit` the stored ones are kept.
`FAMILY.safetensors` are models of the other families in F16, and `expected_families.safetensors` their inputs and
logits (names "FAMILY.images", "FAMILY.logits", and so on; whole numbers as F32, which is what the tests read).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parents[1] / "analysis" / "training"))

import bert  # noqa: E402
import gpt2  # noqa: E402
import safetensors_file  # noqa: E402
import vit  # noqa: E402
from vit import Architecture, VisionTransformer  # noqa: E402

STORED = here / "stored"
TINY = Architecture(image_size=12, patch_size=4, in_channels=3, num_classes=5, embed_dim=32, depth=2, num_heads=2)
DEIT_TINY = Architecture(image_size=224, patch_size=16, in_channels=3, num_classes=1000, embed_dim=192, depth=12,
                         num_heads=3)
ROUNDINGS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

# Sizes that do not divide each other: 3 heads of 8, and patches, channels and classes that are odd.
SMALL = dict(num_classes=5, embed_dim=24, num_heads=3, mlp_ratio=3)
LV_VIT = {**vit.FAMILIES["lv_vit"], "stem_channels": 7}
VISION = {
    "lv_vit": Architecture(family="lv_vit", image_size=20, patch_size=4, in_channels=3, depth=2, **{**SMALL, **LV_VIT}),
    "sparse_vit": Architecture(family="sparse_vit", image_size=20, patch_size=4, depth=4, prune_before=(1, 2, 3),
                               keep_ratios=(0.7, 0.49, 0.343), **SMALL),
    # Cuts where no default is, one of them before the first block, and an auxiliary head that sees the rest alone.
    "sparse_lv_vit": Architecture(family="lv_vit", image_size=20, patch_size=4, depth=3, prune_before=(0, 2),
                                  keep_ratios=(0.64, 0.3), **{**SMALL, **LV_VIT}),
}
# Of those tried, the ones that leave the last token kept and the first one dropped apart, so that rounding decides nothing.
SEEDS = {"lv_vit": 20240611, "sparse_vit": 20240622, "sparse_lv_vit": 20240625}
BERT = bert.Architecture(vocab_size=37, max_length=13, num_classes=5, embed_dim=24, depth=3, num_heads=3, mlp_dim=72)
GPT2 = gpt2.Architecture(vocab_size=37, max_length=19, embed_dim=24, depth=3, num_heads=3)


def randomise(model: torch.nn.Module) -> None:
    """Normals, around 1 for the weights of norms; of batch norms also the running statistics."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = any(word in name.lower() for word in ("norm", "ln_", "bn", "in_conv.0"))
            # Larger weights of predictors spread their scores.
            spread = 0.4 if "score_predictor" in name else 0.2
            centre = 1.0 if is_norm and name.endswith("weight") else 0.0
            parameter.copy_(centre + spread * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.5 * torch.randn_like(buffer))
            elif name.endswith("running_var"):
                buffer.copy_(0.3 + 2 * torch.rand_like(buffer))


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


def store_family(name: str, model: torch.nn.Module) -> torch.nn.Module:
    """Give `model` random weights as F16 rounds them, store it with its architecture, and return it."""
    randomise(model)
    state = {key: tensor for key, tensor in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_rounded(STORED / f"{name}.safetensors", state, "F16",
                 {"architecture": json.dumps(dataclasses.asdict(model.arch))})
    model.load_state_dict({key: tensor.half().float() for key, tensor in state.items()}, strict=False)
    return model.eval()


def expected_of_images(name: str, arch: Architecture) -> dict[str, np.ndarray]:
    torch.manual_seed(SEEDS[name])
    model = store_family(name, VisionTransformer(arch))
    images = torch.randn(3, arch.in_channels, arch.image_size, arch.image_size)
    return {"images": images.numpy(), "logits": model(images).numpy()}


def expected_of_bert() -> dict[str, np.ndarray]:
    """Of texts as long as can be, with masked tokens behind, with masked ones in the middle too, and of one token."""
    torch.manual_seed(20240612)
    model = store_family("bert", bert.BertClassifier(BERT))
    length = BERT.max_length
    tokens = torch.randint(BERT.vocab_size, (4, length))
    mask = torch.ones(4, length, dtype=torch.bool)
    mask[1, 8:] = False
    mask[2, [3, 4, 7, 12]] = False
    mask[3, 1:] = False
    segments = (torch.arange(length) >= torch.tensor([5, 4, 13, 13])[:, None]).long()
    return {"tokens": tokens.numpy(), "mask": mask.numpy(), "segments": segments.numpy(),
            "logits": model(tokens, mask, segments).numpy(), "logits_of_one_text": model(tokens[:1]).numpy()}


def expected_of_gpt2() -> dict[str, np.ndarray]:
    """Logits after every token of texts of one token, of seven and of as many as can be."""
    torch.manual_seed(20240613)
    model = store_family("gpt2", gpt2.Gpt2(GPT2))
    tokens = torch.randint(GPT2.vocab_size, (2, GPT2.max_length))
    return {"tokens": tokens.numpy()} | {f"logits_{length}": model(tokens[:, :length]).numpy()
                                         for length in (1, 7, GPT2.max_length)}


@torch.no_grad()
def store_families() -> None:
    expected = {name: expected_of_images(name, arch) for name, arch in VISION.items()}
    expected |= {"bert": expected_of_bert(), "gpt2": expected_of_gpt2()}
    safetensors_file.save(STORED / "expected_families.safetensors",
                          {f"{name}.{key}": array.astype(np.float32) for name, arrays in expected.items()
                           for key, array in arrays.items()}, {})


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
    store_families()


if __name__ == "__main__":
    main()
