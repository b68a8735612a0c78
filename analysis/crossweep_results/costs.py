"""Figures of what the points of a study cost: accuracy against energy, breakdown by component, cost against a key.

Costs are exact: they have no intervals. Noise costs nothing, so that points of equal hardware have equal costs; the axes
along which the cost changes are the choices of a designer, the others the conditions that he has to live with.
"""

from __future__ import annotations

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from . import names
from .layout import MOST_LINES, Layout
from .plots import (COLOURS, MARKERS, REFERENCE_COLOUR, STYLE, has_values, looks_logarithmic, panel_grid, plain_ticks,
                    put_title, quantity, remark, with_interval)
from .study import Axis, Results, ResultsError, SelectionError

COSTS = ("energy_J", "area_m2", "latency_s")
MOST_BARS = 8
MOST_LABELS = 12
_COMPONENT_WORDS = {"adc": "ADC", "shift_add": "shift and add"}
_FRONT = {"color": REFERENCE_COLOUR, "linewidth": 1.6, "linestyle": (0, (4, 2)), "zorder": 1.5}
# Of components, in the order of the file; as many as it knows and some more.
_COMPONENT_COLOURS = COLOURS[:7] + ["#F0E442", "#999999", "#332288", "#AA4499", "#117733"]


def pareto_front(energy, accuracy, higher_is_better: bool = True) -> np.ndarray:
    """Indices of the points that no other beats, by ascending energy: none is at least as good in both and better in one.

    Of points of equal energy the best stays, with those that equal it in both. NaN on either side takes part in nothing.
    """
    energy = np.asarray(energy, float).ravel()
    gain = np.asarray(accuracy, float).ravel() * (1 if higher_is_better else -1)
    known = np.flatnonzero(np.isfinite(energy) & np.isfinite(gain))
    order = known[np.lexsort((-gain[known], energy[known]))]
    front: list[int] = []
    for point in order:
        last = front[-1] if front else None
        if last is None or gain[point] > gain[last] or (gain[point] == gain[last] and energy[point] == energy[last]):
            front.append(int(point))
    return np.array(front, int)


def cost_axes(results: Results) -> list[Axis]:
    """Axes of several values along which any of the costs changes."""
    return [axis for d, axis in results.axes.items() if any(_changes(results.surfaces[name], d) for name in COSTS)]


