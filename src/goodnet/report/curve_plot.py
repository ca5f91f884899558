"""The pruning curve as a picture: what clean images lose, and what is left of each backdoor."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goodnet.report import canvas
from goodnet.report.flags import place_flags
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from goodnet.types import Integers, PruneCurve

__all__ = ["plot_curve"]

_ORDERS = {
    "ascending": "least active first",
    "descending": "most active first",
    "given": "in the order given",
}
# Inches.
_WIDTH, _LEFT, _RIGHT = 9.0, 0.95, 0.35
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, 3.5
_HEAD, _FOOT, _LEGEND_ROW = 0.8, 0.7, 0.22
_FLAG_ROW, _FLAG_PAD = 0.22, 0.05

_LEGEND_HALF = 44  # the longest label, in characters, that leaves room for another beside it
_DASHES = ("--", "-.", ":", (0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = "sD^vPX"


class _Line(NamedTuple):
    label: str
    counts: Integers
    total: int
    style: dict[str, Any]


def plot_curve(curve: PruneCurve, *, drops: Mapping[float, int | None], destination: Path) -> None:
    """Draw clean accuracy and attack success against the share of channels silenced.

    Each line has a band, its 95 % interval. Each drop is marked where it is first reached.
    Channels that are dead on clean images are shaded.

    Args:
        curve: The curve.
        drops: For each drop in percentage points the channels silenced to reach it, or None.
        destination: The PNG to write.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    with canvas.look():
        canvas.save(_draw(curve, drops), destination)


