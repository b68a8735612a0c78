"""The table in the form of ClipFormer's Table II and the verdicts on its trends, on files made to agree or not."""

import itertools
import json

import h5py
import numpy as np
import pytest

import clipformer_table
import synthetic_results
from crossweep_results import Results, SelectionError
from crossweep_results.clipformer import ClipFormerStudy, Model, paired_interval
from crossweep_results.trends import Paper, equal_losses, findings
from synthetic_results import Study

GAMMAS = [0.0, 3.0, 5.0]
SETTINGS = {"none": (0, 1), "(1, 1)": (1, 1), "(2, 1)": (2, 1), "(2, 0.25)": (2, 0.25), "(3, 0.6)": (3, 0.6)}
MODELS = [f"/data/fashion_{name}.safetensors" for name in ("vit", "vit_vat", "sparse_vit", "sparse_vit_vat")]
IMAGES, TRIALS = 800, 3
PAPER = """model,training,software_top1,gamma,nonideal_top1,clipformer_top1,alpha,beta
DeiT-S,standard,80,3,69.6,75,2,1
DeiT-S,standard,80,5,20,64,2,0.25
Sparse DeiT-S,standard,78,3,65,72,2,1
"""


def as_published(model: str, gamma: float, setting: str) -> float:
    """Fraction right that has every trend of the paper."""
    loss = 0.1 * gamma * (0.5 if "vat" in model else 1.0) * (1.3 if "sparse" in model else 1.0)
    relief = {"none": 0, "(1, 1)": 0.1, "(2, 1)": 0.2, "(2, 0.25)": 0.05 * gamma * (gamma - 3), "(3, 0.6)": 0.15}[setting]
    return 0.9 - loss * (1 - min(relief, 0.6))


def opposite(model: str, gamma: float, setting: str) -> float:
    """The same with every sign reversed: sparse tougher, VAT and clipping harmful."""
    loss = 0.06 * gamma * (1.4 if "vat" in model else 1.0) * (0.6 if "sparse" in model else 1.0)
    return 0.9 - loss * {"none": 1.0, "(1, 1)": 1.15, "(2, 1)": 1.3, "(2, 0.25)": 1.6, "(3, 0.6)": 1.0}[setting]


def write(path, fraction_right, models=MODELS, gammas=GAMMAS, transforms=tuple(SETTINGS)):
    """A results file whose predictions are right with the chance that `fraction_right` says, drawn alike for all points."""
    axes = {"model.weights": list(models), "device.write_noise_factor": list(gammas), "transform.name": list(transforms)}
    synthetic_results.write(path, Study(axes=axes, trials=TRIALS, images=IMAGES))
    lines = [f'[transforms."{name}"]\nalpha = {a}\nbeta = {b}\n' for name, (a, b) in SETTINGS.items() if name != "none"]
    draws = np.random.default_rng(7).random((TRIALS, IMAGES))
    with h5py.File(path, "a") as file:
        file.attrs["study_toml"] = file.attrs["study_toml"] + "".join(lines)
        labels, shape = file["labels"][:], tuple(map(len, axes.values()))
        bounds = file["surfaces/top1_accuracy_images_like_these"][:]
        for point, index in enumerate(itertools.product(*map(range, shape))):
            chance = fraction_right(*(values[i] for values, i in zip(axes.values(), index)))
            right = draws < chance
            file["predictions/class"][point] = np.where(right, labels, (labels + 1) % 10)
            bounds[index] = [right.mean() - 0.03, right.mean(), right.mean() + 0.02]
        file["surfaces/top1_accuracy_images_like_these"][:] = bounds
    return path


@pytest.fixture(scope="module")
def published_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("paper") / "paper.csv"
    path.write_text(PAPER)
    return path


@pytest.fixture(scope="module")
def agreeing(tmp_path_factory):
    return write(tmp_path_factory.mktemp("agreeing") / "results.h5", as_published)


@pytest.fixture(scope="module")
def opposed(tmp_path_factory):
    return write(tmp_path_factory.mktemp("opposed") / "results.h5", opposite)


def verdicts(path) -> dict[tuple[str, str], str]:
    return {(f.claim, f.subject): f.verdict for f in findings(ClipFormerStudy(Results(path)), Paper())}


@pytest.mark.parametrize("weights, family, training", [
    ("../data/fashion_vit.safetensors", "ViT", "standard"), ("/x/fashion_vit_vat.safetensors", "ViT", "VAT"),
    ("fashion_sparse_vit_vat.safetensors", "Sparse ViT", "VAT"), ("fashion_lv_vit.safetensors", "LV-ViT", "standard"),
    ("/private/deit_small_patch16_224.safetensors", "ViT", "standard"), ("dynamic-vit_deit-s.h5", "Sparse ViT", "standard"),
    ("mixer.safetensors", "mixer", "standard")])
def test_models_are_told_by_the_names_of_their_weights(weights, family, training):
    model = Model.of(weights)
    assert (model.family, model.training) == (family, training)


