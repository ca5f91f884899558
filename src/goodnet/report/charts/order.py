"""What the charts in pruning order share: its name, where channels are dead, the drops."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from goodnet.report import canvas
from goodnet.report.charts.shapes import boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from goodnet.report.facts import Curve

__all__ = ["drop_texts", "order_text", "shade_dead"]

_ORDERS = {
    "ascending": "least active first",
    "descending": "most active first",
    "given": "in the order given",
}


def order_text(curve: Curve) -> str:
    """The order in words."""
    return _ORDERS.get(curve.order, canvas.name(curve.order))


def shade_dead(
    axes: Axes, curve: Curve, *, edges: Sequence[float] | NDArray[Any], short: bool = False
) -> Iterator[Artist]:
    """Shade where dead channels stand; yields what a legend shows of them, if there are any.

    Args:
        axes: Where to.
        curve: What pruning does.
        edges: Where on the horizontal axis 0, 1, ... channels are silent.
        short: Leave out what "dead" means.
    """
    dead = set(curve.dead)
    runs = groupby(range(len(curve.channels)), key=lambda step: curve.channels[step] in dead)
    steps = [list(run) for is_dead, run in runs if is_dead]
    if steps:
        count = len(dead)
        meaning = "" if short else " (never active on clean images)"
        label = f"{count} dead channel{'s' * (count != 1)}{meaning}"
        style: dict[str, Any] = {"facecolor": canvas.SHADE, "linewidth": 0, "zorder": 0}
        places = [(edges[run[0]], 0.0, edges[run[-1] + 1], 1.0) for run in steps]
        patch = boxes(places, transform=axes.get_xaxis_transform(), label=label, **style)
        yield axes.add_patch(patch)


def drop_texts(curve: Curve, *, short: bool = False) -> dict[int, str]:
    """What to write where drops are first reached, by the channels it took.

    Args:
        curve: What pruning does.
        short: Leave out how many channels it took.

    Example:
        {14: "X = 2: 14 channels", 30: "X = 4, 10: 30 channels"}
    """
    found: dict[int, list[str]] = {}
    for drop in sorted(curve.drops, key=lambda drop: drop.drop):
        if drop.steps is not None:
            found.setdefault(drop.steps, []).append(f"{drop.drop:g}")
    texts = {}
    for steps, drops in sorted(found.items()):
        count = "" if short else f": {steps} channel{'s' * (steps != 1)}"
        texts[steps] = canvas.name(f"X = {', '.join(drops)}{count}")
    return texts
