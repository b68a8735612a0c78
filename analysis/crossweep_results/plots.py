"""Figures of a study: accuracy and SNR against an axis, SNR per layer, heat maps.

Every function takes `Results` and returns a matplotlib Figure that is readable on its own; `save` writes it.
Axes beyond those drawn become panels (one small axis) or are fixed at their first value, which the title says.
Shapes are those of the surfaces: [axes..., bound] and [axes..., layer].
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import names
from .layout import MOST_LINES, Layout, choose_layout, place_rest
from .study import Axis, Results, SelectionError

# Okabe and Ito's palette (jfly.uni-koeln.de/color) without yellow and black, which are too faint and taken by the
# reference; two dark tones added. Markers repeat the distinction for print in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#661100", "#666666"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
REFERENCE_COLOUR = "#222222"
assert len(COLOURS) == len(MARKERS) == MOST_LINES

STYLE = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd",
          "grid.linewidth": 0.6, "axes.axisbelow": True, "font.size": 10, "axes.titlesize": 10,
          "legend.frameon": False, "legend.fontsize": 9, "svg.hashsalt": "crossweep", "figure.dpi": 100}


@dataclass(frozen=True)
class Quantity:
    """How a surface is shown: its words, unit, factor from stored to shown numbers, and what its bounds span."""

    words: str
    unit: str
    factor: float
    interval: str
    logarithmic: bool = False

    @property
    def label(self) -> str:
        return f"{self.words} ({self.unit})" if self.unit else self.words


_OVER_TRIALS = "over trials, these images"
_OVER_BOTH = "over images and trials (images like these)"
_TEXTS_OVER_TRIALS, _TEXTS_OVER_BOTH = (over.replace("images", "texts") for over in (_OVER_TRIALS, _OVER_BOTH))
QUANTITIES = {
    "top1_accuracy": Quantity("top-1 accuracy", "%", 100, _OVER_TRIALS),
    "top1_accuracy_images_like_these": Quantity("top-1 accuracy", "%", 100, _OVER_BOTH),
    "top5_accuracy": Quantity("top-5 accuracy", "%", 100, _OVER_TRIALS),
    "loss": Quantity("loss", "nats", 1, _OVER_TRIALS),
    "loss_images_like_these": Quantity("loss", "nats", 1, _OVER_BOTH),
    "perplexity": Quantity("perplexity", "", 1, _TEXTS_OVER_TRIALS, True),
    "perplexity_images_like_these": Quantity("perplexity", "", 1, _TEXTS_OVER_BOTH, True),
    "bits_per_character": Quantity("loss", "bits per character", 1, _TEXTS_OVER_TRIALS),
    "bits_per_character_images_like_these": Quantity("loss", "bits per character", 1, _TEXTS_OVER_BOTH),
    "accuracy_drop": Quantity("drop of top-1 accuracy", "percentage points", 100, f"{_OVER_BOTH}, paired"),
    "snr_dB": Quantity("attention SNR, mean over layers", "dB", 1, "over trials"),
    "snr_layer_dB": Quantity("attention SNR", "dB", 1, ""),
}


def quantity(surface: str) -> Quantity:
    """How to show `surface`; one unknown to this reader gets its name and the unit of its suffix."""
    return QUANTITIES.get(surface) or Quantity(names.words(surface), names.unit_of(surface) or "1", 1, "as stored")


def accuracy_against(results: Results, axis: str | None = None, lines: str | None = None,
                     surface: str = "top1_accuracy", layout: Layout | None = None) -> Figure:
    """Draw `surface` against `axis`, one line with its interval per value of `lines`; also serves SNR and drop.

    Dashed: the noise-free reference (of top-1 and perplexity) with its value. With a single trial there is no
    interval over trials, so surfaces that have one for images like these fall back to it, and the legend says so.
    """
    layout = layout or choose_layout(results, axis, lines)
    surface, note = with_interval(results, surface)
    show = quantity(surface)
    data = results.surface(surface).isel(layout.fixed) * show.factor
    clean = _noise_free(results, surface, layout)
    with matplotlib.rc_context(STYLE):
        figure, panels = panel_grid(1 if layout.panels is None else len(layout.panels))
        texts = []
        for i, panel in enumerate(panels):
            here = {} if layout.panels is None else {layout.panels.dimension: i}
            if layout.panels is not None:
                panel.set_title(layout.panels.setting(i), loc="left")
            _draw_lines(panel, data.isel(here), layout)
            if show.logarithmic:
                panel.set_yscale("log")
            if clean is not None:
                texts.append(_draw_reference(panel, clean.isel(here), layout, show))
            _dress_x(panel, layout.x, results)
        for panel in panels[:: figure.columns]:
            panel.set_ylabel(show.label)
        _share_y(panels)
        for write_text in filter(None, texts):
            write_text()
        _legend(panels[min(figure.columns, len(panels)) - 1], layout.lines,
                _extras(results, data, show, note, clean is not None))
        x_words = f" against {names.words(layout.x.key)}" if layout.x else ""
        put_title(figure, show.words + x_words, results, layout)
    return figure


def snr_per_layer(results: Results, axis: str | None = None, lines: str | None = None, most_columns: int = 4) -> Figure:
    """Draw the attention SNR of each encoder block, a column for each of up to `most_columns` values of `axis`
    (first and last included), a row for each value of a third small axis, a line for each value of `lines`."""
    layout = choose_layout(results, axis, lines)
    data = results.surface("snr_layer_dB").isel(layout.fixed)
    data = data.where(np.isfinite(data))
    order = [0] if layout.x is None else list(np.argsort(layout.x.values)) if layout.x.numeric else list(range(len(layout.x)))
    columns = sorted(set(np.linspace(0, len(order) - 1, min(most_columns, len(order))).round().astype(int)))
    rows = 1 if layout.panels is None else len(layout.panels)
    with matplotlib.rc_context(STYLE):
        figure, panels = panel_grid(rows * len(columns), len(columns))
        for i, panel in enumerate(panels):
            row, column = divmod(i, len(columns))
            here = {} if layout.panels is None else {layout.panels.dimension: row}
            titles = [] if layout.panels is None else [layout.panels.setting(row)]
            if layout.x is not None:
                here[layout.x.dimension] = order[columns[column]]
                titles.insert(0, layout.x.setting(order[columns[column]]))
            panel.set_title("\n".join(titles), loc="left")
            for line, colour, marker in _styles(layout.lines):
                values = data.isel(here | line).transpose("layer")
                panel.plot(values["layer"], values, color=colour, marker=marker, markersize=4.5, linewidth=1.5)
            panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True))
            if row == rows - 1:
                panel.set_xlabel("encoder block (from 0)")
            if column == 0:
                panel.set_ylabel("attention SNR (dB)")
        _share_y(panels)
        _legend(panels[len(columns) - 1], layout.lines, [remark("all images and trials together")])
        put_title(figure, "attention SNR of each encoder block", results, layout)
    return figure


def heat_map(results: Results, x: str, y: str, surface: str = "accuracy_drop") -> Figure:
    """Draw `surface` over two axes, each cell with its value and, where few enough, its interval.

    `layer` is an axis of `snr_layer_dB`. A third small axis becomes panels. Throws SelectionError.
    """
    show = quantity(surface)
    data = results.surface(surface) * show.factor
    first, second = (_heat_axis(results, key, data) for key in (x, y))
    if first.dimension == second.dimension:
        raise SelectionError(f'a heat map needs two different axes, not "{x}" and "{y}".')
    if "layer" in data.dims and "layer" not in (first.dimension, second.dimension):
        raise SelectionError(f'{surface} varies over "layer"; make that one of the two axes, or use snr_dB.')
    layout = Layout(x=first, lines=second)
    drawn = {first.dimension, second.dimension}
    place_rest(layout, {d: a for d, a in results.axes.items() if len(a) > 1 and d not in drawn}, results)
    data = data.isel(layout.fixed)
    data = data.where(np.isfinite(data))
    best = data.sel(bound="best") if "bound" in data.dims else data
    if not np.isfinite(best.values).any():
        raise SelectionError(f"{surface} holds no finite value, so there is no heat map of it.")
    scale = matplotlib.colors.LogNorm if show.logarithmic else matplotlib.colors.Normalize
    colours = scale(float(best.min()), float(best.max()))
    count = 1 if layout.panels is None else len(layout.panels)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        cell = 0.95 if max(len(first), len(second)) <= 8 else 0.55
        size = (max(4.4, cell * len(first) + 1.4), max(2.6, 0.62 * cell * len(second) + 1.2))
        figure, panels = panel_grid(count, size=size)
        bounds_shown = False
        for i, panel in enumerate(panels):
            here = {} if layout.panels is None else {layout.panels.dimension: i}
            if layout.panels is not None:
                panel.set_title(layout.panels.setting(i), loc="left")
            image, bounds_shown = _draw_cells(panel, data.isel(here), first, second, colours)
        bar = figure.colorbar(image, ax=panels, shrink=0.9, pad=0.02)
        bar.set_label(textwrap.fill(show.label, 24))
        bar.outline.set_visible(False)
        if show.logarithmic:
            plain_ticks(bar.ax.yaxis, colours.vmin, colours.vmax)
        words = f"{show.words} over {names.words(first.key)} and {names.words(second.key)}"
        small = f"small: {results.confidence * 100:g} % interval {show.interval}" if bounds_shown else ""
        put_title(figure, words, results, layout, small)
    return figure


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write `stem`.png (150 dpi) and `stem`.svg, creating the folder, and return their paths."""
    stem = Path(stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix, options in ((".png", {"dpi": 150}), (".svg", {"metadata": {"Date": None}})):
        path = stem.with_name(stem.name + suffix)
        with matplotlib.rc_context(STYLE):
            figure.savefig(path, facecolor="white", **options)
        written.append(path)
    return written


def has_values(results: Results, surface: str) -> bool:
    """Whether `surface` exists and holds a finite number: a study without noise has no SNR to draw."""
    return surface in results.surfaces and bool(np.isfinite(results.surfaces[surface].values).any())


# ---- what is shown ----------------------------------------------------------------------------------------------

def _heat_axis(results: Results, key: str, data: xr.DataArray) -> Axis:
    if key == "layer" and "layer" in data.dims:
        return Axis("layer", "layer", data["layer"].values.astype(float), True)
    return results.axis(key)


def with_interval(results: Results, surface: str) -> tuple[str, str]:
    """The surface to draw and what to say of its interval, given that one trial gives none over trials."""
    data = results.surface(surface)
    if "bound" not in data.dims:
        raise SelectionError(f'{surface} has no bounds and varies over "layer"; the per-layer figure or a heat map '
                             "with the axis layer shows it.")
    if np.isfinite(data.sel(bound=["low", "high"]).values).any():
        return surface, ""
    if has_values(results, f"{surface}_images_like_these"):
        return f"{surface}_images_like_these", f"one trial: interval for {results.inputs} like these"
    return surface, "one trial: no interval" if results.trials == 1 else "no interval in the file"


def _noise_free(results: Results, surface: str, layout: Layout) -> xr.DataArray | None:
    """Noise-free value in shown units, [axes that are drawn]; None for a surface that has no such line."""
    if surface.startswith("perplexity"):
        return results.noise_free_perplexity.isel(layout.fixed)
    if surface.startswith("top1_accuracy") and not results.is_of_language_model:
        return results.noise_free_accuracy.isel(layout.fixed) * 100
    return None


# ---- drawing ----------------------------------------------------------------------------------------------------

def panel_grid(count: int, columns: int = 3, size: tuple[float, float] | None = None) -> tuple[Figure, list]:
    """A figure of `count` equal panels in rows of at most `columns`; the number of columns is kept on the figure."""
    columns = min(columns, count)
    rows = -(-count // columns)
    width, height = size or ((6.2, 4.2) if count == 1 else (4.0, 3.5) if columns <= 2 else (3.4, 3.2))
    legend = 2.2 if size is None else 1.0
    figure = Figure(figsize=(width * columns + legend, height * rows + 0.9), layout="constrained")
    figure.columns = columns
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return figure, panels


def _styles(lines: Axis | None):
    """(selection, colour, marker) of every line; one line and an empty selection without a lines axis."""
    if lines is None:
        return [({}, COLOURS[0], MARKERS[0])]
    return [({lines.dimension: i}, COLOURS[i], MARKERS[i]) for i in range(len(lines))]


def _x_positions(axis: Axis | None) -> tuple[np.ndarray, np.ndarray]:
    """Where the values of `axis` lie, in drawing order, and their indices in the data."""
    if axis is None:
        return np.zeros(1), np.zeros(1, int)
    if not axis.numeric:
        return np.arange(len(axis), dtype=float), np.arange(len(axis))
    order = np.argsort(axis.values, kind="stable")
    return axis.values[order] * names.si_scale(axis.key, axis.values)[0], order


def _draw_lines(panel, data: xr.DataArray, layout: Layout) -> None:
    positions, order = _x_positions(layout.x)
    as_bars = layout.x is None or not layout.x.numeric or len(positions) == 1
    styles = _styles(layout.lines)
    for i, (line, colour, marker) in enumerate(styles):
        chosen = data.isel(line)
        if layout.x is None:
            chosen = chosen.expand_dims("only")
        values = chosen.transpose(..., "bound").sel(bound=["low", "best", "high"]).values[order]
        low, best, high = np.where(np.isfinite(values), values, np.nan).T
        if as_bars:
            # Side by side, so that intervals of lines at the same value do not hide each other.
            dodge = 0.0 if len(styles) == 1 or len(positions) == 1 and layout.x is not None and layout.x.numeric else \
                0.5 * (i / (len(styles) - 1) - 0.5)
            error = np.nan_to_num(np.stack([best - low, high - best]).clip(0))
            panel.errorbar(positions + dodge, best, error, color=colour, marker=marker, markersize=6, linestyle="none",
                           capsize=3, elinewidth=1.4)
        else:
            panel.fill_between(positions, low, high, color=colour, alpha=0.18, linewidth=0)
            panel.plot(positions, best, color=colour, marker=marker, markersize=5, linewidth=1.6)


def _draw_reference(panel, clean: xr.DataArray, layout: Layout, show: Quantity):
    """Draw the noise-free line; return a function that writes its value once the limits are final, or None."""
    positions, order = _x_positions(layout.x)
    dashed = {"color": REFERENCE_COLOUR, "linestyle": (0, (5, 3)), "linewidth": 1.2, "zorder": 1.5}
    levels = np.unique(clean.values[np.isfinite(clean.values)].round(9))
    if len(levels) == 1:
        panel.axhline(levels[0], **dashed)
        return lambda: _reference_text(panel, 0.99, levels[0], "axes", show)
    by_x = clean if layout.x is None else clean.transpose(layout.x.dimension, ...)
    if layout.x is not None and all(len(np.unique(row.round(9))) == 1 for row in by_x.values):
        values = by_x.values.reshape(len(order), -1)[order, 0]
        if layout.x.numeric:
            panel.plot(positions, values, **dashed)
            return None
        for position, value in zip(positions, values):
            panel.plot([position - 0.42, position + 0.42], [value, value], **dashed)
        return lambda: [_reference_text(panel, p, v, "data", show) for p, v in zip(positions, values)]
    notes = []
    for line, colour, _ in _styles(layout.lines):
        values = clean.isel(line).values
        if values.ndim == 0 or len(np.unique(values.round(9))) == 1:
            level = float(np.ravel(values)[0])
            panel.axhline(level, **(dashed | {"color": colour}))
            # Each value further left than the one before: close lines must not overprint each other's.
            notes.append((0.99 - 0.12 * len(notes), level, colour))
        else:
            panel.plot(positions, values[order], **(dashed | {"color": colour}))
    return lambda: [panel.text(x, level, _value(level, show), transform=panel.get_yaxis_transform(), ha="right",
                               va="bottom", fontsize=8.5, color=colour) for x, level, colour in notes]


def _value(level: float, show: Quantity) -> str:
    return f"{level:.1f} {show.unit}" if show.unit else f"{level:.3g}"


def _reference_text(panel, x: float, level: float, where: str, show: Quantity) -> None:
    transform = panel.get_yaxis_transform() if where == "axes" else panel.transData
    text = f"noise-free {_value(level, show)}" if where == "axes" else _value(level, show)
    panel.text(x, level, text, transform=transform, ha="right" if where == "axes" else "center", va="bottom",
               fontsize=8.5, color=REFERENCE_COLOUR)


def _share_y(panels: list) -> None:
    """One y range for all panels, with head room above the highest line for the reference's value."""
    low = min(p.get_ylim()[0] for p in panels)
    high = max(p.get_ylim()[1] for p in panels)
    room = (high / low) ** 1.05 * low if panels[0].get_yscale() == "log" else high + 0.05 * (high - low)
    for panel in panels:
        panel.set_ylim(low, room)
        if panel.get_yscale() == "log":
            plain_ticks(panel.yaxis, low, room)


def _dress_x(panel, axis: Axis | None, results: Results) -> None:
    if axis is None:
        panel.set_xticks([0], [results.name])
        panel.set_xlim(-1, 1)
        return
    panel.set_xlabel(names.axis_label(axis.key, axis.values if axis.numeric else None))
    positions, order = _x_positions(axis)
    labels = [axis.labels[i] for i in order]
    if not axis.numeric:
        set_text_ticks(panel.xaxis, labels)
        panel.set_xlim(-0.6, len(labels) - 0.4)
        return
    if looks_logarithmic(positions):
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    if len(positions) <= 8:
        panel.set_xticks(positions, labels)


def plain_ticks(axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from `low` to `high` as plain numbers, and enough of them."""
    if high < 4 * low:
        axis.set_major_locator(matplotlib.ticker.MaxNLocator(6))
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
    else:
        axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def looks_logarithmic(sorted_values: np.ndarray) -> bool:
    """Whether three or more positive values over more than a decade are spaced more evenly in logarithm."""
    if len(sorted_values) < 3 or sorted_values[0] <= 0 or sorted_values[-1] < 10 * sorted_values[0]:
        return False
    linear, logarithmic = np.diff(sorted_values), np.diff(np.log(sorted_values))
    return logarithmic.std() / logarithmic.mean() < linear.std() / linear.mean()


def set_text_ticks(axis, labels: list[str]) -> None:
    wrapped = [textwrap.fill(label, 24, break_long_words=False) for label in labels]
    longest = max(len(line) for label in wrapped for line in label.split("\n"))
    # More characters than fit side by side in a panel: slant them.
    slant = axis.axis_name == "x" and longest * len(labels) > 48
    options = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slant else {}
    axis.set_ticks(range(len(labels)))
    axis.set_ticklabels(wrapped, **options)


def _draw_cells(panel, data: xr.DataArray, x: Axis, y: Axis, colours: matplotlib.colors.Normalize):
    """One panel of a heat map; returns the image and whether the intervals were written into the cells."""
    bounded = "bound" in data.dims
    values = data.transpose(y.dimension, x.dimension, ...)
    _, columns = _x_positions(x)
    _, rows = _x_positions(y)
    cells = (values.sel(bound="best") if bounded else values).values[np.ix_(rows, columns)]
    image = panel.imshow(cells, origin="lower", aspect="auto", cmap="cividis", norm=colours)
    panel.spines[:].set_visible(False)
    for axis, chosen, order in ((panel.xaxis, x, columns), (panel.yaxis, y, rows)):
        set_text_ticks(axis, [chosen.labels[i] for i in order])
        axis.set_label_text(names.axis_label(chosen.key, chosen.values if chosen.numeric else None))
    panel.tick_params(length=0)
    if max(cells.shape) > 16:
        return image, False
    spans = None
    if bounded and max(cells.shape) <= 8:
        spans = values.sel(bound=["low", "high"]).values[np.ix_(rows, columns)]
    number = "{:.3g}" if isinstance(colours, matplotlib.colors.LogNorm) else "{:.1f}"
    written = False
    for (row, column), value in np.ndenumerate(cells):
        if not np.isfinite(value):
            panel.text(column, row, "–", ha="center", va="center", color=REFERENCE_COLOUR)
            continue
        colour = "black" if colours(value) > 0.5 else "white"
        known = spans is not None and np.isfinite(spans[row, column]).all()
        panel.text(column, row + (0.02 if known else 0), number.format(value), ha="center",
                   va="bottom" if known else "center", fontsize=9.5 if max(cells.shape) <= 10 else 8, color=colour)
        if known:
            low, high = spans[row, column]
            panel.text(column, row - 0.04, f"{number.format(low)} to {number.format(high)}", ha="center", va="top", fontsize=6.5, color=colour)
            written = True
    return image, written


# ---- words ------------------------------------------------------------------------------------------------------

def remark(text: str) -> Patch:
    """A legend entry without a sign."""
    return Patch(alpha=0, label=textwrap.fill(text, 30))


def _extras(results: Results, data: xr.DataArray, show: Quantity, note: str, reference: bool) -> list:
    """Legend entries beyond the lines: the noise-free line, what the band is, and what is missing."""
    entries = []
    if reference:
        entries.append(Line2D([], [], color=REFERENCE_COLOUR, linestyle=(0, (5, 3)), linewidth=1.2, label="noise-free"))
    if np.isfinite(data.sel(bound=["low", "high"]).values).any():
        text = f"{results.confidence * 100:g} % interval {show.interval}"
        if note:
            text += " (one trial)"
        entries.append(Patch(facecolor="#999999", alpha=0.4, linewidth=0, label=textwrap.fill(text, 30)))
    elif note:
        entries.append(remark(note))
    return entries


def _legend(panel, lines: Axis | None, extras: list) -> None:
    """Right of `panel`, where it cannot cover data."""
    handles = []
    if lines is not None:
        unit = names.axis_label(lines.key, lines.values if lines.numeric else None)
        handles.append(remark(unit + ":"))
        handles += [Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1.6,
                           label=textwrap.fill(label, 30))
                    for label, (_, colour, marker) in zip(lines.labels, _styles(lines))]
    if handles or extras:
        panel.legend(handles=handles + extras, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)


def put_title(figure: Figure, what: str, results: Results, layout: Layout, extra: str = "") -> None:
    """Bold first line, then study, model, images × trials, fixed axes and `extra`, wrapped to the figure's width."""
    width = int(figure.get_figwidth() * 13)
    small = [results.summary(), layout.fixed_text(results), extra]
    lines = [line for text in small if text for line in textwrap.wrap(text, width)]
    head = textwrap.fill(what[0].upper() + what[1:], int(width * 0.85))
    height = figure.get_figheight()
    head_lines = head.count("\n") + 1
    line = 0.19 / height
    figure.text(0.012, 1 - 0.08 / height, head, fontsize=12, fontweight="bold", va="top")
    figure.text(0.012, 1 - 0.08 / height - head_lines * 0.23 / height, "\n".join(lines), fontsize=9, va="top",
                color="#444444", linespacing=1.25)
    top = 0.14 / height + head_lines * 0.23 / height + len(lines) * line
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, rect=(0, 0, 1, 1 - top))