def accuracy_against_energy(results: Results) -> Figure:
    """Draw every point's accuracy (of a language model its perplexity) with its interval against its energy, and the Pareto
    front over all points, labelled; where an axis costs nothing, as noise does, also the front at each of its values."""
    _expect_costs(results)
    surface, note = with_interval(results, "perplexity" if results.is_of_language_model else "top1_accuracy")
    show = quantity(surface)
    data = results.surface(surface) * show.factor
    low, best, high = (data.sel(bound=b).values.ravel() for b in ("low", "best", "high"))
    factor, unit = _unit(results, "energy_J")
    energy = results.surfaces["energy_J"].values.ravel() * factor
    if not (np.isfinite(energy) & np.isfinite(best)).any():
        raise SelectionError(f"{surface} holds no finite value, so there is nothing to draw against the energy.")
    higher = not results.is_of_language_model
    design = cost_axes(results)
    colour_axis, marker_axis = _distinguishing(results, design)
    shape = [len(a) for a in results.axes.values()]
    place = {d: i.ravel() for d, i in zip(results.axes, np.indices(shape))}
    colour = place[colour_axis.dimension] if colour_axis else np.zeros(energy.size, int)
    marker = place[marker_axis.dimension] if marker_axis else np.zeros(energy.size, int)
    colours = _colours(colour_axis)

    with matplotlib.rc_context(STYLE):
        figure, (panel,) = panel_grid(1, size=(7.4, 5.0))
        figure.set_figwidth(10.2)
        if show.logarithmic:
            panel.set_yscale("log")
        if np.nanmax(energy) > 10 * np.nanmin(energy):
            panel.set_xscale("log")
        side = _side_by_side(energy, colour)
        for i in np.flatnonzero(np.isfinite(energy) & np.isfinite(best)):
            error = np.nan_to_num([[best[i] - low[i]], [high[i] - best[i]]]).clip(0)
            moved = panel.transData + ScaledTranslation(side[i] / 72, 0, figure.dpi_scale_trans)
            panel.errorbar([energy[i]], [best[i]], error, color=colours[colour[i]], marker=MARKERS[marker[i]], markersize=6,
                           linestyle="none", elinewidth=1.1, capsize=2, transform=moved)
        if colour_axis is not None and colour_axis not in design:
            for value in range(len(colour_axis)):
                of_value = np.flatnonzero(colour == value)
                _draw_front(panel, energy, best, of_value[pareto_front(energy[of_value], best[of_value], higher)],
                            color=colours[value], linewidth=1, alpha=0.7)
        front = pareto_front(energy, best, higher)
        _draw_front(panel, energy, best, front, **_FRONT)
        panel.margins(x=0.1, y=0.12)
        panel.autoscale_view()
        same = _label_front(panel, results, energy, best, front, higher)
        if show.logarithmic:
            plain_ticks(panel.yaxis, *panel.get_ylim())
        panel.set_xlabel(f"energy of one input ({unit})")
        panel.set_ylabel(show.label)
        handles = [Line2D([], [], label="Pareto front of all points", **_FRONT)]
        handles += [remark(f"all of them at {same}")] if same else []
        handles += _legend_of(colour_axis, lambda i: Line2D([], [], color=colours[i], marker="o" if marker_axis else MARKERS[0],
                                                            linestyle="-" if colour_axis not in design else "none"))
        if colour_axis is not None and colour_axis not in design:
            handles.append(remark("thin lines: the front at each of these"))
        handles += _legend_of(marker_axis, lambda i: Line2D([], [], color="#666666", marker=MARKERS[i], linestyle="none"))
        interval = f"bars: {results.confidence * 100:g} % interval {show.interval}" if np.isfinite(low).any() else note
        handles += [remark(text) for text in (interval, "points of equal energy stand side by side" if side.any() else "") if text]
        panel.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
        put_title(figure, f"{show.words} against energy of one input", results, Layout())
    return figure


