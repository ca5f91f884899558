"""How suspicious a scan finds each label: all scores at once, those that stand out by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.report import canvas
from goodnet.report.charts.shapes import boxes
from goodnet.report.charts.stack import Stack
from goodnet.report.charts.svg import Chart, to_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from goodnet.report.facts import Scan

__all__ = ["draw_scores", "is_spread", "scores_chart"]

_HEIGHT = {False: 190.0, True: 150.0}  # by whether it is narrow
_GAP, _STRIP, _TICK = 10.0, 26.0, 1.2
_MOST_BARS = {False: 60, True: 30}
_MOST_NAMED = {False: 8, True: 4}
_DESCRIBED = 20  # labels that a screen reader hears of


def is_spread(scan: Scan) -> bool:
    """Whether there is anything to draw: two scores that differ."""
    return len({score for score in scan.scores if score is not None}) > 1


def scores_chart(scan: Scan, *, prefix: str, narrow: bool = False) -> Chart:
    """How many labels have which score, and below it a stroke for each label.

    The labels the scan names have a dot in place of the stroke, and the first of them their number
    above the plot; where none is named, the label with the highest score. A strong line is the
    threshold.

    Args:
        scan: What it found; two of its scores differ.
        prefix: What every id begins with.
        narrow: Draw for a phone.
    """
    with canvas.look(narrow=narrow):
        return to_chart(
            draw_scores(scan, narrow=narrow),
            prefix=prefix,
            title="How many labels have which score",
            description=_description(scan),
        )


def draw_scores(scan: Scan, *, narrow: bool = False, headline: bool = False) -> Figure:
    """The figure of `scores_chart`, with a headline if it is to stand alone. Inside `look`."""
    stack = Stack(narrow=narrow, left=64.0 if narrow else 76.0)
    if headline:
        stack.headline("Scores of all labels", _subtitle(scan))
    known = _known(scan)
    low, high = _ends(scan, known)
    named = {t.label: known[t.label] for t in scan.targets if t.label in known}
    others = np.array([score for label, score in known.items() if label not in named])
    counts, strip = stack.axes(), stack.axes()
    bars = min(max(2 * math.isqrt(len(known)), 10), _MOST_BARS[narrow])
    handles: list[Any] = [_bars(counts, np.array(list(known.values())), (low, high), bars)]
    _strokes(strip, others, (high - low) * _TICK / stack.room)
    if named:
        handles += _dots(strip, list(named.values()))
    stack.legend(handles)
    scale = stack.room / (high - low)
    texts = _texts(scan, known, most=_MOST_NAMED[narrow])
    marks = {(score - low) * scale: text for score, text in texts.items()}
    stack.flags(marks, plot=_HEIGHT[narrow] + _GAP + _STRIP / 2)
    stack.put(counts, _HEIGHT[narrow])
    stack.depth += _HEIGHT[narrow] + _GAP
    stack.put(strip, _STRIP)
    stack.depth += _STRIP + 46
    _frame(counts, strip, span=(low, high), threshold=scan.threshold)
    return stack.finish()


def _known(scan: Scan) -> dict[int, float]:
    return {label: score for label, score in enumerate(scan.scores) if score is not None}


def _ends(scan: Scan, known: dict[int, float]) -> tuple[float, float]:
    """What the plot shows: all scores and the threshold, with some room at both ends."""
    values = [*known.values(), *([] if scan.threshold is None else [scan.threshold])]
    low, high = min(values, default=0.0), max(values, default=0.0)
    margin = 0.03 * (high - low) or 1.0
    return low - margin, high + margin


def _bars(axes: Axes, scores: NDArray[np.float64], span: tuple[float, float], bars: int) -> Any:
    heights, edges = np.histogram(scores, bins=bars, range=span)
    gap = 0.05 * (edges[1] - edges[0])
    there = heights > 0
    sides = (edges[:-1] + gap, np.zeros(bars), edges[1:] - gap, heights)
    style: dict[str, Any] = {"facecolor": canvas.CLEAN, "linewidth": 0, "label": "number of labels"}
    axes.set_ylim(0, 1.05 * float(heights.max(initial=1)))
    return axes.add_patch(boxes(np.stack(sides, axis=1)[there], **style))


def _strokes(axes: Axes, scores: NDArray[np.float64], width: float) -> None:
    """A stroke for each score; those that would cover each other are one."""
    places = np.unique(np.round(scores / width)) * width
    sides = (places - width / 2, np.zeros(len(places)), places + width / 2, np.ones(len(places)))
    axes.add_patch(boxes(np.stack(sides, axis=1), facecolor=canvas.CLEAN, linewidth=0))


def _dots(axes: Axes, scores: list[float]) -> list[Any]:
    style: dict[str, Any] = {"color": canvas.HUES[0], "markeredgecolor": canvas.PAPER}
    label = "label that stands out" if len(scores) == 1 else "labels that stand out"
    middle = [0.5] * len(scores)
    return axes.plot(scores, middle, "o", markersize=10, zorder=4, label=label, **style)


def _texts(scan: Scan, known: dict[int, float], *, most: int) -> dict[float, str]:
    """What to write above which score: the labels that stand out, or the highest; the threshold."""
    labels = [target.label for target in scan.targets if target.label in known][:most]
    if not labels and known:
        labels = [max(known, key=known.__getitem__)]
    by_score: dict[float, list[str]] = {}
    for label in labels:
        by_score.setdefault(known[label], []).append(str(label))
    texts = {score: f"label {', '.join(equal)}" for score, equal in by_score.items()}
    if scan.threshold is not None:
        before = texts.get(scan.threshold)
        line = f"threshold {scan.threshold:.4g}"
        texts[scan.threshold] = f"{line}, {before}" if before else line
    return texts


def _frame(
    counts: Axes, strip: Axes, *, span: tuple[float, float], threshold: float | None
) -> None:
    from matplotlib.ticker import MaxNLocator

    for axes in (counts, strip):
        axes.set_xlim(*span)
    counts.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    counts.tick_params(labelbottom=False)
    counts.set_ylabel("labels", rotation_mode="anchor")
    strip.set(ylim=(0, 1), yticks=[])
    strip.spines["left"].set_visible(False)
    strip.set_xlabel("score, higher is more suspicious")
    if threshold is not None:
        style: dict[str, Any] = {"color": canvas.INK, "linewidth": 1.8}
        counts.axvline(threshold, **style)
        strip.axvline(threshold, **style)


def _subtitle(scan: Scan) -> str:
    count = f"{len(scan.scores):,} labels"
    if scan.threshold is None:
        return count
    return f"{count}  ·  those above {scan.threshold:.4g} are named"


def _description(scan: Scan) -> str:
    known = _known(scan)
    values = np.array(list(known.values()))
    limit = "" if scan.threshold is None else f" The threshold is {scan.threshold:.4g}."
    named = [f"label {t.label} with {t.score:.4g}" for t in scan.targets[:_DESCRIBED]]
    out = f" Standing out: {', '.join(named)}." if named else " None stands out."
    return (
        f"{len(scan.scores)} labels, scores from {values.min():.4g} to {values.max():.4g}, "
        f"half of them below {np.median(values):.4g}.{limit}{out}"
    )
