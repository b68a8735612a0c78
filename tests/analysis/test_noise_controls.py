"""The changes of noise_controls.py do what they say, on a small random network."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vision_weights")

import noise_controls
from crossbar_noise import Crossbar
from noise_controls import ControlledCrossbar
from vit import Architecture, VisionTransformer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = VisionTransformer(Architecture(image_size=8, embed_dim=16, depth=4, num_classes=12)).eval()
    model.initialise()
    return model


@pytest.fixture(scope="module")
def images():
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def quiet(**settings) -> ControlledCrossbar:
    return ControlledCrossbar(**({"read_sigma": 0.0, "generator": torch.Generator().manual_seed(1)} | settings))


def test_nothing_changed_is_the_plain_crossbar(model, images):
    controlled = ControlledCrossbar(generator=torch.Generator().manual_seed(5))
    plain = Crossbar(generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.allclose(model(images, controlled), model(images, plain), atol=1e-5)


def test_write_noise_reaches_only_what_is_named():
    operand = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    only_k = quiet(write_to="K", quantise=False)
    k, v = only_k.write(operand), only_k.write(operand)
    assert not torch.allclose(k, operand, atol=1e-3) and torch.allclose(v, operand, atol=1e-6)


def test_noise_scales_with_the_root_of_the_imitated_peak():
    operand = torch.randn(1, 400, 64, generator=torch.Generator().manual_seed(3))
    deviations = [(quiet(peak=peak, quantise=False).write(operand) - operand).std() for peak in (2.0, 8.0)]
    assert float(deviations[1] / deviations[0]) == pytest.approx(2, rel=0.03)


def test_centring_takes_a_common_offset_out_of_the_noise():
    operand = 0.1 * torch.randn(1, 50, 16, generator=torch.Generator().manual_seed(3)) + 5
    plain = (quiet(quantise=False).write(operand) - operand).std()
    centred = (quiet(quantise=False, centred=True).write(operand) - operand).std()
    assert centred < plain / 5


def test_confined_noise_leaves_the_other_blocks_exact(model, images):
    with torch.no_grad():
        exact = noise_controls.run(model, images, None)[1]
        noise_controls.confine_noise(model, {2, 3})
        late = noise_controls.run(model, images, quiet())[1]
        noise_controls.confine_noise(model, set())
        none = noise_controls.run(model, images, quiet())[1]
        noise_controls.confine_noise(model, set(range(4)))
    assert torch.equal(late[0], exact[0]) and torch.equal(late[1], exact[1]) and not torch.allclose(late[2], exact[2])
    assert all(torch.equal(a, b) for a, b in zip(none, exact))


def test_top1_among_random_classes_is_the_mean_over_all_choices():
    logits = torch.tensor([[0.5, 0.9, 0.1, 0.7, 0.2], [0.3, 0.2, 0.1, 0.0, -0.1]])
    labels = torch.tensor([0, 0])
    choices = list(itertools.combinations(range(1, 5), 2))
    counted = sum(all(row[0] > row[other] for other in choice) for row in logits.tolist() for choice in choices)
    assert noise_controls.among_random(logits, labels, 3) == pytest.approx(counted / (2 * math.comb(4, 2)))


def test_the_nearest_classes_are_those_of_the_classifier():
    head = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    logits = torch.tensor([[1.0, 2.0, 9.0, 9.0], [2.0, 1.0, 9.0, 9.0]])
    assert noise_controls.among_nearest(logits, torch.tensor([0, 0]), head, 2) == pytest.approx(0.5)


def test_snr_is_the_mean_of_decibels_over_the_chosen_blocks():
    clean, noisy = [torch.ones(10)] * 2, [torch.full((10,), 1.1), torch.full((10,), 1.01)]
    assert noise_controls.snr_dB(clean, noisy, {0, 1}) == pytest.approx(30, abs=0.01)
    assert noise_controls.snr_dB(clean, noisy, {1}) == pytest.approx(40, abs=0.01)


def test_alone_every_block_gets_exact_inputs(model, images):
    with torch.no_grad():
        exact = noise_controls.run(model, images, None)[1]
        noisy = noise_controls.run(model, images, quiet())[1]
        alone = noise_controls.run_alone(model, images, quiet())
    assert torch.allclose(alone[0], noisy[0]), "nothing lies before the first block"
    snr = [[noise_controls.snr_dB(exact, attention, {block}) for block in range(4)] for attention in (alone, noisy)]
    assert all(by_itself > in_network for by_itself, in_network in zip(snr[0][1:], snr[1][1:]))
    assert not model.blocks[0].attn._forward_hooks
