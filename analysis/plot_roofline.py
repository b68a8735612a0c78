#!/usr/bin/python3
"""Draw what `crossweep cost --json` prints: rooflines with the operations of a model as points.

    crossweep cost --model bert-base --lengths 128:4096 --beyond --hardware configs/hardware --json > bert.json
    plot_roofline.py bert.json --out figures
    plot_roofline.py bert.json gpt2.json --published memory_wall.csv --scaling hw_scaling.csv

--published adds modelled beside published latencies, from a table with the columns model, length, latency_cpu and
latency_model; --scaling adds how fast machines grew, from one with series, year, relative. Prints the files written,
one per line, and the growth. Exit codes: 0 done, 2 usage, 4 a file cannot be used.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from crossweep_results import plots

OPERATIONS = {"projections": "projections Q, K, V, O", "query_key": "$QK^T$", "softmax": "softmax",
              "probability_value": "$SV$", "feed_forward": "feed-forward", "rest": "norms, residuals, GELU"}
REFERENCE = ("bert-base", 128)  # whose latency is 1 in the published table


class CostError(Exception):
    """A file that cannot be drawn; says what to do."""


def read_cost(path: Path) -> dict:
    """What `crossweep cost --json` printed."""
    try:
        cost = json.loads(path.read_text())
        cost["lengths"][0]["operations"]["softmax"]
    except (ValueError, LookupError, TypeError) as error:
        raise CostError(f"{path}: not what crossweep cost --json prints. Give a file of its output.") from error
    return cost


def read_table(path: Path, columns: set[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header; lines that begin with # are comments."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    if not rows or not columns <= rows[0].keys():
        raise CostError(f"{path}: has no table with the columns {', '.join(sorted(columns))}.")
    return rows


def model_key(name: str) -> str:
    """GPT-2 and gpt2 are one model."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def roofline(cost: dict) -> Figure:
    """One panel per machine: the roof, and per class of operations a line through its points, one per length."""
    machines = cost["hardware"]
    rows = (len(machines) + 1) // 2
    figure = Figure(figsize=(10.5, 0.8 + 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, 2 if len(machines) > 1 else 1, squeeze=False, sharex=True, sharey=True).flatten()
    for panel, machine in zip(panels, machines):
        draw_roof(panel, machine)
        for (name, words), colour, marker in zip(OPERATIONS.items(), plots.COLOURS, plots.MARKERS):
            points = [at_machine(length["operations"][name], machine) for length in cost["lengths"]]
            # In encoders QK^T and SV nearly coincide: the first shows around the second.
            draw_points(panel, points, colour, marker, size=2.2 if name == "query_key" else 1)
        draw_points(panel, [at_machine(length, machine) for length in cost["lengths"]], "black", "*")
        panel.set_title(machine["description"], loc="left")
        panel.tick_params(labelbottom=True)
        add_grid(panel)
    for panel in panels[len(machines):]:
        panel.remove()
    for panel in panels[:len(machines)][-2:]:
        panel.set_xlabel("operations per byte moved (FLOP/B)")
    for panel in panels[:len(machines):2]:
        panel.set_ylabel("operations per second (FLOP/s)")
    tokens = [length["tokens"] for length in cost["lengths"]]
    span = f"{tokens[0]} to {tokens[-1]} tokens, larger marks for more" if len(tokens) > 1 else f"{tokens[0]} tokens"
    figure.suptitle(f"{cost['model']} ({cost['kind']}): {span}; 1 byte per element", ha="left", x=0.02)
    legend_height = 0.7 / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, legend_height, 1, 1 - legend_height))
    figure.legend(handles=legend_of_operations(), loc="lower center", ncols=4, frameon=False)
    return figure


def at_machine(entry: dict, machine: dict) -> tuple[float, float]:
    """Intensity and rate of an operation, or of a whole model, on a machine."""
    on = entry["on"][machine["name"]]
    return on["intensity_flop_per_B"], entry["flop"] / on["latency_s"]


def draw_roof(panel, machine: dict) -> None:
    ridge = machine["ridge_flop_per_B"]
    intensity = np.array([0.5, ridge, 1e4])
    panel.loglog(intensity, np.minimum(machine["peak_flop_per_s"], intensity * machine["bandwidth_B_per_s"]),
                 color=plots.REFERENCE_COLOUR, linewidth=1.2, zorder=1)
    panel.axvline(ridge, color=plots.REFERENCE_COLOUR, linewidth=0.6, linestyle=":", zorder=1)


def draw_points(panel, points: list[tuple[float, float]], colour: str, marker: str, size: float = 1) -> None:
    intensity, rate = np.array(points).T
    panel.plot(intensity, rate, color=colour, linewidth=0.8, alpha=0.7)
    panel.scatter(intensity, rate, s=size * np.linspace(14, 60, len(points)), color=colour, marker=marker, zorder=3,
                  edgecolors="white", linewidths=0.5)


def add_grid(panel) -> None:
    panel.set_axisbelow(True)
    panel.grid(color="#dddddd", linewidth=0.6)


