#!/usr/bin/python3
"""Print a study in the form of ClipFormer's Table II, and say where the paper's trends hold in it and where not.

    clipformer_table.py runs/table2_small/results.h5 --paper ../shared/reference/clipformer_table2.csv
    clipformer_table.py runs/table2_small/results.h5 --markdown > table.md
    clipformer_table.py runs/table2_small/results.h5 --json

The study has the axes model.weights, device.write_noise_factor and transform.name, as configs/table2_small.toml. Models are
told by the names of their weights: sparse, lv_vit or vit, and vat for variation-aware training. The paper's DeiT-S stands
beside ViT, Sparse DeiT-S beside Sparse ViT, LV-ViT-S beside LV-ViT.

What flatters, and what does not. The table shows the best of several settings, chosen on the images that it is shown on: that flatters both
clipping columns. The paper does the same, so the columns can be compared. The trends below the table do not do it: there
the setting for every second image is chosen on the images between. And ± is the larger half of the study's interval for
images like these, each by itself; the intervals of one trend hold jointly over its write noise factors, but of thirty
trends one or two may still be decided by chance at 95 %: look for those that several factors or models decide.

Prints to the standard output. Exit codes: 0 done, 2 usage or a study of another shape, 4 a file cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from crossweep_results import Results, ResultsError, SelectionError
from crossweep_results.clipformer import PAPER_MODELS, ClipFormerStudy, Comparison, Finding, Interval, Row
from crossweep_results.trends import Paper, equal_losses, findings

HEADINGS = ["model", "training", "software", "γ", "no clipping", "ClipFormer", "(α, β)", "other settings", "best of them"]
PAPER_HEADINGS = ["paper: software", "no clipping", "ClipFormer", "(α, β)"]


def percent(interval: Interval | None) -> str:
    """ "86.6 ±1.5" """
    if interval is None:
        return ""
    half = max(interval.best - interval.low, interval.high - interval.best)
    return f"{100 * interval.best:.1f} ±{100 * half:.1f}"


def cells(row: Row, published: dict | None, first: bool) -> list[str]:
    """Texts of one line without and with the paper's columns; what a model says once stands in its first line."""
    ours = [row.model.family * first, row.model.training * first, percent(row.software) * first, f"{row.gamma:g}",
            percent(row.plain), percent(row.clipformer), row.clipformer_setting or "", percent(row.own),
            row.own_setting or ""]
    if published is None:
        return ours + [""] * len(PAPER_HEADINGS)
    return ours + [*(f"{100 * published[key]:.1f}" for key in ("software_top1", "nonideal_top1", "clipformer_top1")),
                   f"({published['alpha']:g}, {published['beta']:g})"]


def table(rows: list[Row], paper: Paper) -> list[list[str]]:
    """Headings and lines; the paper's columns only where there is something to put in them."""
    lines, seen = [], set()
    for row in rows:
        lines.append(cells(row, paper.of(row.model.family, row.model.training, row.gamma), row.model not in seen))
        seen.add(row.model)
    shown = [HEADINGS + PAPER_HEADINGS, *lines]
    return shown if paper.rows else [line[: len(HEADINGS)] for line in shown]


def as_text(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    return "\n".join([padded[0], "-" * max(map(len, padded)), *padded[1:]])


def as_markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def comparison_text(comparison: Comparison) -> str:
    """ "γ 5: +1.2 [0.3, 2.1], paper +14.0" """
    low, best, high = (100 * v for v in (comparison.difference.low, comparison.difference.best, comparison.difference.high))
    text = f"γ {comparison.gamma:g}: {best:+.1f} [{low:.1f}, {high:.1f}]"
    text += f" {comparison.note}" if comparison.note else ""
    return text + (f", paper {100 * comparison.paper:+.1f}" if comparison.paper is not None else "")


def sentence(finding: Finding) -> str:
    """ "ClipFormer gains (ViT, standard): agrees at γ 5, 7; not decided at γ 3. [numbers]" """
    words = {"agrees": "agrees at", "does not agree": "the opposite at", "not decided": "not decided at"}
    at = {verdict: ", ".join(f"{c.gamma:g}" for c in finding.comparisons if c.verdict == verdict) for verdict in words}
    parts = "; ".join(f"{words[verdict]} γ {gammas}" for verdict, gammas in at.items() if gammas)
    verdict = "not decided by these intervals" if finding.verdict == "not decided" else finding.verdict
    return (f"{finding.claim} ({finding.subject}): {verdict.upper()} ({parts}). "
            + "; ".join(map(comparison_text, finding.comparisons)) + ".")


def equal_loss_sentences(rows: list[Row], paper: Paper) -> list[str]:
    """One for each model: at which of our factors it has lost what the paper's model has lost at its factors."""
    by_model: dict = {}
    for row, gamma, part, at in equal_losses(rows, paper):
        reached = f"at γ {at:.1f}" if at is not None else f"only beyond γ {rows[-1].gamma:g}"
        by_model.setdefault(row.model, []).append(f"{100 * part:.0f} % ({PAPER_MODELS[row.model.family]} at γ {gamma:g}) "
                                                  f"{reached}")
    return [f"{model.label} has lost " + ", ".join(parts) + "." for model, parts in by_model.items()]


def report(study: ClipFormerStudy, paper: Paper, markdown: bool) -> str:
    rows = study.rows()
    bullet, heading = ("- ", "**{}**\n") if markdown else ("  ", "{}")
    confidence = f"{100 * study.confidence:g} %"
    parts = [f"{study.results.summary()}. Top-1 in per cent, {confidence} intervals for images like these.",
             (as_markdown if markdown else as_text)(table(rows, paper))]
    losses = equal_loss_sentences(rows, paper)
    if losses:
        parts.append("\n".join([heading.format("Part of the accuracy lost without clipping, beside the paper's:"),
                                *(bullet + s for s in losses)]))
    trends = [bullet + sentence(f) for f in findings(study, paper)]
    parts.append("\n".join([heading.format("The paper's trends (differences in points, paired; positive agrees with the "
                                           f"paper; {confidence} jointly over γ):"), *trends]))
    return "\n\n".join(parts)


def as_json(study: ClipFormerStudy, paper: Paper) -> str:
    rows = study.rows()
    return json.dumps({
        "study": study.results.name, "confidence": study.confidence,
        "rows": [asdict(r) | {"paper": paper.of(r.model.family, r.model.training, r.gamma)} for r in rows],
        "equal_losses": [{"model": asdict(r.model), "paper_gamma": gamma, "part_lost": part, "gamma": at}
                         for r, gamma, part, at in equal_losses(rows, paper)],
        "trends": [asdict(f) | {"verdict": f.verdict,
                                "comparisons": [asdict(c) | {"verdict": c.verdict} for c in f.comparisons]}
                   for f in findings(study, paper)]}, indent=1, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="RESULTS.h5", help="file written by `crossweep merge`")
    parser.add_argument("--paper", type=Path, metavar="CSV", help="the published table, put beside ours")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="a Markdown table and lists")
    form.add_argument("--json", action="store_true", help="everything as JSON, fractions instead of per cent")
    options = parser.parse_args(arguments)
    try:
        study, paper = ClipFormerStudy(Results(options.results)), Paper(options.paper)
        print(as_json(study, paper) if options.json else report(study, paper, options.markdown))
    except SelectionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ResultsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
