"""Writes a results.h5 exactly as docs/results.md describes it, with made-up numbers that look like a study.

One place for the tests that need such a file. Accuracies fall with the write noise factor, ClipFormer softens the
fall, deeper layers have a lower SNR; all from fixed seeds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

BOUNDS = ["low", "best", "high"]
CLEAN_LOSS = 1.5  # nats, of every image or text without noise


@dataclass
class Study:
    """`axes`: name -> values (numbers or texts). `zips`: name of a zipped axis -> key -> values."""

    axes: dict[str, list] = field(default_factory=dict)
    zips: dict[str, dict[str, list]] = field(default_factory=dict)
    trials: int = 3
    images: int = 40
    shards: int = 2
    layers: int = 4
    name: str = "synthetic"
    complete: bool = True
    flags: tuple[int, ...] = (2,)  # of the last records of an incomplete study: 1 failed, 2 missing
    characters_per_token: float = 0  # of a language model; else 0
    costs: bool = False
    format_version: str = "1"
    format: str = "crossweep results"


class _Writer:
    """Creates data sets with units, long_name and dimension scales."""

    def __init__(self, file: h5py.File):
        self.file = file

    def _prepare(self, values):
        values = np.asarray(values)
        if values.dtype.kind not in "US" and values.dtype != object:
            return values, values.dtype
        encoded = np.array([str(v).encode() for v in values.ravel()], object).reshape(values.shape)
        # Variable length: netCDF-C 4.9.0 reads past the end of fixed-length strings.
        return encoded, h5py.string_dtype()

    def scale(self, path: str, values, units="1", long_name=""):
        data = self.put(path, values, [], units, long_name)
        data.make_scale(path.rpartition("/")[2])
        return data

    def put(self, path, values, scales, units="1", long_name=""):
        values, kind = self._prepare(values)
        data = self.file.create_dataset(path, data=values, dtype=kind)
        data.attrs["units"], data.attrs["long_name"] = units, long_name or path
        for dimension, scale in zip(data.dims, scales):
            dimension.attach_scale(scale)
        return data


def _interval(best: np.ndarray, half: float, known: bool = True) -> np.ndarray:
    half = half if known else np.nan
    return np.stack([best - half, best, best + half], axis=-1)


def _drop(settings: dict) -> float:
    gamma = float(settings.get("device.write_noise_factor", 5))
    relief = {"none": 1.0, "clipformer_1_1": 0.8, "clipformer_2_1": 0.65}.get(settings.get("transform.name"), 0.5)
    worse = "small" in str(settings.get("model.weights", ""))
    coarse = 2.0 ** (2 - float(settings["crossbar.adc_bits"])) if "crossbar.adc_bits" in settings else 0
    return 0.5 / (1 + np.exp(-(gamma - 6) * 0.9)) * relief * (1.2 if worse else 1.0) + coarse


COMPONENTS = ["array", "row_driver", "adc", "shift_add", "write", "buffer", "interconnect", "digital", "storage"]


def _costs(settings: dict) -> np.ndarray:
    """[component, energy_J area_m2 latency_s]: fewer slices of K and V, larger arrays and fewer bits cost less."""
    slices = 3 if settings.get("transform.name") == "clipformer_2_025" else 4
    arrays = 4 * (6 + slices) * 64 / float(settings.get("crossbar.array_rows", 64))
    adc = 2.0 ** (float(settings.get("crossbar.adc_bits", 6)) - 6)
    cost = np.zeros((len(COMPONENTS), 3))
    cost[0] = np.array([2e-6, 3e-9, 0.2e-3]) * [slices, arrays, 1]
    cost[1] = np.array([0.4e-6, 1e-9, 0]) * [slices, arrays, 1]
    cost[2] = np.array([6e-6, 9e-9, 0.6e-3]) * [slices * adc, arrays * adc, 1]
    cost[3] = np.array([1e-6, 1e-9, 0]) * [slices, arrays, 1]
    cost[4] = np.array([0.5e-6, 0, 0.05e-3]) * [slices, 1, 1]
    cost[5:8] = [[2e-6, 7e-7, 0], [1.5e-6, 0, 0], [1e-6, 1e-7, 0.1e-3]]
    return cost


def write(path: str | Path, study: Study) -> Path:
    """Write the file and return its path."""
    axes: dict[str, list] = dict(study.axes)
    for zipped, keys in study.zips.items():
        axes[zipped] = ["; ".join(f"{k}={v}" for k, v in zip(keys, row)) for row in zip(*keys.values())]
    shape = [len(v) for v in axes.values()]
    settings = []
    for index in itertools.product(*map(range, shape)):
        point = {"device.write_noise_factor": 5.0, "transform.name": "none", "device.g_max_S": 1e-5,
                 "model.weights": "/data/fashion_vit.safetensors"}
        for (axis, values), i in zip(axes.items(), index):
            keys = study.zips.get(axis, {axis: values})
            point |= {key: of_key[i] for key, of_key in keys.items()}
        settings.append(point)
    with h5py.File(path, "w") as file:
        _write_contents(file, study, axes, shape, settings)
    return Path(path)


def _write_contents(file, study, axes, shape, settings) -> None:
    writer = _Writer(file)
    file.attrs.update({"format": study.format, "format_version": study.format_version, "crossweep_version": "1.0.0",
                       "git_commit": "0" * 40, "compiler": "none", "instruction_set": "none",
                       "command_line": "crossweep run study.toml --out run", "host": "nowhere", "build_type": "Release",
                       "study_name": study.name,
                       "study_toml": f'[study]\nname = "{study.name}"\ntrials = {study.trials}\n',
                       "content_hash": "00ff", "complete": "true" if study.complete else "false", "confidence": [0.95]})
    if study.characters_per_token:
        file.attrs["characters_per_token"] = [study.characters_per_token]
    random = np.random.default_rng(1)
    points, trials, images, layers = len(settings), study.trials, study.images, study.layers
    per_shard = images // study.shards
    point = writer.scale("point", np.arange(points, dtype=np.uint32))
    trial = writer.scale("trial", np.arange(trials, dtype=np.uint32))
    shard = writer.scale("shard", np.arange(study.shards, dtype=np.uint32))
    image = writer.scale("image", np.arange(images, dtype=np.uint32))
    layer = writer.scale("layer", np.arange(layers, dtype=np.uint32))
    models = sorted({s["model.weights"] for s in settings})
    reference = writer.scale("reference_index", np.arange(len(models), dtype=np.uint32))

    file.create_dataset("axes", data=list(axes) or None, shape=(len(axes),), dtype=h5py.string_dtype())

    labels = random.integers(0, 10, images).astype(np.int32)
    writer.put("labels", labels, [image], long_name="correct class")
    clean = np.repeat(labels[None], len(models), axis=0)
    wrong = max(1, images // 10)
    for row in range(len(models)):
        clean[row, : wrong + row] = (clean[row, : wrong + row] + 1) % 10
    writer.put("reference/class", clean.astype(np.int32), [reference, image])
    writer.put("reference/margin", np.ones((len(models), images), np.float32), [reference, image])

    writer.put("reference/loss", np.full((len(models), images), CLEAN_LOSS, np.float32), [reference, image], "nat")

    for key in settings[0]:
        values = [s[key] for s in settings]
        writer.put(f"points/{key}", values if isinstance(values[0], str) else np.asarray(values, float), [point])
    which = np.array([models.index(s["model.weights"]) for s in settings], np.uint32)
    writer.put("points/reference", which, [point])

    noise_free = (clean == labels).mean(axis=1)[which]
    accuracy = noise_free - np.array([_drop(s) for s in settings])
    block = (points, trials, study.shards)
    counts = np.broadcast_to(np.round(accuracy[:, None, None] * per_shard), block).astype(np.uint32)
    failed = np.zeros(block, np.uint8)
    if not study.complete:
        failed.reshape(-1)[-len(study.flags):] = study.flags
    writer.put("records/images", np.where(failed, 0, per_shard).astype(np.uint32), [point, trial, shard])
    writer.put("records/predictions", np.where(failed, 0, 1).astype(np.uint32), [point, trial, shard])
    writer.put("records/correct_top1", counts, [point, trial, shard])
    writer.put("records/correct_top5", counts, [point, trial, shard])
    writer.put("records/seconds", np.full(block, 0.5), [point, trial, shard], "s", "compute time")
    writer.put("records/failed", failed, [point, trial, shard])
    writer.put("predictions/class", np.broadcast_to(labels, (points, trials, images)).copy(), [point, trial, image])
    writer.put("predictions/margin", np.ones((points, trials, images), np.float32), [point, trial, image])
    loss = CLEAN_LOSS + 4 * np.array([_drop(s) for s in settings])
    writer.put("predictions/loss", np.broadcast_to(loss[:, None, None], (points, trials, images)).astype(np.float32),
               [point, trial, image], "nat")
    snr = 9 - 20 * np.array([_drop(s) for s in settings])[:, None] - 0.8 * np.arange(layers)[None]
    signal = np.full((points, trials, layers), 1e3)
    writer.put("attention/signal", signal, [point, trial, layer])
    writer.put("attention/noise", signal / 10 ** (snr[:, None] / 10), [point, trial, layer])
    costs = np.array([_costs(s) for s in settings]) if study.costs else None
    if study.costs:
        _write_costs(writer, costs, point, layers)
    _write_surfaces(writer, study, axes, shape, {"costs": costs, "accuracy": accuracy, "noise_free": noise_free, "snr": snr,
                                                  "loss": loss})


FIGURES = [("energy_J", "J"), ("area_m2", "m2"), ("latency_s", "s")]


def _write_costs(writer, costs, point, layers) -> None:
    component = writer.scale("cost/component", COMPONENTS)
    layer = writer.scale("cost/cost_layer", [str(block) for block in range(layers)] + ["outside"])
    for i, (name, units) in enumerate(FIGURES):
        writer.put(f"cost/{name}", costs[:, :, i], [point, component], units)
        of_layer = np.repeat(costs[:, :, i].sum(axis=1, keepdims=True) / (layers + 1), layers + 1, axis=1)
        writer.put(f"cost/layer_{name}", of_layer, [point, layer], units)
    for name, value in [("arrays", 640.0), ("array_reads", 1e6), ("conversions", 1e7), ("cell_writes", 4e4),
                        ("write_pulses", 5e4), ("writes_per_cell", 1.25)]:
        writer.put(f"cost/{name}", np.full(len(costs), value), [point])
    writer.put("cost/wear_out_years", np.full(len(costs), np.inf), [point], "year")


def _write_surfaces(writer, study, axes, shape, numbers) -> None:
    scales = []
    for name, values in axes.items():
        numeric = not isinstance(values[0], str)
        scales.append(writer.scale(f"surfaces/{name}", np.asarray(values, float) if numeric else values, long_name=name))
        for key, of_key in study.zips.get(name, {}).items():
            numeric = not isinstance(of_key[0], str)
            writer.put(f"surfaces/{key}", np.asarray(of_key, float) if numeric else of_key, [scales[-1]])
    bound = writer.scale("surfaces/bound", BOUNDS)
    layer = writer.scale("surfaces/layer", np.arange(study.layers, dtype=np.uint32))
    accuracy, snr = numbers["accuracy"].reshape(shape), numbers["snr"].reshape([*shape, study.layers])
    noise_free = numbers["noise_free"].reshape(shape)
    loss = numbers["loss"].reshape(shape)
    many = study.trials > 1
    over_both, over_trials = _interval(loss, 0.2), _interval(loss, 0.1, many)
    of_texts = [("perplexity", np.exp(over_trials), "1"), ("perplexity_images_like_these", np.exp(over_both), "1"),
                ("bits_per_character", over_trials / np.log(2) / study.characters_per_token, "bit"),
                ("bits_per_character_images_like_these", over_both / np.log(2) / study.characters_per_token, "bit"),
                ] if study.characters_per_token else []
    for name, values, units in of_texts + [
            ("loss", over_trials, "nat"),
            ("loss_images_like_these", over_both, "nat"),
            ("top1_accuracy", _interval(accuracy, 0.015, many), "1"),
            ("top1_accuracy_images_like_these", _interval(accuracy, 0.05), "1"),
            ("top5_accuracy", _interval(np.minimum(1, accuracy + 0.05), 0.01, many), "1"),
            ("accuracy_drop", _interval(noise_free - accuracy, 0.04), "1"),
            ("snr_dB", _interval(snr.mean(axis=-1), 0.3, many), "dB")]:
        writer.put(f"surfaces/{name}", values, [*scales, bound], units, name.replace("_", " "))
    writer.put("surfaces/snr_layer_dB", snr, [*scales, layer], "dB", "attention SNR of each layer")
    if study.costs:
        total = numbers["costs"].sum(axis=1).reshape([*shape, 3])
        for i, (name, units) in enumerate(FIGURES):
            writer.put(f"surfaces/{name}", total[..., i], scales, units)
        writer.put("surfaces/energy_delay_Js", total[..., 0] * total[..., 2], scales, "J s")
