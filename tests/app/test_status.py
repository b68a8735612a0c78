"""crossweep status: from any machine, at any time, once or again and again; and crossweep simulate."""

import json
import shutil

import pytest
import tiny_study
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

RECORDS = 18


@pytest.fixture(name="study")
def fixture_study(tmp_path):
    return tiny_study.write_study(tmp_path / "study")


@pytest.fixture(name="half_done")
def fixture_half_done(study, tmp_path):
    assert crossweep("run", study, "--out", tmp_path / "run", "--part", "1/2").returncode == 0
    return tmp_path / "run"


@pytest.fixture(name="elsewhere")
def fixture_elsewhere(study, half_done):
    """As on a machine that has the run directory and nothing else."""
    shutil.rmtree(study.parent)
    return half_done


def test_status_needs_neither_weights_nor_images(elsewhere):
    shown = crossweep("status", elsewhere)
    assert shown.returncode == 0, shown.stderr
    assert "9 of 18 records (50.0 %)" in shown.stdout
    assert "last segment" in shown.stdout and "slow: " in shown.stdout
    assert "top-1 accuracy" in shown.stdout


def test_status_for_programs_has_the_surface_unless_it_is_to_be_brief(elsewhere):
    figures = json.loads(crossweep("status", elsewhere, "--json").stdout)
    assert (figures["records"], figures["records_planned"], figures["complete"]) == (9, RECORDS, False)
    assert len(figures["slowest"]) == 3 and figures["slowest"][0]["seconds"] >= figures["slowest"][1]["seconds"]
    assert figures["report"]["complete"] is False
    assert "report" not in json.loads(crossweep("status", elsewhere, "--json", "--brief").stdout)


def test_partial_merge_needs_neither_weights_nor_images_and_changes_nothing_later(study, half_done, tmp_path):
    away = shutil.move(study.parent, tmp_path / "away")
    assert crossweep("merge", half_done).returncode == 75
    assert crossweep("merge", half_done, "--partial").returncode == 0
    shutil.move(away, study.parent)
    assert crossweep("run", study, "--out", half_done).returncode == 0
    assert crossweep("run", study, "--out", tmp_path / "undisturbed").returncode == 0
    merged = {crossweep("merge", folder).stdout.split()[-1] for folder in (half_done, tmp_path / "undisturbed")}
    assert len(merged) == 1


def test_watching_ends_with_the_study(study, half_done):
    assert crossweep("run", study, "--out", half_done).returncode == 0
    shown = crossweep("status", half_done, "--watch", "0.1", "--brief")
    assert shown.returncode == 0 and shown.stdout.count("18 of 18 records") == 1


def test_directory_of_before_is_read_with_weights_and_images(half_done):
    (half_done / "study.json").unlink()
    assert json.loads(crossweep("status", half_done, "--json", "--brief").stdout)["records"] == 9


@pytest.mark.parametrize("text", ["{", '{"version": 99}', '{"version": 1, "name": "x"}'])
def test_damaged_description_is_refused_in_one_sentence_and_written_anew(study, half_done, text):
    (half_done / "study.json").write_text(text)
    refused = crossweep("status", half_done)
    assert refused.returncode == 4 and refused.stderr.count("\n") == 1
    assert "study.json: it cannot be used (" in refused.stderr and "Give crossweep run" in refused.stderr
    assert crossweep("run", study, "--out", half_done).returncode == 0
    assert crossweep("status", half_done).returncode == 0


def test_simulate_takes_its_times_from_a_run(half_done):
    arguments = ("--ranks", "4,200", "--units", "2000", "--unit-s", "2", "--times", half_done)
    results = json.loads(crossweep("simulate", *arguments, "--json").stdout)
    assert [result["ranks"] for result in results] == [4, 200]
    assert all(result["records"] == 2000 and 0.5 < result["efficiency"] <= 1 for result in results)
    assert "efficiency" in crossweep("simulate", *arguments).stdout


def test_simulate_without_records_says_so(tmp_path, study):
    run = tmp_path / "empty"
    assert crossweep("run", study, "--out", run, "--set", "run.time_budget_s=1e-9").returncode == 75
    shutil.rmtree(run / "segments")
    (run / "segments").mkdir()
    refused = crossweep("simulate", "--times", run)
    assert refused.returncode == 4 and "no finished records to take times from" in refused.stderr
