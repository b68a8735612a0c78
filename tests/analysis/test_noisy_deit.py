"""The PyTorch that crossweep's speed is compared with computes the same physics: ideal limits, means and variances."""

import pytest
import torch

import noisy_deit
from crossbar_noise import Crossbar
from noisy_deit import Digital, Frozen, Noise, PerRead, forward, write
from vit import Architecture, VisionTransformer

SILENT = Noise(read_sigma=0, write_sigma=0, alpha=0, beta=1)
READS, OUTPUTS = 4000, 96
# A sample variance of n normals has relative standard error sqrt(2/n). Over all outputs together 4.5 of them are
# exceeded once in 150 000 seeds, and the seeds are fixed.
TOLERANCE = 4.5 * (2 / (READS * OUTPUTS)) ** 0.5


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def small_model() -> VisionTransformer:
    model = VisionTransformer(Architecture(image_size=16, embed_dim=32, depth=2, num_heads=2))
    model.initialise(query_key_gain=2)
    return model.eval()


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


# ---- ideal limits -----------------------------------------------------------------------------------------------

def test_digital_products_give_the_logits_of_the_plain_model():
    model, images = small_model(), torch.randn(4, 1, 16, 16)
    assert relative_error(forward(model, images, Digital(model)), model(images)) < 1e-5


@pytest.mark.parametrize("products", [Frozen, PerRead])
def test_without_noise_logits_are_clean_but_for_quantisation(products, monkeypatch):
    model, images = small_model(), torch.randn(4, 1, 16, 16)
    clean = model(images)
    eight_bits = relative_error(forward(model, images, products(model, SILENT)), clean)
    monkeypatch.setattr(noisy_deit, "TOP_LEVEL", 2 ** 16 - 1)
    monkeypatch.setattr(noisy_deit, "TOP_CODE", 2 ** 15 - 1)
    sixteen_bits = relative_error(forward(model, images, products(model, SILENT)), clean)
    assert 1e-3 < eight_bits < 0.05 and sixteen_bits < eight_bits / 100


@pytest.mark.parametrize("products", [Frozen, PerRead])
@pytest.mark.parametrize("clip", [(0, 1), (2, 0.25)])
def test_without_noise_logits_are_those_of_the_training_crossbar(products, clip):
    model, images = small_model(), torch.randn(4, 1, 16, 16)
    independent = Crossbar(read_sigma=0, write_sigma=0, alpha=clip[0], beta=clip[1])
    noise = Noise(read_sigma=0, write_sigma=0, alpha=clip[0], beta=clip[1])
    # Codes on the edge between two levels may fall to either side, so not to the last bit.
    assert relative_error(forward(model, images, products(model, noise)), model(images, independent)) < 2e-3


@pytest.mark.parametrize("change", [{"read_sigma": 0.05}, {"write_sigma": 0.1}])
@pytest.mark.parametrize("products", [Frozen, PerRead])
def test_read_and_write_noise_each_change_every_pass(products, change):
    model, images = small_model(), torch.randn(1, 1, 16, 16)
    noisy = products(model, Noise(**{"read_sigma": 0, "write_sigma": 0, "alpha": 0, "beta": 1} | change))
    assert relative_error(forward(model, images, noisy), forward(model, images, noisy)) > 1e-2


# ---- mean and variance of a product -----------------------------------------------------------------------------

def deviation_of_linear(products, read_sigma: float, law_sigma: float) -> tuple[float, float]:
    """Of the first layer's product over many draws: largest mean in standard errors, and relative error of the variance
    against law_sigma² Σ x² (|W| + W_max / (r - 1))²."""
    model = small_model()
    x = torch.randn(1, 32)
    ideal = Frozen(model, SILENT)
    engine = products(model, Noise(read_sigma=read_sigma))
    draws = []
    for _ in range(READS):
        engine.begin_batch()
        draws.append(engine.linear(x, 0))
    error = (torch.cat(draws) - ideal.linear(x, 0)).double()
    w = ideal.weights[0].double().view(3, 32, 32)
    conductance = (w.abs() + w.abs().amax((1, 2), keepdim=True) / 99).view(96, 32)
    codes = (x * 127 / x.abs().max()).round().double() * float(x.abs().max()) / 127
    variance = law_sigma ** 2 * (conductance.square() @ codes.square().T).T
    assert variance.numel() == OUTPUTS
    return (float((error.mean(0) / (variance / READS).sqrt()).abs().max()),
            float((error.square() / variance).mean() - 1))


@pytest.mark.parametrize("products", [Frozen, PerRead])
def test_a_noisy_product_has_the_mean_and_variance_of_the_read_law(products):
    mean, variance = deviation_of_linear(products, 0.05, 0.05)
    assert mean < 5 and abs(variance) < TOLERANCE


@pytest.mark.parametrize("products", [Frozen, PerRead])
def test_the_variance_check_detects_a_five_per_cent_error(products):
    assert deviation_of_linear(products, 0.05 * 1.05, 0.05)[1] > TOLERANCE


def test_noise_per_read_differs_between_tokens_and_frozen_noise_does_not():
    model = small_model()
    x = torch.randn(1, 32).expand(2, 32)
    same, other = (p(model, Noise()).linear(x, 0) for p in (Frozen, PerRead))
    assert relative_error(same[0], same[1]) < 1e-5 and relative_error(other[0], other[1]) > 1e-2


def test_write_noise_has_the_variance_of_the_law_in_levels():
    operand = torch.rand(1, READS, OUTPUTS) * 2 - 1
    noise = Noise(read_sigma=0, alpha=0, beta=1, gamma=4)
    level, sign, step = write(operand, noise)
    ideal, _, _ = write(operand, SILENT)
    assert torch.equal(sign, operand.sign()) and relative_error(ideal * sign * step, operand) < 0.01
    held = ideal > 0
    ratio = ((level - ideal)[held].double().square() / (0.4 ** 2 * 255 * ideal[held].double())).mean()
    assert abs(float(ratio) - 1) < TOLERANCE


def attention_variance_ratio(read_sigma: float) -> float:
    """Variance of attention with noise per read over that with every device drawn at sigma 0.05, mean over outputs. A
    query reads each device of K and V once, so the two laws are one."""
    model = small_model()
    q, k, v = (2 * torch.randn(1, 9, 32) for _ in range(3))
    variances = []
    for products, sigma in ((PerRead, read_sigma), (Frozen, 0.05)):
        engine = products(model, Noise(write_sigma=0, read_sigma=sigma, alpha=0, beta=1))
        variances.append(torch.stack([engine.attention(q, k, v) for _ in range(READS)]).double().var(0))
    return float((variances[0] / variances[1]).mean())


# A ratio of two such variances has relative standard error sqrt(4/n). Queries share devices, the 32 channels do not.
ATTENTION_TOLERANCE = 4.5 * (4 / (READS * 32)) ** 0.5


def test_an_attention_product_per_read_has_the_noise_of_a_draw_per_device():
    assert abs(attention_variance_ratio(0.05) - 1) < ATTENTION_TOLERANCE


def test_the_attention_check_detects_a_five_per_cent_error():
    assert attention_variance_ratio(0.05 * 1.05) - 1 > ATTENTION_TOLERANCE
