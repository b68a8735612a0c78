#!/usr/bin/python3
"""How do time and memory of crossweep grow with the work, and do they grow faster than the arithmetic?

    cost_as_work_grows.py --out runs/cost            about 5 minutes; cost_as_work_grows.png and a table
    cost_as_work_grows.py --out runs/cost --quick    seconds, to see that it works; its slopes mean nothing

Runs real studies of random models that grow in one respect each: tokens, width, images, points, trials, ranks. Every
time is the least of several runs, memory the peak of the process. A whole run is judged by its processor time, which
other programs on the machine disturb less than the time on the clock; the table has both. Slopes are those of straight
lines through the larger half of the values on log-log axes, where a fixed cost weighs little.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "analysis"), str(_ROOT / "analysis" / "training")]

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from crossweep_results import Results
from synthetic_study import MLP_RATIO, Work, write_study

COMPUTE, WALL, MEMORY = "#0072B2", "#D55E00", "#009E73"  # Okabe and Ito, as in crossweep_results
NOTICEABLE = 0.1  # excess of a slope
LEAST_WORK = 1e10  # multiply-accumulates of a run with few images, so that it takes long enough to be timed


@dataclass(frozen=True)
class Cost:
    """What one study took: the whole run by the clock and by the processor, its noisy inferences alone (the sum of the
    records' seconds), and the peak of memory."""

    wall_s: float
    processor_s: float
    compute_s: float
    peak_bytes: float


@dataclass(frozen=True)
class Series:
    """Studies that grow in one respect, and what is to be expected of them up to a factor or from the smallest one on."""

    name: str
    works: list[Work]
    per_inference: bool  # time of one inference; else of the whole run
    expected_time: Callable[[Work], float]
    extra_bytes: Callable[[Work], float]
    memory_words: str

    def size(self, work: Work) -> int:
        return getattr(work, self.name)

    def seconds(self, work: Work, cost: Cost) -> float:
        return cost.compute_s / work.inferences if self.per_inference else cost.processor_s


def lengthened(work: Work) -> Work:
    """With as many points as it takes to be timed; the points of one chip share everything but their noise."""
    return replace(work, points=int(np.clip(LEAST_WORK / (work.images * work.multiply_accumulates), 4, 64)))


def all_series(quick: bool) -> list[Series]:
    sides = [7, 10] if quick else [7, 10, 14, 20, 28, 45, 64]
    widths = [64, 128] if quick else [64, 128, 256, 512, 1024]
    counts = [1, 2] if quick else [1, 2, 4, 8, 16, 32, 64]
    base = Work(images=20 if quick else 200)
    arithmetic = lambda work: work.multiply_accumulates
    # Of one head: scores, probabilities as codes and values in fp32, and as bytes. Of the width: 11 activations, K and V
    # in 4 forms each, the noise-free attention of 4 images and their residuals.
    activation_bytes = lambda work: 13 * work.tokens ** 2 + 4 * 26 * work.tokens * work.width
    # The file's weights, packed for the reference, as words and as bytes, and four forms in fp32 of the largest matrix
    # while it is stored.
    weight_bytes = lambda work: work.width ** 2 * (11 * work.depth * (4 + 2 * MLP_RATIO) + 16 * MLP_RATIO)
    flat = lambda work: 0
    return [
        Series("tokens", [lengthened(Work(side ** 2 + 1, 192, 1, images=4)) for side in sides], True, arithmetic,
               activation_bytes, "activations"),
        Series("width", [lengthened(Work(197, width, 1, images=4)) for width in widths], True, arithmetic, weight_bytes,
               "weights"),
        Series("images", [replace(base, images=base.images * n) for n in counts[:6]], False, lambda w: w.images, flat, "flat"),
        Series("points", [replace(base, points=n) for n in counts], False, lambda w: w.points, flat, "flat"),
        Series("trials", [replace(base, trials=n) for n in counts], False, lambda w: w.trials, flat, "flat"),
    ]


# ---- measuring --------------------------------------------------------------------------------------------------

# A process inherits the peak of the one that started it, so a small one stands between this one and the program.
_LAUNCHER = """import os, sys
_, status, usage = os.wait4(os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(os.waitstatus_to_exitcode(status))"""


def run_once(command: list, results: Path) -> Cost:
    """Run `command`, which writes `results`. The peak is that of the process started, so of mpirun if that is it."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-S", "-c", _LAUNCHER, *command], capture_output=True, text=True)
    wall_s = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} exited {done.returncode}: {done.stderr.strip()}")
    peak_kib, processor_s = map(float, done.stdout.splitlines()[-1].split())
    return Cost(wall_s, processor_s, float(Results(results).records["seconds"].sum()), 1024 * peak_kib)


def measure(program: Path, jobs: list[tuple[Work, list]], repeats: int) -> list[Cost]:
    """The least cost of each job, a study and its launcher (a command prefix), over `repeats` turns through all jobs: a
    busy spell of the machine does not hit all runs of one job."""
    costs = [[] for _ in jobs]
    with tempfile.TemporaryDirectory(prefix="crossweep-cost-") as temporary:
        folders = [Path(temporary) / str(number) for number in range(len(jobs))]
        for folder, (work, _) in zip(folders, jobs):
            folder.mkdir()
            write_study(work, folder)
        for repeat in range(repeats):
            for folder, (_, launcher), runs in zip(folders, jobs, costs):
                out = folder / f"run_{repeat}"
                runs.append(run_once([*launcher, program, "run", folder / "study.toml", "--out", out], out / "results.h5"))
    return [Cost(*(min(getattr(cost, field.name) for cost in runs) for field in fields(Cost))) for runs in costs]


def speed_up_of_two_ranks(options: argparse.Namespace) -> tuple[Work, list[float]]:
    """A study and its wall times on one rank and on two."""
    work = Work(images=100) if options.quick else Work(images=2000, points=8, trials=2)
    if os.geteuid() == 0:
        os.environ |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    jobs = [(work, ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]) for ranks in (1, 2)]
    return work, [cost.wall_s for cost in measure(options.program, jobs, options.repeats)]


# ---- slopes -----------------------------------------------------------------------------------------------------

def slope(x: list[float], y: list[float]) -> float:
    """Exponent of y ~ x^slope over the larger half of the values."""
    larger = slice(-max(2, (len(x) + 1) // 2), None)
    return float(np.polyfit(np.log(x[larger]), np.log(y[larger]), 1)[0])


@dataclass(frozen=True)
class Growth:
    """Measured and expected values of one series, and their slopes."""

    series: Series
    costs: list[Cost]

    @property
    def sizes(self) -> list[float]:
        return [self.series.size(work) for work in self.series.works]

    @property
    def times(self) -> list[float]:
        return [self.series.seconds(work, cost) for work, cost in zip(self.series.works, self.costs)]

    @property
    def expected_times(self) -> list[float]:
        """Through the last measured value."""
        expected = [self.series.expected_time(work) for work in self.series.works]
        return [self.times[-1] * value / expected[-1] for value in expected]

    @property
    def peaks(self) -> list[float]:
        return [cost.peak_bytes for cost in self.costs]

    @property
    def expected_peaks(self) -> list[float]:
        """From the first measured value on."""
        extra = [self.series.extra_bytes(work) for work in self.series.works]
        return [self.peaks[0] + value - extra[0] for value in extra]

    def slopes(self) -> list[float]:
        """Of time, of the expected time, of memory, of the expected memory."""
        return [slope(self.sizes, y) for y in (self.times, self.expected_times, self.peaks, self.expected_peaks)]


def print_table(growths: list[Growth], ranks: tuple[Work, list[float]]) -> None:
    for growth in growths:
        print(f"\n{growth.series.name:>8}  {'run, s':>8}  {'processor, s':>12}  {'in records, s':>13}  "
              f"{'ms per inference':>16}  {'GMAC/s':>7}  {'peak, MB':>8}")
        for work, cost in zip(growth.series.works, growth.costs):
            rate = work.multiply_accumulates * work.inferences / cost.compute_s / 1e9
            print(f"{growth.series.size(work):8}  {cost.wall_s:8.2f}  {cost.processor_s:12.2f}  {cost.compute_s:13.2f}  "
                  f"{1e3 * cost.compute_s / work.inferences:16.3f}  {rate:7.1f}  {cost.peak_bytes / 1e6:8.1f}")
    print(f"\n{'slopes':>8}  {'time':>6} {'expected':>9}   {'memory':>6} {'expected':>9}")
    for growth in growths:
        time_, time_expected, memory, memory_expected = growth.slopes()
        print(f"{growth.series.name:>8}  {time_:6.2f} {time_expected:9.2f}   {memory:6.2f} {memory_expected:z9.2f}")
    work, (one, two) = ranks
    print(f"\ntwo ranks: {one:.2f} s on one, {two:.2f} s on two, {one / two:.2f} times as fast ({work.inferences} inferences)")


# ---- drawing ----------------------------------------------------------------------------------------------------

def draw(growths: list[Growth], ranks: tuple[Work, list[float]]) -> Figure:
    figure = Figure(figsize=(19, 7.4), layout="constrained")
    rows = figure.subplots(2, len(growths) + 1)
    for column, growth in enumerate(growths):
        draw_time(rows[0, column], growth)
        draw_memory(rows[1, column], growth)
    draw_ranks(rows[0, -1], ranks[1])
    rows[1, -1].axis("off")
    figure.suptitle(f"{finding(growths)}; two ranks are {ranks[1][0] / ranks[1][1]:.2f} times as fast as one", fontsize=14)
    return figure


def finding(growths: list[Growth]) -> str:
    """What the slopes say. An excess below NOTICEABLE is what timing alone gives on a shared machine."""
    faster = []
    for growth in growths:
        time_, time_expected, memory, memory_expected = growth.slopes()
        for what, excess in (("time", time_ - time_expected), ("memory", memory - memory_expected)):
            if excess > NOTICEABLE:
                faster.append(f"{what} with {growth.series.name} (slope +{excess:.2f})")
    if not faster:
        return "Time and memory grow no faster than the arithmetic and its operands"
    return "Growing faster than the arithmetic and its operands: " + ", ".join(faster)


def draw_time(axes, growth: Growth) -> None:
    measured, expected, _, _ = growth.slopes()
    arithmetic = "multiply-accumulates" if growth.series.per_inference else "linear"
    if growth.series.per_inference:
        axes.plot(growth.sizes, growth.times, "o-", color=COMPUTE, label="one noisy inference")
    else:
        axes.plot(growth.sizes, growth.times, "o-", color=COMPUTE, label="whole run, processor")
        walls = [cost.wall_s for cost in growth.costs]
        axes.plot(growth.sizes, walls, "s:", color=WALL, markersize=4, label="whole run, clock")
    axes.plot(growth.sizes, growth.expected_times, "--", color="black", label=arithmetic)
    finish(axes, growth, "time of one inference (s)" if growth.series.per_inference else "time (s)")
    axes.set_title(f"time: slope {measured:.2f}, arithmetic {expected:.2f}", fontsize=11)


def draw_memory(axes, growth: Growth) -> None:
    _, _, measured, expected = growth.slopes()
    axes.plot(growth.sizes, np.divide(growth.peaks, 1e6), "o-", color=MEMORY, label="peak of the process")
    axes.plot(growth.sizes, np.divide(growth.expected_peaks, 1e6), "--", color="black", label=growth.series.memory_words)
    finish(axes, growth, "memory (MB)")
    axes.set_ylim(10, 1000)
    axes.set_title(f"memory: slope {measured:.2f}, expected {expected:z.2f}", fontsize=11)


def draw_ranks(axes, walls: list[float]) -> None:
    axes.plot([1, 2], walls, "o-", color=WALL, label="whole run")
    axes.plot([1, 2], [walls[0], walls[0] / 2], "--", color="black", label="half the time")
    axes.set(xlabel="ranks", ylabel="time (s)", xticks=[1, 2], xlim=(0.8, 2.2), ylim=(0, 1.1 * walls[0]))
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"two ranks: {walls[0] / walls[1]:.2f} times as fast", fontsize=11)


def finish(axes, growth: Growth, label: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=growth.series.name, ylabel=label)
    axes.set_xticks(growth.sizes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", rotation=45)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the figure")
    parser.add_argument("--program", type=Path, default=_ROOT / "build/release/bin/crossweep", metavar="CROSSWEEP",
                        help="default: build/release/bin/crossweep")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each study; the least counts (default: 3)")
    parser.add_argument("--quick", action="store_true", help="the smallest studies alone, once")
    options = parser.parse_args(arguments)
    if not options.program.is_file():
        parser.error(f"{options.program} does not exist. Build it, or give another with --program.")
    options.repeats = 1 if options.quick else options.repeats
    try:
        growths = []
        for series in all_series(options.quick):
            print(f"growing {series.name}", file=sys.stderr)
            growths.append(Growth(series, measure(options.program, [(w, []) for w in series.works], options.repeats)))
        ranks = speed_up_of_two_ranks(options)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print_table(growths, ranks)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "cost_as_work_grows.png"
    draw(growths, ranks).savefig(path, dpi=110)
    print(f"\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
