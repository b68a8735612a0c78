"""plot_roofline.py draws what crossweep cost prints, and says what is wrong with files that it cannot draw."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plot_roofline

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CROSSWEEP_PROGRAM", ROOT / "build/release/bin/crossweep"))
pytestmark = pytest.mark.skipif(not PROGRAM.exists(),
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")
PUBLISHED = "# a comment\nmodel,length,latency_cpu,latency_model\nBERT-Base,128,1,1\nBERT-Base,256,2,2\nGPT-2,128,45,18\n"
SCALING = "series,year,relative\npeak_flops,2000,1\npeak_flops,2002,3\npeak_flops,2004,9\ninterconnect,2000,1\ninterconnect,2004,4\n"


def write_cost(path, model, hardware=ROOT / "configs/hardware"):
    machines = ["--hardware", hardware] if hardware else []
    path.write_text(subprocess.run([PROGRAM, "cost", "--model", model, "--lengths", "128:512", *machines, "--json"],
                                   check=True, capture_output=True, text=True).stdout)
    return path


def run(capsys, *arguments):
    assert plot_roofline.main([str(argument) for argument in arguments]) == 0
    return [Path(line) for line in capsys.readouterr().out.splitlines()]


def test_every_model_has_a_roofline_and_tables_have_theirs(tmp_path, capsys):
    (tmp_path / "published.csv").write_text(PUBLISHED)
    (tmp_path / "scaling.csv").write_text(SCALING)
    costs = [write_cost(tmp_path / f"{model}.json", model) for model in ("bert-base", "gpt2")]
    written = run(capsys, *costs, "--out", tmp_path / "figures", "--published", tmp_path / "published.csv",
                  "--scaling", tmp_path / "scaling.csv")
    assert {path.stem for path in written} == {"roofline_bertbase", "roofline_gpt2", "published_latency", "scaling"}
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 200 and len(np.unique(np.asarray(image.convert("L")))) > 20


def test_points_of_a_processor_lie_on_its_roof_and_those_of_all_operations_not_above(tmp_path):
    cost = plot_roofline.read_cost(write_cost(tmp_path / "cost.json", "bert-base"))
    machine = next(known for known in cost["hardware"] if known["name"] == "a100")

    def roof(intensity):
        return min(machine["peak_flop_per_s"], intensity * machine["bandwidth_B_per_s"])

    for length in cost["lengths"]:
        for operation in length["operations"].values():
            intensity, rate = plot_roofline.at_machine(operation, machine)
            assert rate == pytest.approx(roof(intensity))
        intensity, rate = plot_roofline.at_machine(length, machine)
        assert rate <= roof(intensity) * (1 + 1e-9)


def test_growth_is_that_of_the_table(tmp_path):
    (tmp_path / "scaling.csv").write_text(SCALING)
    _, growth = plot_roofline.scaling(plot_roofline.read_table(tmp_path / "scaling.csv", {"series"}))
    assert growth == pytest.approx({"peak_flops": 3, "interconnect": 2})


def test_growth_of_the_published_points_is_near_the_published_trends():
    table = ROOT.parent / "shared/reference/hw_scaling.csv"
    if not table.exists():
        pytest.skip("the published points are not here")
    _, growth = plot_roofline.scaling(plot_roofline.read_table(table, {"series", "year", "relative"}))
    assert growth == pytest.approx({"peak_flops": 3.0, "dram_bandwidth": 1.6, "interconnect": 1.4}, rel=0.08)


def refusal(capsys, *arguments):
    assert plot_roofline.main([str(argument) for argument in arguments]) == 4
    return capsys.readouterr().err


def test_files_that_cannot_be_drawn_are_refused(tmp_path, capsys):
    (tmp_path / "other.json").write_text(json.dumps({"lengths": []}))
    assert "not what crossweep cost --json prints" in refusal(capsys, tmp_path / "other.json")
    bare = write_cost(tmp_path / "bare.json", "gpt2", hardware=None)
    assert "has no machines" in refusal(capsys, bare)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    cost = write_cost(tmp_path / "gpt2.json", "gpt2")
    assert "has no table with the columns" in refusal(capsys, cost, "--scaling", tmp_path / "table.csv")
    (tmp_path / "published.csv").write_text(PUBLISHED)
    assert "needs the cost of bert-base at 128 tokens" in refusal(capsys, cost, "--published", tmp_path / "published.csv")
