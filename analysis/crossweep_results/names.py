"""Words and units for configuration keys: what stands on axes and in legends.

Decides only wording. A key that is not listed here is still legible: underscores become spaces and its unit
suffix (`_S`, `_dB`, ...) becomes the unit in brackets.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

_WORDS = {
    "device.write_noise_factor": "write noise factor γ",
    "device.write_noise_sigma": "write noise $\\sigma_W$",
    "device.read_noise_sigma": "read noise $\\sigma_R$",
    "device.programming_noise_sigma": "programming noise $\\sigma$",
    "device.on_off_ratio": "ON/OFF ratio $G_{max}/G_{min}$",
    "device.g_max_S": "largest conductance $G_{max}$",
    "device.read_noise": "read noise persistence",
    "device.clamp": "conductance clamp",
    "crossbar.weight_levels": "conductance levels",
    "crossbar.input_bits": "input bits",
    "crossbar.weight_scale": "scale block of weights",
    "crossbar.written_scale": "scale block of K and V",
    "crossbar.input_scale": "scale block of inputs",
    "crossbar.array_rows": "array rows",
    "crossbar.array_columns": "array columns",
    "crossbar.adc_bits": "bits of the ADC",
    "crossbar.array_rows+crossbar.array_columns": "array rows and columns",
    "device.bits_per_cell": "bits per cell",
    "energy_J": "energy of one input",
    "latency_s": "latency of one input",
    "model.weights": "model",
    "data.images": "image set",
    "data.count": "number of images",
    "study.seed": "study seed",
    "transform.name": "transform of K and V",
    "transform.alpha": "ClipFormer's α",
    "transform.beta": "ClipFormer's β",
    "layer": "encoder block",
    "listed": "listed point",
}

# Suffix of a key -> (unit as printed, may it take an SI prefix).
_UNITS = {
    "S": ("S", True), "s": ("s", True), "J": ("J", True), "W": ("W", True), "V": ("V", True), "A": ("A", True),
    "F": ("F", True), "Hz": ("Hz", True), "ohm": ("Ω", True), "dB": ("dB", False), "K": ("K", False),
    "m": ("m", True), "m2": ("m²", False), "bytes": ("bytes", False), "percent": ("%", False),
}
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


def unit_of(key: str) -> str:
    """The unit that the suffix of `key` names, as printed ("S", "dB", "m²"); "" for a dimensionless key."""
    stem, _, suffix = key.rpartition("_")
    return _UNITS[suffix][0] if stem and suffix in _UNITS else ""


def words(key: str) -> str:
    """Human words for a configuration key, without its unit. A zipped key (`a+b`) gives both, joined by "and"."""
    if key in _WORDS:
        return _WORDS[key]
    if "+" in key:
        return " and ".join(words(part) for part in key.split("+"))
    section, _, last = key.rpartition(".")
    if last in ("alpha", "beta"):
        symbol = {"alpha": "α", "beta": "β"}[last]
        return f"{symbol} of {section.split('.')[-1]}" if section else symbol
    if unit_of(key):
        last = last.rpartition("_")[0]
    return last.replace("_", " ")


def si_scale(key: str, values: np.ndarray) -> tuple[float, str]:
    """`(factor, unit)` such that `values * factor` reads well in `unit`: 1e-5 with suffix `_S` gives (1e6, "µS")."""
    unit = unit_of(key)
    suffix = key.rpartition("_")[2]
    finite = np.abs(np.asarray(values, float))
    finite = finite[np.isfinite(finite) & (finite > 0)]
    if not unit or not _UNITS[suffix][1] or not finite.size:
        return 1.0, unit
    # The median, not the largest: a sweep over decades reads best from its middle.
    exponent = int(np.clip(3 * np.floor(np.log10(np.median(finite)) / 3 + 1e-9), -15, 9))
    return 10.0 ** -exponent, _PREFIXES[exponent] + unit


def axis_label(key: str, values: np.ndarray | None = None) -> str:
    """Words with the unit in brackets: "largest conductance G_max (µS)". `values` choose the SI prefix."""
    unit = unit_of(key) if values is None else si_scale(key, values)[1]
    return f"{words(key)} ({unit})" if unit else words(key)


def value_labels(key: str, values: Sequence) -> list[str]:
    """One short text per value: files by base name where that stays unique, numbers without trailing zeros."""
    values = list(values)
    if all(isinstance(v, (int, float, np.number)) for v in values):
        factor, _ = si_scale(key, np.asarray(values, float))
        return [f"{float(v) * factor:.6g}" for v in values]
    texts = [_shorten_pairs(str(v)) if "=" in str(v) else _base_name(str(v)) for v in values]
    return texts if len(set(texts)) == len(texts) else [str(v) for v in values]


def setting(key: str, value, unit: bool = True) -> str:
    """ "write noise factor γ = 3", "largest conductance = 10 µS", "transform none". """
    label = value_labels(key, [value])[0]
    if isinstance(value, str):
        return f"{words(key)} {label}"
    _, symbol = si_scale(key, np.asarray([value], float))
    return f"{words(key)} = {label}{' ' + symbol if symbol and unit else ''}"


def _base_name(text: str) -> str:
    name = os.path.basename(text) or text
    for suffix in (".safetensors", ".h5", ".gz"):
        name = name.removesuffix(suffix)
    return name


def _shorten_pairs(text: str) -> str:
    """ "device.g_max_S=1e-05; transform.name=none" -> "g_max_S=1e-05, none": what a zipped or listed value needs to say. """
    pairs = [part.partition("=") for part in text.split("; ")]
    return ", ".join(_base_name(value) if key in ("transform.name", "model.weights") else
                     f"{key.rpartition('.')[2]}={_base_name(value)}" for key, _, value in pairs)