def _draw(curve: PruneCurve, drops: Mapping[float, int | None]) -> Figure:
    figure = canvas.blank()
    lines = list(_lines(curve))
    entries = len(lines) + bool(curve.dead_channels)
    columns = 1 if any(len(line.label) > _LEGEND_HALF for line in lines) else 2
    bottom = _FOOT + _LEGEND_ROW * -(-entries // columns)
    shares = np.arange(len(curve.channels) + 1) / max(len(curve.mean_activation), 1)

    rises = _write_flags(figure, drops, shares, foot=bottom + _PLOT_HEIGHT)
    height = bottom + _PLOT_HEIGHT + max(rises.values(), default=0.0) + _HEAD
    figure.set_size_inches(_WIDTH, height)
    axes = figure.add_axes(
        (_LEFT / _WIDTH, bottom / height, _PLOT_WIDTH / _WIDTH, _PLOT_HEIGHT / height)
    )
    for line in lines:
        _plot(axes, shares, line)
    _shade_dead(axes, curve, shares)
    for steps, rise in rises.items():
        _mark(axes, shares[steps], curve.correct[steps] / max(curve.total, 1), rise)
    _frame(axes)
    figure.legend(
        loc="lower left",
        bbox_to_anchor=(_LEFT, 0.14),
        bbox_transform=figure.dpi_scale_trans,
        ncols=columns,
        columnspacing=3.0,
        handlelength=3.2,
    )
    canvas.headline(figure, *_headline(curve, drops), left=_LEFT)
    return figure


def _lines(curve: PruneCurve) -> Iterator[_Line]:
    clean = {"color": canvas.CLEAN, "linewidth": 2.4}
    yield _Line(f"clean accuracy ({curve.total:,} images)", curve.correct, curve.total, clean)
    spacing = max(len(curve.channels) // 8, 1)
    for index, (key, counts) in enumerate(curve.hits.items()):
        style = {
            "color": canvas.HUES[index % len(canvas.HUES)],
            "linestyle": _DASHES[index % len(_DASHES)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "markersize": 5,
            # Where lines lie on each other, the marks of all of them still show.
            "markevery": (index * spacing // len(curve.hits), spacing),
            "linewidth": 1.8,
        }
        total = curve.hit_totals[key]
        yield _Line(f"attack success: {canvas.name(key)} ({total:,} images)", counts, total, style)


def _plot(axes: Axes, shares: NDArray[np.float64], line: _Line) -> None:
    points = [proportion(int(count), line.total) for count in line.counts]
    values = [np.nan if p.value is None else 100 * p.value for p in points]
    axes.plot(shares * 100, values, label=line.label, clip_on=False, **line.style)
    axes.fill_between(
        shares * 100,
        [100 * p.low for p in points],
        [100 * p.high for p in points],
        color=line.style["color"],
        alpha=0.12,
        linewidth=0,
        zorder=1.2,
    )


def _shade_dead(axes: Axes, curve: PruneCurve, shares: NDArray[np.float64]) -> None:
    dead = np.isin(curve.channels, curve.dead_channels)
    count = len(curve.dead_channels)
    label = f"{count} dead channel{'s' * (count != 1)} (never active on clean images)"
    for is_dead, run in groupby(range(len(dead)), key=lambda step: bool(dead[step])):
        steps = list(run)
        if is_dead:
            edges = (100 * shares[steps[0]], 100 * shares[steps[-1] + 1])
            axes.axvspan(*edges, color=canvas.SHADE, linewidth=0, zorder=0, label=label)
            label = "_again"  # Matplotlib leaves such a label out of the legend


def _write_flags(
    figure: Figure, drops: Mapping[float, int | None], shares: NDArray[np.float64], *, foot: float
) -> dict[int, float]:
    """Write the drops above the plot; by step, how far above it its mark must rise (inches)."""
    reached: dict[int, list[str]] = {}
    for drop, steps in sorted(drops.items()):
        if steps is not None:
            reached.setdefault(steps, []).append(f"{drop:g}")
    steps_reached = sorted(reached)
    texts = [
        figure.text(
            0,
            0,
            _flag_text(reached[steps], steps),
            transform=figure.dpi_scale_trans,
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        for steps in steps_reached
    ]
    places = [_LEFT + _PLOT_WIDTH * float(shares[steps]) for steps in steps_reached]
    widths = [text.get_window_extent().width / figure.dpi + 2 * _FLAG_PAD for text in texts]
    flags = place_flags(places, widths, span=(0.1, _WIDTH - 0.1), gap=_FLAG_PAD)
    for text, flag in zip(texts, flags, strict=True):
        text.set_position((flag.left + _FLAG_PAD, foot + _FLAG_ROW * flag.row + 0.08))
    return {
        steps: _FLAG_ROW * flag.row + 0.2 for steps, flag in zip(steps_reached, flags, strict=True)
    }


def _flag_text(drops: list[str], steps: int) -> str:
    return canvas.name(f"X = {', '.join(drops)}: {steps} channel{'s' * (steps != 1)}")


def _mark(axes: Axes, share: float, accuracy: float, rise: float) -> None:
    """A vertical line through the plot and up to its label, and a dot on the clean accuracy."""
    axes.plot(
        [100 * share] * 2,
        [0, 1 + rise / _PLOT_HEIGHT],
        transform=axes.get_xaxis_transform(),
        color=canvas.MUTED,
        linewidth=0.9,
        clip_on=False,
        zorder=1.5,
    )
    axes.plot(
        100 * share,
        100 * accuracy,
        "o",
        color=canvas.CLEAN,
        markersize=7,
        markeredgecolor="white",
        zorder=4,
        clip_on=False,
    )


def _frame(axes: Axes) -> None:
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 10), [f"{tick} %" for tick in range(0, 101, 10)])
    axes.set_xlabel("share of channels silenced")
    axes.set_ylabel("share of images, with 95 % interval")
    canvas.percent_axis(axes, bottom=-3.0, top=103.0)


def _headline(curve: PruneCurve, drops: Mapping[float, int | None]) -> tuple[str, str]:
    title = f"Pruning the layer {canvas.name(curve.layer)}"
    parts = [f"{len(curve.mean_activation)} channels, {_ORDERS[curve.order]}"]
    if drops:
        parts.append("X = points of clean accuracy given up")
    missed = ", ".join(f"{drop:g}" for drop, steps in sorted(drops.items()) if steps is None)
    if missed:
        parts.append(f"never reached: X = {missed}")
    return title, "  ·  ".join(parts)
