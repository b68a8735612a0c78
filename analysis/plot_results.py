#!/usr/bin/python3
"""Draw the results of a crossweep study as PNG and SVG.

    plot_results.py run/results.h5                        draw what suits the study
    plot_results.py run/results.h5 --out figures --axis device.write_noise_factor --lines transform.name
    plot_results.py run/results.h5 --heat device.write_noise_factor device.on_off_ratio
    plot_results.py run/results.h5 --surface top5_accuracy
    plot_results.py run/results.h5 --cost-key transform.beta

Prints the files written, one per line. Exit codes: 0 done, 2 usage, 4 the file cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from crossweep_results import Results, ResultsError, SelectionError, costs, layout, plots


def draw(results: Results, options: argparse.Namespace) -> list[Path]:
    """Draw every figure that `options` ask for, or that suits the study, and return the files written."""
    figures = {}
    axis, lines = options.axis, options.lines
    x = layout.choose_layout(results, axis, lines).x
    against = f"_vs_{_file_word(x.key)}" if x else ""
    # A file of a language model has its perplexity beside the accuracy, and is looked at for it.
    main = "perplexity" if "perplexity" in results.surfaces else "top1_accuracy"
    surfaces = [options.surface] if options.surface else [main, "snr_dB"]
    for surface in surfaces:
        if "layer" in results.surface(surface).dims:
            continue
        if options.surface or plots.has_values(results, surface):
            word = {"top1_accuracy": "accuracy", "snr_dB": "snr"}.get(surface, surface)
            figures[word + against] = plots.accuracy_against(results, axis, lines, surface)
    if plots.has_values(results, "snr_layer_dB") and options.surface in (None, "snr_layer_dB"):
        figures["snr_per_layer"] = plots.snr_per_layer(results, axis, lines)
    heat = tuple(options.heat) if options.heat else layout.two_largest_axes(results)
    heat_surface = options.surface or ("perplexity" if main == "perplexity" else "accuracy_drop")
    # With nothing but defaults a per-layer surface has its figure above; asked for by --heat it gets its map too.
    if heat and (options.heat or (heat_surface != "snr_layer_dB" and plots.has_values(results, heat_surface))):
        stem = "_".join(["heat", heat_surface, *map(_file_word, heat)])
        figures[stem] = plots.heat_map(results, *heat, heat_surface)
    if options.cost_key or (results.has_costs and not options.surface):
        figures |= draw_costs(results, options, main)
    return [path for stem, figure in figures.items() for path in plots.save(figure, options.out / stem)]


def draw_costs(results: Results, options: argparse.Namespace, main: str) -> dict:
    """What the points cost, and what that buys."""
    figures = {}
    if plots.has_values(results, main):
        figures[{"top1_accuracy": "accuracy"}.get(main, main) + "_vs_energy"] = costs.accuracy_against_energy(results)
    figures["cost_breakdown"] = costs.cost_breakdown(results)
    key = options.cost_key or costs.key_of_cost(results)
    if key:
        figures[f"cost_vs_{_file_word(key)}"] = costs.cost_against(results, key, options.lines if options.cost_key else None)
    return figures


def _file_word(key: str) -> str:
    """The part of a key that goes into a file name."""
    return "_and_".join(part.removesuffix(".name").rpartition(".")[2] for part in key.split("+"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS.h5", help="file written by `crossweep merge`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the figures (default: figures/ beside the file)")
    parser.add_argument("--axis", metavar="KEY", help="axis to draw against (default: the numeric one with most values)")
    parser.add_argument("--lines", metavar="KEY", help="axis that gives one line per value (default: transform.name)")
    parser.add_argument("--heat", nargs=2, metavar=("KEY", "KEY"),
                        help="axes of the heat map, x then y (default: the two with most values); "
                             "`layer` with --surface snr_layer_dB")
    parser.add_argument("--surface", metavar="NAME",
                        help="draw this surface alone (default: top1_accuracy, snr_dB, snr_layer_dB; accuracy_drop "
                             "in the heat map; of a language model perplexity for both)")
    parser.add_argument("--cost-key", metavar="KEY",
                        help="numeric key to draw energy, area and latency against (default: the one along which the cost "
                             "changes, if any)")
    parser.add_argument("--partial", action="store_true", help="accept a file of an unfinished study")
    options = parser.parse_args(arguments)
    options.out = options.out or options.results.parent / "figures"
    try:
        written = draw(Results(options.results, options.partial), options)
    except SelectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    for path in written:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
