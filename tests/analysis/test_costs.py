"""What points cost: the Pareto front, and figures that show the stored numbers."""

import h5py
import numpy as np
import pytest
import xarray as xr

import plot_results
import synthetic_results
from crossweep_results import Results, ResultsError, SelectionError, costs, layout, plots
from crossweep_results.costs import pareto_front
from synthetic_results import Study
from test_plots import GAMMA, TRANSFORMS, assert_readable, run, texts

ADC = "crossbar.adc_bits"


def open_study(folder, **study) -> Results:
    return Results(synthetic_results.write(folder / "results.h5", Study(costs=True, **study)))


# ---- the front ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("energy, accuracy, front", [
    ([1, 2, 3], [0.5, 0.6, 0.7], [0, 1, 2]),
    ([3, 1, 2], [0.7, 0.5, 0.6], [1, 2, 0]),         # by ascending energy
    ([1, 2, 3], [0.7, 0.6, 0.7], [0]),               # more energy for nothing
    ([1, 1, 2], [0.5, 0.6, 0.6], [1]),               # the better one of equal energy
    ([1, 1, 2], [0.6, 0.6, 0.5], [0, 1]),            # equal in both: both stay
    ([2, 1, 1], [0.6, 0.6, 0.5], [1]),               # equal accuracy for more energy
    ([1, 2, 3], [0.5, np.nan, 0.7], [0, 2]),         # not computed yet
    ([np.nan, 2, 3], [0.9, 0.5, 0.7], [1, 2]),
    ([np.nan], [np.nan], []),
    ([], [], []),
])
def test_front_of_points(energy, accuracy, front):
    assert list(pareto_front(energy, accuracy)) == front


def test_front_where_less_is_better():
    assert list(pareto_front([1, 2, 3, 4], [9.0, 7.0, 8.0, 7.0], higher_is_better=False)) == [0, 1]


def test_front_is_what_no_point_beats():
    random = np.random.default_rng(5)
    energy, accuracy = random.integers(0, 12, 200), random.integers(0, 12, 200)

    def beaten(i):
        better = (energy <= energy[i]) & (accuracy >= accuracy[i]) & ((energy < energy[i]) | (accuracy > accuracy[i]))
        return better.any()

    assert sorted(pareto_front(energy, accuracy)) == [i for i in range(200) if not beaten(i)]


# ---- reading ------------------------------------------------------------------------------------------------------

def test_costs_are_read_with_their_components_and_unfold_onto_the_axes(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "transform.name": TRANSFORMS})
    assert results.has_costs and results.costs["energy_J"].dims == ("point", "component")
    assert list(results.costs["component"].values) == synthetic_results.COMPONENTS
    assert list(results.costs["cost_layer"].values)[-1] == "outside"
    total = results.on_axes(results.costs["energy_J"]).sum("component")
    assert np.allclose(total, results.surfaces["energy_J"])
    assert np.isinf(results.costs["wear_out_years"]).all()
    with xr.open_dataset(results.path, group="surfaces") as surfaces:
        assert surfaces["area_m2"].dims == (GAMMA, "transform.name") and surfaces["area_m2"].attrs["units"] == "m2"


def test_costs_are_no_axes(tmp_path):
    results = open_study(tmp_path, axes={"transform.name": TRANSFORMS})
    assert layout.choose_layout(results).x.key == "transform.name"
    with pytest.raises(SelectionError, match="no axis"):
        results.axis("energy_J")


def test_files_without_costs_say_so_and_are_drawn_as_before(tmp_path, capsys):
    synthetic_results.write(tmp_path / "results.h5", Study(axes={GAMMA: [3.0, 5.0]}))
    results = Results(tmp_path / "results.h5")
    assert not results.has_costs
    with pytest.raises(ResultsError, match="has no costs. Merge"):
        costs.accuracy_against_energy(results)
    assert not [p for p in run(capsys, tmp_path / "results.h5") if "cost" in p.stem or "energy" in p.stem]
    assert plot_results.main([str(tmp_path / "results.h5"), "--cost-key", GAMMA]) == 4


