"""How suspicious a scan finds each label: all scores at once, those that stand out by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from goodnet.report.charts.chart import (
    CLEAN,
    HUES,
    INK,
    Axis,
    Boxes,
    Chart,
    Dots,
    Line,
    Panel,
    Width,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodnet.report.charts.chart import Mark
    from goodnet.results import ScanRecord

_GAP, _STRIP, _TICK = 10.0, 26.0, 1.2
_DESCRIBED = 20  # labels that a screen reader hears of


def is_spread(scan: ScanRecord) -> bool:
    """Whether there is anything to draw: two scores that differ."""
    return len(set(_known(scan).values())) > 1


def scores_chart(scan: ScanRecord, width: Width) -> Chart:
    """How many labels have which score, and below it a stroke for each label.

    The labels the scan names have a dot in place of the stroke, and the first of them their number
    above the plot; where none is named, the label with the highest score. A strong line is the
    threshold.

    Args:
        scan: What it found; two of its scores differ.
        width: How wide it is to be.
    """
    known = _known(scan)
    low, high = ends = _ends(scan, known)
    named = {t.label: known[t.label] for t in scan.targets if t.label in known}
    others = np.array([score for label, score in known.items() if label not in named])
    bars = min(max(2 * math.isqrt(len(known)), 10), width.pick(60, 30))
    heights, edges = np.histogram(list(known.values()), bins=bars, range=ends)
    counts: list[Mark] = [_bars(heights, edges)]
    strokes: list[Mark] = [_strokes(others, (high - low) * _TICK / width.room)]
    if named:
        label = "label that stands out" if len(named) == 1 else "labels that stand out"
        places = list(named.values())
        strokes.append(Dots(places, [0.5] * len(named), HUES[0], 10, label, edge=1.0))
    most = 1.05 * float(heights.max(initial=1))
    for marks, top in ((counts, most), (strokes, 1.0)):
        if scan.threshold is not None:
            marks.append(Line([scan.threshold] * 2, [0, top], INK, thick=1.8))
    height = width.pick(190.0, 150.0)
    below = Axis(ends, "score, higher is more suspicious")
    upper = Panel(counts, Axis(ends, numbered=False), Axis((0, most), "labels", 5), height)
    lower = Panel(strokes, below, Axis((0, 1), ticks={}), _STRIP, height + _GAP, sides=("bottom",))
    return Chart(
        width=width,
        title="How many labels have which score",
        description=_description(scan, known),
        headline=("Scores of all labels", _subtitle(scan)),
        panels=[upper, lower],
        depth=height + _GAP + _STRIP + 46,
        marked=_texts(scan, known, list(named)[: width.pick(8, 4)]),
        reach=height + _GAP + _STRIP / 2,
    )


def _known(scan: ScanRecord) -> dict[int, float]:
    return {label: score for label, score in enumerate(scan.scores) if score is not None}


def _ends(scan: ScanRecord, known: dict[int, float]) -> tuple[float, float]:
    """What the plot shows: all scores and the threshold, with some room at both ends."""
    values = [*known.values(), *([] if scan.threshold is None else [scan.threshold])]
    low, high = min(values, default=0.0), max(values, default=0.0)
    margin = 0.03 * (high - low) or 1.0
    return low - margin, high + margin


def _bars(heights: NDArray[np.int64], edges: NDArray[np.float64]) -> Boxes:
    gap = 0.05 * (edges[1] - edges[0])
    sides = (edges[:-1] + gap, np.zeros(len(heights)), edges[1:] - gap, heights)
    return Boxes(np.stack(sides, axis=1)[heights > 0], CLEAN, "number of labels")


def _strokes(scores: NDArray[np.float64], width: float) -> Boxes:
    """A stroke for each score; those that would cover each other are one."""
    places = np.unique(np.round(scores / width)) * width
    sides = (places - width / 2, np.zeros(len(places)), places + width / 2, np.ones(len(places)))
    return Boxes(np.stack(sides, axis=1), CLEAN)


def _texts(scan: ScanRecord, known: dict[int, float], named: Sequence[int]) -> dict[float, str]:
    """What to write above which score: the labels that stand out, or the highest; the threshold."""
    labels = named or ([max(known, key=known.__getitem__)] if known else [])
    by_score: dict[float, list[str]] = {}
    for label in labels:
        by_score.setdefault(known[label], []).append(str(label))
    texts = {score: f"label {', '.join(equal)}" for score, equal in by_score.items()}
    if scan.threshold is not None:
        before = texts.get(scan.threshold)
        line = f"threshold {scan.threshold:.4g}"
        texts[scan.threshold] = f"{line}, {before}" if before else line
    return texts


def _subtitle(scan: ScanRecord) -> str:
    count = f"{len(scan.scores):,} labels"
    if scan.threshold is None:
        return count
    return f"{count}  ·  those above {scan.threshold:.4g} are named"


def _description(scan: ScanRecord, known: dict[int, float]) -> str:
    values = np.array(list(known.values()))
    limit = "" if scan.threshold is None else f" The threshold is {scan.threshold:.4g}."
    named = [f"label {t.label} with {t.score:.4g}" for t in scan.targets[:_DESCRIBED]]
    out = f" Standing out: {', '.join(named)}." if named else " None stands out."
    return (
        f"{len(scan.scores)} labels, scores from {values.min():.4g} to {values.max():.4g}, "
        f"half of them below {np.median(values):.4g}.{limit}{out}"
    )
