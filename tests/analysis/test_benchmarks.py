"""The benchmark scripts: what they compute from timings, and that they run. No timing is asserted."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import compare_with_pytorch
import cost_as_work_grows
import large_study
from cost_as_work_grows import Cost, Growth, Series
from synthetic_study import Work, write_study

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("CROSSWEEP_PROGRAM", ROOT / "build/release/bin/crossweep"))
needs_program = pytest.mark.skipif(not PROGRAM.is_file(), reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")


def stub(folder: Path, text: str) -> Path:
    """A program that is a shell script."""
    path = folder / "stub"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# ---- cost as work grows -----------------------------------------------------------------------------------------

def test_the_slope_is_the_exponent_and_a_fixed_cost_hardly_bends_it():
    sizes = [2 ** n for n in range(8)]
    assert cost_as_work_grows.slope(sizes, [3 * n ** 1.7 for n in sizes]) == pytest.approx(1.7)
    assert cost_as_work_grows.slope(sizes, [n + 1 for n in sizes]) == pytest.approx(1, abs=0.05)
    assert cost_as_work_grows.slope(sizes, [n * math.log2(n + 1) for n in sizes]) > 1.2


def test_expected_values_pass_through_the_last_time_and_the_first_peak():
    works = [Work(images=n) for n in (100, 200, 400)]
    series = Series("images", works, False, lambda w: w.images, lambda w: w.images, "")
    growth = Growth(series, [Cost(9e9, 4 * w.images, w.images, 1000) for w in works])
    assert growth.sizes == [100, 200, 400] and growth.times == [400, 800, 1600]
    assert growth.expected_times == [400, 800, 1600] and growth.expected_peaks == [1000, 1100, 1300]


def test_growth_beyond_the_expected_is_named_in_the_finding():
    def growth(exponent):
        works = [Work(images=n) for n in (100, 200, 400, 800)]
        series = Series("images", works, False, lambda w: w.images, lambda w: 0, "")
        return Growth(series, [Cost(1, w.images ** exponent, 1, 1000) for w in works])
    assert cost_as_work_grows.finding([growth(1.05)]).startswith("Time and memory grow no faster")
    assert cost_as_work_grows.finding([growth(1.2)]).endswith("time with images (slope +0.20)")


@needs_program
def test_the_synthetic_model_has_the_multiply_accumulates_that_crossweep_counts(tmp_path):
    work = Work(tokens=26, width=128, depth=3, images=2)
    write_study(work, tmp_path)
    done = subprocess.run([PROGRAM, "inspect", tmp_path / "weights.safetensors", "--json"], capture_output=True, check=True)
    model = json.loads(done.stdout)
    assert model["multiply_accumulates_per_image"] == work.multiply_accumulates
    assert (model["tokens"], model["width"], model["depth"], model["heads"]) == (26, 128, 3, 2)


@needs_program
def test_the_peak_of_memory_is_the_programs_and_not_that_of_this_process(tmp_path):
    ballast = b"x" * 300_000_000
    study = write_study(Work(images=4), tmp_path)
    cost = cost_as_work_grows.run_once([PROGRAM, "run", study, "--out", tmp_path / "run"], tmp_path / "run/results.h5")
    assert 1e6 < cost.peak_bytes < len(ballast) and 0 < cost.compute_s < cost.wall_s and 0 < cost.processor_s


@needs_program
def test_a_quick_run_prints_every_series_and_draws_a_figure(tmp_path):
    done = subprocess.run([sys.executable, cost_as_work_grows.__file__, "--quick", "--out", tmp_path, "--program", PROGRAM],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    slopes = done.stdout.split("slopes")[1]
    assert all(name in slopes for name in ("tokens", "width", "images", "points", "trials", "two ranks"))
    assert (tmp_path / "cost_as_work_grows.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_fails_exits_4_with_its_message(tmp_path, capsys):
    program = stub(tmp_path, "echo 'no room' >&2; exit 5")
    assert cost_as_work_grows.main(["--quick", "--out", str(tmp_path), "--program", str(program)]) == 4
    error = capsys.readouterr().err
    assert "exited 5: no room" in error and not list(tmp_path.glob("*.png"))


# ---- large studies ----------------------------------------------------------------------------------------------

FILL = PROGRAM.parent / "synthetic_segments"


@needs_program
@pytest.mark.skipif(not FILL.is_file(), reason="no synthetic_segments beside the program")
def test_a_small_large_study_prints_every_measurement_and_leaves_nothing(tmp_path):
    done = subprocess.run([sys.executable, large_study.__file__, "--units", "200", "--segments", "3", "--plan", "8000",
                           "--out", tmp_path, "--program", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in ("200 finished units in 3 segments", "status", "resume until", "merge --partial", "plan of 8000 units"):
        assert words in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_large_study_whose_program_fails_exits_4_with_its_message(tmp_path, capsys):
    program = stub(tmp_path, "echo 'no room' >&2; exit 5")
    program.rename(tmp_path / "synthetic_segments")
    program = stub(tmp_path, "exit 0")
    assert large_study.main(["--units", "200", "--out", str(tmp_path / "out"), "--program", str(program)]) == 4
    assert "exited 5: no room" in capsys.readouterr().err


# ---- comparison with PyTorch ------------------------------------------------------------------------------------

def test_a_row_gives_the_ratio_of_the_best_and_those_within_rounds():
    # A machine at half its speed in the second round halves both rates and leaves their ratio.
    assert compare_with_pytorch.row("way", 4, [10, 5, 10], [20, 10, 30]).split() == \
        ["way", "10.00", "(", "4)", "30.00", "3.00", "2.00", "(2.00", "to", "3.00)"]


def test_the_program_is_timed_without_the_environment_made_for_pytorch(tmp_path, monkeypatch):
    for name, value in compare_with_pytorch._environment().items():
        monkeypatch.setenv(name, value)
    program = stub(tmp_path, """echo "{\\"malloc\\": \\"$MALLOC_TRIM_THRESHOLD_\\", \\"seconds\\": $4}" """)
    assert compare_with_pytorch.crossweep_bench(program, 2.5) == {"malloc": "", "seconds": 2.5}


def test_a_failing_bench_exits_4_and_a_missing_program_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare_with_pytorch, "images_per_s", lambda *_: 1.0)
    assert compare_with_pytorch.main(["--program", str(stub(tmp_path, "exit 3"))]) == 4
    assert "bench exited 3" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        compare_with_pytorch.main(["--program", str(tmp_path / "absent")])


# ---- weights as integers ----------------------------------------------------------------------------------------

@needs_program
@pytest.mark.parametrize("script", ["what_rounding_changes.py", "driver_overhead.py"])
def test_comparing_runs_without_a_program_exits_2_and_of_a_bad_study_4(script, tmp_path):
    def run(*arguments):
        return subprocess.run([ROOT / "analysis/benchmarks" / script, *arguments], capture_output=True, text=True)
    done = run("--program", tmp_path / "absent")
    assert done.returncode == 2 and "absent does not exist" in done.stderr
    done = run(tmp_path / "absent.toml", "--program", PROGRAM)
    assert done.returncode == 4 and "absent.toml" in done.stderr


@needs_program
def test_rounding_changes_less_than_the_next_chip(tmp_path):
    study = write_study(Work(images=8), tmp_path)
    done = subprocess.run([ROOT / "analysis/benchmarks/what_rounding_changes.py", study, "--set", "study.trials=3", "--set",
                           'device.read_noise="frozen"', "--program", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.startswith("compared with fp32 on ")
    rounded, *_, chip = (float(row[60:].split()[0]) for row in rows)
    assert 0 < rounded < 0.5 * chip


@needs_program
def test_rounding_changes_nothing_without_frozen_read_noise(tmp_path):
    study = write_study(Work(images=8), tmp_path)
    done = subprocess.run([ROOT / "analysis/benchmarks/what_rounding_changes.py", study, "--set", 'device.read_noise="per_read"',
                           "--program", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1][60:].split() == ["0.0000", "0.00", "%", "0.00", "%", "0.0000", "dB"]


# ---- many ranks -------------------------------------------------------------------------------------------------

@needs_program
def test_scaling_gives_tables_and_a_plot(tmp_path):
    done = subprocess.run([ROOT / "analysis/benchmarks/scaling.py", "--quick", "--out", tmp_path, "--program", PROGRAM],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scaling.png").stat().st_size > 10_000
    results = json.loads((tmp_path / "scaling.json").read_text())
    assert {result["ranks"] for result in results} == {64, 256}
    assert all(0 < result["efficiency"] <= 1 for result in results)
    assert (tmp_path / "scaling.md").read_text().count("\n") == len(results) + 2


@needs_program
def test_driver_overhead_counts_what_is_not_spent_in_units(tmp_path):
    study = write_study(Work(images=8), tmp_path)
    done = subprocess.run([ROOT / "analysis/benchmarks/driver_overhead.py", study, "--ranks", "1", "2", "--rounds", "1",
                           "--program", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    overheads = [float(line.split()[-2]) for line in done.stdout.splitlines() if line.endswith(" %")]
    assert len(overheads) == 2 and all(0 < overhead < 100 for overhead in overheads)
    assert "content hashes: all equal" in done.stdout
