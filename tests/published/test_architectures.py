"""BERT-Large on the large-and-small architecture, on traditional crossbars, TPU and GPU: the table of docs/validation.md,
and how it stands to that of arXiv 2410.15977. No figure is fitted to the paper's, so what is held here is our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CROSSWEEP_PROGRAM", ROOT / "build/release/bin/crossweep"))
SCRIPT = ROOT / "analysis/compare_architectures.py"

# energy in mJ, latency in ms, area in mm², as docs/validation.md has them
DOCUMENTED = {
    "traditional, multi-bit": (116, 22.3, 7062),
    "traditional, single-bit": (201.8, 22.3, 12360),
    "large and small": (368.5, 227, 31.71),
    "TPU v4": (322.6, 1.68, 600),
    "A100": (329.1, 0.823, 826),
}


@pytest.fixture(scope="module")
def costs_file(tmp_path_factory):
    done = subprocess.run([PROGRAM, "cost", "--study", ROOT / "configs/architectures.toml", "--model", "bert-large",
                           "--hardware", ROOT / "configs/hardware", "--json"], capture_output=True, text=True, check=True)
    file = tmp_path_factory.mktemp("costs") / "costs.json"
    file.write_text(done.stdout)
    return file


def compare(file):
    return subprocess.run([sys.executable, SCRIPT, file], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def rows(costs_file):
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in compare(costs_file).stdout.splitlines()]
    return {line[0]: line[1:] for line in lines[2:]}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_costs_are_as_documented(rows, name):
    assert [float(cell) for cell in rows[name][:3]] == pytest.approx(DOCUMENTED[name], rel=0.005)


def test_what_the_paper_has_is_beside_it(costs_file):
    lines = compare(costs_file).stdout.splitlines()
    by_name = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]}
    assert by_name["large and small"][4] == "0.03"
    assert by_name["TPU v4"][4] == "2.24" and by_name["A100"][4] == "2.04"
    assert [by_name["traditional, multi-bit"][i] for i in (6, 8)] == ["6", "18"]
    assert [by_name["traditional, single-bit"][i] for i in (6, 8)] == ["39", "3"]


def test_trends_that_agree_with_the_paper_and_those_that_do_not(costs_file):
    points = [point["lengths"][0] for point in json.loads(costs_file.read_text())["points"]]
    multi, single, shared = points
    a100 = shared["on"]["a100"]
    # Agree: far less area than crossbars that hold all weights, less than either chip, one die.
    assert shared["area_m2"] < a100["area_m2"] / 10 and shared["chips"] == 1
    assert multi["area_m2"] / shared["area_m2"] > 6 and single["area_m2"] / shared["area_m2"] > 39
    # Do not: exact sums by 2-bit converters take so many conversions that delay and energy are lost.
    assert shared["area_delay_m2_s"] > 100 * 0.03e-6
    assert shared["area_delay_m2_s"] > a100["area_delay_m2_s"]
    assert shared["energy_J"] > multi["energy_J"]


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "costs.json").write_text('{"points": []}')
    refused = compare(tmp_path / "costs.json")
    assert refused.returncode == 4
    assert "it has 0 points" in refused.stderr
    assert compare(tmp_path / "no.json").returncode == 4
