"""Opening results.h5 and handing its contents out as xarray objects.

Decides what counts as a readable file and how the flat `point` dimension unfolds into the axes of the sweep.
The layout is documented in docs/results.md; drawing is left to `plots.py`.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from . import names

FORMAT = "crossweep results"
NEWEST_VERSION = 1


class ResultsError(Exception):
    """The file is missing, is not crossweep's, or lacks what was asked for. The message is one sentence or two."""


class SelectionError(Exception):
    """The caller named an axis, a surface or a value that this study does not have."""


@dataclass(frozen=True)
class Axis:
    """One dimension of the sweep, seen through one of its keys.

    `dimension` is its name in the file, `key` the configuration key that gives `values` (the two differ where one
    key of a zipped axis was asked for), `numeric` says that `values` are float64 and not text.
    """

    dimension: str
    key: str
    values: np.ndarray
    numeric: bool

    def __len__(self) -> int:
        return len(self.values)

    @property
    def labels(self) -> list[str]:
        return names.value_labels(self.key, self.values.tolist())

    def setting(self, index: int) -> str:
        """ "write noise factor γ = 3" for the value at `index`. """
        return names.setting(self.key, self.values.tolist()[index])


class Results:
    """One study, opened for reading; everything is loaded on first use and the file is closed again.

    Throws ResultsError: no such file, not a crossweep results file, newer than this reader, or incomplete
    (unless `partial`, for files written by `crossweep merge --partial`).
    """

    def __init__(self, path: str | Path, partial: bool = False):
        self.path = Path(path)
        self.attributes = _root_attributes(self.path)
        self.complete = self.attributes.get("complete", "true") == "true"
        if not self.complete and not partial:
            raise ResultsError(
                f"{self.path} is incomplete ({self.missing}). Resume the run and merge again, or allow partial "
                "results (--partial, or partial=True in Python).")

    @cached_property
    def study(self) -> dict:
        """The resolved study, parsed from its TOML; empty if the file does not hold it."""
        try:
            return tomllib.loads(self.attributes.get("study_toml", ""))
        except tomllib.TOMLDecodeError as error:
            raise ResultsError(f"{self.path}: attribute study_toml is not TOML ({error}).") from None

    @property
    def name(self) -> str:
        return self.attributes.get("study_name") or str(self.study.get("study", {}).get("name", self.path.stem))

    @cached_property
    def confidence(self) -> float:
        """Of every interval in the file, as a fraction."""
        return float(self.attributes.get("confidence", 0.95))

    @cached_property
    def surfaces(self) -> xr.Dataset:
        """Accuracy, drop, loss and SNR over the axes of the sweep, [axes..., bound]."""
        return self._group("surfaces")

    @cached_property
    def points(self) -> xr.Dataset:
        """The value of every configuration key, [point]."""
        return self._group("points")

    @cached_property
    def records(self) -> xr.Dataset:
        """Counts, seconds and the failed flag, [point, trial, shard]."""
        return self._group("records")

    @cached_property
    def predictions(self) -> xr.Dataset:
        """`class`, `margin` and `loss`, [point, trial, image]."""
        return self._group("predictions")

    @cached_property
    def costs(self) -> xr.Dataset:
        """Energy, area and latency of one input, [point, component] and `layer_`… [point, cost_layer], and counts [point].
        Throws ResultsError if the file has none."""
        if not self.has_costs:
            raise ResultsError(f"{self.path} has no costs. Merge it again with a crossweep that knows them: `crossweep run` "
                               "with the study for its directory, which computes nothing anew, writes them.")
        return self._group("cost")

    @property
    def has_costs(self) -> bool:
        """Whether the file says what its points cost; older ones do not."""
        return "energy_J" in self.surfaces

    @cached_property
    def attention(self) -> xr.Dataset:
        """`signal` and `noise`, sums of squares [point, trial, layer]."""
        return self._group("attention")

    @cached_property
    def paths(self) -> xr.Dataset:
        """`name` of every path of instruction sets and how many `records` were computed on it, [path]."""
        return self._group("paths")

    @cached_property
    def reference(self) -> xr.Dataset:
        """Noise-free predictions `class`, `margin` and `loss`, [reference_index, image]."""
        return self._group("reference")

    @cached_property
    def labels(self) -> xr.DataArray:
        """Correct class, [image]."""
        return self._root["labels"]

    @cached_property
    def axes(self) -> dict[str, Axis]:
        """The axes of the sweep by dimension name, in study order; empty for a study without axes."""
        dimensions = [d for d in self.surface("top1_accuracy").dims if d != "bound"]
        return {d: self._make_axis(d, d) for d in dimensions}

    def axis(self, key: str) -> Axis:
        """The axis called `key`, or the zipped or listed axis that `key` is part of. Throws SelectionError."""
        if key in self.axes:
            return self.axes[key]
        if key in self.keys_of_axes():
            return self._make_axis(self.surfaces[key].dims[0], key)
        near = difflib.get_close_matches(key, self.axes, 1, 0.5)
        hint = f'; did you mean "{near[0]}"?' if near else "."
        have = ", ".join(self.axes) or "none"
        raise SelectionError(f'{self.path} has no axis "{key}" (its axes: {have}){hint}')

    def keys_of_axes(self, dimension: str | None = None) -> list[str]:
        """Configuration keys with a value for each value of an axis, or of the axis `dimension`, that go by another name."""
        return [k for k, v in self.surfaces.data_vars.items()
                if k in self.points and v.ndim == 1 and v.dims[0] in self.axes and dimension in (None, v.dims[0])]

    def surface(self, name: str) -> xr.DataArray:
        """The surface `name`, [axes..., bound] or [axes..., layer]. Throws SelectionError naming those that exist."""
        if name in self.surfaces.data_vars and not {"bound", "layer"}.isdisjoint(self.surfaces[name].dims):
            return self.surfaces[name]
        have = [n for n, v in self.surfaces.data_vars.items() if not {"bound", "layer"}.isdisjoint(v.dims)]
        near = difflib.get_close_matches(name, have, 1, 0.5)
        hint = f'; did you mean "{near[0]}"?' if near else "."
        raise SelectionError(f'{self.path} has no surface "{name}" (it has: {", ".join(have)}){hint}')

    def on_axes(self, per_point: xr.DataArray) -> xr.DataArray:
        """Unfold [point, rest...] into [axes..., rest...]; points are row-major over the axes, last axis fastest."""
        shape = [len(axis) for axis in self.axes.values()]
        per_point = per_point.transpose("point", ...)
        if int(np.prod(shape)) != per_point.sizes["point"]:
            raise ResultsError(f"{self.path} has {per_point.sizes['point']} points, but its axes span {shape}.")
        rest = [d for d in per_point.dims if d != "point"]
        values = per_point.values.reshape(shape + [per_point.sizes[d] for d in rest])
        coordinates = {d: (d, axis.values) for d, axis in self.axes.items()}
        coordinates |= {d: per_point.coords[d] for d in rest if d in per_point.coords}
        return xr.DataArray(values, coordinates, list(self.axes) + rest, per_point.name, per_point.attrs)

    @cached_property
    def noise_free_accuracy(self) -> xr.DataArray:
        """Fraction correct of the digital reference that belongs to each point, [axes...]; of a language model,
        of the last tokens alone."""
        predicted = self.reference["class"]
        right = (predicted.values == self.labels.values[None, :]).sum(axis=1)
        present = (predicted.values >= 0).sum(axis=1)
        accuracy = np.where(present > 0, right / np.maximum(present, 1), np.nan)
        per_point = accuracy[self.points["reference"].values.astype(int)]
        return self.on_axes(xr.DataArray(per_point, dims="point", name="noise_free_accuracy"))

    @property
    def is_of_language_model(self) -> bool:
        """Whether the inputs are texts whose tokens are told one after the other."""
        return "characters_per_token" in self.attributes

    @property
    def inputs(self) -> str:
        """What the study evaluates: "images" or "texts"."""
        return "texts" if self.is_of_language_model else "images"

    @cached_property
    def noise_free_perplexity(self) -> xr.DataArray:
        """Perplexity of the digital reference that belongs to each point, [axes...]."""
        loss = self.reference["loss"].values.astype(float)
        there = np.isfinite(loss)
        mean = np.where(there, loss, 0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)
        per_point = np.exp(mean)[self.points["reference"].values.astype(int)]
        return self.on_axes(xr.DataArray(per_point, dims="point", name="noise_free_perplexity"))

    @cached_property
    def image_range(self) -> tuple[int, int]:
        """Fewest and most images that a (point, trial) used; in a partial file both are the most."""
        used = self.records["images"].sum("shard").values
        used = used[used > 0]
        if not used.size:
            return 0, 0
        return (int(used.min()) if self.complete else int(used.max())), int(used.max())

    @property
    def trials(self) -> int:
        return self.records.sizes["trial"]

    @property
    def missing(self) -> str:
        """What an incomplete file lacks: "5 of 36 records missing, 1 of 36 records failed". """
        flags = self.records["failed"].values
        absent, failed = int((flags == 2).sum()), int((flags == 1).sum())
        parts = [f"{absent} of {flags.size} records missing"] * (absent > 0) + [f"{failed} of {flags.size} records failed"] * (failed > 0)
        # /records holds the points only; a noise-free reference is the one other thing that can lack.
        return ", ".join(parts) or "a noise-free reference is missing"

    @cached_property
    def models(self) -> list[str]:
        """Short names of the models of the study, in order of appearance."""
        if "model.weights" not in self.points:
            return []
        return names.value_labels("model.weights", list(dict.fromkeys(map(str, self.points["model.weights"].values))))

    def summary(self) -> str:
        """One line for titles: study, model, images × trials, and what is missing."""
        fewest, most = self.image_range
        images = f"{most}" if fewest == most else f"{fewest}–{most}"
        parts = [f"study “{self.name}”"]
        if self.models:
            parts.append(self.models[0] if len(self.models) == 1 else f"{len(self.models)} models")
        inputs = self.inputs if most != 1 else self.inputs.removesuffix("s")
        parts.append(f"{images} {inputs} × {self.trials} trial{'s' * (self.trials != 1)}")
        if not self.complete:
            parts.append(f"INCOMPLETE: {self.missing}")
        return " · ".join(parts)

    @cached_property
    def _root(self) -> xr.Dataset:
        return self._open(None)

    def _group(self, group: str) -> xr.Dataset:
        """Variables of one group, with the coordinates of the root dimensions that they use."""
        data = self._open(group)
        shared = {d: self._root[d] for d in data.dims if d not in data.coords and d in self._root.coords}
        return data.assign_coords(shared)

    def _open(self, group: str | None) -> xr.Dataset:
        # Nothing is decoded: a fill value would turn integer classes into floats, and "s" is no calendar.
        try:
            with xr.open_dataset(self.path, group=group, engine="netcdf4", mask_and_scale=False,
                                 decode_times=False) as data:
                return data.load()
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            place = f"group /{group}" if group else "the root group"
            raise ResultsError(f"{self.path}: {place} cannot be read ({error}).") from None

    def _make_axis(self, dimension: str, key: str) -> Axis:
        values = self.surfaces[key].values
        numeric = np.issubdtype(values.dtype, np.number)
        return Axis(dimension, key, values.astype(float) if numeric else np.array([_text(v) for v in values], object),
                    numeric)


