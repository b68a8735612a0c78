"""Reading results.h5: what xarray sees, how points unfold onto axes, and the errors."""

import h5py
import numpy as np
import pytest
import xarray as xr

import synthetic_results
from crossweep_results import Results, ResultsError, SelectionError, names
from synthetic_results import Study

GAMMA = "device.write_noise_factor"
STUDY = Study(axes={GAMMA: [3.0, 5.0, 8.0], "transform.name": ["none", "clipformer_2_1"]})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return synthetic_results.write(tmp_path_factory.mktemp("study") / "results.h5", STUDY)


def test_xarray_opens_the_surfaces_with_labelled_axes(path):
    with xr.open_dataset(path, group="surfaces") as surfaces:
        assert surfaces["top1_accuracy"].dims == (GAMMA, "transform.name", "bound")
        assert surfaces["snr_layer_dB"].dims == (GAMMA, "transform.name", "layer")
        assert surfaces["snr_dB"].attrs["units"] == "dB"
        one = surfaces["top1_accuracy"].sel({GAMMA: 5.0, "transform.name": "clipformer_2_1"})
        low, best, high = (float(one.sel(bound=b)) for b in ("low", "best", "high"))
        assert low < best < high


def test_groups_are_read_with_their_root_coordinates(path):
    results = Results(path)
    assert results.records["correct_top1"].dims == ("point", "trial", "shard")
    assert results.predictions["class"].dtype == np.int32
    assert results.predictions["margin"].dims == ("point", "trial", "image")
    assert results.attention["signal"].dims == ("point", "trial", "layer")
    assert results.reference["class"].dims == ("reference_index", "image")
    assert list(results.records.coords["trial"].values) == [0, 1, 2]
    assert results.labels.sizes["image"] == STUDY.images


def test_points_unfold_row_major_with_the_last_axis_fastest(path):
    results = Results(path)
    gamma = results.on_axes(results.points[GAMMA])
    assert gamma.dims == (GAMMA, "transform.name")
    assert (gamma.values == np.array([3.0, 5.0, 8.0])[:, None]).all()
    assert list(results.on_axes(results.points["transform.name"]).values[2]) == ["none", "clipformer_2_1"]
    assert results.on_axes(results.attention["signal"]).dims == (GAMMA, "transform.name", "trial", "layer")


def test_noise_free_accuracy_is_that_of_the_reference_and_fits_the_drop(path):
    results = Results(path)
    clean = results.noise_free_accuracy
    assert np.allclose(clean, 0.9)
    drop = results.surface("accuracy_drop").sel(bound="best")
    assert np.allclose(clean - drop, results.surface("top1_accuracy").sel(bound="best"))


def test_axes_keep_study_order_and_know_numbers_from_text(path):
    results = Results(path)
    assert list(results.axes) == [GAMMA, "transform.name"]
    assert results.axes[GAMMA].numeric and not results.axes["transform.name"].numeric
    assert results.axes[GAMMA].setting(0) == "write noise factor γ = 3"


def test_one_key_of_a_zipped_axis_can_be_asked_for(tmp_path):
    zipped = f"{GAMMA}+device.g_max_S"
    study = Study(zips={zipped: {GAMMA: [1.0, 2.0], "device.g_max_S": [1e-6, 2e-6]}})
    results = Results(synthetic_results.write(tmp_path / "r.h5", study))
    axis = results.axis("device.g_max_S")
    assert (axis.dimension, axis.numeric, axis.labels) == (zipped, True, ["1", "2"])
    assert results.axis(zipped).labels[0] == "write_noise_factor=1.0, g_max_S=1e-06"


def test_summary_says_study_model_images_and_trials(path):
    assert Results(path).summary() == "study “synthetic” · fashion_vit · 40 images × 3 trials"


def test_unknown_axis_and_surface_get_the_nearest_known_one(path):
    with pytest.raises(SelectionError, match='did you mean "device.write_noise_factor"'):
        Results(path).axis("device.write_noise_facto")
    with pytest.raises(SelectionError, match='did you mean "top1_accuracy"'):
        Results(path).surface("top1_acuracy")


@pytest.mark.parametrize("change, message", [
    ({"format": "crossweep segment"}, "not a crossweep results file"),
    ({"format_version": "2"}, "layout version 2, newer than the 1"),
    ({"format_version": "9"}, "layout version 9"),
    ({"complete": False}, r"incomplete \(1 of 6 records missing\)"),
    ({"complete": False, "flags": (1, 2, 2)}, r"incomplete \(2 of 6 records missing, 1 of 6 records failed\)"),
    ({"complete": False, "flags": (1,)}, r"incomplete \(1 of 6 records failed\)"),
    ({"complete": False, "flags": (0,)}, r"incomplete \(a noise-free reference is missing\)"),
])
def test_files_that_cannot_be_used_say_why(tmp_path, change, message):
    path = synthetic_results.write(tmp_path / "r.h5", Study(**change))
    with pytest.raises(ResultsError, match=message):
        Results(path)


def test_missing_and_foreign_files_say_why(tmp_path):
    with pytest.raises(ResultsError, match="does not exist"):
        Results(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(ResultsError, match="is not an HDF5 file"):
        Results(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ResultsError, match="not a crossweep results file"):
        Results(tmp_path / "empty.h5")
    with pytest.raises(ResultsError, match="is a folder"):
        Results(tmp_path)


def test_a_missing_group_is_named(tmp_path):
    path = synthetic_results.write(tmp_path / "r.h5", Study())
    with h5py.File(path, "a") as file:
        del file["attention"]
    with pytest.raises(ResultsError, match="group /attention cannot be read"):
        Results(path).attention


def test_partial_results_open_on_request_and_say_what_is_missing(tmp_path):
    path = synthetic_results.write(tmp_path / "r.h5", Study(complete=False))
    assert "INCOMPLETE: 1 of 6 records missing" in Results(path, partial=True).summary()


@pytest.mark.parametrize("key, values, label", [
    ("device.write_noise_factor", [3.0], "write noise factor γ"),
    ("device.g_max_S", [1e-6, 1e-5, 1e-4], "largest conductance $G_{max}$ (µS)"),
    ("device.settling_time_s", [2e-9], "settling time (ns)"),
    ("circuit.gain_dB", [1.0], "gain (dB)"),
    ("crossbar.area_m2", [1e-9], "area (m²)"),
    ("some.new_key", [1.0], "new key"),
])
def test_axis_labels_carry_words_and_units(key, values, label):
    assert names.axis_label(key, np.array(values)) == label
