"""ClipFormer's Table II (arXiv 2402.02586) from the results of one study, and whether the paper's trends hold in it.

Decides which points make a row, and what counts as agreement; printing is left to `clipformer_table.py`.
Every comparison is paired, image by image and trial by trial: all points of a study see the same images and noise.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .study import Results, SelectionError

MODEL, GAMMA, TRANSFORM = "model.weights", "device.write_noise_factor", "transform.name"
PAPER_SETTINGS = [(1.0, 1.0), (2.0, 1.0), (2.0, 0.25)]  # (alpha, beta), from weak to strong
DENSE = "ViT"
# Family -> its row in the paper. A family is told by the first of these words that is in the name of the weights.
PAPER_MODELS = {DENSE: "DeiT-S", "Sparse ViT": "Sparse DeiT-S", "LV-ViT": "LV-ViT-S"}
_FAMILY_WORDS = {"sparse": "Sparse ViT", "dynamic": "Sparse ViT", "lv_vit": "LV-ViT", "lvvit": "LV-ViT", "vit": DENSE,
                 "deit": DENSE}
# Settings of devices and converters that are drawn once per trial.
_OF_THE_CHIP = ("programming_noise_sigma", "g_min_spread_sigma", "g_max_spread_sigma", "stuck_at_g_min", "stuck_at_g_max",
                "drift_exponent_sigma", "adc_gain_sigma", "adc_offset_sigma")


@dataclass(frozen=True)
class Interval:
    """Fractions, or differences of them."""

    low: float
    best: float
    high: float


@dataclass(frozen=True)
class Model:
    family: str
    training: str
    weights: str

    @classmethod
    def of(cls, weights: str) -> Model:
        """By the name of the file: `fashion_sparse_vit_vat.safetensors` is the Sparse ViT with VAT."""
        name = Path(weights).name.lower()
        family = next((family for word, family in _FAMILY_WORDS.items() if word in name), Path(weights).stem)
        return cls(family, "VAT" if "vat" in name.replace("-", "_").split(".")[0].split("_") else "standard", weights)

    @property
    def label(self) -> str:
        return f"{self.family}, {self.training}"


@dataclass(frozen=True)
class Row:
    """One model at one write noise factor; a setting is the name of a transform, None where the study has none."""

    model: Model
    gamma: float
    software: Interval
    plain: Interval
    clipformer: Interval | None
    clipformer_setting: str | None
    own: Interval | None
    own_setting: str | None


@dataclass(frozen=True)
class Comparison:
    """A paired difference whose sign the paper predicts, so that > 0 agrees with it."""

    gamma: float
    difference: Interval
    note: str = ""
    paper: float | None = None

    @property
    def verdict(self) -> str:
        if self.difference.low > 0:
            return "agrees"
        return "does not agree" if self.difference.high < 0 else "not decided"


@dataclass(frozen=True)
class Finding:
    """What the paper claims, of which models, and what each write noise factor says to it."""

    claim: str
    subject: str
    comparisons: list[Comparison]
    last_counts: bool = False  # the claim is about large factors: the largest that decides is the verdict

    @property
    def verdict(self) -> str:
        found = [c.verdict for c in self.comparisons if c.verdict != "not decided"]
        if self.last_counts:
            found = found[-1:]
        if not found:
            return "not decided"
        return found[0] if len(set(found)) == 1 else "agrees in part"


def paired_interval(values: np.ndarray, confidence: float, chip_noise: bool = False) -> Interval:
    """Mean of `values` [trial, image] for images like these.

    The scatter between images, and where chips keep their noise what trials scatter beyond the noise of single images
    (crossed random effects, as in results.h5), with normal quantiles: meant for hundreds of images.
    """
    trials, images = values.shape
    values = values.astype(float)
    mean, by_trial, by_image = values.mean(), values.mean(axis=1), values.mean(axis=0)
    variance = by_image.var(ddof=1) / images
    if chip_noise and trials > 1:
        residual = values - by_trial[:, None] - by_image[None] + mean
        of_noise = (residual**2).sum() / ((trials - 1) * (images - 1)) / values.size
        variance += max(0.0, by_trial.var(ddof=1) / trials - of_noise)
    half = statistics.NormalDist().inv_cdf(0.5 + confidence / 2) * variance**0.5
    # No scatter at all is no certainty: at most about 3 of so many images would differ.
    half = half or -np.log(1 - confidence) / images
    return Interval(mean - half, mean, mean + half)


class ClipFormerStudy:
    """What the table needs of a study with the axes MODEL (may be missing), GAMMA and TRANSFORM.

    Throws SelectionError where the study is of another shape.
    """

    def __init__(self, results: Results):
        self.results, self.confidence = results, results.confidence
        self.gammas = self._numbers(GAMMA)
        self.transforms = [str(v) for v in self._axis(TRANSFORM).values]
        weights = self._axis(MODEL).values if MODEL in results.axes else results.points[MODEL].values[:1]
        self.models = [Model.of(w.decode() if isinstance(w, bytes) else str(w)) for w in weights]
        labels = [m.label for m in self.models]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise SelectionError(f'{results.path} has two models that are "{twice}" by the names of their weights. Rename '
                                 "one: a name says sparse, lv_vit or vit, and vat for variation-aware training.")
        for dimension, axis in results.axes.items():
            if dimension not in (MODEL, GAMMA, TRANSFORM) and len(axis) > 1:
                raise SelectionError(f'{results.path} also varies "{dimension}", which the table has no place for. Run the '
                                     "study with one value of it.")
        if "none" not in self.transforms:
            raise SelectionError(f'{results.path} has no transform "none", which the table compares with. Add it to the '
                                 f'axis "{TRANSFORM}".')
        self.paper_settings, self.own_settings = self._sort_settings()

    @cached_property
    def right(self) -> np.ndarray:
        """Whether a prediction is right, [model, gamma, transform, trial, image]."""
        right = self.results.on_axes(self.results.predictions["class"] == self.results.labels)
        return self._ordered(right, "trial", "image")

    @cached_property
    def clean(self) -> np.ndarray:
        """The same of the noise-free reference, [model, image]."""
        predicted = self.results.reference["class"].values == self.results.labels.values[None]
        of_point = self.results.on_axes(self.results.points["reference"])
        return predicted[self._ordered(of_point)[:, 0, 0].astype(int)]

    def accuracy(self, model: int, gamma: int, transform: str) -> Interval:
        """Top-1 with the interval for images like these, as results.h5 has it."""
        low, best, high = self._accuracies[model, gamma, self.transforms.index(transform)]
        return Interval(float(low), float(best), float(high))

    @cached_property
    def _accuracies(self) -> np.ndarray:
        return self._ordered(self.results.surface("top1_accuracy_images_like_these"), "bound")

    def rows(self) -> list[Row]:
        """By model, then write noise factor. Best settings are chosen on the images that they are shown on."""
        return [self._row(m, g) for m in range(len(self.models)) for g in range(len(self.gammas))]

    def find(self, family: str, training: str) -> int | None:
        """Index of a model."""
        return next((i for i, m in enumerate(self.models) if (m.family, m.training) == (family, training)), None)

    @cached_property
    def chip_noise(self) -> bool:
        """Whether images of one trial share draws of noise."""
        tables = [self.results.study.get("device", {}), *self.results.study.get("devices", {}).values(),
                  self.results.study.get("crossbar", {})]
        return any(t.get("read_noise") == "frozen" or any(t.get(key, 0) > 0 for key in _OF_THE_CHIP) for t in tables)

    def difference(self, values: np.ndarray, confidence: float) -> Interval:
        """Interval of a paired difference [trial, image]."""
        return paired_interval(values, confidence, self.chip_noise)

    def noisy(self) -> tuple[list[int], float]:
        """Indices of the factors above 0, and the confidence of each interval if all are to hold jointly (Bonferroni)."""
        indices = [i for i, gamma in enumerate(self.gammas) if gamma > 0]
        return indices, 1 - (1 - self.confidence) / max(1, len(indices))

    def plain(self, model: int, gamma: int) -> np.ndarray:
        """Right or not without any clipping, [trial, image]."""
        return self.right[model, gamma, self.transforms.index("none")]

    def with_setting(self, model: int, gamma: int, setting: str) -> np.ndarray:
        return self.right[model, gamma, self.transforms.index(setting)]

    def with_clipformer(self, model: int, gamma: int) -> np.ndarray:
        """Right or not with the best of the paper's settings, [trial, image].

        Chosen for every second image on the images between: chosen on the same images, the best flatters itself.
        """
        candidates = np.stack([self.with_setting(model, gamma, s) for s in self.paper_settings])
        chosen = np.empty(candidates.shape[1:], bool)
        for half in (0, 1):
            best = candidates[:, :, 1 - half :: 2].mean(axis=(1, 2)).argmax()
            chosen[:, half::2] = candidates[best, :, half::2]
        return chosen

    def _row(self, model: int, gamma: int) -> Row:
        def best(settings):
            name = max(settings, key=lambda s: self.accuracy(model, gamma, s).best, default=None)
            return (self.accuracy(model, gamma, name), name) if name else (None, None)

        software = paired_interval(self.clean[model][None], self.confidence)
        return Row(self.models[model], self.gammas[gamma], software, self.accuracy(model, gamma, "none"),
                   *best(self.paper_settings), *best(self.own_settings))

    def _axis(self, key: str):
        if key not in self.results.axes:
            have = ", ".join(self.results.axes) or "none"
            raise SelectionError(f'{self.results.path} has no axis "{key}" (its axes: {have}). The table needs a study like '
                                 "configs/table2_small.toml.")
        return self.results.axes[key]

    def _numbers(self, key: str) -> list[float]:
        values = self._axis(key).values.tolist()
        if values != sorted(values):
            raise SelectionError(f'{self.results.path}: the axis "{key}" does not ascend. Sort it in the study.')
        return values

    def _sort_settings(self) -> tuple[list[str], list[str]]:
        """Names of the transforms that are the paper's, in the order of PAPER_SETTINGS, and of all others."""
        paper, own = {}, []
        for name in self.transforms:
            setting = _clipformer_setting(self.results.study.get("transforms", {}).get(name, {}))
            if setting in PAPER_SETTINGS:
                paper[setting] = name
            elif name != "none":
                own.append(name)
        return [paper[s] for s in PAPER_SETTINGS if s in paper], own

    def _ordered(self, data, *rest: str) -> np.ndarray:
        if MODEL not in data.dims:
            data = data.expand_dims(MODEL)
        wanted = [MODEL, GAMMA, TRANSFORM, *rest]
        return data.isel({d: 0 for d in data.dims if d not in wanted}).transpose(*wanted).values


def _clipformer_setting(transform: dict) -> tuple[float, float] | None:
    """(alpha, beta) of a transform that does nothing else."""
    neutral = {"percentile": 100, "clip_block": "tensor", "rescale": "none", "centre_keys": "no",
               "write_verify_iterations": 0}
    if any(transform.get(key, value) != value for key, value in neutral.items()):
        return None
    return float(transform.get("alpha", 0)), float(transform.get("beta", 1))
