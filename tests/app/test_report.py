"""crossweep report of results that no study of this program has made: made-up numbers, and older files."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_study
from tiny_study import crossweep

sys.path.append(str(Path(__file__).resolve().parents[1] / "analysis"))
import synthetic_results

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

GAMMA = "device.write_noise_factor"


def write_run(folder, **study):
    """A run directory with no more than report needs."""
    (folder / "study.toml").write_text("")
    synthetic_results.write(folder / "results.h5", synthetic_results.Study(axes={GAMMA: [3.0, 5.0]}, **study))
    return folder


def report(folder, *options):
    shown = crossweep("report", folder, *options)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_a_language_model_is_reported_by_its_perplexity(tmp_path):
    shown = report(write_run(tmp_path, characters_per_token=2))
    # exp(1.5), and 1.5 / ln(2) / 2 bits.
    assert "40 texts, 3 trials; noise-free perplexity 4.482, 1.082 bits per character" in shown
    assert "perplexity [95 % interval over trials, these texts]" in shown
    assert "attention SNR in dB" in shown and "accuracy" not in shown and "top-1" not in shown


def test_one_trial_of_a_language_model_has_the_interval_for_texts_like_these(tmp_path):
    shown = report(write_run(tmp_path, characters_per_token=2, trials=1))
    assert "perplexity [95 % interval over texts like these]" in shown and "nan" not in shown


def test_json_of_a_language_model_has_what_the_table_has_and_the_accuracy(tmp_path):
    told = json.loads(report(write_run(tmp_path, characters_per_token=2), "--json"))
    assert told["characters_per_token"] == 2
    assert np.allclose(told["reference_perplexity"], np.exp(1.5)) and np.allclose(told["reference_loss"], 1.5)
    assert np.allclose(told["reference_bits_per_character"], 1.5 / np.log(2) / 2)
    assert "reference_top1_accuracy" not in told
    for point in told["points"]:
        loss = point["loss"]
        for bound in ("low", "best", "high"):
            assert np.isclose(point["perplexity"][bound], np.exp(loss[bound]))
            assert np.isclose(point["bits_per_character"][bound], loss[bound] / np.log(2) / 2)
        assert {"top1_accuracy", "perplexity_images_like_these", "snr_dB"} <= point.keys()


def test_a_classifier_is_reported_by_its_accuracy_with_the_loss_in_json(tmp_path):
    shown = report(write_run(tmp_path))
    assert "40 images, 3 trials; noise-free top-1 90.00 %" in shown and "perplexity" not in shown
    told = json.loads(report(tmp_path, "--json"))
    assert told["reference_top1_accuracy"] == [0.9] and told["reference_loss"] == [1.5]
    assert told["points"][0]["loss"]["best"] > 1.5 and "perplexity" not in told["points"][0]


def test_results_of_before_there_was_loss_are_reported(tmp_path):
    write_run(tmp_path)
    with h5py.File(tmp_path / "results.h5", "a") as file:
        for name in ("reference/loss", "predictions/loss", "surfaces/loss", "surfaces/loss_images_like_these"):
            del file[name]
    assert "noise-free top-1 90.00 %" in report(tmp_path)
    told = json.loads(report(tmp_path, "--json"))
    assert told["reference_loss"] == [] and "loss" not in told["points"][0]


def test_costs_are_in_json_point_by_point(tmp_path):
    write_run(tmp_path, costs=True)
    told = json.loads(report(tmp_path, "--json"))
    with h5py.File(tmp_path / "results.h5") as file:
        for name in ("energy_J", "area_m2", "latency_s", "energy_delay_Js"):
            assert [point[name] for point in told["points"]] == list(file[f"surfaces/{name}"][:])


def test_the_table_of_costs_has_a_row_for_every_cost_in_readable_units(tmp_path):
    axes = {GAMMA: [3.0, 5.0], "transform.name": ["none", "clipformer_2_025"], "crossbar.adc_bits": [5.0, 6.0]}
    (tmp_path / "study.toml").write_text("")
    synthetic_results.write(tmp_path / "results.h5", synthetic_results.Study(axes=axes, costs=True))
    shown = report(tmp_path)
    table = shown[shown.index("cost of one input"):].splitlines()[1:6]
    # Noise costs nothing: its axis is not there. Columns stand under their headings.
    assert table[0].split("   ")[-3:] == ["energy in µJ", "area in mm²", "latency in ms"] and GAMMA not in table[0]
    assert len({len(line) for line in table}) == 1
    assert [line.split()[0] for line in table[1:]] == ["none", "none", "clipformer_2_025", "clipformer_2_025"]
    with h5py.File(tmp_path / "results.h5") as file:
        energies = file["surfaces/energy_J"][0].ravel() * 1e6
    assert np.allclose([float(line.split()[2]) for line in table[1:]], energies, rtol=1e-3)


def test_equal_costs_are_one_row_and_files_of_before_have_none(tmp_path):
    shown = report(write_run(tmp_path, costs=True))
    assert shown[shown.index("cost of one input"):].splitlines()[3] == ""
    assert "cost" not in report(write_run(tmp_path))
    assert "energy_J" not in json.loads(report(tmp_path, "--json"))["points"][0]