def test_rows_hold_the_best_of_the_papers_settings_and_of_ours_apart(agreeing):
    rows = {(r.model.label, r.gamma): r for r in ClipFormerStudy(Results(agreeing)).rows()}
    assert len(rows) == len(MODELS) * len(GAMMAS)
    assert rows["ViT, standard", 3.0].clipformer_setting == "(2, 1)"
    assert rows["ViT, standard", 5.0].clipformer_setting == "(2, 0.25)"
    assert rows["ViT, standard", 5.0].own_setting == "(3, 0.6)"
    assert rows["ViT, standard", 5.0].plain.best == pytest.approx(0.4, abs=0.03)
    assert rows["ViT, standard", 5.0].software.best == pytest.approx(0.9, abs=0.01)


def test_a_transform_that_does_more_than_clipformer_is_not_the_papers(tmp_path):
    path = write(tmp_path / "results.h5", as_published)
    with h5py.File(path, "a") as file:
        file.attrs["study_toml"] = file.attrs["study_toml"].replace('[transforms."(2, 1)"]\n',
                                                                    '[transforms."(2, 1)"]\nrescale = "window"\n')
    study = ClipFormerStudy(Results(path))
    assert study.paper_settings == ["(1, 1)", "(2, 0.25)"]
    assert study.own_settings == ["(2, 1)", "(3, 0.6)"]


def test_a_study_with_the_papers_trends_agrees(agreeing):
    found = verdicts(agreeing)
    assert found.pop(("ClipFormer gains more than at γ = 3", "ViT, VAT")) in ("agrees", "not decided")
    assert set(found.values()) == {"agrees"}
    assert ("Sparse ViT loses more than the dense ViT", "VAT") in found
    assert ("VAT with ClipFormer is best", "Sparse ViT") in found


def test_a_study_with_the_opposite_trends_does_not_agree(opposed):
    found = verdicts(opposed)
    growth = [found.pop(key) for key in list(found) if key[0].startswith("ClipFormer gains more")]
    assert set(growth) <= {"does not agree", "not decided"}
    assert set(found.values()) == {"does not agree"}


def test_a_study_where_nothing_matters_is_not_decided(tmp_path):
    path = write(tmp_path / "results.h5", lambda model, gamma, setting: 0.8)
    with h5py.File(path, "a") as file:
        predictions, labels = file["predictions/class"], file["labels"][:]
        for point in range(len(predictions)):
            right = np.random.default_rng(point).random((TRIALS, IMAGES)) < 0.8
            predictions[point] = np.where(right, labels, (labels + 1) % 10)
        file["reference/class"][:] = file["reference/class"][0]
    assert list(verdicts(path).values()).count("not decided") >= len(verdicts(path)) - 1


def test_signs_that_differ_between_factors_agree_in_part(tmp_path):
    path = write(tmp_path / "results.h5",
                 lambda model, gamma, setting: 0.6 + (0.2 if gamma == 5 else -0.2) * (setting != "none"))
    found = verdicts(path)
    assert found["ClipFormer gains", "ViT, standard"] == "agrees in part"


def test_choosing_on_the_other_images_does_not_flatter(tmp_path):
    """Settings that differ by luck alone: the best of three on the same images gains, chosen on others it does not."""
    path = write(tmp_path / "results.h5", lambda model, gamma, setting: 0.5)
    random = np.random.default_rng(3)
    with h5py.File(path, "a") as file:
        labels = file["labels"][:]
        for point in range(len(file["predictions/class"])):
            file["predictions/class"][point] = np.where(random.random((TRIALS, IMAGES)) < 0.5, labels, (labels + 1) % 10)
    study = ClipFormerStudy(Results(path))
    cases = [(m, g) for m in range(len(MODELS)) for g in range(len(GAMMAS))]
    fair = np.mean([study.with_clipformer(m, g).mean() for m, g in cases])
    flattered = np.mean([max(study.with_setting(m, g, s).mean() for s in study.paper_settings) for m, g in cases])
    error = 0.5 / np.sqrt(IMAGES * TRIALS * len(cases))
    assert abs(fair - 0.5) < 4 * error
    assert flattered - 0.5 > 2 * error


@pytest.mark.parametrize("chip_sigma", [0.0, 0.05])
def test_paired_intervals_cover_the_truth_as_often_as_they_say(chip_sigma):
    random, covered, repeats = np.random.default_rng(11), 0, 400
    for _ in range(repeats):
        chips, images = random.normal(0, chip_sigma, (20, 1)), random.normal(0, 0.3, 200)
        values = 0.1 + images + chips + random.normal(0, 0.3, (20, 200))
        interval = paired_interval(values, 0.9, chip_noise=chip_sigma > 0)
        covered += interval.low <= 0.1 <= interval.high
    assert abs(covered / repeats - 0.9) < 4 * np.sqrt(0.09 / repeats)


