"""The table of the normal quantile in the source is what the fit gives, and as exact as the header says."""

import re
from pathlib import Path

import numpy as np
import pytest

import fit_normal_quantile as fit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table():
    return fit.fitted_table()


def numbers_of(source):
    rows = re.findall(r"\{([^{}]*F)\}", source)
    return np.array([[float(value.rstrip("F")) for value in re.split(r",\s*", row)] for row in rows])


def test_source_holds_the_fitted_table(table):
    source = (ROOT / "src/linalg/normal_quantile_table.hpp").read_text()
    in_source = numbers_of(source)
    assert in_source.shape == table.shape
    # Another LAPACK rounds the fit differently, which moves the highest coefficients most; none by what z would feel.
    weights = 0.5 ** np.arange(table.shape[0])[:, np.newaxis]  # |t|^n at most
    assert np.abs((in_source - table) * weights).max() < 1e-7


def test_source_is_as_the_script_prints_it(table):
    source = (ROOT / "src/linalg/normal_quantile_table.hpp").read_text()
    skeleton = [re.sub(r"-?\d\.\d{8}e[+-]\d\d", "0", text) for text in (source, fit.source_of(table))]
    assert skeleton[0] == skeleton[1]


def test_error_is_below_the_stated_one(table):
    header = (ROOT / "include/crossweep/linalg/gaussian.hpp").read_text()
    stated = float(re.search(r"normal_error = ([0-9.e-]+);", header)[1])
    assert stated / 2 < fit.largest_error(table, per_octave=2000) < stated


def test_a_wrong_coefficient_is_found(table):
    wrong = table.copy()
    wrong[3, 20] *= 1.001
    assert fit.largest_error(wrong, per_octave=2000) > 2 * fit.largest_error(table, per_octave=2000)
