"""Which axis of a study plays which part in a figure: along x, as lines, as panels, or fixed.

Decides from the sizes and kinds of the axes what the caller leaves open; draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .study import Axis, Results, SelectionError

MOST_LINES = 8   # distinct styles in plots.py
MOST_PANELS = 6


@dataclass
class Layout:
    """Which axis plays which part. `fixed`: dimension -> index, for axes that are not drawn."""

    x: Axis | None = None
    lines: Axis | None = None
    panels: Axis | None = None
    fixed: dict[str, int] = field(default_factory=dict)

    def fixed_text(self, results: Results) -> str:
        """ "at write noise factor γ = 3, transform none"; empty if nothing is fixed. """
        settings = [results.axes[d].setting(i) for d, i in self.fixed.items()]
        return "at " + ", ".join(settings) if settings else ""


def choose_layout(results: Results, axis: str | None = None, lines: str | None = None) -> Layout:
    """Fill in what the caller leaves open.

    x: the numeric axis with most values, else the text axis with most. Lines: `transform`, else a text axis, else
    the numeric one with fewest values. Panels: a third axis of at most MOST_PANELS values, text before numbers.
    Throws SelectionError for unknown or equal axes, or more lines than there are distinct styles.
    """
    layout = Layout()
    free = {d: a for d, a in results.axes.items() if len(a) > 1}
    if axis is not None:
        layout.x = results.axis(axis)
        if layout.x.numeric and not _distinct(layout.x):
            raise SelectionError(f'"{axis}" is absent or repeated at some points of the axis "{layout.x.dimension}", so '
                                 "nothing can be drawn against it. Use that axis itself.")
    elif free or results.axes:
        taken = results.axis(lines).dimension if lines is not None else None
        left = {d: a for d, a in free.items() if d != taken} or free or results.axes
        seen = [numeric_view(results, a) for a in left.values()]
        layout.x = max(seen, key=lambda a: (a.numeric, len(a)))
    if layout.x is not None:
        free.pop(layout.x.dimension, None)
    if lines is not None:
        layout.lines = results.axis(lines)
        if layout.lines.dimension == layout.x.dimension:
            raise SelectionError(f'axis and lines are both "{layout.x.dimension}". Choose two different axes.')
        if len(layout.lines) > MOST_LINES:
            raise SelectionError(f'"{lines}" has {len(layout.lines)} values, more than the {MOST_LINES} lines that can '
                                 "be told apart. Use it as the axis, or draw a heat map.")
    else:
        candidates = [a for a in free.values() if len(a) <= MOST_LINES]
        layout.lines = min(candidates, key=lambda a: (a.dimension != "transform.name", a.numeric, len(a)), default=None)
    if layout.lines is not None:
        free.pop(layout.lines.dimension, None)
    place_rest(layout, free, results)
    return layout


def two_largest_axes(results: Results) -> tuple[str, str] | None:
    """Keys of the two axes with most values, the larger first; None if fewer than two have several values."""
    axes = sorted((a for a in results.axes.values() if len(a) > 1), key=lambda a: (-len(a), not a.numeric))
    return (numeric_view(results, axes[0]).key, numeric_view(results, axes[1]).key) if len(axes) > 1 else None


def numeric_view(results: Results, axis: Axis) -> Axis:
    """A zipped or listed axis seen through its first key with distinct finite numbers, if it has one."""
    if axis.numeric:
        return axis
    for key in results.keys_of_axes(axis.dimension):
        seen = results.axis(key)
        if seen.numeric and _distinct(seen):
            return seen
    return axis


def _distinct(axis: Axis) -> bool:
    return bool(np.isfinite(axis.values).all()) and len(set(axis.values)) == len(axis)


def place_rest(layout: Layout, free: dict[str, Axis], results: Results) -> None:
    """Give one small axis to the panels and fix all others, single-valued ones included, at their first value."""
    small = [a for a in free.values() if len(a) <= MOST_PANELS]
    layout.panels = min(small, key=lambda a: (a.numeric, len(a)), default=None)
    taken = {a.dimension for a in (layout.x, layout.lines, layout.panels) if a is not None}
    layout.fixed = {d: 0 for d in results.axes if d not in taken}
