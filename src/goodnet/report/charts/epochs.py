"""Training, epoch by epoch: accuracy on images held back, and the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.report.charts.chart import (
    CLEAN,
    HUES,
    Axis,
    Chart,
    Dots,
    Line,
    Panel,
    Width,
    in_percent,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.charts.chart import Mark
    from goodnet.results import EpochResult

_LOSS, _BETWEEN = 110.0, 24.0
_MOST_DOTS = 60


def epochs_chart(epochs: Sequence[EpochResult], chosen: int, width: Width) -> Chart:
    """Accuracy with its 95 % interval and, below it, the mean loss against the epoch.

    Args:
        epochs: One or more.
        chosen: The epoch the network is from, counted from 1; 0 for none.
        width: How wide it is to be.
    """
    height = width.pick(230.0, 190.0)
    ends, most = (1, len(epochs)) if len(epochs) > 1 else (0, 2), width.pick(12, 6)
    values, low, high = in_percent([epoch.accuracy for epoch in epochs])
    across = np.arange(1, len(epochs) + 1)
    losses = [epoch.loss for epoch in epochs]
    marker = "o" if len(epochs) <= _MOST_DOTS else ""
    accuracy: list[Mark] = [
        Line(across, values, CLEAN, thick=2.2, marker=marker, size=4.5, low=low, high=high)
    ]
    if len(epochs) == 1:
        accuracy.append(Line([1, 1], [low[0], high[0]], CLEAN, thick=1.5, order=1))
    is_taken = 1 <= chosen <= len(epochs)
    if is_taken:
        accuracy.append(Dots([chosen], [values[chosen - 1]], CLEAN, 9))
    loss = [Line(across, losses, HUES[0], marker=marker, size=4)]
    named = Axis(_ends(low, high), "held-back accuracy", unit=" %")
    below = Panel(
        loss, Axis(ends, "epoch", most), Axis(None, "mean loss"), _LOSS, height + _BETWEEN
    )
    return Chart(
        width=width,
        title="Accuracy on images held back and mean loss, epoch by epoch",
        description=_description(epochs, chosen),
        headline=("Training", "accuracy on images held back, with 95 % interval; mean loss"),
        panels=[Panel(accuracy, Axis(ends, ticks=most, numbered=False), named, height), below],
        depth=height + _BETWEEN + _LOSS + 46,
        marked={chosen: f"taken: epoch {chosen}"} if is_taken else {},
        reach=height + _BETWEEN + _LOSS,
    )


def _ends(low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    bottom, top = float(low.min(initial=100)), float(high.max(initial=0))
    margin = 0.05 * max(top - bottom, 1.0)
    return bottom - margin, min(top + margin, 100 + margin / 2)


def _description(epochs: Sequence[EpochResult], chosen: int) -> str:
    if not epochs:
        return "There were no epochs."
    first, last = epochs[0], epochs[-1]
    taken = f" The network is from epoch {chosen}." if chosen else ""
    return (
        f"{len(epochs)} epochs. Accuracy in percent from {first.accuracy} to {last.accuracy}, "
        f"loss from {first.loss:.3g} to {last.loss:.3g}.{taken}"
    )
