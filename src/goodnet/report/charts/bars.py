"""Level bars in groups below one another, with their intervals and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goodnet.report import canvas
from goodnet.report.charts.shapes import boxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from goodnet.report.charts.panels import Panel, Series
    from goodnet.types import Proportion

__all__ = ["Rows", "draw_bars", "frame", "name_groups"]

_VALUE = 42.0  # room for a value
_LOW = 800.0  # a panel that a screen shows as a whole


class Rows(NamedTuple):
    """Where the bars of each group are, in pixels from the top of a panel.

    Attributes:
        groups: How many.
        bars: In a group.
        bar: From one to the next.
        above: For the name of a group, if it stands above its bars.
        gap: Between groups.
    """

    groups: int
    bars: int
    bar: float
    above: float
    gap: float

    @property
    def head(self) -> float:
        """Above the panel: for percents there too where it is too high to see those below."""
        return 20.0 if self.height > _LOW else 0.0

    @property
    def height(self) -> float:
        """Of the panel."""
        return self.groups * self._step + self.gap / 2

    @property
    def is_tall(self) -> bool:
        """Whether there is room for a value beside a bar."""
        return self.bar > canvas.SMALL

    @property
    def _step(self) -> float:
        return self.above + self.bars * self.bar + self.gap

    def top(self, group: int) -> float:
        """Of the first bar of a group."""
        return group * self._step + self.gap / 2 + self.above

    def middle(self, group: int, bar: float) -> float:
        """Of a bar; between two of them with a half."""
        return self.top(group) + (bar + 0.5) * self.bar


def frame(axes: Axes, rows: Rows, *, width: float) -> None:
    """Percent from left to right, leaving room for a value beside a full bar."""
    ticks = range(0, 101, 50 if width < 260 else 25)
    axes.set_xlim(0, 100 * width / (width - _VALUE))
    axes.set_ylim(rows.height, 0)
    axes.set_xticks(ticks, [f"{tick} %" for tick in ticks])
    axes.tick_params(length=0, labelsize=canvas.SMALL, labeltop=rows.head > 0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.spines["bottom"].set_visible(False)


def name_groups(axes: Axes, rows: Rows, names: Sequence[str]) -> None:
    """Write the names at the left of the bars, or above them where they are long."""
    axes.spines["left"].set_visible(not rows.above)
    if rows.above:
        for group, name in enumerate(names):
            axes.text(0, rows.top(group) - 5, name, fontsize=canvas.SMALL)
        names = []
    middles = [rows.middle(group, (rows.bars - 1) / 2) for group in range(len(names))]
    axes.set_yticks(middles, names)
    axes.tick_params(axis="y", pad=8)


def draw_bars(
    axes: Axes, panel: Panel, looks: Mapping[Series, dict[str, Any]], *, rows: Rows
) -> None:
    """Draw all bars of a panel, a path for each kind; their intervals are one more."""
    whiskers: list[tuple[float, float]] = []
    half = 0.4 * rows.bar
    for bar, (one, look) in enumerate(looks.items()):
        places = []
        for group, shares in enumerate(panel.groups):
            share, middle = shares.get(one), rows.middle(group, bar)
            if share is None:
                continue
            if share.value is not None:
                places.append((0.0, middle - half, 100 * share.value, middle + half))
                whiskers += _whisker(share, middle, cap=half / 2)
            _write_value(axes, share, middle, rows=rows)
        axes.add_patch(boxes(places, linewidth=1 if one.refused else 0, **look))
    for group, shares in enumerate(panel.groups):
        if not shares:
            _write(axes, 0.0, rows.middle(group, (rows.bars - 1) / 2), "no result")
    if whiskers:
        style: dict[str, Any] = {"color": canvas.INK, "linewidth": 1.1, "zorder": 3}
        axes.plot(*np.array(whiskers).T, clip_on=False, **style)


def _whisker(share: Proportion, middle: float, *, cap: float) -> list[tuple[float, float]]:
    """The strokes of one interval, as points of a line that breaks at NaN."""
    low, high, end = 100 * share.low, 100 * share.high, (np.nan, np.nan)
    top, bottom = middle - cap, middle + cap
    return [
        *((low, top), (low, bottom), end),
        *((low, middle), (high, middle), end),
        *((high, top), (high, bottom), end),
    ]


def _write_value(axes: Axes, share: Proportion, middle: float, *, rows: Rows) -> None:
    if share.value is None:
        _write(axes, 0.0, middle, "no images")
    elif rows.is_tall:
        _write(axes, 100 * share.high, middle, f"{100 * share.value:.1f}")


def _write(axes: Axes, place: float, middle: float, text: str) -> None:
    axes.annotate(
        text,
        (place, middle),
        (5, -0.5),
        textcoords="offset points",
        va="center_baseline",
        fontsize=canvas.SMALL,
        annotation_clip=False,
    )
