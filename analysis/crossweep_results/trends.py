"""What ClipFormer's Table II says about models, training and clipping, tested on a study of our own.

Decides the claims and their comparisons; `clipformer.py` has the numbers. The intervals of one finding hold jointly, over
all its write noise factors, with the study's confidence.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from .clipformer import DENSE, PAPER_MODELS, ClipFormerStudy, Comparison, Finding, Row
from .study import ResultsError

TRAININGS = ("standard", "VAT")


class Paper:
    """The published table, empty where no file is given: fractions by (family of ours, training, gamma)."""

    def __init__(self, path: Path | None = None):
        self.rows: dict[tuple[str, str, float], dict] = {}
        family_of = {paper: family for family, paper in PAPER_MODELS.items()}
        try:
            for row in csv.DictReader(path.read_text().splitlines()) if path else []:
                if row["model"] in family_of:
                    numbers = {key: float(row[key]) / 100 for key in ("software_top1", "nonideal_top1", "clipformer_top1")}
                    numbers |= {key: float(row[key]) for key in ("alpha", "beta")}
                    self.rows[family_of[row["model"]], row["training"], float(row["gamma"])] = numbers
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} is not ClipFormer's table ({error!r}). It is a CSV with the columns model, "
                               "training, software_top1, gamma, nonideal_top1, clipformer_top1, alpha, beta.") from None

    def of(self, family: str, training: str, gamma: float) -> dict | None:
        return self.rows.get((family, training, gamma))

    def drop(self, family: str, training: str, gamma: float) -> float | None:
        row = self.of(family, training, gamma)
        return row and row["software_top1"] - row["nonideal_top1"]

    def gain(self, family: str, training: str, gamma: float) -> float | None:
        row = self.of(family, training, gamma)
        return row and row["clipformer_top1"] - row["nonideal_top1"]


def findings(study: ClipFormerStudy, paper: Paper) -> list[Finding]:
    """Every claim on every model that the study has, in the order of the paper's."""
    found = []
    for training in TRAININGS:
        found += _vulnerability(study, paper, training, "Sparse ViT", 1, "loses more than the dense ViT")
        found += _vulnerability(study, paper, training, "LV-ViT", -1, "loses less than the ViT")
    families = dict.fromkeys(m.family for m in study.models)
    if study.paper_settings:
        for family in families:
            found += _best_of_all(study, family)
        found += [_gain(study, paper, m) for m in range(len(study.models))]
        found += [_gain_grows(study, paper, m) for m in range(len(study.models))]
    for weak, strong in zip(study.paper_settings, study.paper_settings[1:]):
        found += [_stronger(study, m, weak, strong) for m in range(len(study.models))]
    return [f for f in found if f.comparisons]


def _vulnerability(study, paper, training, family, sign, words) -> list[Finding]:
    """Drop of `family` minus drop of the dense model at equal factor, without clipping, as the paper's sign has it."""
    ours, dense = study.find(family, training), study.find(DENSE, training)
    if ours is None or dense is None:
        return []
    gammas, confidence = study.noisy()
    comparisons = []
    for g in gammas:
        difference = (study.clean[ours] * 1.0 - study.plain(ours, g)) - (study.clean[dense] * 1.0 - study.plain(dense, g))
        gamma = study.gammas[g]
        published = [paper.drop(f, training, gamma) for f in (family, DENSE)]
        comparisons.append(Comparison(gamma, study.difference(sign * difference, confidence),
                                      paper=None if None in published else sign * (published[0] - published[1])))
    return [Finding(f"{family} {words}", training, comparisons)]


def _best_of_all(study, family) -> list[Finding]:
    """VAT with ClipFormer minus the best of the three others; that one is named."""
    standard, vat = (study.find(family, training) for training in TRAININGS)
    if standard is None or vat is None:
        return []
    gammas, confidence = study.noisy()
    comparisons = []
    for g in gammas:
        both = study.with_clipformer(vat, g)
        rivals = {"VAT alone": study.plain(vat, g), "ClipFormer alone": study.with_clipformer(standard, g),
                  "neither": study.plain(standard, g)}
        name = max(rivals, key=lambda r: rivals[r].mean())
        comparisons.append(Comparison(study.gammas[g], study.difference(both * 1.0 - rivals[name], confidence),
                                      f"over {name}"))
    return [Finding("VAT with ClipFormer is best", family, comparisons)]


def _gains(study, model) -> dict[int, np.ndarray]:
    return {g: study.with_clipformer(model, g) * 1.0 - study.plain(model, g) for g in study.noisy()[0]}


def _gain(study, paper, model) -> Finding:
    of, confidence = study.models[model], study.noisy()[1]
    comparisons = [Comparison(study.gammas[g], study.difference(gain, confidence),
                              paper=paper.gain(of.family, of.training, study.gammas[g]))
                   for g, gain in _gains(study, model).items()]
    return Finding("ClipFormer gains", of.label, comparisons)


def _gain_grows(study, paper, model) -> Finding:
    """Gain at each factor minus the gain at the smallest."""
    of, gains = study.models[model], _gains(study, model)
    if len(gains) < 2:
        return Finding("", of.label, [])
    first, *rest = gains
    confidence = 1 - (1 - study.confidence) / len(rest)
    start = paper.gain(of.family, of.training, study.gammas[first])
    comparisons = []
    for g in rest:
        published = paper.gain(of.family, of.training, study.gammas[g])
        comparisons.append(Comparison(study.gammas[g], study.difference(gains[g] - gains[first], confidence),
                                      paper=None if None in (published, start) else published - start))
    return Finding(f"ClipFormer gains more than at γ = {study.gammas[first]:g}", of.label, comparisons)


def _stronger(study, model, weak, strong) -> Finding:
    gammas, confidence = study.noisy()
    comparisons = [Comparison(study.gammas[g], study.difference(
        study.with_setting(model, g, strong) * 1.0 - study.with_setting(model, g, weak), confidence)) for g in gammas]
    return Finding(f"{strong} is better than {weak} at large γ", study.models[model].label, comparisons, last_counts=True)


def equal_losses(rows: list[Row], paper: Paper) -> list[tuple[Row, float, float, float | None]]:
    """Where a model has lost the part of its accuracy that the paper's has lost: (row of the model, the paper's factor,
    part lost, our factor). Straight lines between our factors; None beyond the largest."""
    found = []
    for (family, training, gamma), published in paper.rows.items():
        ours = [r for r in rows if (r.model.family, r.model.training) == (family, training)]
        if not ours:
            continue
        part = 1 - published["nonideal_top1"] / published["software_top1"]
        lost = [1 - r.plain.best / r.software.best for r in ours]
        beyond = next((i for i, value in enumerate(lost) if value >= part), None)
        at = None
        if beyond:
            slope = (ours[beyond].gamma - ours[beyond - 1].gamma) / (lost[beyond] - lost[beyond - 1])
            at = ours[beyond - 1].gamma + (part - lost[beyond - 1]) * slope
        found.append((ours[0], gamma, part, at))
    return found