@pytest.mark.parametrize("settings, shared", [
    ("", False), ('[device]\nread_noise = "per_read"\nprogramming_noise_sigma = 0\n', False),
    ('[device]\nread_noise = "frozen"\n', True), ("[devices.sram]\nstuck_at_g_min = 0.01\n", True),
    ("[crossbar]\nadc_gain_sigma = 0.01\n", True)])
def test_noise_of_chips_is_told_by_the_study(tmp_path, settings, shared):
    path = write(tmp_path / "results.h5", as_published, MODELS[:1])
    with h5py.File(path, "a") as file:
        file.attrs["study_toml"] = file.attrs["study_toml"] + settings
    assert ClipFormerStudy(Results(path)).chip_noise == shared


def test_no_scatter_is_no_certainty():
    interval = paired_interval(np.zeros((3, 100)), 0.95)
    assert interval.low == pytest.approx(-interval.high) and 0.02 < interval.high < 0.05


def test_the_paper_stands_beside_ours(agreeing, published_csv, capsys):
    assert clipformer_table.main([str(agreeing), "--paper", str(published_csv)]) == 0
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("ViT ") and "standard" in line)
    assert row.split()[:2] == ["ViT", "standard"]
    at_five = [line for line in text.splitlines() if "64.0" in line][0]
    assert "(2, 0.25)" in at_five and "80.0" in at_five and "20.0" in at_five
    assert "Sparse ViT loses more than the dense ViT (standard): AGREES (agrees at γ 3, 5)" in text
    assert "paper +2.6" in text, "13 points lost against 10.4"
    assert "ViT, standard has lost 13 % (DeiT-S at γ 3) at γ 1.2, 75 % (DeiT-S at γ 5) only beyond γ 5." in text


def test_without_the_paper_its_columns_are_left_out(agreeing, capsys):
    assert clipformer_table.main([str(agreeing)]) == 0
    assert "paper:" not in capsys.readouterr().out


def test_markdown_is_a_table_of_equal_columns(agreeing, published_csv, capsys):
    assert clipformer_table.main([str(agreeing), "--markdown", "--paper", str(published_csv)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(MODELS) * len(GAMMAS)
    assert {line.count("|") for line in lines} == {14}


def test_json_holds_rows_trends_and_verdicts(agreeing, published_csv, capsys):
    assert clipformer_table.main([str(agreeing), "--json", "--paper", str(published_csv)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == len(MODELS) * len(GAMMAS)
    assert found["rows"][1]["paper"]["nonideal_top1"] == pytest.approx(0.696)
    assert {t["verdict"] for t in found["trends"]} <= {"agrees", "does not agree", "not decided", "agrees in part"}
    assert found["equal_losses"][0]["paper_gamma"] == 3


def test_equal_losses_interpolate_between_factors(agreeing, published_csv):
    study = ClipFormerStudy(Results(agreeing))
    losses = {(r.model.label, gamma): (part, at) for r, gamma, part, at in equal_losses(study.rows(), Paper(published_csv))}
    part, at = losses["ViT, standard", 3.0]
    assert part == pytest.approx(0.13)
    assert at == pytest.approx(0.13 * 0.9 / 0.1, abs=0.25), "0.1 lost per unit of the factor"
    assert losses["ViT, standard", 5.0][1] is None, "the paper's model lost three quarters, ours at most 56 %"


@pytest.mark.parametrize("change, message", [
    ({"models": [MODELS[0], "/other/vit.safetensors"]}, 'two models that are "ViT, standard"'),
    ({"transforms": ["(1, 1)", "(2, 1)"]}, 'no transform "none"'),
    ({"gammas": [5.0, 3.0]}, "does not ascend")])
def test_studies_of_another_shape_are_refused(tmp_path, change, message):
    path = write(tmp_path / "results.h5", as_published, **change)
    with pytest.raises(SelectionError, match=message):
        ClipFormerStudy(Results(path))


def test_other_axes_are_refused_or_missing_ones_named(tmp_path, capsys):
    path = synthetic_results.write(tmp_path / "results.h5", Study(axes={"device.write_noise_factor": [3.0, 5.0]}))
    assert clipformer_table.main([str(path)]) == 2
    assert 'has no axis "transform.name"' in capsys.readouterr().err
    path = synthetic_results.write(tmp_path / "more.h5", Study(axes={
        "device.write_noise_factor": [3.0], "transform.name": ["none"], "device.g_max_S": [1e-6, 1e-5]}))
    assert clipformer_table.main([str(path)]) == 2
    assert 'also varies "device.g_max_S"' in capsys.readouterr().err


def test_a_csv_that_is_not_the_papers_is_named(agreeing, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("model,top1\nDeiT-S,80\n")
    assert clipformer_table.main([str(agreeing), "--paper", str(tmp_path / "other.csv")]) == 4
    assert "other.csv is not ClipFormer's table" in capsys.readouterr().err
    assert clipformer_table.main([str(tmp_path / "absent.h5")]) == 4
