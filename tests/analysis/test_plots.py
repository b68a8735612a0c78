"""Every kind of figure is drawn, written as PNG and SVG, and says what it shows."""

import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plot_results
import synthetic_results
from crossweep_results import Results, SelectionError, plots
from synthetic_results import Study

GAMMA = "device.write_noise_factor"
TRANSFORMS = ["none", "clipformer_1_1", "clipformer_2_025"]
MODELS = ["/data/fashion_vit.safetensors", "/data/small_vit.safetensors"]


def open_study(folder: Path, **study) -> Results:
    return Results(synthetic_results.write(folder / "results.h5", Study(**study)))


def texts(figure) -> str:
    """All words of a figure: titles, axis labels, legends and notes."""
    found = [t.get_text() for t in figure.texts]
    for panel in figure.axes:
        found += [panel.get_title(loc="left"), panel.get_xlabel(), panel.get_ylabel()]
        found += [t.get_text() for t in panel.texts]
        if panel.get_legend():
            found += [t.get_text() for t in panel.get_legend().get_texts()]
    return "\n".join(found).replace("\n", " ")


def assert_readable(paths: list[Path]) -> None:
    assert paths and len({p.stem for p in paths}) * 2 == len(paths)
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 200
                assert len(np.unique(np.asarray(image.convert("L")))) > 20
        else:
            assert len(list(xml.etree.ElementTree.parse(path).iter())) > 100


def run(capsys, *arguments) -> list[Path]:
    assert plot_results.main([str(a) for a in arguments]) == 0
    return [Path(line) for line in capsys.readouterr().out.splitlines()]


def test_defaults_draw_four_figures_of_a_study_over_noise_and_transform(tmp_path, capsys):
    open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS})
    written = run(capsys, tmp_path / "results.h5", "--out", tmp_path / "figures")
    assert {p.stem for p in written} == {"accuracy_vs_write_noise_factor", "snr_vs_write_noise_factor", "snr_per_layer",
                                         "heat_accuracy_drop_write_noise_factor_transform"}
    assert_readable(written)


@pytest.mark.parametrize("study, count", [
    ({}, 3),
    ({"axes": {"transform.name": TRANSFORMS}}, 3),
    ({"axes": {"device.g_max_S": [1e-6, 1e-5, 1e-4]}, "trials": 1}, 3),
    ({"zips": {f"{GAMMA}+device.g_max_S": {GAMMA: [1.0, 2.0], "device.g_max_S": [1e-6, 1e-5]}}}, 3),
], ids=["no axis", "text axis", "one trial", "zipped axis"])
def test_studies_with_few_axes_are_drawn_without_a_heat_map(tmp_path, capsys, study, count):
    open_study(tmp_path, **study)
    written = run(capsys, tmp_path / "results.h5")
    assert len(written) == 2 * count and written[0].parent == tmp_path / "figures"
    assert_readable(written)


def test_a_figure_reads_on_its_own(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "transform.name": TRANSFORMS})
    words = texts(plots.accuracy_against(results))
    for expected in ("study “synthetic”", "fashion_vit", "40 images × 3 trials", "write noise factor γ",
                     "top-1 accuracy (%)", "clipformer_2_025", "noise-free 90.0 %",
                     "95 % interval over trials, these images"):
        assert expected in words


def test_one_trial_falls_back_to_the_interval_for_images_like_these(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0]}, trials=1)
    words = texts(plots.accuracy_against(results))
    assert "images like these" in words and "one trial" in words and "over trials, these images" not in words
    assert "one trial: no interval" in texts(plots.accuracy_against(results, surface="snr_dB"))


def test_a_language_model_is_drawn_by_its_perplexity_on_a_logarithmic_axis(tmp_path, capsys):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS}, characters_per_token=2)
    written = run(capsys, tmp_path / "results.h5", "--out", tmp_path / "figures")
    assert {p.stem for p in written} == {"perplexity_vs_write_noise_factor", "snr_vs_write_noise_factor",
                                         "snr_per_layer", "heat_perplexity_write_noise_factor_transform"}
    assert_readable(written)
    figure = plots.accuracy_against(results, surface="perplexity")
    assert figure.axes[0].get_yscale() == "log" and figure.axes[0].get_ylabel() == "perplexity"
    words = texts(figure)
    for expected in ("40 texts × 3 trials", "noise-free 4.48", "95 % interval over trials, these texts"):
        assert expected in words
    line = figure.axes[0].lines[0]
    assert np.allclose(line.get_ydata(), results.surface("perplexity").sel(bound="best").isel({"transform.name": 0}))


def test_one_trial_of_a_language_model_shows_the_interval_for_texts_like_these(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0]}, trials=1, characters_per_token=2)
    for surface in ("perplexity", "bits_per_character"):
        assert "texts like these" in texts(plots.accuracy_against(results, surface=surface))
    assert "images like these" in texts(plots.accuracy_against(results, surface="loss"))


