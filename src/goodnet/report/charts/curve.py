"""The pruning curve: what clean images lose, and what is left of each backdoor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goodnet.report import canvas
from goodnet.report.charts.order import drop_texts, order_text, shade_dead
from goodnet.report.charts.shapes import in_percent
from goodnet.report.charts.stack import Stack
from goodnet.report.charts.svg import Chart, to_chart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from goodnet.report.facts import Curve
    from goodnet.types import Proportion

__all__ = ["curve_chart", "draw_curve"]

_DASHES = ((0, (5, 2)), (0, (6, 2, 1, 2)), (0, (9, 2.5)), (0, (3, 1, 1, 1, 1, 1)))
_DOTS = (0, (1, 1.1))
_MARKERS = "sD^vPX"
_HEIGHT = {False: 330.0, True: 250.0}  # by whether it is narrow


class _Naming(NamedTuple):
    """How the lines of a curve are called: with a note where there are two, else their images."""

    note: str
    narrow: bool

    def label(self, key: str | None, *, images: int) -> str:
        note = f", {self.note}" if self.note else f" ({images:,} images)"
        if key is None:
            return f"clean accuracy{note}"
        attack = "attack" if self.narrow and self.note else "attack success"
        return f"{attack}: {canvas.name(key, limit=12 if self.narrow else 24)}{note}"


def curve_chart(curves: Sequence[Curve], *, prefix: str, narrow: bool = False) -> Chart:
    """Clean accuracy and attack success against the share of channels silenced, in percent.

    Each line has a band, its 95 % interval. Each drop is marked where it is first reached.
    Channels that are dead on clean images are shaded.

    Args:
        curves: One; or two, for instance ascending and descending: the second is thin and dotted.
        prefix: What every id begins with.
        narrow: Draw for a phone.
    """
    with canvas.look(narrow=narrow):
        return to_chart(
            draw_curve(curves, narrow=narrow),
            prefix=prefix,
            title="Clean accuracy and attack success as channels are silenced",
            description=" ".join(map(_description, curves)),
        )


def draw_curve(curves: Sequence[Curve], *, narrow: bool = False, headline: bool = False) -> Figure:
    """The figure of `curve_chart`, with a headline if it is to stand alone. Inside `look`."""
    stack = Stack(narrow=narrow, left=64.0 if narrow else 76.0)
    if headline:
        stack.headline(*_headline(curves[0]))
    axes = stack.axes()
    handles = [
        handle
        for place, (curve, note) in enumerate(zip(curves, _notes(curves), strict=True))
        for handle in _plot_curve(axes, curve, _Naming(note, narrow), second=place > 0)
    ]
    stack.legend([*handles, *shade_dead(axes, curves[0], edges=_shares(curves[0]), short=narrow)])
    stack.flags(_flags(curves, stack), plot=_HEIGHT[narrow])
    stack.put(axes, _HEIGHT[narrow])
    _frame(axes, narrow=narrow)
    stack.depth += _HEIGHT[narrow] + 46
    return stack.finish()


def _notes(curves: Sequence[Curve]) -> list[str]:
    """What tells two curves apart: their order, or else their layer."""
    if len(curves) == 1:
        return [""]
    orders = [order_text(curve) for curve in curves]
    layers = [canvas.name(curve.layer, limit=16) for curve in curves]
    return orders if len(set(orders)) == len(orders) else layers


def _shares(curve: Curve) -> NDArray[np.float64]:
    """Of channels silenced at each step, in percent."""
    steps = np.arange(len(curve.channels) + 1)
    return 100 * steps / max(len(curve.mean_activation), 1)


def _plot_curve(axes: Axes, curve: Curve, naming: _Naming, *, second: bool) -> Iterator[Artist]:
    across = _shares(curve)
    lines: list[tuple[str | None, Sequence[Proportion]]] = [(None, curve.accuracy)]
    for index, (key, shares) in enumerate([*lines, *curve.success.items()]):
        style = _style(curve, index, second=second)
        values, low, high = in_percent(shares)
        label = naming.label(key, images=shares[0].total)
        yield from axes.plot(across, values, label=label, clip_on=False, **style)
        band: dict[str, Any] = {"color": style["color"], "alpha": 0.08 if second else 0.15}
        axes.fill_between(across, low, high, linewidth=0, zorder=1.2, **band)
    for drop in curve.drops:
        if drop.steps is not None:
            _dot(axes, across[drop.steps], curve.accuracy[drop.steps], hollow=second)


def _style(curve: Curve, index: int, *, second: bool) -> dict[str, Any]:
    """Of clean accuracy if the index is 0, else of a poisoned set."""
    thin: dict[str, Any] = {"linestyle": _DOTS, "linewidth": 1.8} if second else {}
    if not index:
        return {"color": canvas.CLEAN, "linewidth": 2.4, "zorder": 3} | thin
    spacing = max(len(curve.channels) // 8, 1)
    style = {
        "color": canvas.HUES[(index - 1) % len(canvas.HUES)],
        "linestyle": _DASHES[(index - 1) % len(_DASHES)],
        "linewidth": 1.9,
        "marker": _MARKERS[(index - 1) % len(_MARKERS)],
        "markersize": 5.5,
        "markerfacecolor": canvas.PAPER if second else None,
        # Where lines lie on each other, the marks of all of them still show.
        "markevery": ((index - 1) * spacing // len(curve.success), spacing),
    }
    return style | thin


def _dot(axes: Axes, share: float, accuracy: Proportion, *, hollow: bool) -> None:
    inner, edge = (canvas.PAPER, canvas.CLEAN) if hollow else (canvas.CLEAN, canvas.PAPER)
    style: dict[str, Any] = {"markerfacecolor": inner, "markeredgecolor": edge}
    height = 100 * (accuracy.value or 0.0)
    axes.plot(
        share, height, "o", markersize=8, markeredgewidth=1.5, zorder=4, clip_on=False, **style
    )


def _flags(curves: Sequence[Curve], stack: Stack) -> dict[float, str]:
    """What to write of the drops, by their place in the plot in pixels.

    On a phone there is room for those of the first curve; dots mark the others.
    """
    short = stack.narrow or len(curves) > 1
    flags: dict[float, list[str]] = {}
    for curve in curves[:1] if stack.narrow else curves:
        across = _shares(curve) * stack.room / 100
        for steps, text in drop_texts(curve, short=short).items():
            flags.setdefault(float(across[steps]), []).append(text)
    return {place: "; ".join(dict.fromkeys(texts)) for place, texts in flags.items()}


def _frame(axes: Axes, *, narrow: bool) -> None:
    ticks = range(0, 101, 20 if narrow else 10)
    axes.set_xlim(0, 100)
    axes.set_xticks(ticks, [f"{tick} %" for tick in ticks])
    axes.set_xlabel("share of channels silenced")
    axes.set_ylabel("share of images, with 95 % interval", rotation_mode="anchor")
    canvas.percent_axis(axes, bottom=-3.0, top=103.0)


def _headline(curve: Curve) -> tuple[str, str]:
    parts = [f"{len(curve.mean_activation)} channels, {order_text(curve)}"]
    if curve.drops:
        parts.append("X = points of clean accuracy given up")
    missed = sorted(drop.drop for drop in curve.drops if drop.steps is None)
    if missed:
        parts.append(f"never reached: X = {', '.join(f'{drop:g}' for drop in missed)}")
    subtitle = canvas.name("  ·  ".join(parts), limit=112)
    return f"Pruning the layer {canvas.name(curve.layer)}", subtitle


def _description(curve: Curve) -> str:
    lines = [("clean accuracy", curve.accuracy)]
    lines += [(f"attack success of {canvas.name(k)}", v) for k, v in curve.success.items()]
    changes = [f"{label} from {_percent(v[0])} to {_percent(v[-1])}" for label, v in lines]
    drops = list(drop_texts(curve).values())
    return (
        f"Layer {canvas.name(curve.layer)}, {len(curve.channels)} channels, "
        f"{order_text(curve)}: {'; '.join(changes + drops)}."
    )


def _percent(share: Proportion) -> str:
    return "unknown" if share.value is None else f"{100 * share.value:.1f} %"