def test_the_cost_changes_along_choices_and_not_along_noise(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "transform.name": TRANSFORMS, ADC: [5.0, 6.0]})
    assert [a.key for a in costs.cost_axes(results)] == ["transform.name", ADC]
    assert costs.key_of_cost(results) == ADC


# ---- figures ------------------------------------------------------------------------------------------------------

def test_defaults_draw_accuracy_against_energy_and_the_breakdown(tmp_path, capsys):
    open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS})
    written = run(capsys, tmp_path / "results.h5")
    assert {"accuracy_vs_energy", "cost_breakdown"} < {p.stem for p in written}
    assert_readable([p for p in written if "energy" in p.stem or "cost" in p.stem])


@pytest.mark.parametrize("study", [
    {},
    {"axes": {"transform.name": TRANSFORMS}},
    {"axes": {GAMMA: [float(v) for v in range(12)], "transform.name": TRANSFORMS}},
    {"axes": {ADC: [5.0, 6.0], "crossbar.array_rows": [32.0, 64.0]}, "trials": 1},
    {"zips": {f"{ADC}+crossbar.array_rows": {ADC: [5.0, 6.0], "crossbar.array_rows": [64.0, 128.0]}}},
    {"axes": {GAMMA: [3.0, 5.0], ADC: [4.0, 6.0]}, "characters_per_token": 2},
], ids=["no axis", "text axis", "many conditions", "one trial", "zipped axis", "language model"])
def test_studies_of_every_shape_are_drawn(tmp_path, study):
    results = open_study(tmp_path, **study)
    assert_readable(plots.save(costs.accuracy_against_energy(results), tmp_path / "energy"))
    assert_readable(plots.save(costs.cost_breakdown(results), tmp_path / "breakdown"))


def test_the_figure_has_every_point_and_the_front_with_its_labels(tmp_path):
    results = open_study(tmp_path, axes={"transform.name": ["none", "clipformer_2_025"], ADC: [5.0, 6.0]})
    figure = costs.accuracy_against_energy(results)
    panel = figure.axes[0]
    energy = results.surfaces["energy_J"].values.ravel() * 1e6
    accuracy = results.surface("top1_accuracy").sel(bound="best").values.ravel() * 100
    drawn = [c for c in panel.containers]
    assert sorted((float(c[0].get_xdata()[0]), float(c[0].get_ydata()[0])) for c in drawn) == \
        pytest.approx(sorted(zip(energy, accuracy)))
    front = pareto_front(energy, accuracy)
    line = next(line for line in panel.lines if len(line.get_xdata()) == len(front) + 1)
    assert np.allclose(line.get_xdata()[:-1], energy[front]) and np.allclose(line.get_ydata()[:-1], accuracy[front])
    words = texts(figure)
    for expected in ("Pareto front of all points", "energy of one input (µJ)", "top-1 accuracy (%)", "clipformer_2_025",
                     "95 % interval over trials, these images"):
        assert expected in words
    assert len([t for t in panel.texts if "bits of the ADC" in t.get_text()]) == len(front)


def test_a_language_model_has_its_front_below(tmp_path):
    results = open_study(tmp_path, axes={ADC: [5.0, 6.0, 8.0]}, characters_per_token=2)
    panel = costs.accuracy_against_energy(results).axes[0]
    assert panel.get_ylabel() == "perplexity" and panel.get_yscale() == "log"
    assert any((np.diff(line.get_ydata()) <= 0).all() and len(line.get_ydata()) == 4 for line in panel.lines)


def test_points_that_are_not_computed_are_left_out(tmp_path):
    results = open_study(tmp_path, axes={ADC: [5.0, 6.0, 8.0]})
    results.surfaces["top1_accuracy"][2] = np.nan
    assert len(costs.accuracy_against_energy(results).axes[0].containers) == 2
    for name in ("top1_accuracy", "top1_accuracy_images_like_these"):
        results.surfaces[name][:] = np.nan
    with pytest.raises(SelectionError, match="nothing to draw"):
        costs.accuracy_against_energy(results)


