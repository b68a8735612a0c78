"""crossweep inspect: what it says of every family, and of files that are no whole model of any."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import tiny_families
import tiny_study
from tiny_families import CLASSES, D, DEPTH, FAMILIES, HEADS, MLP
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

DATA = Path(__file__).resolve().parents[2] / "data"
DEIT_TINY = DATA.parent / "../shared/data/deit_tiny/deit_tiny_patch16_224.safetensors"


def facts_of(path, *options):
    shown = crossweep("inspect", path, "--json", *options)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def refused(path, *options):
    """Facts and sentences of a file that is no whole model."""
    shown = crossweep("inspect", path, "--json", *options)
    facts = json.loads(shown.stdout)
    assert shown.returncode == 4
    assert shown.stderr == "crossweep: " + "\n".join(facts["problems"]) + "\n"
    return facts, [problem.removeprefix(f"{path}: ") for problem in facts["problems"]]


# --- whole models ---


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_recognised(tmp_path, family):
    tensors = FAMILIES[family]()
    facts = facts_of(tiny_families.write(tmp_path / "model.safetensors", tensors))
    assert facts["family"] == family and facts["problems"] == []
    assert (facts["width"], facts["depth"], facts["heads"], facts["mlp_width"]) == (D, DEPTH, HEADS, MLP)
    assert facts["task"] == ("language_model" if family == "GPT-2" else "classification")
    assert facts["classes"] == (37 if family == "GPT-2" else CLASSES)
    # What batch norms have measured is no parameter.
    assert facts["parameters"] == sum(v.size for name, v in tensors.items() if "running" not in name)
    assert facts["tensors"] == len(tensors) == sum(like["count"] for like in facts["tensor_shapes"])


def macs(facts):
    return {row["operand"]: row["multiply_accumulates_per_image"] for row in facts["operands"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_multiply_accumulates_are_those_of_its_products(tmp_path, family):
    facts = facts_of(tiny_families.write(tmp_path / "model.safetensors", FAMILIES[family]()))
    text = family in ("BERT", "GPT-2")
    tokens = {"DynamicViT on ViT or DeiT": [5, 3]}.get(family, [12, 12] if text else [5, 5])
    assert [block["tokens"] for block in facts["blocks"]] == tokens
    pairs = sum(t * (t + 1) // 2 if family == "GPT-2" else t * t for t in tokens)
    linear = sum(tokens)
    expected = {name: linear * D * D for name in ("q", "k", "v", "proj")}
    expected |= {"fc1": linear * D * MLP, "fc2": linear * D * MLP, "keys": pairs * D, "values": pairs * D}
    expected["head"] = {"LV-ViT": 5 * CLASSES * D, "BERT": D * D + CLASSES * D, "GPT-2": 12 * 37 * D}.get(family, CLASSES * D)
    if not text:  # 4 patches; the stem has 4 channels on 4 x 4 pixels
        expected["embedding"] = 16 * 4 * (49 + 36 + 36) + 4 * D * 16 if family == "LV-ViT" else 4 * D * 16
    if family.startswith("DynamicViT"):
        expected["selector"] = 4 * (D * D + D * D // 2 + D * D // 8 + D // 2)
    assert macs(facts) == expected
    assert facts["multiply_accumulates_per_image"] == sum(expected.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_arrays_are_tiles_of_64_by_64_in_4_slices(tmp_path, family):
    facts = facts_of(tiny_families.write(tmp_path / "model.safetensors", FAMILIES[family]()))
    assert (facts["array_rows"], facts["array_columns"], facts["bits_per_cell"], facts["slices"]) == (64, 64, 2, 4)
    assert facts["columns_per_slice"] == 2 and facts["columns_per_slice_counted"] == 1
    # All matrices here fit one array; K and V take one per head.
    for row in facts["operands"]:
        tiles = sum(math.prod(math.ceil(extent / 64) for extent in group["shape"]) * group["count"] for group in row["matrices"])
        assert row["arrays"] == 4 * tiles * (HEADS if row["operand"] in ("keys", "values") else 1)
    assert all(block == block | {"attention_arrays": 4 * (3 + 2 * HEADS), "arrays": 4 * (6 + 2 * HEADS)} for block in facts["blocks"])
    assert facts["arrays"] == sum(block["arrays"] for block in facts["blocks"])
    assert {row["operand"] for row in facts["operands"] if row["digital_by_default"]} <= {"embedding", "head", "selector"}


@pytest.fixture(name="deit_small", scope="module")
def fixture_deit_small(tmp_path_factory):
    """The shape of a DeiT-S, in a file with a hole instead of 88 MB."""
    path = tmp_path_factory.mktemp("deit") / "deit_small.safetensors"
    shapes = {name: values.shape for name, values in tiny_study.weights(tiny_study.Architecture(depth=12)).items()}
    sizes = {16: 384, 48: 1152, 32: 1536, 10: 1000, 5: 197}
    header, offset = {}, 0
    for name, shape in shapes.items():
        shape = (384, 3, 16, 16) if name == "patch_embed.proj.weight" else tuple(sizes.get(extent, extent) for extent in shape)
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    tiny_study.write_safetensors(path, json.dumps(header).encode(), b"")
    os.truncate(path, path.stat().st_size + offset)
    return path


def test_a_deit_s_takes_the_arrays_that_the_papers_count(deit_small):
    facts = facts_of(deit_small)
    assert facts["parameters"] == 22_050_664 and facts["heads"] == 6 and facts["tokens"] == 197
    assert round(facts["multiply_accumulates_per_image"] / 1e9, 2) == 4.60
    arrays = {row["operand"]: row["arrays"] / 12 for row in facts["operands"]}
    assert arrays["q"] + arrays["k"] + arrays["v"] == 432 and arrays["keys"] == arrays["values"] == 96
    assert {block["attention_arrays"] for block in facts["blocks"]} == {624}


def test_for_readers_it_is_a_page(deit_small):
    shown = crossweep("inspect", deit_small)
    assert shown.returncode == 0
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    for line in ("family ViT or DeiT", "task classification into 1000 classes", "GMAC per input 4.599", "arrays 23040",
                 "keys 0.1788 1152 12 x [197, 384]", "embedding 0.0578 288 [384, 768] (digital by default: not in the sum)",
                 "0 to 11 197 624 1920", "blocks.*.attn.qkv.weight 12 x [1152, 384] F32",
                 "Arrays of 64 x 64 cells with 2 bits, 4 slices per weight, one column per slice (pairs for signs double them)."):
        assert line in lines
    assert max(map(len, shown.stdout.splitlines())) < 120


def test_tokens_are_told_by_block_and_ratio(tmp_path):
    path = tiny_families.write(tmp_path / "model.safetensors", tiny_families.dynamic_vit(),
                               {"keep_ratios": [0.25], "prune_before": [0]})
    assert [block["tokens"] for block in facts_of(path)["blocks"]] == [2, 2]


SHIPPED = {"fashion_vit": "ViT or DeiT", "fashion_vit_vat": "ViT or DeiT", "fashion_lv_vit": "LV-ViT",
           "fashion_lv_vit_vat": "LV-ViT", "fashion_sparse_vit": "DynamicViT on ViT or DeiT",
           "fashion_sparse_vit_vat": "DynamicViT on ViT or DeiT", "language_bert": "BERT", "character_gpt": "GPT-2"}


def test_every_shipped_model_is_named():
    assert {path.stem for path in DATA.glob("*.safetensors")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_whole(name):
    path = DATA / f"{name}.safetensors"
    facts = facts_of(path)
    assert facts["family"] == SHIPPED[name] and path.stat().st_size < 6e6
    assert {"training_command", "seed", "data_set"} <= set(facts["metadata"])


@pytest.mark.skipif(not DEIT_TINY.exists(), reason="no DeiT-Tiny beside the repository")
def test_a_published_deit_tiny_is_whole():
    facts = facts_of(DEIT_TINY)
    assert facts["parameters"] == 5_717_416 and facts["heads"] == 3 and round(facts["multiply_accumulates_per_image"] / 1e9, 2) == 1.25


# --- files that are no whole model ---


# Without these, a file looks like one of another family.
MAKES_THE_FAMILY = {"patch_embed.conv1.weight"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_tensor_is_named_and_the_rest_told(tmp_path, family):
    tensors = FAMILIES[family]()
    for missing in tensors:
        kept = {name: values for name, values in tensors.items() if name != missing}
        facts, problems = refused(tiny_families.write(tmp_path / "model.safetensors", kept))
        assert facts["tensors"] == len(kept)
        if missing not in MAKES_THE_FAMILY:
            assert facts["family"] == family and f'tensor "{missing}" is missing' in problems


def test_everything_wrong_is_listed_at_once(tmp_path):
    tensors = tiny_families.gpt2() | {"h.0.mlp.c_fc.weight": np.ones((D, MLP), np.float32),
                                      "h.1.mlp.c_fc.weight": np.ones((MLP, D), np.float32), "score": np.ones(3, np.float32)}
    del tensors["ln_f.bias"]
    facts, problems = refused(tiny_families.write(tmp_path / "model.safetensors", tensors))
    assert problems == ['tensor "h.1.mlp.c_fc.weight" has shape [32, 16] where [16, 32] is expected',
                        'tensor "ln_f.bias" is missing', 'tensor "score" has no place in a GPT-2',
                        "Give an intact safetensors file of a GPT-2 with its published names."]
    assert facts["family"] == "GPT-2" and facts["vocabulary"] == 37 and "arrays" not in facts


def test_a_reader_sees_what_is_recognised_and_then_what_is_wrong(tmp_path):
    tensors = tiny_families.vit()
    del tensors["pos_embed"]
    path = tiny_families.write(tmp_path / "model.safetensors", tensors)
    shown = crossweep("inspect", path)
    assert shown.returncode == 4
    assert "family           ViT or DeiT\n" in shown.stdout and "blocks           2 of width 16, 2 heads, MLP 32\n" in shown.stdout
    assert shown.stderr.startswith(f'crossweep: {path}: tensor "pos_embed" is missing\n')


def test_an_unknown_family_shows_its_tensors(tmp_path):
    path = tiny_families.write(tmp_path / "model.safetensors", {"conv.3.weight": np.ones((2, 3), np.float32)})
    facts, problems = refused(path)
    assert facts["family"] is None
    assert facts["tensor_shapes"] == [{"name": "conv.*.weight", "count": 1, "shape": [2, 3], "dtype": "F32"}]
    assert len(problems) == 1 and problems[0].startswith("the family of this model is not known")


def test_a_hundred_problems_are_listed(tmp_path):
    tensors = tiny_families.vit() | {f"more.{i}": np.ones(1, np.float32) for i in range(130)}
    _, problems = refused(tiny_families.write(tmp_path / "model.safetensors", tensors))
    assert problems[100] == "30 further problems (not listed)." and len(problems) == 102


@pytest.mark.parametrize("described, problem", [
    ({"num_heads": 3}, "a width of 16 does not divide into 3 heads (set model.num_heads)"),
    ({"num_heads": 1e300}, "a width of 16 does not divide into 1000000000 heads (set model.num_heads)"),
    ({"num_heads": "two"}, 'metadata "architecture" has a num_heads that is not a positive number'),
    ({"skip_lam": 0}, 'metadata "architecture" has a skip_lam that is not a positive number'),
    ({"keep_ratios": ["a"]}, 'metadata "architecture" has keep_ratios that are not 1 numbers from 0 to 65535'),
    ({"keep_ratios": [0.7, 0.5]}, 'metadata "architecture" has keep_ratios that are not 1 numbers from 0 to 65535'),
    ({"keep_ratios": [1.5]}, "a keep ratio of 1.5 is not above 0 and at most 1"),
    ({"prune_before": [-1]}, 'metadata "architecture" has prune_before that are not 1 numbers from 0 to 65535'),
    ({"prune_before": [2]}, "predictor 0 stands before block 2, which is not behind the one before it and among 2 blocks")])
def test_metadata_that_makes_no_sense_is_refused(tmp_path, described, problem):
    _, problems = refused(tiny_families.write(tmp_path / "model.safetensors", tiny_families.dynamic_vit(), described))
    assert problem in problems


def test_a_pytorch_file_is_sent_to_the_importer(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(60))
    shown = crossweep("inspect", tmp_path / "model.safetensors")
    assert shown.returncode == 4 and shown.stdout == ""
    assert shown.stderr == (f"crossweep: {tmp_path}/model.safetensors: is a zip archive, as PyTorch writes checkpoints (safetensors "
                            "is needed). Import it with analysis/import_checkpoint.py.\n")
