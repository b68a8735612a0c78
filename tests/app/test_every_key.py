"""Every key of [device], [crossbar], [device_of], [fidelity_of] and [transforms.NAME] changes the result of some study: no
key is silently ignored. One study runs them all as pairs of listed points."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_study
from tiny_study import crossweep

MANUAL = Path(__file__).resolve().parents[2] / "docs/configuration.md"
TABLES = ("device", "crossbar", "device_of", "fidelity_of", "transforms.clip")

CIRCUIT = {"crossbar.fidelity": "circuit"}
SLICED = {"crossbar.fidelity": "sliced"}
# Telegraph noise that some cells carry into another code.
LARGE_SMALL = {"crossbar.fidelity": "large_small", "crossbar.weight_levels": 128, "crossbar.adc_bits": 2,
               "device.bits_per_cell": 1, "device.telegraph_amplitude": 0.3}
TABLE = {"device.read_noise_law": "table", "device.write_noise_law": "table", "device.read_noise_sigma": 1.0}
AGED = {"device.t_read_s": 100.0, "device.written_t_read_s": 100.0, "device.drift_exponent": 0.1}
CLIPPED = {"transforms.clip.beta": 0.5}

# key: (what else has to be set for the key to matter, one value, another value)
PAIRS = {
    "device.g_max_S": ({"crossbar.wire_resistance_ohm": 10.0}, 1e-5, 2e-5),
    "device.on_off_ratio": ({}, 100, 10),
    "device.bits_per_cell": (SLICED, 2, 1),
    "device.levels": ({}, 0, 16),
    "device.clamp": ({}, "none", "window"),
    "device.read_noise": ({}, "per_read", "frozen"),
    "device.read_noise_law": ({}, "proportional", "constant"),
    "device.read_noise_sigma": ({}, 0.05, 0.06),
    "device.read_noise_table_conductance_S": (TABLE, [0.0, 1e-5], [0.0, 2e-5]),
    "device.read_noise_table_deviation_S": (TABLE, [1e-7, 1e-6], [1e-7, 2e-6]),
    "device.telegraph_amplitude": (LARGE_SMALL, 0.3, 0.2),
    "device.write_noise_law": ({}, "clipformer", "proportional"),
    "device.write_noise_sigma": ({}, 0.1, 0.12),
    "device.write_noise_factor": ({}, 3, 4),
    "device.programming_noise_sigma": ({}, 0, 0.1),
    "device.write_noise_table_conductance_S": (TABLE, [0.0, 1e-5], [0.0, 2e-5]),
    "device.write_noise_table_deviation_S": (TABLE, [1e-7, 1e-6], [1e-7, 2e-6]),
    "device.g_min_spread_sigma": ({}, 0, 0.2),
    "device.g_max_spread_sigma": ({}, 0, 0.2),
    "device.stuck_at_g_min": ({}, 0, 0.1),
    "device.stuck_at_g_max": ({}, 0, 0.1),
    "device.t_read_s": (AGED, 100.0, 1e4),
    "device.written_t_read_s": (AGED, 100.0, 1e4),
    "device.drift_t0_s": (AGED, 1.0, 10.0),
    "device.drift_exponent": (AGED, 0.1, 0.2),
    "device.drift_exponent_sigma": (AGED, 0.0, 0.02),
    "device.retention_s": (AGED, 0.0, 1e3),
    "crossbar.fidelity": ({}, "behavioural", "sliced"),
    "crossbar.weight_levels": ({}, 256, 16),
    "crossbar.input_bits": ({}, 8, 5),
    "crossbar.weight_scale": ({}, "tensor", "column"),
    "crossbar.written_scale": ({}, "tensor", "head"),
    "crossbar.input_scale": ({}, "token", "tensor"),
    "crossbar.array_rows": (CIRCUIT, 64, 8),
    "crossbar.array_columns": (CIRCUIT | {"crossbar.wire_resistance_ohm": 10.0}, 64, 8),
    "crossbar.wire_resistance_ohm": ({}, 0.0, 10.0),
    "crossbar.weight_rounding": ({"device.read_noise": "frozen"}, 0.01, 0.0),
    "crossbar.mapping": (SLICED, "differential", "offset"),
    "crossbar.input_encoding": (SLICED, "twos_complement", "sign_magnitude"),
    "crossbar.dac_bits": (SLICED, 1, 7),
    "crossbar.adc_bits": (CIRCUIT, 6, 4),
    "crossbar.adc_range": (CIRCUIT, "full", "calibrated"),
    "crossbar.adc_range_top": (CIRCUIT | {"crossbar.adc_range": "explicit"}, 64.0, 10.0),
    "crossbar.adc_percentile": (CIRCUIT | {"crossbar.adc_bits": 3}, 99.9, 90.0),
    "crossbar.adc_calibration_images": (CIRCUIT | {"crossbar.adc_bits": 3, "crossbar.adc_percentile": 100.0}, 1, 4),
    "crossbar.adc_gain_sigma": (CIRCUIT, 0.0, 0.1),
    "crossbar.adc_offset_sigma": (CIRCUIT, 0.0, 1.0),
    "crossbar.rows_at_once": (LARGE_SMALL, 0, 2),
    "transforms.clip.centre_keys": ({}, "no", "yes"),
    "transforms.clip.alpha": ({}, 0, 2),
    "transforms.clip.beta": ({}, 1, 0.5),
    "transforms.clip.percentile": ({}, 100, 90),
    "transforms.clip.clip_block": (CLIPPED, "tensor", "head"),
    "transforms.clip.rescale": (CLIPPED, "none", "window"),
    "transforms.clip.write_verify_iterations": ({}, 0, 3),
    "transforms.clip.write_verify_tolerance": ({"transforms.clip.write_verify_iterations": 3}, 0.05, 0.2),
    "device_of.rest": ({}, "default", "other"),
} | {
    f"device_of.{operand}": ({f"fidelity_of.{operand}": "behavioural"}, "rest", "other")
    for operand in ("q", "k", "v", "proj", "fc1", "fc2", "keys", "values", "embedding", "head")
} | {
    f"fidelity_of.{operand}": ({}, "digital", "behavioural")
    for operand in ("q", "k", "v", "proj", "fc1", "fc2", "keys", "values", "embedding", "head")
} | {
    f"device_of.{function}": ({f"fidelity_of.{function}": "large_small", "device.read_noise_sigma": 0.5}, "rest", "other")
    for function in ("softmax", "layer_norm")
} | {
    f"fidelity_of.{function}": ({}, "digital", "large_small") for function in ("softmax", "layer_norm", "gelu")
} | {
    # So much noise that other tokens are kept.
    "device_of.selector": ({"fidelity_of.selector": "behavioural", "device.read_noise_sigma": 4.0}, "rest", "other"),
    "fidelity_of.selector": ({"device.read_noise_sigma": 4.0}, "digital", "behavioural"),
}

# Of [technology], which decides what points cost and no record; tests/config/technology_test.cpp walks its keys.
COSTS = {
    "technology.name": ({}, "one", "another"),
    "technology.adc_energy_J": (CIRCUIT, 1e-13, 2e-13),
}


def weights():
    """The smallest model that has every operand: one with a predictor that drops tokens."""
    tensors, random = tiny_study.weights(), np.random.default_rng(5)
    for name, shape in {"in_conv.0": (16,), "in_conv.1": (16, 16), "out_conv.0": (8, 16), "out_conv.2": (4, 8),
                        "out_conv.4": (2, 4)}.items():
        tensors[f"score_predictor.0.{name}.weight"] = random.standard_normal(shape).astype(np.float32)
        tensors[f"score_predictor.0.{name}.bias"] = np.zeros(shape[0], np.float32)
    return tensors


def keys_of_the_manual():
    """Paths of the keys of TABLES as the manual lists them."""
    paths, table = [], ""
    for line in MANUAL.read_text().splitlines():
        if heading := re.match(r"## \[([a-z_.NAME]+)\]", line):
            table = heading.group(1).replace("NAME", "clip")
        elif (row := re.match(r"\| `(\w+)`", line)) and table in TABLES:
            paths.append(f"{table}.{row.group(1)}")
    return paths


def toml(value):
    return f'"{value}"' if isinstance(value, str) else str(value)


def settings(key, number):
    """The first or second point of a key, as a study lists it."""
    others, *values = (PAIRS | COSTS)[key]
    return "".join(f'"{path}" = {toml(value)}\n' for path, value in sorted((others | {key: values[number]}).items()))


def distinct_points():
    return list(dict.fromkeys(settings(key, number) for key in PAIRS | COSTS for number in (0, 1)))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Margins and sums of attention noise of every point."""
    folder = tmp_path_factory.mktemp("every_key")
    text = ('[study]\ntrials = 1\n[model]\nweights = "weights.safetensors"\n[data]\nimages = "images.idx"\n'
            'labels = "labels.idx"\ncount = 6\nmean = [0.5]\nstd = [0.25]\n[transform]\nname = "clip"\n'
            "[transforms.clip]\n[devices.other]\nread_noise_sigma = 0.2\nwrite_noise_factor = 8\n"
            "[device]\nread_noise_table_conductance_S = [0.0, 1e-5]\nread_noise_table_deviation_S = [1e-7, 1e-6]\n"
            "write_noise_table_conductance_S = [0.0, 1e-5]\nwrite_noise_table_deviation_S = [1e-7, 1e-6]\n")
    points = distinct_points()
    for point in points:
        text += "\n[[sweep.points]]\n" + point
    study = tiny_study.write_study(folder, text=text)
    tiny_study.write_weights(folder / "weights.safetensors", weights())
    run = crossweep("run", study, "--out", folder / "run")
    assert run.returncode == 0, run.stderr
    with h5py.File(folder / "run/results.h5") as file:
        values = np.concatenate([file["predictions/margin"][:, 0], file["attention/noise"][:, 0]], axis=1)
    return dict(zip(points, values))


def test_every_key_of_the_manual_is_walked():
    # A device file is another way to give the other keys of [device].
    # GELU is a table of codes, which no cell holds.
    assert set(keys_of_the_manual()) - {"device.file", "device_of.gelu"} == set(PAIRS)


@pytest.mark.parametrize("key", PAIRS)
def test_key_changes_the_result(results, key):
    one, other = results[settings(key, 0)], results[settings(key, 1)]
    assert np.isfinite(one).all() and np.isfinite(other).all()
    assert (one != other).any()


@pytest.mark.parametrize("key", COSTS)
def test_cost_leaves_the_result(results, key):
    np.testing.assert_array_equal(results[settings(key, 0)], results[settings(key, 1)])


def test_equal_settings_give_equal_results(results):
    """What the comparison above rests on: points that differ in nothing agree in every bit."""
    plain = [results[settings(key, 0)] for key, (others, *_) in PAIRS.items() if key.startswith("device.") and not others]
    assert len(plain) > 5
    for values in plain:
        np.testing.assert_array_equal(values, plain[0])
