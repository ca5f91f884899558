"""The channels of a layer in pruning order: how active each is on clean and poisoned images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.report import canvas
from goodnet.report.charts.order import drop_texts, order_text, shade_dead
from goodnet.report.charts.shapes import boxes
from goodnet.report.charts.stack import Stack, whole_ticks
from goodnet.report.charts.svg import Chart, to_chart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from goodnet.report.facts import Curve

    Rows = list[tuple[str, NDArray[np.float64]]]

__all__ = ["channels_chart", "draw_channels"]

_HEIGHT = {False: 230.0, True: 190.0}  # by whether it is narrow
_LABEL, _STRIP, _GAP, _KEY = 18.0, 16.0, 8.0, 96.0
_MOST_LINES = 3  # of poisoned sets over the bars; with more, only the heat map shows them
_LEVELS = 16
_GAPS_UP_TO = 128  # bars that have a gap between them
_DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))


def channels_chart(curve: Curve, *, prefix: str, narrow: bool = False) -> Chart:
    """Mean activation of each channel in pruning order: bars, and below them a heat map.

    Bars are clean images; each poisoned set is a line of steps over them. The heat map has a row
    for clean images and one for each poisoned set. Dead channels are shaded and each drop that was
    reached is marked: what stands left of it is silenced.

    Args:
        curve: What pruning the layer does.
        prefix: What every id begins with.
        narrow: Draw for a phone.
    """
    with canvas.look(narrow=narrow):
        return to_chart(
            draw_channels(curve, narrow=narrow),
            prefix=prefix,
            title="Mean activation of the channels in pruning order",
            description=_description(curve),
        )


def draw_channels(curve: Curve, *, narrow: bool = False, headline: bool = False) -> Figure:
    """The figure of `channels_chart`, with a headline if it is to stand alone. Inside `look`."""
    stack = Stack(narrow=narrow, left=64.0 if narrow else 76.0)
    if headline:
        title = f"Channels of the layer {canvas.name(curve.layer)}"
        stack.headline(title, f"{len(curve.channels)} channels, {order_text(curve)}")
    rows = _rows(curve)
    axes = stack.axes()
    count = len(curve.channels)
    shown = _over_each_other(rows)
    dead = shade_dead(axes, curve, edges=range(count + 1), short=narrow)
    stack.legend([*_bars(axes, shown), *dead])
    texts = drop_texts(curve, short=narrow)
    marks = {steps * stack.room / max(count, 1): text for steps, text in texts.items()}
    stack.flags(marks, plot=_HEIGHT[narrow])
    stack.put(axes, _HEIGHT[narrow])
    stack.depth += _HEIGHT[narrow]
    _frame(axes, shown, narrow=narrow)
    axes.set_xlabel(f"channels, {order_text(curve)}")
    stack.depth += 52
    _heat(stack, rows)
    return stack.finish()


def _rows(curve: Curve) -> Rows:
    """Mean activations in pruning order, with what they are of; first of clean images."""
    labels = ["clean images"]
    labels += [f"poisoned: {canvas.name(key, limit=24)}" for key in curve.poisoned_activation]
    order = list(curve.channels)
    means = [curve.mean_activation, *curve.poisoned_activation.values()]
    return [(one, np.array(mean)[order]) for one, mean in zip(labels, means, strict=True)]


def _colour(row: int) -> str:
    return canvas.HUES[(row - 1) % len(canvas.HUES)] if row else canvas.CLEAN


def _over_each_other(rows: Rows) -> Rows:
    """The rows that the bars can show; the heat map below shows all."""
    most = _MOST_LINES if len(rows[0][1]) <= _GAPS_UP_TO else 1
    return rows if len(rows) <= most + 1 else rows[:1]


def _bars(axes: Axes, rows: Rows) -> Iterator[Artist]:
    (label, clean), *poisoned = rows
    edges = np.arange(len(clean) + 1)
    gap = 0.1 if len(clean) <= _GAPS_UP_TO else 0.0
    sides = (edges[:-1] + gap, np.minimum(clean, 0), edges[1:] - gap, np.maximum(clean, 0))
    style: dict[str, Any] = {"facecolor": canvas.CLEAN, "linewidth": 0}
    yield axes.add_patch(boxes(np.stack(sides, axis=1), label=label, **style))
    for row, (label, values) in enumerate(poisoned):
        style = {"color": _colour(row + 1), "linestyle": _DASHES[row]}
        style["linewidth"] = 1.5 if gap else 0.8
        heights = np.append(values, values[-1:])
        yield from axes.plot(edges, heights, drawstyle="steps-post", label=label, **style)


def _frame(axes: Axes, rows: Rows, *, narrow: bool) -> None:
    values = np.concatenate([*(values for _, values in rows), [0.0]])
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 1.0
    axes.set_xlim(0, max(len(rows[0][1]), 1))
    axes.set_ylim(low - margin if low else 0.0, high + margin)
    whole_ticks(axes, most=6 if narrow else 12)
    axes.set_ylabel("mean activation", rotation_mode="anchor")


def _heat(stack: Stack, rows: Rows) -> None:
    """A strip for each row, the stronger the more active; beside the first what that means."""
    most = max(float(np.abs(values).max(initial=0)) for _, values in rows)
    _key(stack, most)
    for row, (label, values) in enumerate(rows):
        stack.text(label)
        axes = stack.axes()
        stack.depth += _LABEL
        stack.put(axes, _STRIP)
        stack.depth += _STRIP + _GAP
        axes.set(xlim=(0, max(len(values), 1)), ylim=(0, 1), xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=canvas.LINE)
        # The root of the activity: beside a channel a trigger excites, others would be too faint.
        strengths = np.sqrt(np.abs(values) / (most or 1.0))
        starts, strength = _thinned(strengths, int(stack.room))
        _cells(axes, np.append(starts, len(values)), strength, colour=_colour(row))


def _key(stack: Stack, most: float) -> None:
    """How strong each shade is, at the right above the first strip."""
    right = stack.left + stack.room
    label = f"{most:.3g}"
    end = right - canvas.text_width(stack.figure, label, fontsize=canvas.SMALL) - 6
    stack.text(label, at=right, ha="right")
    stack.text("0", at=end - _KEY - 6, ha="right")
    axes = stack.axes()
    stack.depth += 2
    stack.put(axes, _STRIP - 4, left=end - _KEY, width=_KEY)
    stack.depth -= 2
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
    axes.spines[:].set(visible=False)
    strengths = np.arange(_LEVELS + 1) / _LEVELS
    _cells(axes, strengths**2, strengths[1:], colour=canvas.NEUTRAL)


def _thinned(
    values: NDArray[np.float64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where at most so many cells start, and their strengths: of each the strongest channel's."""
    starts = np.arange(0, len(values), max(-(-len(values) // most), 1))
    return starts, np.maximum.reduceat(values, starts) if len(values) else values


def _cells(axes: Axes, edges: NDArray[Any], strength: NDArray[np.float64], *, colour: str) -> None:
    """One patch for each of a few strengths, 0..1: small even with a thousand cells."""
    levels = np.ceil(strength * _LEVELS).astype(int)
    for level in np.unique(levels[levels > 0]):
        here = np.flatnonzero(levels == level)
        sides = (edges[here], np.zeros(len(here)), edges[here + 1], np.ones(len(here)))
        style: dict[str, Any] = {"facecolor": colour, "linewidth": 0, "alpha": level / _LEVELS}
        axes.add_patch(boxes(np.stack(sides, axis=1), **style))


def _description(curve: Curve) -> str:
    rows = [
        f"{label} from {values.min():.3g} to {values.max():.3g}"
        for label, values in _rows(curve)
        if len(values)
    ]
    return (
        f"Layer {canvas.name(curve.layer)}, {len(curve.channels)} channels, {order_text(curve)}, "
        f"{len(curve.dead)} dead. {'; '.join(rows)}."
    )
