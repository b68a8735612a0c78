#!/usr/bin/python3
"""How well does a study use very many ranks, and what limits it?

    scaling.py --times runs/quickstart --out runs/scaling            some minutes; scaling.png and tables
    scaling.py --times runs/quickstart --out runs/scaling --quick    seconds, to see that it works

Calls `crossweep simulate`: the scheduler is the one that runs studies, the ranks and the network are imitated, and the
spread of times is that of the records of a real run. "weak" gives every rank the same work at every size, as one who
books more nodes for more trials; "ten million" is one study of 10^7 units on all sizes.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

SIZES = [64, 256, 1024, 4096, 16384]
COLOURS = {1.0: "#0072B2", 10.0: "#D55E00", 60.0: "#009E73"}  # Okabe and Ito
ALWAYS_DIRECT, ALWAYS_LED = 1 << 30, 1


@dataclass(frozen=True)
class Scene:
    """One simulation at one size."""

    name: str
    ranks: int
    units: int
    unit_s: float
    points_per_unit: int
    slow_ranks: float = 0.0
    most_direct_ranks: int | None = None


def scenes(quick: bool) -> list[Scene]:
    sizes = SIZES[:2] if quick else SIZES
    per_rank = 20 if quick else 100
    weak = [Scene("weak", ranks, per_rank * ranks, unit_s, 4) for unit_s in COLOURS for ranks in sizes]
    slow = [Scene("1 % of the ranks 5 times slower", ranks, per_rank * ranks, 10, 4, slow_ranks=0.01) for ranks in sizes]
    levels = [Scene(name, ranks, per_rank * ranks, 1, 4, most_direct_ranks=most)
              for name, most in (("one level", ALWAYS_DIRECT), ("two levels", ALWAYS_LED)) for ranks in sizes[-2:]]
    total = 20_000 if quick else 10_000_000
    short = [Scene(name, sizes[-1], 50 * per_rank // 25 * sizes[-1], 0.1, 1, most_direct_ranks=most)
             for name, most in (("one level", ALWAYS_DIRECT), ("two levels", ALWAYS_LED))]
    large = [Scene("ten million", ranks, total, 10, 1) for ranks in sizes]
    return weak + slow + levels + short + large


def simulate(program: Path, times: str, scene: Scene) -> dict[str, float]:
    command = [str(program), "simulate", "--json", "--ranks", str(scene.ranks), "--units", str(scene.units),
               "--unit-s", str(scene.unit_s), "--points-per-unit", str(scene.points_per_unit),
               "--slow-ranks", str(scene.slow_ranks)]
    if times:
        command += ["--times", times]
    if scene.most_direct_ranks is not None:
        command += ["--most-direct-ranks", str(scene.most_direct_ranks)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"scaling.py: {' '.join(command)}: {done.stderr.strip()}", file=sys.stderr)
        sys.exit(4)
    return json.loads(done.stdout)[0] | {"simulated_in_s": time.monotonic() - start}


def table(results: list[tuple[Scene, dict[str, float]]]) -> str:
    lines = ["| study | ranks | units | unit | efficiency | rank 0 busy | busiest leader | tail | wasted | "
             "messages of rank 0 | segments |", "|---|---|---|---|---|---|---|---|---|---|---|"]
    for scene, r in results:
        megabytes = r["segment_bytes"] / max(r["segments"], 1) / 1e6
        lines.append(f"| {scene.name} | {scene.ranks} | {scene.units:.2g} | {scene.unit_s:g} s x {scene.points_per_unit} "
                     f"points | {100 * r['efficiency']:.2f} % | {100 * r['coordinator_busy_fraction']:.2f} % | "
                     f"{100 * r['busiest_leader_fraction']:.2f} % | {r['tail_s']:.1f} s | "
                     f"{100 * max(r['wasted_fraction'], 0):.2f} % | {r['messages']:.3g} | "
                     f"{r['segments']} x {megabytes:.1f} MB |")
    return "\n".join(lines)


def plot(results: list[tuple[Scene, dict[str, float]]], path: Path) -> None:
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    efficiency, load = figure.subplots(1, 2)
    for unit_s, colour in COLOURS.items():
        chosen = [(s.ranks, r) for s, r in results if s.name == "weak" and s.unit_s == unit_s]
        ranks = [n for n, _ in chosen]
        efficiency.plot(ranks, [100 * r["efficiency"] for _, r in chosen], "o-", color=colour, label=f"units of {unit_s:g} s")
        load.plot(ranks, [100 * r["coordinator_busy_fraction"] for _, r in chosen], "o-", color=colour)
    chosen = [(s.ranks, r) for s, r in results if s.name.startswith("1 %")]
    efficiency.plot([n for n, _ in chosen], [100 * r["efficiency"] for _, r in chosen], "s--", color="0.4",
                    label="units of 10 s, 1 % of the ranks 5 times slower")
    efficiency.set(xlabel="ranks", ylabel="efficiency / %", xscale="log", title="time that counted / (ranks x makespan)")
    efficiency.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
    load.set(xlabel="ranks", ylabel="rank 0 coordinates / % of the time", xscale="log", yscale="log",
             title="load of rank 0 (leaders between above 4096 ranks)")
    for axes in (efficiency, load):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", default="", help="run directory whose records give the spread of times")
    parser.add_argument("--out", type=Path, required=True, help="folder for the plot, the table and scaling.json")
    parser.add_argument("--quick", action="store_true", help="small, to see that it works")
    parser.add_argument("--program", type=Path,
                        default=Path(os.environ.get("CROSSWEEP_PROGRAM", _ROOT / "build/release/bin/crossweep")))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for scene in scenes(options.quick):
        results.append((scene, simulate(options.program, options.times, scene)))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    (options.out / "scaling.md").write_text(table(results) + "\n")
    (options.out / "scaling.json").write_text(json.dumps([vars(s) | r for s, r in results], indent=1) + "\n")
    plot(results, options.out / "scaling.png")
    print(f"plot: {options.out / 'scaling.png'}")


if __name__ == "__main__":
    main()