def cost_breakdown(results: Results, points: list[int] | None = None) -> Figure:
    """Stacked bars of energy, area and latency by component at `points` (by number in the file); by default at up to
    MOST_BARS that differ in cost, from the one that takes least energy to the one that takes most."""
    _expect_costs(results)
    costs = results.costs
    count = costs.sizes["point"]
    if points is None:
        points = _distinct_points(results)
    if bad := [p for p in points if not 0 <= p < count]:
        raise SelectionError(f"there is no point {bad[0]}: the study has {count}, counted from 0.")
    labels = [_point_label(results, p, cost_axes(results)) or results.name for p in points]
    shown = [c for c in range(costs.sizes["component"]) if any((costs[name].values[points, c] > 0).any() for name in COSTS)]
    words = [_COMPONENT_WORDS.get(c, c.replace("_", " ")) for c in map(str, costs["component"].values)]
    with matplotlib.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure, panels = panel_grid(3, size=(3.3, 0.42 * len(points) + 1.0))
        figure.set_figwidth(13.4)
        rows = np.arange(len(points))[::-1]
        for panel, name in zip(panels, COSTS):
            factor, unit = _unit(results, name, costs[name].values[points].sum(axis=1))
            left = np.zeros(len(points))
            for c in shown:
                values = np.nan_to_num(costs[name].values[points, c]) * factor
                panel.barh(rows, values, left=left, height=0.68, color=_COMPONENT_COLOURS[c % len(_COMPONENT_COLOURS)])
                left += values
            for row, total in zip(rows, left):
                panel.text(total, row, f" {total:.3g}", va="center", ha="left", fontsize=8.5, color=REFERENCE_COLOUR)
            panel.set_xlim(0, 1.2 * max(left.max(), 1e-300))
            panel.set_xlabel(f"{_words(name)} ({unit})")
            panel.set_yticks(rows, [textwrap.fill(label, 34) for label in labels] if panel is panels[0] else [""] * len(rows))
            panel.tick_params(axis="y", length=0)
        handles = [matplotlib.patches.Patch(color=_COMPONENT_COLOURS[c % len(_COMPONENT_COLOURS)],
                                            label=words[c]) for c in shown]
        panels[-1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
        put_title(figure, "what one input costs, by component", results, Layout())
    return figure


def cost_against(results: Results, key: str | None = None, lines: str | None = None) -> Figure:
    """Draw energy, area and latency against the configuration key `key`, be it an axis or a number that changes along one (as
    transform.beta along transform.name); one line per value of `lines`. By default the numeric axis with most values."""
    _expect_costs(results)
    x, carriers = _values_of_key(results, key)
    free = [a for a in cost_axes(results) if a.dimension not in carriers]
    if lines is not None:
        chosen = results.axis(lines)
        if chosen.dimension in carriers:
            raise SelectionError(f'"{lines}" changes along with "{x.name}". Choose another axis for the lines.')
        if len(chosen) > MOST_LINES:
            raise SelectionError(f'"{lines}" has {len(chosen)} values, more than the {MOST_LINES} lines that can be told apart.')
    else:
        chosen = min((a for a in free if len(a) <= MOST_LINES), key=len, default=None)
    drawn = carriers | ({chosen.dimension} if chosen else set())
    layout = Layout(fixed={d: 0 for d, a in results.axes.items() if d not in drawn})
    with matplotlib.rc_context(STYLE):
        figure, panels = panel_grid(3, size=(3.5, 3.3))
        figure.set_figwidth(13.4)
        curves = _curves(results, x, chosen, layout)
        for panel, name in zip(panels, COSTS):
            factor, unit = _unit(results, name)
            for i, curve in enumerate(curves.values()):
                panel.plot(curve["x"], np.array(curve[name]) * factor, color=COLOURS[i], marker=MARKERS[i], markersize=5,
                           linewidth=1.4)
            panel.set_ylim(0, 1.1 * max(panel.get_ylim()[1] / 1.05, 1e-300))
            panel.set_xlabel(textwrap.fill(names.axis_label(str(x.name)), 34))
            panel.set_ylabel(f"{_words(name)} ({unit})")
            _ticks(panel, np.unique(x.values[np.isfinite(x.values)]))
        if chosen:
            handles = [remark(names.axis_label(chosen.key, chosen.values if chosen.numeric else None) + ":")]
            handles += [Line2D([], [], color=COLOURS[i], marker=MARKERS[i], label=textwrap.fill(label, 30))
                        for i, label in enumerate(curves)]
            panels[-1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
        put_title(figure, f"what one input costs against {names.words(str(x.name))}", results,
                  Layout(fixed={d: i for d, i in layout.fixed.items() if results.axes[d] in free}))
    return figure


def key_of_cost(results: Results) -> str | None:
    """The numeric key of most values along which the cost changes, for `cost_against`; None if there is none."""
    found = {}
    for axis in cost_axes(results):
        for seen in [axis] + [results.axis(k) for k in results.keys_of_axes(axis.dimension)]:
            if seen.numeric and np.isfinite(seen.values).all() and len(set(seen.values)) > 1:
                found[seen.key] = len(set(seen.values))
    return max(found, key=found.get, default=None)


# ---- choices ----------------------------------------------------------------------------------------------------

def _expect_costs(results: Results) -> None:
    results.costs  # says what is missing


def _changes(values, dimension: str) -> bool:
    first = values.isel({dimension: [0]}).values
    moved = np.moveaxis(values.values, values.dims.index(dimension), 0) != np.moveaxis(first, values.dims.index(dimension), 0)
    return bool(moved.any())


def _distinguishing(results: Results, design: list[Axis]) -> tuple[Axis | None, Axis | None]:
    """The axes that colours and markers tell apart: a condition by colours where there is one, a choice by markers."""
    design = [a for a in design if len(a) <= MOST_LINES]
    chosen = {a.dimension for a in cost_axes(results)}
    conditions = [a for d, a in results.axes.items() if d not in chosen and len(a) > 1]
    conditions = [a for a in conditions if a.numeric or len(a) <= MOST_LINES]
    colour = max(conditions, key=lambda a: (a.numeric, len(a)), default=None)
    if colour is None and design:
        colour = max(design, key=len)
    others = [a for a in design + conditions if a is not colour and len(a) <= len(MARKERS)]
    return colour, max(others, key=lambda a: (a in design, len(a)), default=None)


def _colours(axis: Axis | None) -> list:
    if axis is None:
        return [COLOURS[0]]
    if axis.numeric:
        # In the order of the values; the lightest end of the scale is too faint.
        rank = np.argsort(np.argsort(axis.values, kind="stable"), kind="stable")
        return [matplotlib.colormaps["viridis"](0.92 * r / max(1, len(axis) - 1)) for r in rank]
    return COLOURS[: len(axis)]


def _distinct_points(results: Results) -> list[int]:
    """Points of different cost from the least to the most energy, evenly chosen where there are more than MOST_BARS."""
    costs = np.stack([results.surfaces[name].values.ravel() for name in COSTS], axis=1)
    _, first = np.unique(costs, axis=0, return_index=True)
    order = first[np.argsort(costs[first, 0], kind="stable")]
    chosen = np.unique(np.linspace(0, len(order) - 1, min(MOST_BARS, len(order))).round().astype(int))
    return [int(p) for p in order[chosen]]


def _values_of_key(results: Results, key: str | None):
    """Values of a numeric key on the axes [axes...], named by it, and the dimensions along which they change."""
    key = key or key_of_cost(results)
    if key is None:
        raise SelectionError("the cost changes along no numeric axis. Name a key that does, such as transform.beta.")
    if key not in results.points:
        results.axis(key)  # says what is near, if it is not an axis whose name is no key
        raise SelectionError(f'the axis "{key}" has no number at each point. Name one of its keys.')
    if not np.issubdtype(results.points[key].dtype, np.number):
        raise SelectionError(f'"{key}" is no number. Name a numeric key that changes along with it.')
    values = results.on_axes(results.points[key].astype(float).rename(key))
    carriers = {d for d in results.axes if _changes(values.fillna(0), d)}
    if not carriers:
        raise SelectionError(f'"{key}" is the same at all points of the study.')
    return values, carriers


# ---- drawing and words ------------------------------------------------------------------------------------------

def _unit(results: Results, name: str, values: np.ndarray | None = None) -> tuple[float, str]:
    """Factor and unit in which a cost is shown."""
    if name == "area_m2":
        return 1e6, "mm²"
    return names.si_scale(name, results.surfaces[name].values if values is None else values)


def _words(name: str) -> str:
    return {"energy_J": "energy of one input", "area_m2": "area", "latency_s": "latency of one input"}[name]


def _side_by_side(energy: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Points to the right by which each point is moved, so that those of one energy and colour do not hide each other."""
    moved = np.zeros(energy.size)
    for pair in set(zip(energy[np.isfinite(energy)], colour[np.isfinite(energy)])):
        same = np.flatnonzero((energy == pair[0]) & (colour == pair[1]))
        moved[same] = 7.0 * (np.arange(len(same)) - (len(same) - 1) / 2)
    return moved


def _point_label(results: Results, point: int, axes: list[Axis]) -> str:
    """Values of `axes` at a point, as short as they can be told."""
    shape = [len(a) for a in results.axes.values()]
    index = dict(zip(results.axes, np.unravel_index(point, shape))) if shape else {}
    parts = []
    for axis in axes:
        label = axis.labels[index[axis.dimension]]
        setting = axis.setting(int(index[axis.dimension])) if axis.numeric else label
        parts.append(setting.replace(" = ", "\u00a0=\u00a0"))  # not to be torn apart
    return ", ".join(parts)


def _draw_front(panel, energy, best, front, **style) -> None:
    """Steps from point to point, and on to the largest energy of all: what more energy does not buy."""
    at = np.append(energy[front], np.nanmax(energy))
    panel.step(at, np.append(best[front], best[front[-1]]) if len(front) else at, where="post", **style)


def _label_front(panel, results: Results, energy, best, front, higher: bool) -> str:
    """Name the points of the front by the axes that change along it, at most MOST_LABELS of them; return what is the same
    for all of them."""
    axes = [a for a in results.axes.values() if len(a) > 1]
    if not axes:
        return ""
    index = dict(zip(results.axes, np.array(np.unravel_index(front, [len(a) for a in results.axes.values()]))))
    places = set(zip(energy[front], best[front]))
    same = [a for a in axes if len(set(index[a.dimension])) == 1 and len(places) > 1]
    axes = [a for a in axes if a not in same]
    labels: dict[tuple, list[str]] = {}
    for i in front:  # points that equal each other in both share a label
        labels.setdefault((energy[i], best[i]), []).append(_point_label(results, int(i), axes))
    chosen = np.unique(np.linspace(0, len(labels) - 1, min(MOST_LABELS, len(labels))).round().astype(int))
    for at, of in (list(labels.items())[i] for i in chosen):
        # Towards the middle of the panel, so that no label leaves it.
        right = panel.transLimits.transform(panel.transScale.transform(at))[0] > 0.5
        panel.annotate(textwrap.fill(" or ".join(of), 30), at,
                       xytext=(-7 if right else 7, 7 if higher else -7), textcoords="offset points", fontsize=7.5,
                       color=REFERENCE_COLOUR, ha="right" if right else "left", va="bottom" if higher else "top",
                       bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8}, zorder=5)
    return _point_label(results, int(front[0]), same)


def _legend_of(axis: Axis | None, sign) -> list:
    """A heading and an entry per value, in the order of the values; of many every so many-th."""
    if axis is None:
        return []
    order = np.argsort(axis.values, kind="stable") if axis.numeric else np.arange(len(axis))
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_LINES, len(order))).round().astype(int))]
    handles = [remark(names.axis_label(axis.key, axis.values if axis.numeric else None) + ":")]
    for i in chosen:
        handle = sign(int(i))
        handle.set_label(textwrap.fill(axis.labels[i], 30))
        handles.append(handle)
    return handles


def _curves(results: Results, x, lines: Axis | None, layout: Layout) -> dict[str, dict]:
    """Label -> values of x and of every cost; values of `lines` that cost the same share a curve."""
    labels: dict[tuple, list[str]] = {}
    for i in range(len(lines) if lines else 1):
        here = layout.fixed | ({lines.dimension: i} if lines else {})
        columns = np.stack([v.isel(here).values.ravel() for v in (x, *(results.surfaces[name] for name in COSTS))], axis=1)
        rows = np.unique(columns[np.isfinite(columns[:, 0])], axis=0)
        labels.setdefault(tuple(map(tuple, rows)), []).append(lines.labels[i] if lines else "")
    return {", ".join(of): dict(zip(("x", *COSTS), zip(*rows))) for rows, of in labels.items()}


def _ticks(panel, values: np.ndarray) -> None:
    if looks_logarithmic(values):
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    if len(values) <= 8:
        panel.set_xticks(values, [f"{v:g}" for v in values])
