"""The pruning curve: what clean images lose, and what is left of each backdoor."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from goodnet.report.charts.chart import (
    CLEAN,
    HUES,
    PAPER,
    SHADE,
    Axis,
    Boxes,
    Chart,
    Dots,
    Line,
    Panel,
    Width,
    in_percent,
    name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from goodnet.report.charts.chart import Mark
    from goodnet.report.facts import Curve
    from goodnet.types import Proportion

_ORDERS = {
    "ascending": "least active first",
    "descending": "most active first",
    "given": "in the order given",
}
_DASHES = ((0, (5, 2)), (0, (6, 2, 1, 2)), (0, (9, 2.5)), (0, (3, 1, 1, 1, 1, 1)))
_DOTS = (0, (1, 1.1))
_MARKERS = "sD^vPX"


def curve_chart(curves: Sequence[Curve], width: Width) -> Chart:
    """Clean accuracy and attack success against the share of channels silenced, in percent.

    Each line has a band, its 95 % interval. Each drop is marked where it is first reached.
    Channels that are dead on clean images are shaded.

    Args:
        curves: One; or two, for instance ascending and descending: the second is thin and dotted.
        width: How wide it is to be.
    """
    marks = [
        mark
        for place, (curve, note) in enumerate(zip(curves, _notes(curves), strict=True))
        for mark in _lines(curve, note, second=place > 0, width=width)
    ]
    first = curves[0]
    across = Axis((0, 100), "share of channels silenced", _percents(width.pick(10, 20)))
    up = Axis((-3, 103), "share of images, with 95 % interval", _percents(20))
    height = width.pick(330.0, 250.0)
    shaded = dead_marks(first, _shares(first), short=width.narrow)
    return Chart(
        width=width,
        title="Clean accuracy and attack success as channels are silenced",
        description=" ".join(map(_description, curves)),
        headline=_headline(first),
        panels=[Panel([*marks, *shaded], across, up, height)],
        depth=height + 46,
        marked=_drops(curves, width),
        reach=height,
    )


def order_text(curve: Curve) -> str:
    """The order of pruning in words."""
    return _ORDERS.get(curve.order, name(curve.order))


def dead_marks(
    curve: Curve, edges: Sequence[float] | NDArray[np.float64], *, short: bool
) -> Iterator[Boxes]:
    """Shade where dead channels stand in the order, if there are any.

    Args:
        curve: What pruning does.
        edges: Where on the horizontal axis 0, 1, ... channels are silent.
        short: Leave out what "dead" means.
    """
    dead = set(curve.dead)
    runs = groupby(range(len(curve.channels)), key=lambda step: curve.channels[step] in dead)
    steps = [list(run) for is_dead, run in runs if is_dead]
    if steps:
        meaning = "" if short else " (never active on clean images)"
        label = f"{len(dead)} dead channel{'s' * (len(dead) != 1)}{meaning}"
        places = [(edges[run[0]], 0.0, edges[run[-1] + 1], 1.0) for run in steps]
        yield Boxes(places, SHADE, label, ground=True)


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
        if drop.channels_pruned is not None:
            found.setdefault(drop.channels_pruned, []).append(f"{drop.drop:g}")
    counts = {n: "" if short else f": {n} channel{'s' * (n != 1)}" for n in sorted(found)}
    return {n: name(f"X = {', '.join(found[n])}{count}") for n, count in counts.items()}


def _notes(curves: Sequence[Curve]) -> list[str]:
    """What tells two curves apart: their order, or else their layer."""
    if len(curves) == 1:
        return [""]
    orders = [order_text(curve) for curve in curves]
    layers = [name(curve.layer, limit=16) for curve in curves]
    return orders if len(set(orders)) == len(orders) else layers


def _shares(curve: Curve) -> NDArray[np.float64]:
    """Of channels silenced at each step, in percent."""
    steps = np.arange(len(curve.channels) + 1)
    return 100 * steps / max(len(curve.mean_activation), 1)


def _lines(curve: Curve, note: str, *, second: bool, width: Width) -> Iterator[Mark]:
    across, strong = _shares(curve), 0.08 if second else 0.15
    # A line is called by its note where there are two curves, else by how many images it is of.
    attack = "attack" if width.narrow and note else "attack success"
    named = [("clean accuracy", curve.accuracy)]
    named += [
        (f"{attack}: {name(k, limit=width.pick(24, 12))}", v) for k, v in curve.success.items()
    ]
    spacing = max(len(curve.channels) // 8, 1)
    for index, (label, shares) in enumerate(named, start=-1):
        values, low, high = in_percent(shares)
        text = f"{label}, {note}" if note else f"{label} ({shares[0].total:,} images)"
        clean = index < 0
        yield Line(
            across,
            values,
            CLEAN if clean else HUES[index % len(HUES)],
            text,
            thick=1.8 if second else 2.4 if clean else 1.9,
            dash=_DOTS if second else "-" if clean else _DASHES[index % len(_DASHES)],
            marker="" if clean else _MARKERS[index % len(_MARKERS)],
            size=5.5,
            fill=PAPER if second else None,
            # Where lines lie on each other, the marks of all of them still show.
            every=None if clean else (index * spacing // len(curve.success), spacing),
            low=low,
            high=high,
            strong=strong,
            order=3 if clean else 2,
        )
    for step in (drop.channels_pruned for drop in curve.drops):
        if step is None:
            continue
        height = 100 * (curve.accuracy[step].value or 0.0)
        yield Dots([across[step]], [height], CLEAN, 8, hollow=second)


def _drops(curves: Sequence[Curve], width: Width) -> dict[float, str]:
    """What to write of the drops, by their place.

    On a phone there is room for those of the first curve; dots mark the others.
    """
    texts: dict[float, list[str]] = {}
    for curve in curves[:1] if width.narrow else curves:
        across = _shares(curve)
        for steps, text in drop_texts(curve, short=width.narrow or len(curves) > 1).items():
            texts.setdefault(float(across[steps]), []).append(text)
    return {place: "; ".join(dict.fromkeys(equal)) for place, equal in texts.items()}


def _percents(step: int) -> dict[float, str]:
    return {tick: f"{tick} %" for tick in range(0, 101, step)}


def _headline(curve: Curve) -> tuple[str, str]:
    parts = [f"{len(curve.mean_activation)} channels, {order_text(curve)}"]
    if curve.drops:
        parts.append("X = points of clean accuracy given up")
    missed = sorted(drop.drop for drop in curve.drops if drop.channels_pruned is None)
    if missed:
        parts.append(f"never reached: X = {', '.join(f'{drop:g}' for drop in missed)}")
    return f"Pruning the layer {name(curve.layer)}", name("  ·  ".join(parts), limit=112)


def _description(curve: Curve) -> str:
    lines = [("clean accuracy", curve.accuracy)]
    lines += [(f"attack success of {name(key)}", shares) for key, shares in curve.success.items()]
    changes = [f"{label} from {_percent(v[0])} to {_percent(v[-1])}" for label, v in lines]
    drops = list(drop_texts(curve).values())
    return (
        f"Layer {name(curve.layer)}, {len(curve.channels)} channels, "
        f"{order_text(curve)}: {'; '.join(changes + drops)}."
    )


def _percent(share: Proportion) -> str:
    return "unknown" if share.value is None else f"{100 * share.value:.1f} %"
