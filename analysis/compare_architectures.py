#!/usr/bin/python3
"""Print the large-and-small architecture beside traditional crossbars, TPU and GPU, and beside what its paper says
(arXiv 2410.15977), as a Markdown table.

    crossweep cost --study configs/architectures.toml --model bert-large --hardware configs/hardware --json > costs.json
    compare_architectures.py costs.json

The study has three points, as configs/architectures.toml: traditional with cells of several bits, with cells of one bit,
large and small. The machines are a100 and tpu_v4. Of several lengths the longest is taken.

Nothing here is fitted to the paper's figures. Exit codes: 0 done, 2 usage, 4 the file cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

NAMES = ["traditional, multi-bit", "traditional, single-bit", "large and small"]
MACHINES = {"tpu_v4": "TPU v4", "a100": "A100"}
# arXiv 2410.15977 for BERT-Large: mm² s, and how many times the large-and-small architecture is better
PAPER_AREA_DELAY = {"large and small": 0.03, "TPU v4": 2.24, "A100": 2.04}
PAPER_GAIN = {"traditional, multi-bit": (6, 18), "traditional, single-bit": (39, 3)}  # area, energy
PAPER_ENERGY_SAVED = 0.69  # against TPU and GPU


def costs(points: list[dict]) -> dict[str, dict]:
    """By name, crossbars and machines alike."""
    lengths = [point["lengths"][-1] for point in points]
    named = dict(zip(NAMES, lengths))
    for machine, name in MACHINES.items():
        named[name] = lengths[-1]["on"][machine]
    return named


def row(name: str, cost: dict, ours: dict) -> list[str]:
    paper_area, paper_energy = PAPER_GAIN.get(name, (None, None))
    if name in MACHINES.values():
        paper_energy = 1 / (1 - PAPER_ENERGY_SAVED)
    return [name, f"{1e3 * cost['energy_J']:.4g}", f"{1e3 * cost['latency_s']:.3g}", f"{1e6 * cost['area_m2']:.4g}",
            f"{1e6 * cost['area_delay_m2_s']:.3g}", known(PAPER_AREA_DELAY.get(name)),
            known(cost["area_m2"] / ours["area_m2"]), known(paper_area),
            known(cost["energy_J"] / ours["energy_J"]), known(paper_energy)]


def known(number: float | None) -> str:
    return "" if number is None else f"{number:.3g}"


def table(points: list[dict]) -> str:
    named = costs(points)
    headings = ["", "energy, mJ", "latency, ms", "area, mm²", "area × delay, mm² s", "paper", "area / ours", "paper",
                "energy / ours", "paper"]
    lines = [headings, ["---"] * len(headings), *(row(name, cost, named[NAMES[-1]]) for name, cost in named.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("costs", type=Path, help="what crossweep cost --study ... --json printed")
    file = parser.parse_args(arguments).costs
    try:
        points = json.loads(file.read_text())["points"]
        if len(points) != len(NAMES):
            raise ValueError(f"it has {len(points)} points")
        print(table(points))
    except OSError as error:
        print(f"{file} cannot be read ({error.strerror}). Give what crossweep cost --json printed.", file=sys.stderr)
        return 4
    except (ValueError, KeyError) as error:
        print(f"{file} is not the cost of configs/architectures.toml with both machines ({error}). Make it as the help says.",
              file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
