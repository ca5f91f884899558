"""The channels of a layer in pruning order: how active each is on clean and poisoned images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.report.charts.chart import (
    CLEAN,
    HUES,
    LINE,
    NEUTRAL,
    SMALL,
    Axis,
    Boxes,
    Caption,
    Chart,
    Line,
    Panel,
    Width,
    name,
)
from goodnet.report.charts.curve import dead_marks, drop_texts, order_text
from goodnet.report.charts.figure import text_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from goodnet.report.charts.chart import Mark
    from goodnet.report.facts import Curve

    Rows = list[tuple[str, NDArray[np.float64]]]

_BETWEEN = 52.0  # from the bars to the heat map
_LABEL, _STRIP, _GAP, _KEY = 18.0, 16.0, 8.0, 96.0
_MOST_LINES = 3  # of poisoned sets over the bars; with more, only the heat map shows them
_LEVELS = 16
_GAPS_UP_TO = 128  # bars that have a gap between them
_DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))


def channels_chart(curve: Curve, width: Width) -> Chart:
    """Mean activation of each channel in pruning order: bars, and below them a heat map.

    Bars are clean images; each poisoned set is a line of steps over them. The heat map has a row
    for clean images and one for each poisoned set. Dead channels are shaded and each drop that was
    reached is marked: what stands left of it is silenced.

    Args:
        curve: What pruning the layer does.
        width: How wide it is to be.
    """
    rows, count = _rows(curve), len(curve.channels)
    height, most = width.pick(230.0, 190.0), width.pick(12, 6)
    shown = _over_each_other(rows)
    dead = dead_marks(curve, range(count + 1), short=width.narrow)
    across = Axis((0, max(count, 1)), f"channels, {order_text(curve)}", most)
    up = Axis(_ends(shown), "mean activation")
    strongest = max(float(np.abs(values).max(initial=0)) for _, values in rows)
    below = height + _BETWEEN
    key, captions = _key(strongest, below, width)
    strips = [key]
    for row, (label, values) in enumerate(rows):
        top = below + row * (_LABEL + _STRIP + _GAP)
        # The root of the activity: beside a channel a trigger excites, others would be too faint.
        strengths = np.sqrt(np.abs(values) / (strongest or 1.0))
        starts, strength = _thinned(strengths, int(width.room))
        cells = _cells(np.append(starts, count), strength, colour=_colour(row))
        captions.append(Caption(label, top, width.left))
        strips.append(_strip(list(cells), across.ends, top=top + _LABEL))
    return Chart(
        width=width,
        title="Mean activation of the channels in pruning order",
        description=_description(curve, rows),
        headline=(
            f"Channels of the layer {name(curve.layer)}",
            f"{count} channels, {order_text(curve)}",
        ),
        panels=[Panel([*_bars(shown), *dead], across, up, height), *strips],
        depth=below + len(rows) * (_LABEL + _STRIP + _GAP),
        captions=captions,
        marked={float(n): text for n, text in drop_texts(curve, short=width.narrow).items()},
        reach=height,
    )


def _rows(curve: Curve) -> Rows:
    """Mean activations in pruning order, with what they are of; first of clean images."""
    labels = ["clean images"]
    labels += [f"poisoned: {name(key, limit=24)}" for key in curve.poisoned_activation]
    order = list(curve.channels)
    means = [curve.mean_activation, *curve.poisoned_activation.values()]
    return [(one, np.array(mean)[order]) for one, mean in zip(labels, means, strict=True)]


def _colour(row: int) -> str:
    return HUES[(row - 1) % len(HUES)] if row else CLEAN


def _over_each_other(rows: Rows) -> Rows:
    """The rows that the bars can show; the heat map below shows all."""
    most = _MOST_LINES if len(rows[0][1]) <= _GAPS_UP_TO else 1
    return rows if len(rows) <= most + 1 else rows[:1]


def _bars(rows: Rows) -> Iterator[Mark]:
    (label, clean), *poisoned = rows
    edges = np.arange(len(clean) + 1)
    gap = 0.1 if len(clean) <= _GAPS_UP_TO else 0.0
    sides = (edges[:-1] + gap, np.minimum(clean, 0), edges[1:] - gap, np.maximum(clean, 0))
    yield Boxes(np.stack(sides, axis=1), CLEAN, label)
    for row, (label, values) in enumerate(poisoned):
        heights, thick = np.append(values, values[-1:]), 1.5 if gap else 0.8
        style = _colour(row + 1), label, thick, _DASHES[row]
        yield Line(edges, heights, *style, steps=True)


def _ends(rows: Rows) -> tuple[float, float]:
    values = np.concatenate([*(values for _, values in rows), [0.0]])
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 1.0
    return low - margin if low else 0.0, high + margin


def _strip(
    cells: Sequence[Mark],
    ends: tuple[float, float] | None,
    *,
    top: float,
    height: float = _STRIP,
    sides: tuple[str, ...] = ("left", "bottom", "top", "right"),
    left: float | None = None,
    width: float | None = None,
) -> Panel:
    x, y = Axis(ends, ticks={}), Axis((0, 1), ticks={})
    return Panel(cells, x, y, height, top, left, width, sides=sides, line=LINE)


def _key(most: float, top: float, width: Width) -> tuple[Panel, list[Caption]]:
    """How strong each shade is, at the right above the first strip."""
    right, label = width.left + width.room, f"{most:.3g}"
    end = right - text_width([label], width, fontsize=SMALL) - 6
    captions = [
        Caption(label, top, right, right=True),
        Caption("0", top, end - _KEY - 6, right=True),
    ]
    strengths = np.arange(_LEVELS + 1) / _LEVELS
    cells = list(_cells(strengths**2, strengths[1:], colour=NEUTRAL))
    place = {"top": top + 2, "height": _STRIP - 4, "left": end - _KEY, "width": _KEY}
    return _strip(cells, (0, 1), sides=(), **place), captions


def _thinned(
    values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where at most so many cells start, and their strengths: of each the strongest channel's."""
    starts = np.arange(0, len(values), max(-(-len(values) // most), 1))
    return starts, np.maximum.reduceat(values, starts) if len(values) else values


def _cells(
    edges: NDArray[np.int64] | NDArray[np.float64], strength: NDArray[np.float64], *, colour: str
) -> Iterator[Mark]:
    """Boxes for each of a few strengths, 0..1: small even with a thousand cells."""
    levels = np.ceil(strength * _LEVELS).astype(int)
    for level in np.unique(levels[levels > 0]):
        here = np.flatnonzero(levels == level)
        sides = (edges[here], np.zeros(len(here)), edges[here + 1], np.ones(len(here)))
        yield Boxes(np.stack(sides, axis=1), colour, strong=level / _LEVELS)


def _description(curve: Curve, rows: Rows) -> str:
    means = [
        f"{label} from {values.min():.3g} to {values.max():.3g}"
        for label, values in rows
        if len(values)
    ]
    return (
        f"Layer {name(curve.layer)}, {len(curve.channels)} channels, {order_text(curve)}, "
        f"{len(curve.dead)} dead. {'; '.join(means)}."
    )