def test_bars_add_up_to_the_totals_of_the_points(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "transform.name": ["none", "clipformer_2_025"]})
    figure = costs.cost_breakdown(results)
    for panel, (name, factor) in zip(figure.axes, [("energy_J", 1e6), ("area_m2", 1e6), ("latency_s", 1e6)]):
        ends: dict[float, float] = {}
        for bar in panel.patches:
            ends[bar.get_y()] = max(ends.get(bar.get_y(), 0), bar.get_x() + bar.get_width())
        totals = np.unique(results.surfaces["energy_J"].values, return_index=True)[1]
        expected = results.surfaces[name].values.ravel()[totals] * factor
        assert sorted(ends.values()) == pytest.approx(sorted(expected))
    words = texts(figure)
    assert "area (mm²)" in words and "interconnect" in words and "storage" not in words  # which costs nothing here


def test_chosen_points_have_bars_and_others_are_refused(tmp_path):
    results = open_study(tmp_path, axes={ADC: [5.0, 6.0, 8.0]})
    assert len(costs.cost_breakdown(results, [0, 2]).axes[0].get_yticks()) == 2
    with pytest.raises(SelectionError, match="there is no point 3: the study has 3"):
        costs.cost_breakdown(results, [3])


def test_cost_against_an_axis_shows_the_stored_numbers(tmp_path):
    results = open_study(tmp_path, axes={ADC: [8.0, 5.0, 6.0], "transform.name": TRANSFORMS})
    figure = costs.cost_against(results)
    energy = results.surfaces["energy_J"].sel({"transform.name": "clipformer_2_025"}).values * 1e6
    lines = figure.axes[0].lines
    assert len(lines) == 2  # two of the transforms cost the same
    assert list(lines[1].get_xdata()) == [5, 6, 8] and np.allclose(lines[1].get_ydata(), energy[[1, 2, 0]])
    assert "none, clipformer_1_1" in texts(figure)


def test_cost_against_a_key_that_changes_along_another_axis(tmp_path, capsys):
    path = synthetic_results.write(tmp_path / "results.h5", Study(costs=True, axes={"transform.name": TRANSFORMS, GAMMA: [3.0, 5.0]}))
    with h5py.File(path, "a") as file:
        file["points"].create_dataset("transform.beta", data=np.repeat([1.0, 1.0, 0.25], 2))
        file["points/transform.beta"].attrs["units"] = "1"
        file["points/transform.beta"].dims[0].attach_scale(file["point"])
    line = costs.cost_against(Results(path), "transform.beta").axes[0].lines[0]
    assert line.get_xdata()[0] == 0.25 and set(line.get_xdata()) == {0.25, 1.0}
    written = run(capsys, path, "--cost-key", "transform.beta")
    assert "cost_vs_beta" in {p.stem for p in written}
    assert_readable([p for p in written if "cost" in p.stem])


@pytest.mark.parametrize("key, lines, message", [
    ("crossbar.adc_bit", None, "did you mean"),
    ("device.g_max_S", None, "the same at all points"),
    ("transform.name", None, "is no number"),
    (ADC, ADC, "changes along with"),
])
def test_bad_keys_are_refused_with_one_sentence(tmp_path, key, lines, message):
    results = open_study(tmp_path, axes={ADC: [5.0, 6.0], "transform.name": TRANSFORMS})
    with pytest.raises(SelectionError, match=message):
        costs.cost_against(results, key, lines)


def test_a_study_whose_cost_changes_along_no_number_asks_for_a_key(tmp_path):
    results = open_study(tmp_path, axes={"transform.name": TRANSFORMS})
    with pytest.raises(SelectionError, match="Name a key"):
        costs.cost_against(results)
