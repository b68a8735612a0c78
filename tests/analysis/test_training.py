"""The training side: safetensors files, and the crossbar model that the C++ engine is checked against."""

import numpy as np
import pytest
import torch

import safetensors_file
from crossbar_noise import LEVELS, Crossbar
from vit import Architecture, VisionTransformer

IDEAL = {"read_sigma": 0.0, "write_sigma": 0.0, "quantise": False}


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- safetensors ------------------------------------------------------------------------------------------------

def test_tensors_and_metadata_survive_a_round_trip(tmp_path):
    random = np.random.default_rng(1)
    tensors = {"b": random.normal(size=(3, 4)).astype(np.float32), "a": random.normal(size=5).astype(np.float16),
               "c": random.normal(size=(2, 1, 2)), "d": np.arange(7), "t": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    safetensors_file.save(tmp_path / "w.safetensors", tensors, {"model": "γ"})
    loaded, metadata = safetensors_file.load(tmp_path / "w.safetensors")
    assert metadata == {"model": "γ"} and set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype and np.array_equal(loaded[name], tensor)


def test_tensor_data_begin_at_a_multiple_of_eight_bytes(tmp_path):
    safetensors_file.save(tmp_path / "w.safetensors", {"x": np.zeros(1, np.float32)}, {})
    raw = (tmp_path / "w.safetensors").read_bytes()
    assert int.from_bytes(raw[:8], "little") % 8 == 0 and len(raw) % 4 == 0


# ---- ideal limits -----------------------------------------------------------------------------------------------

def small_model() -> VisionTransformer:
    torch.manual_seed(1)
    model = VisionTransformer(Architecture(image_size=8, patch_size=4, embed_dim=16, depth=2, num_heads=2))
    model.initialise()
    return model.eval()


def test_crossbar_without_noise_and_quantisation_equals_the_plain_model():
    model, images = small_model(), torch.randn(4, 1, 8, 8, generator=generator())
    with torch.no_grad():
        plain, mapped = model(images), model(images, Crossbar(**IDEAL))
    assert torch.allclose(plain, mapped, rtol=0, atol=1e-5)


def test_noise_and_quantisation_each_change_the_result():
    model, images = small_model(), torch.randn(4, 1, 8, 8, generator=generator())
    with torch.no_grad():
        plain = model(images)
        for change in ({"read_sigma": 0.05}, {"write_sigma": 0.1}, {"quantise": True}):
            assert not torch.allclose(plain, model(images, Crossbar(**IDEAL | change, generator=generator())), atol=1e-4)


# ---- quantisation -----------------------------------------------------------------------------------------------

def test_weights_are_quantised_to_256_magnitudes():
    w = torch.randn(1, 200, 100, generator=generator())
    w_max = w.abs().max()
    written = Crossbar(**IDEAL | {"quantise": True}).write(w)
    codes = written / (w_max / (LEVELS - 1))
    assert torch.allclose(codes, codes.round(), atol=1e-3)
    assert len(codes.abs().round().unique()) <= LEVELS and codes.abs().max().round() == LEVELS - 1
    assert (written - w).abs().max() <= 0.5001 * w_max / (LEVELS - 1)


def test_inputs_are_quantised_to_signed_8_bits_for_each_token():
    x = torch.randn(3, 5, 64, generator=generator()) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1)
    codes = Crossbar().quantise_inputs(x) / (x.abs().amax(-1, keepdim=True) / 127)
    assert torch.allclose(codes, codes.round(), atol=1e-3)
    assert torch.allclose(codes.abs().amax(-1), torch.tensor(127.0))


def test_queries_are_quantised_for_each_head():
    x = torch.cat([torch.randn(1, 4, 8, generator=generator()), 1000 * torch.randn(1, 4, 8, generator=generator(2))], -1)
    assert torch.allclose(Crossbar().quantise_inputs(x, heads=2)[..., :8], x[..., :8], atol=0.02)


# ---- ClipFormer -------------------------------------------------------------------------------------------------

def ramp() -> torch.Tensor:
    """Magnitudes from 0 to W_max = 2 with both signs, [1, 2, 2001]."""
    return torch.stack([torch.linspace(0, 2, 2001), -torch.linspace(0, 2, 2001)])[None]


def test_beta_of_a_quarter_clips_at_24_2_per_cent_of_the_largest_weight():
    clipped = Crossbar(**IDEAL, beta=0.25, on_off_ratio=100).write(ramp())
    ceiling = 2 * (0.25 * 100 - 1) / 99
    assert ceiling / 2 == pytest.approx(0.242, abs=5e-4)
    assert torch.allclose(clipped, ramp().clamp(-ceiling, ceiling), atol=1e-6)


@pytest.mark.parametrize("alpha, per_cent", [(1.0, 1.01), (2.0, 2.02)])
def test_alpha_is_a_soft_threshold(alpha, per_cent):
    threshold = 2 * alpha / 99
    assert 100 * threshold / 2 == pytest.approx(per_cent, abs=5e-3)
    shrunk = Crossbar(**IDEAL, alpha=alpha, on_off_ratio=100).write(ramp())
    assert torch.allclose(shrunk, torch.nn.functional.softshrink(ramp(), threshold), atol=1e-6)


# ---- write noise ------------------------------------------------------------------------------------------------

SAMPLES, GROUPS = 400_000, 4
# A sample variance of n normals has relative standard error sqrt(2/n); 4.5 of them in any of 4 groups happens by
# chance once in 40 000 seeds, and the seeds are fixed.
TOLERANCE = 4.5 * (2 / (SAMPLES / GROUPS)) ** 0.5


def write_noise_deviations(crossbar: Crossbar, law_sigma: float) -> list[float]:
    """Relative deviation of Var(ΔW) from law_sigma² |W| W_max in each quarter of the magnitudes."""
    w = torch.rand(1, SAMPLES // 500, 500, generator=generator(3)) * 2 - 1
    normalised = ((crossbar.write(w) - w) / (law_sigma * (w.abs() * w.abs().max()).sqrt())).flatten().double()
    quarter = (w.abs().flatten() * GROUPS).long().clamp(max=GROUPS - 1)
    return [float((normalised[quarter == g] ** 2).mean() - 1) for g in range(GROUPS)]


def noisy(gamma: float, **change) -> Crossbar:
    return Crossbar(**IDEAL | {"write_sigma": 0.1} | change, gamma=gamma, generator=generator(4))


def test_write_noise_variance_follows_the_law_at_all_magnitudes():
    assert max(map(abs, write_noise_deviations(noisy(3.0), 3.0 * 0.1))) < TOLERANCE


def test_the_variance_check_detects_a_five_per_cent_error():
    assert min(map(abs, write_noise_deviations(noisy(3.0 * 1.05), 3.0 * 0.1))) > TOLERANCE


def test_write_noise_does_not_depend_on_the_on_off_ratio():
    w = torch.randn(1, 10, 20, generator=generator())
    assert torch.equal(noisy(3.0, on_off_ratio=25.0).write(w), noisy(3.0, on_off_ratio=100.0).write(w))


def test_read_noise_variance_follows_the_law():
    w = torch.full((1, 400, 500), 0.5)
    w[0, 0, 0] = 1.0  # W_max
    error = (Crossbar(read_sigma=0.05, write_sigma=0.0, quantise=False, generator=generator()).write(w) - w).flatten()[1:]
    expected = (0.05 * (0.5 + 1 / 99)) ** 2
    assert float(error.double().var()) == pytest.approx(expected, rel=4.5 * (2 / error.numel()) ** 0.5)
