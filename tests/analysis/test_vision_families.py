"""ViT, LV-ViT and Sparse ViT as the training defines them: published names, token selection, files, shipped weights."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fashion_mnist
import losses
import safetensors_file
import token_selection
import vision_weights
from attention_statistics import channel_offset, peak
from crossbar_noise import Crossbar
from vit import FAMILIES, Architecture, VisionTransformer

REPOSITORY = Path(__file__).resolve().parents[2]
TRAINING = REPOSITORY / "analysis" / "training"
SIZES = {"image_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 4, "num_heads": 2}
TINY = {"vit": {}, "lv_vit": {"stem_channels": 6}, "sparse_vit": {"keep_ratios": (0.7, 0.49), "prune_before": (1, 3)}}


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(family: str) -> VisionTransformer:
    torch.manual_seed(1)
    model = VisionTransformer(Architecture(**{**FAMILIES[family], "family": family, **SIZES, **TINY[family]}))
    model.initialise()
    model.train()
    model.patch_embed(3 * torch.randn(8, 1, 16, 16) + 1)  # batch norm has statistics of its own
    return model.eval()


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 1, 16, 16, generator=generator())


def tokens_seen(model: VisionTransformer) -> list[int]:
    """Tokens that enter each block for the test images."""
    seen = []
    hooks = [block.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1])) for block in model.blocks]
    model(images())
    for hook in hooks:
        hook.remove()
    return seen


# ---- what is published --------------------------------------------------------------------------------------------

PUBLISHED = {"image_size": 224, "patch_size": 16, "in_channels": 3, "num_classes": 1000, "embed_dim": 384, "num_heads": 6}


@pytest.mark.parametrize("family, depth, millions", [("vit", 12, 22.05), ("lv_vit", 16, 26.15), ("sparse_vit", 12, 22.77)])
def test_the_published_sizes_have_the_published_number_of_parameters(family, depth, millions):
    model = VisionTransformer(Architecture(**{**FAMILIES[family], **PUBLISHED, "depth": depth}))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


def test_sparse_deit_keeps_the_published_numbers_of_tokens():
    arch = Architecture(**{**FAMILIES["sparse_vit"], **PUBLISHED, "depth": 12})
    assert arch.tokens_of_blocks == 3 * [197] + 3 * [138] + 3 * [97] + 3 * [68]


def test_names_of_lv_vit_are_those_of_token_labeling():
    names = set(tiny("lv_vit").state_dict())
    stem = {f"patch_embed.conv{i}.weight" for i in (1, 2, 3)} | {
        f"patch_embed.bn{i}.{part}" for i in (1, 2, 3)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}
    assert {name for name in names if name.startswith("patch_embed.")} == stem | {
        "patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert {"aux_head.weight", "aux_head.bias", "head.weight", "norm.bias", "blocks.3.attn.qkv.weight"} < names
    assert "blocks.0.attn.qkv.bias" not in names


def test_names_of_the_predictors_are_those_of_dynamic_vit():
    names = {name for name in tiny("sparse_vit").state_dict() if name.startswith("score_predictor.1.")}
    layers = ("in_conv.0", "in_conv.1", "out_conv.0", "out_conv.2", "out_conv.4")
    assert names == {f"score_predictor.1.{layer}.{part}" for layer in layers for part in ("weight", "bias")}


# ---- forward passes -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES)
def test_crossbar_without_noise_and_quantisation_equals_the_plain_model(family):
    model = tiny(family)
    with torch.no_grad():
        plain = model(images())
        mapped = model(images(), Crossbar(read_sigma=0.0, write_sigma=0.0, quantise=False))
    assert torch.allclose(plain, mapped, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_does_not_depend_on_its_batch(family):
    model = tiny(family)
    with torch.no_grad():
        assert torch.allclose(model(images()), torch.cat([model(image[None]) for image in images()]), rtol=0, atol=1e-5)


def test_residual_branches_of_lv_vit_are_divided_by_two():
    block, x = tiny("lv_vit").blocks[0], torch.randn(2, 5, 16, generator=generator())
    with torch.no_grad():
        middle = x + 0.5 * block.attn(block.norm1(x))
        assert torch.allclose(block(x), middle + 0.5 * block.mlp(block.norm2(middle)), rtol=0, atol=1e-6)


def test_lv_vit_adds_half_of_the_largest_patch_logit():
    model = tiny("lv_vit")
    with torch.no_grad():
        x = model.features(images())
        expected = model.head(x[:, 0]) + 0.5 * torch.stack([model.aux_head(x[:, t]) for t in range(1, 17)]).amax(0)
        assert torch.allclose(model(images()), expected, rtol=0, atol=1e-6)


# ---- token selection ------------------------------------------------------------------------------------------------

def test_inference_keeps_exactly_the_tokens_of_its_ratios():
    model = tiny("sparse_vit")
    assert tokens_seen(model) == [17, 1 + 11, 1 + 11, 1 + 7] == model.arch.tokens_of_blocks


def test_best_tokens_stay_in_order_and_ties_go_to_the_earlier_one():
    x = torch.arange(6.0).view(1, 6, 1)  # class token 0, patches 1 to 5
    scores = torch.tensor([[-1.0, -0.5, -1.0, -0.1, -1.0]])
    assert token_selection.keep_best(x, scores, 4).flatten().tolist() == [0, 1, 2, 3, 4]
    assert token_selection.keep_best(x, scores, 2).flatten().tolist() == [0, 2, 4]


def test_training_that_keeps_all_tokens_equals_the_dense_model():
    sparse = tiny("sparse_vit")
    dense = VisionTransformer(replace(sparse.arch, family="vit", keep_ratios=(), prune_before=()))
    dense.load_state_dict({n: t for n, t in sparse.state_dict().items() if not n.startswith("score_predictor.")})
    with torch.no_grad():
        x, decisions = sparse.masked_features(images(), lambda log_p: torch.ones_like(log_p[..., 0]))
        assert torch.allclose(x, dense.features(images()), rtol=0, atol=1e-5)
    assert len(decisions) == 2 and all(bool((kept == 1).all()) for kept in decisions)


def test_training_that_drops_what_inference_drops_sees_the_same_tokens():
    model = tiny("sparse_vit")
    counts, kept = iter((11, 7)), torch.ones(3, 16, dtype=torch.bool)

    def best(log_p):
        nonlocal kept
        order = log_p[..., 0].masked_fill(~kept, -torch.inf).argsort(dim=1, descending=True)[:, : next(counts)]
        kept = torch.zeros_like(kept).scatter(1, order, True)
        return kept.float()

    with torch.no_grad():
        x, _ = model.masked_features(images(), best)
        expected = model.features(images())
    visible = F.pad(kept, (1, 0), value=True)
    assert torch.allclose(torch.stack([x[i, visible[i]] for i in range(3)]), expected, rtol=0, atol=1e-5)


def test_decisions_are_hard_and_follow_the_probabilities():
    log_p = torch.tensor([0.8, 0.2]).log().expand(100, 100, 2).clone().requires_grad_()
    kept = token_selection.gumbel_decisions(log_p, generator())
    assert torch.allclose(kept, kept.round(), atol=1e-6)
    assert float(kept.mean()) == pytest.approx(0.8, abs=4.5 * (0.16 / 10_000) ** 0.5)  # 4.5 standard errors
    kept.sum().backward()
    assert float(log_p.grad.abs().sum()) > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_of_every_family_reaches_every_parameter(family):
    model = tiny(family).train()
    teacher = tiny("vit") if family == "sparse_vit" else None
    loss = losses.of_training(model, teacher, generator())
    noisy = Crossbar(gamma=1.0, generator=generator()) if family != "sparse_vit" else None
    loss(images(8), torch.arange(8), noisy).backward()
    unreached = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not unreached


# ---- files ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_and_its_architecture_survive_a_round_trip(tmp_path, family):
    model = tiny(family)
    vision_weights.save(tmp_path / "w.safetensors", model, {"seed": "1"})
    loaded, metadata = vision_weights.load(tmp_path / "w.safetensors")
    assert loaded.arch == model.arch and metadata["seed"] == "1"
    with torch.no_grad():
        assert torch.equal(loaded(images()), model(images()))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_checkpoint_is_known_by_its_tensors(family):
    described = Architecture(**{**FAMILIES[family], "family": family, "image_size": 32, "patch_size": 8, "in_channels": 3,
                                "depth": 12, "embed_dim": 64, "num_heads": 1})
    tensors = {name: tensor.numpy() for name, tensor in VisionTransformer(described).state_dict().items()}
    assert vision_weights.architecture_of(tensors) == described


@pytest.mark.parametrize("described, message", [
    ({"family": "swin"}, 'unknown family "swin". Known are vit, lv_vit, sparse_vit.'),
    ({"windows": 7}, 'unknown key "windows" in the architecture. Remove it.')])
def test_an_architecture_that_nobody_knows_is_refused(tmp_path, described, message):
    metadata = {"architecture": json.dumps(described)}
    safetensors_file.save(tmp_path / "w.safetensors", {"x": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        vision_weights.load(tmp_path / "w.safetensors")


# ---- scripts --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("script", ["train_fashion_vit.py", "attention_statistics.py"])
def test_help_shows_an_example(script):
    text = subprocess.run([sys.executable, TRAINING / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert f"./{script} " in text


def test_sparse_vit_cannot_start_from_lv_vit(tmp_path):
    vision_weights.save(tmp_path / "lv.safetensors", tiny("lv_vit"), {"training_command": "none"})
    command = [sys.executable, TRAINING / "train_fashion_vit.py", "standard", "--family", "sparse_vit", "--from",
               tmp_path / "lv.safetensors", "--out", tmp_path / "sparse.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "weights of family lv_vit cannot start a sparse_vit" in done.stderr


def test_statistics_tell_offsets_from_peaks():
    pattern = torch.tensor([1.0, -1.0]).repeat(8)[:, None].expand(16, 4)[None]  # zero mean over the tokens
    assert channel_offset(pattern) == 0 and channel_offset(torch.ones(1, 16, 4)) == 1
    assert channel_offset(1 + pattern) == pytest.approx(0.5)
    assert peak(pattern) == 1 and peak(F.one_hot(torch.tensor([3]), 16).float()[..., None]) == pytest.approx(4)


# ---- shipped weights ------------------------------------------------------------------------------------------------

SHIPPED = sorted((REPOSITORY / "data").glob("fashion_*vit*.safetensors"))


def test_every_family_ships_standard_and_variation_aware():
    names = {path.stem for path in SHIPPED}
    assert {f"fashion_{family}{suffix}" for family in FAMILIES for suffix in ("", "_vat")} <= names


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_say_what_they_are_and_classify_as_they_say(path):
    model, metadata = vision_weights.load(path)
    assert path.stat().st_size < 6_000_000
    assert {"format", "model", "normalisation", "training_command", "seed", "data_set", "top1_percent",
            "top1_images"} < set(metadata)
    pictures, labels = (part[:500] for part in fashion_mnist.load("t10k"))
    with torch.no_grad():
        top1 = 100 * float((model(pictures).argmax(1) == labels).float().mean())
    expected = float(metadata["top1_percent"])
    assert top1 == pytest.approx(expected, abs=4.5 * (expected * (100 - expected) / 500) ** 0.5)


def test_shipped_models_reach_their_accuracies():
    top1 = {path.stem: float(safetensors_file.load(path)[1]["top1_percent"]) for path in SHIPPED}
    assert all(top1[f"fashion_{family}"] >= 90 for family in FAMILIES)
    assert top1["fashion_sparse_vit"] >= top1["fashion_vit"] - 1.5