def _text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _root_attributes(path: Path) -> dict[str, str]:
    """All root attributes as text, after checking that this is a results file that this reader knows."""
    if not path.exists():
        raise ResultsError(f"{path} does not exist. Write it with `crossweep merge RUNDIR`.")
    if path.is_dir():
        raise ResultsError(f"{path} is a folder. Give the results.h5 in it.")
    if not h5py.is_hdf5(path):
        raise ResultsError(f"{path} is not an HDF5 file.")
    with h5py.File(path, "r") as file:
        attributes = {}
        for key, value in file.attrs.items():
            if np.size(value) == 1:
                attributes[key] = _text(np.ravel(value)[0] if isinstance(value, np.ndarray) else value)
    if attributes.get("format") != FORMAT:
        raise ResultsError(f'{path} is HDF5 but not a crossweep results file (its attribute format is not "{FORMAT}"); '
                           "segments of a run are joined by `crossweep merge RUNDIR`.")
    try:
        version = int(float(attributes.get("format_version", "")))
    except ValueError:
        raise ResultsError(f"{path} has no readable format_version.") from None
    if version > NEWEST_VERSION:
        raise ResultsError(f"{path} has layout version {version}, newer than the {NEWEST_VERSION} known here. "
                           "Use the analysis scripts that came with the crossweep that wrote it "
                           f"({attributes.get('crossweep_version', 'unknown version')}).")
    return attributes
