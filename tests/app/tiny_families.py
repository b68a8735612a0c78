"""The smallest models of every family, as tensors under their published names; only shapes count here."""

import json

import numpy as np
from tiny_study import Architecture, weights

D, DEPTH, MLP, CLASSES = 16, 2, 32, 10  # of all of them
HEADS = 2


def vit():
    return weights(Architecture(width=D, depth=DEPTH, mlp_width=MLP, classes=CLASSES))


def lv_vit():
    """Stem of 4 channels, patches of 4 pixels, an auxiliary head, no bias of qkv."""
    shapes = {"aux_head.weight": (CLASSES, D), "aux_head.bias": (CLASSES,), "patch_embed.proj.weight": (D, 4, 2, 2)}
    for number, (inputs, kernel) in enumerate([(1, 7), (4, 3), (4, 3)], 1):
        shapes[f"patch_embed.conv{number}.weight"] = (4, inputs, kernel, kernel)
        shapes |= {f"patch_embed.bn{number}.{name}": (4,) for name in ("weight", "bias", "running_mean", "running_var")}
    kept = {name: values for name, values in vit().items() if not name.endswith("qkv.bias")}
    return kept | _ones(shapes)


def dynamic_vit():
    """A predictor before block 1 of 2 keeps floor(0.7 · 4) = 2 patches."""
    layers = {"in_conv.0": (D,), "in_conv.1": (D, D), "out_conv.0": (D // 2, D), "out_conv.2": (D // 4, D // 2),
              "out_conv.4": (2, D // 4)}
    shapes = {f"score_predictor.0.{name}.{part}": shape if part == "weight" else shape[:1]
              for name, shape in layers.items() for part in ("weight", "bias")}
    return vit() | _ones(shapes)


def bert(vocabulary=37, tokens=12):
    shapes = {"bert.embeddings.word_embeddings.weight": (vocabulary, D), "bert.embeddings.position_embeddings.weight": (tokens, D),
              "bert.embeddings.token_type_embeddings.weight": (2, D), "bert.pooler.dense.weight": (D, D),
              "bert.pooler.dense.bias": (D,), "classifier.weight": (CLASSES, D), "classifier.bias": (CLASSES,)}
    norms = ["bert.embeddings.LayerNorm"]
    for layer in range(DEPTH):
        name = f"bert.encoder.layer.{layer}."
        for rest, outputs, inputs in (("attention.self.query", D, D), ("attention.self.key", D, D), ("attention.self.value", D, D),
                                      ("attention.output.dense", D, D), ("intermediate.dense", MLP, D), ("output.dense", D, MLP)):
            shapes |= {f"{name}{rest}.weight": (outputs, inputs), f"{name}{rest}.bias": (outputs,)}
        norms += [name + "attention.output.LayerNorm", name + "output.LayerNorm"]
    return _ones(shapes | {f"{norm}.{part}": (D,) for norm in norms for part in ("weight", "bias")})


def gpt2(vocabulary=37, tokens=12):
    shapes = {"wte.weight": (vocabulary, D), "wpe.weight": (tokens, D), "ln_f.weight": (D,), "ln_f.bias": (D,)}
    for layer in range(DEPTH):
        for rest, inputs, outputs in (("attn.c_attn", D, 3 * D), ("attn.c_proj", D, D), ("mlp.c_fc", D, MLP),
                                      ("mlp.c_proj", MLP, D)):
            shapes |= {f"h.{layer}.{rest}.weight": (inputs, outputs), f"h.{layer}.{rest}.bias": (outputs,)}
        shapes |= {f"h.{layer}.{norm}.{part}": (D,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    return _ones(shapes)


FAMILIES = {"ViT or DeiT": vit, "LV-ViT": lv_vit, "DynamicViT on ViT or DeiT": dynamic_vit, "BERT": bert, "GPT-2": gpt2}


def write(path, tensors, architecture=None):
    """A safetensors file with HEADS heads and what else `architecture` says."""
    described = {"num_heads": HEADS} | (architecture or {})
    header, offset = {"__metadata__": {"architecture": json.dumps(described)}}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(values.tobytes() for values in tensors.values()))
    return path


def _ones(shapes):
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
