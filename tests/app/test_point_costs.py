"""What the points of a study cost, from its run to results.h5."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_families
import tiny_study
import xarray as xr
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

FIGURES = ("energy_J", "area_m2", "latency_s")


def costs_of(study, out, *options):
    """/cost of a study that is run, as arrays, with the totals of /surfaces as total_…"""
    done = crossweep("run", study, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    with h5py.File(out / "results.h5") as file:
        arrays = {name: values[:] for name, values in file["cost"].items()}
        return arrays | {f"total_{name}": file[f"surfaces/{name}"][:] for name in FIGURES}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    study = tiny_study.write_study(folder / "study")
    return folder / "run", costs_of(study, folder / "run")


def test_xarray_opens_the_costs_with_labelled_axes(images):
    with xr.open_dataset(images[0] / "results.h5", group="cost") as costs:
        assert costs["energy_J"].dims == ("point", "component") and costs["energy_J"].attrs["units"] == "J"
        assert costs["layer_area_m2"].dims == ("point", "cost_layer")
        assert "adc" in costs["component"].values and list(costs["cost_layer"].values) == ["0", "1", "outside"]
        assert float(costs["energy_J"].sel(component="adc").isel(point=0)) > 0
    with xr.open_dataset(images[0] / "results.h5", group="surfaces") as surfaces:
        assert surfaces["latency_s"].dims == ("device.write_noise_factor", "transform.name")


def test_components_and_layers_add_up_to_the_same(images):
    costs = images[1]
    for name in FIGURES:
        total = costs[name].sum(axis=1)
        assert np.allclose(costs[f"total_{name}"].ravel(), total, rtol=1e-12) and (total > 0).all()
        of_layers = costs[f"layer_{name}"].sum(axis=1)
        if name == "area_m2":
            assert (of_layers < total).all()  # what all layers share is missing
        else:
            assert np.allclose(of_layers, total, rtol=1e-12)
        # The two blocks are alike.
        assert np.array_equal(costs[f"layer_{name}"][:, 0], costs[f"layer_{name}"][:, 1])


def test_noise_costs_nothing_and_fewer_slices_cost_less(images):
    energy = images[1]["total_energy_J"]  # [write noise factor, transform]
    assert np.array_equal(energy[0], energy[1])
    assert (energy[:, 1] < energy[:, 0]).all()  # (2, 0.25): three slices for K and V instead of four
    arrays = images[1]["arrays"].reshape(2, 2)
    # Two blocks of two heads, pairs of columns for signs; K and V of 5 tokens and 8 channels fit one array each.
    per_slice = 2 * 2 * 2 * 2
    assert (arrays[:, 0] - arrays[:, 1] == per_slice).all()
    # Beside K and V, six matrices of weights that fit one array each, in 4 slices.
    assert (arrays[:, 0] == 4 * (per_slice + 2 * 6 * 2)).all()


def test_counts_follow_the_model(images):
    costs = images[1]
    # K and V of 5 tokens and 16 channels in 2 blocks, on 4 pairs of cells or 3.
    assert list(costs["cell_writes"]) == [2 * 2 * 5 * 16 * 2 * slices for slices in (4, 3, 4, 3)]
    assert np.array_equal(costs["cell_writes"], costs["write_pulses"])  # nothing is verified


def test_the_report_and_a_second_merge_tell_the_same(images):
    told = json.loads(crossweep("report", images[0], "--json").stdout)
    assert [point["energy_J"] for point in told["points"]] == list(images[1]["total_energy_J"].ravel())
    assert crossweep("merge", images[0]).returncode == 0  # from study.json
    with h5py.File(images[0] / "results.h5") as file:
        for name in FIGURES:
            assert np.array_equal(file[f"cost/{name}"][:], images[1][name])


def test_larger_arrays_are_fewer(tmp_path):
    study = tiny_study.write_study(tmp_path / "study")
    costs = costs_of(study, tmp_path / "run", "--set", "crossbar.array_rows=8", "--set", "crossbar.array_columns=8")
    # 16 x 16 weights on 2 x 2 arrays, MLP layers on 2 x 4, K and V of a head and 5 tokens on one.
    assert costs["arrays"][0] == 2 * 4 * 2 * (4 * 4 + 2 * 8 + 2 * 2)


def write_texts(path, lengths, places=12):
    tokens = np.ones((len(lengths), places), np.int32)
    mask = (np.arange(places) < np.asarray(lengths)[:, None]).astype(np.uint8)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("tokens", data=tokens * mask)
        data.attrs["task"] = "classification"
        file["mask"], file["labels"] = mask, np.zeros(len(lengths), np.int32)


def costs_of_texts(folder: Path, lengths):
    folder.mkdir()
    write_texts(folder / "texts.h5", lengths)
    tiny_families.write(folder / "bert.safetensors", tiny_families.bert())
    (folder / "study.toml").write_text('[model]\nweights = "bert.safetensors"\n[data]\ntexts = "texts.h5"\n')
    return costs_of(folder / "study.toml", folder / "run")


def test_texts_cost_the_mean_over_their_lengths_on_the_hardware_of_the_longest(tmp_path):
    short, long, both = (costs_of_texts(tmp_path / name, lengths)
                         for name, lengths in (("short", [3]), ("long", [9]), ("both", [3, 9, 3, 3])))
    for name in ("energy_J", "latency_s", "layer_energy_J", "layer_latency_s", "conversions", "array_reads", "cell_writes",
                 "writes_per_cell", "wear_out_years"):
        assert np.allclose(both[name], 0.75 * short[name] + 0.25 * long[name], rtol=1e-12), name
        assert (short[name] <= long[name]).all()
    for name in ("area_m2", "layer_area_m2", "arrays"):
        assert np.array_equal(both[name], np.maximum(short[name], long[name])), name


def test_a_technology_on_an_axis_changes_the_cost_and_nothing_else(tmp_path):
    text = tiny_study.STUDY.split("[sweep.grid]")[0] + "[sweep.grid]\ntechnology.adc_energy_J = [1e-13, 3e-13]\n"
    study = tiny_study.write_study(tmp_path / "study", text=text)
    costs = costs_of(study, tmp_path / "run")
    adc = list(costs["component"]).index(b"adc")
    assert costs["energy_J"][1, adc] == pytest.approx(3 * costs["energy_J"][0, adc])
    assert np.array_equal(np.delete(costs["energy_J"][0], adc), np.delete(costs["energy_J"][1], adc))
    with h5py.File(tmp_path / "run" / "results.h5") as file:
        assert file["points/technology.adc_energy_J"].attrs["units"] in ("J", b"J")
        predicted = file["predictions/class"][:]
        assert np.array_equal(predicted[0], predicted[1])