def legend_of_operations() -> list[Line2D]:
    shown = [*zip(OPERATIONS.values(), plots.COLOURS, plots.MARKERS), ("all, one after the other", "black", "*")]
    lines = [Line2D([], [], color=colour, marker=marker, linewidth=0.8, label=words) for words, colour, marker in shown]
    return [*lines, Line2D([], [], color=plots.REFERENCE_COLOUR, linewidth=1.2, label="roof")]


def published_latency(costs: list[dict], rows: list[dict[str, str]], machine: str) -> Figure:
    """Latency against length, relative to BERT-Base at 128 tokens: lines as modelled here, marks as published."""
    modelled = {(model_key(cost["model"]), length["tokens"]): length["on"][machine]["latency_s"]
                for cost in costs if any(known["name"] == machine for known in cost["hardware"])
                for length in cost["lengths"]}
    reference = modelled.get((model_key(REFERENCE[0]), REFERENCE[1]))
    if reference is None:
        raise CostError(f"--published needs the cost of {REFERENCE[0]} at {REFERENCE[1]} tokens on {machine}, which is "
                        "the unit of the published latencies. Give that file too, or another --machine.")
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    panel = figure.subplots()
    known = {key for key, _ in modelled}
    names = list(dict.fromkeys(row["model"] for row in rows if model_key(row["model"]) in known))
    for name, colour in zip(names, plots.COLOURS):
        here = [row for row in rows if row["model"] == name and (model_key(name), int(row["length"])) in modelled]
        tokens = [int(row["length"]) for row in here]
        ratios = [modelled[model_key(name), length] / reference for length in tokens]
        panel.plot(tokens, ratios, color=colour, label=name)
        for column, marker, face in (("latency_cpu", "o", colour), ("latency_model", "s", "white")):
            panel.scatter(tokens, [float(row[column]) for row in here], color=colour, marker=marker, facecolors=face,
                          zorder=3)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.xaxis.set_major_formatter("{x:.0f}")
    panel.set_xlabel("tokens")
    panel.set_ylabel(f"latency relative to {rows[0]['model']} at {REFERENCE[1]} tokens")
    add_grid(panel)
    kinds = [Line2D([], [], color="black", label=f"this roofline ({machine})"),
             Line2D([], [], color="black", marker="o", linestyle="", label="published, measured on a Xeon Gold 6242"),
             Line2D([], [], color="black", marker="s", markerfacecolor="white", linestyle="",
                    label="published, their model")]
    panel.legend(handles=[*panel.get_legend_handles_labels()[0], *kinds], frameon=False)
    return figure


def scaling(rows: list[dict[str, str]]) -> tuple[Figure, dict[str, float]]:
    """How peak, memory and interconnect grew, with straight lines fitted to the logarithms; and their growth factors in
    two years."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    panel = figure.subplots()
    growth = {}
    for name, colour, marker in zip(dict.fromkeys(row["series"] for row in rows), plots.COLOURS, plots.MARKERS):
        points = [(float(row["year"]), float(row["relative"])) for row in rows if row["series"] == name]
        year, relative = np.array(points).T
        slope, offset = np.polyfit(year - year[0], np.log2(relative), 1)
        growth[name] = 4 ** slope
        panel.scatter(year, relative, color=colour, marker=marker)
        panel.plot(year, 2 ** (offset + slope * (year - year[0])), color=colour,
                   label=f"{name.replace('_', ' ')}: {growth[name]:.1f}× every two years")
    panel.set_yscale("log")
    panel.set_xlabel("year")
    panel.set_ylabel("relative to the first of each series")
    add_grid(panel)
    panel.legend(frameon=False)
    return figure, growth


def draw(options: argparse.Namespace) -> dict[str, Figure]:
    costs = [read_cost(path) for path in options.costs]
    for path, cost in zip(options.costs, costs):
        if not cost["hardware"]:
            raise CostError(f"{path}: has no machines. Repeat crossweep cost with --hardware configs/hardware.")
    figures = {f"roofline_{model_key(Path(cost['model']).stem)}": roofline(cost) for cost in costs}
    if options.published:
        rows = read_table(options.published, {"model", "length", "latency_cpu", "latency_model"})
        figures["published_latency"] = published_latency(costs, rows, options.machine)
    if options.scaling:
        figures["scaling"], growth = scaling(read_table(options.scaling, {"series", "year", "relative"}))
        for name, factor in growth.items():
            print(f"{name}: {factor:.2f} times every two years", file=sys.stderr)
    return figures


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("costs", type=Path, nargs="+", metavar="COST.json", help="output of `crossweep cost --json`")
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR",
                        help="folder for the figures (default: figures)")
    parser.add_argument("--published", type=Path, metavar="CSV", help="published latencies to draw beside the modelled")
    parser.add_argument("--machine", default="xeon_6242", metavar="NAME",
                        help="machine of that comparison (default: xeon_6242)")
    parser.add_argument("--scaling", type=Path, metavar="CSV", help="history of peak, memory and interconnect")
    options = parser.parse_args(arguments)
    try:
        written = [path for stem, figure in draw(options).items() for path in plots.save(figure, options.out / stem)]
    except (CostError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
