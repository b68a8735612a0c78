#!/usr/bin/python3
"""How much of a run is not spent in trials, and how much faster are two ranks than one?

    driver_overhead.py [STUDY.toml] [--ranks 1 2] [--rounds 3] [--out FOLDER]

Runs the study on every number of ranks in turns. Overhead: 1 - time in units / (ranks x time on the clock), from the
start of mpirun to its end: start-up, reading, messages, waiting at the end, merge and report are all in it.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from run_study import add_program, run_study

_ROOT = Path(__file__).resolve().parents[2]


def run(program: Path, study: Path, ranks: int, out: Path) -> tuple[float, float, str]:
    """Time on the clock, time in units, content hash."""
    start = time.monotonic()
    figures = run_study(program, study, ranks, out)
    wall_s = time.monotonic() - start
    return wall_s, figures["compute_s"], figures["content_hash"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=_ROOT / "configs/quickstart.toml")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the run directories go; default: a folder that is removed")
    add_program(parser)
    options = parser.parse_args()
    walls: dict[int, list[float]] = {ranks: [] for ranks in options.ranks}
    hashes = set()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        print(f"{'ranks':>6}{'clock':>10}{'in units':>10}{'overhead':>10}")
        for _ in range(options.rounds):
            for ranks in options.ranks:
                wall_s, compute_s, content_hash = run(options.program, options.study, ranks, out / f"ranks{ranks}")
                walls[ranks].append(wall_s)
                hashes.add(content_hash)
                print(f"{ranks:6}{wall_s:8.2f} s{compute_s:8.2f} s{100 * (1 - compute_s / (ranks * wall_s)):8.2f} %", flush=True)
    first = options.ranks[0]
    for ranks in options.ranks[1:]:
        ratios = [a / b for a, b in zip(walls[first], walls[ranks])]
        print(f"{ranks} ranks / {first}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print("content hashes: " + ("all equal" if len(hashes) == 1 else "DIFFERENT"))


if __name__ == "__main__":
    main()