def test_a_third_small_axis_becomes_panels_and_the_rest_is_fixed_and_named(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS, "model.weights": MODELS,
                                         "device.g_max_S": [1e-6, 1e-5]})
    figure = plots.accuracy_against(results)
    assert [p.get_title(loc="left") for p in figure.axes] == ["model fashion_vit", "model small_vit"]
    assert "noise-free 90.0 %" in texts(figure) and "noise-free 87.5 %" in texts(figure)
    assert "at largest conductance $G_{max}$ = 1 µS" in texts(figure)


def test_models_as_lines_each_have_their_noise_free_value(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "model.weights": MODELS})
    words = texts(plots.accuracy_against(results, lines="model.weights"))
    assert "90.0 %" in words and "87.5 %" in words


def test_lines_are_drawn_in_ascending_order_of_the_axis(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [8.0, 3.0, 5.0]})
    line = plots.accuracy_against(results).axes[0].lines[0]
    assert list(line.get_xdata()) == [3.0, 5.0, 8.0]
    assert (np.diff(line.get_ydata()) < 0).all()


def test_snr_per_layer_shows_the_stored_values_at_first_and_last_axis_value(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "transform.name": TRANSFORMS})
    panels = plots.snr_per_layer(results).axes
    assert len(panels) == 4
    assert panels[0].get_title(loc="left") == "write noise factor γ = 1"
    assert panels[-1].get_title(loc="left") == "write noise factor γ = 6"
    stored = results.surface("snr_layer_dB").sel({GAMMA: 6.0, "transform.name": "none"})
    assert np.allclose(panels[-1].lines[0].get_ydata(), stored)


def test_heat_map_cells_hold_the_surface_with_x_along_columns(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS})
    for surface, factor in (("accuracy_drop", 100), ("top1_accuracy", 100), ("snr_dB", 1)):
        image = plots.heat_map(results, GAMMA, "transform.name", surface).axes[0].images[0]
        stored = results.surface(surface).sel(bound="best").values.T * factor
        assert np.allclose(image.get_array(), stored)


def test_heat_map_over_layers(tmp_path, capsys):
    open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0]})
    written = run(capsys, tmp_path / "results.h5", "--surface", "snr_layer_dB", "--heat", GAMMA, "layer")
    assert "heat_snr_layer_dB_write_noise_factor_layer" in {p.stem for p in written}
    assert_readable(written)


def test_absent_numbers_leave_gaps(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": TRANSFORMS})
    results.surfaces["accuracy_drop"][0, 0] = np.nan
    results.surfaces["snr_dB"][0, 0] = np.inf
    assert_readable(plots.save(plots.heat_map(results, GAMMA, "transform.name"), tmp_path / "heat"))
    assert_readable(plots.save(plots.accuracy_against(results, surface="snr_dB"), tmp_path / "snr"))


@pytest.mark.parametrize("arguments, code, message", [
    (["--axis", "device.write_noise"], 2, "did you mean"),
    (["--lines", GAMMA, "--axis", GAMMA], 2, "two different axes"),
    (["--heat", GAMMA, GAMMA], 2, "two different axes"),
    (["--heat", GAMMA, "transform.name", "--surface", "snr_layer_dB"], 2, 'varies over "layer"'),
    (["--surface", "top2_accuracy"], 2, "did you mean"),
])
def test_bad_choices_exit_2_with_one_sentence(tmp_path, capsys, arguments, code, message):
    open_study(tmp_path, axes={GAMMA: [3.0, 5.0], "transform.name": TRANSFORMS})
    assert plot_results.main([str(tmp_path / "results.h5"), *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_bad_files_exit_4_with_one_sentence(tmp_path, capsys):
    assert plot_results.main([str(tmp_path / "absent.h5")]) == 4
    synthetic_results.write(tmp_path / "partial.h5", Study(complete=False))
    assert plot_results.main([str(tmp_path / "partial.h5")]) == 4
    error = capsys.readouterr().err
    assert "does not exist" in error and "--partial" in error and "Traceback" not in error


def test_too_many_lines_are_refused(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [float(v) for v in range(9)], "transform.name": TRANSFORMS})
    with pytest.raises(SelectionError, match="9 values, more than the 8 lines"):
        plots.accuracy_against(results, axis="transform.name", lines=GAMMA)


def test_lines_asked_for_leave_the_next_axis_for_x(tmp_path):
    results = open_study(tmp_path, axes={GAMMA: [3.0, 5.0, 8.0], "device.g_max_S": [1e-6, 1e-5]})
    assert plots.accuracy_against(results, lines=GAMMA).axes[0].get_xlabel() == "largest conductance $G_{max}$ (µS)"


def test_a_key_repeated_along_a_zipped_axis_cannot_be_the_x_axis(tmp_path):
    results = open_study(tmp_path, zips={f"{GAMMA}+device.g_max_S": {GAMMA: [1.0, 1.0], "device.g_max_S": [1e-6, 1e-5]}})
    with pytest.raises(SelectionError, match="absent or repeated"):
        plots.accuracy_against(results, axis=GAMMA)
    assert plots.accuracy_against(results).axes[0].get_xlabel() == "largest conductance $G_{max}$ (µS)"
