"""Training, epoch by epoch: accuracy on images held back, and the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.report import canvas
from goodnet.report.charts.shapes import in_percent
from goodnet.report.charts.stack import Stack, whole_ticks
from goodnet.report.charts.svg import Chart, to_chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from goodnet.results import EpochResult

__all__ = ["draw_epochs", "epochs_chart"]

_HEIGHT = {False: 230.0, True: 190.0}  # by whether it is narrow
_LOSS = 110.0
_MOST_DOTS = 60


def epochs_chart(
    epochs: Sequence[EpochResult], chosen: int, *, prefix: str, narrow: bool = False
) -> Chart:
    """Accuracy with its 95 % interval and, below it, the mean loss against the epoch.

    Args:
        epochs: One or more.
        chosen: The epoch the network is from, counted from 1; 0 for none.
        prefix: What every id begins with.
        narrow: Draw for a phone.
    """
    with canvas.look(narrow=narrow):
        return to_chart(
            draw_epochs(epochs, chosen, narrow=narrow),
            prefix=prefix,
            title="Accuracy on images held back and mean loss, epoch by epoch",
            description=_description(epochs, chosen),
        )


def draw_epochs(
    epochs: Sequence[EpochResult], chosen: int, *, narrow: bool = False, headline: bool = False
) -> Figure:
    """The figure of `epochs_chart`, with a headline if it is to stand alone. Inside `look`."""
    stack = Stack(narrow=narrow, left=64.0 if narrow else 76.0)
    if headline:
        stack.headline("Training", "accuracy on images held back, with 95 % interval; mean loss")
    accuracy, loss = stack.axes(), stack.axes()
    height = _HEIGHT[narrow]
    across = np.arange(1, len(epochs) + 1)
    marker = "o" if len(epochs) <= _MOST_DOTS else ""
    _plot_accuracy(accuracy, epochs, marker=marker)
    losses = [epoch.loss for epoch in epochs]
    style: dict[str, Any] = {"color": canvas.HUES[0], "linewidth": 1.9, "markersize": 4}
    loss.plot(across, losses, marker=marker, clip_on=False, **style)
    for axes in (accuracy, loss):
        axes.set_xlim(*((1, len(epochs)) if len(epochs) > 1 else (0, 2)))
        whole_ticks(axes, most=6 if narrow else 12)
    if 1 <= chosen <= len(epochs):
        start, end = accuracy.get_xlim()
        place = (chosen - start) / (end - start) * stack.room
        stack.flags({place: f"taken: epoch {chosen}"}, plot=height + 24 + _LOSS)
        _mark(accuracy, epochs, chosen)
    stack.put(accuracy, height)
    accuracy.tick_params(labelbottom=False)
    accuracy.set_ylabel("held-back accuracy", rotation_mode="anchor")
    stack.depth += height + 24
    stack.put(loss, _LOSS)
    loss.set_ylabel("mean loss", rotation_mode="anchor")
    loss.set_xlabel("epoch")
    stack.depth += _LOSS + 46
    return stack.finish()


def _plot_accuracy(axes: Axes, epochs: Sequence[EpochResult], *, marker: str) -> None:
    across = np.arange(1, len(epochs) + 1)
    values, low, high = in_percent([epoch.accuracy for epoch in epochs])
    axes.plot(
        across,
        values,
        color=canvas.CLEAN,
        linewidth=2.2,
        marker=marker,
        markersize=4.5,
        clip_on=False,
    )
    axes.fill_between(across, low, high, color=canvas.CLEAN, alpha=0.15, linewidth=0)
    if len(epochs) == 1:
        axes.vlines(across, low, high, color=canvas.CLEAN, linewidth=1.5)
    bottom, top = float(low.min(initial=100)), float(high.max(initial=0))
    margin = 0.05 * max(top - bottom, 1.0)
    axes.set_ylim(bottom - margin, min(top + margin, 100 + margin / 2))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")


def _mark(axes: Axes, epochs: Sequence[EpochResult], chosen: int) -> None:
    accuracy = epochs[chosen - 1].accuracy
    if accuracy.value is not None:
        axes.plot(
            chosen,
            100 * accuracy.value,
            "o",
            color=canvas.CLEAN,
            markersize=9,
            markeredgecolor=canvas.PAPER,
            markeredgewidth=1.5,
            zorder=4,
            clip_on=False,
        )


def _description(epochs: Sequence[EpochResult], chosen: int) -> str:
    if not epochs:
        return "There were no epochs."
    first, last = epochs[0], epochs[-1]
    taken = f" The network is from epoch {chosen}." if chosen else ""
    return (
        f"{len(epochs)} epochs. Accuracy in percent from {first.accuracy} to {last.accuracy}, "
        f"loss from {first.loss:.3g} to {last.loss:.3g}.{taken}"
    )
