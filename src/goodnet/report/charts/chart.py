"""A chart as plain data: its axes, its series and its labels. `figure` draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from goodnet.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Container

    from numpy.typing import ArrayLike, NDArray

    from goodnet.types import Proportion


# Okabe and Ito's colours, told apart by colour-blind readers too, and two quiet ones.
CLEAN = "#0072B2"
NEUTRAL = "#7F7F7F"
HUES = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8F8400")
INK, MUTED, LINE, SHADE, PAPER = "#222222", "#626262", "#DFDFDF", "#E9E9E9", "#FFFFFF"

# What each colour stands for: a page shows the same part in a colour of its own.
ROLES = {
    "ink": INK,
    "muted": MUTED,
    "line": LINE,
    "shade": SHADE,
    "paper": PAPER,
    "series-0": CLEAN,
    **{f"series-{index}": hue for index, hue in enumerate(HUES[:5], start=1)},
    "series-6": NEUTRAL,
    "series-7": HUES[5],
}

FONT = "DejaVu Sans"  # comes with Matplotlib: the same letters on every machine
SMALL = 11.0  # size of the smallest letters, in pixels

_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Width:
    """How wide a chart is drawn, and what follows from it everywhere. Lengths in pixels.

    Attributes:
        name: "wide", or "narrow" for a phone.
        pixels: Of the whole chart.
        left: Where the plots begin.
        right: Margin that holds half of a tick's label.
        letters: Size of the ordinary letters.
    """

    name: Literal["wide", "narrow"]
    pixels: float
    left: float
    right: float
    letters: float

    @property
    def narrow(self) -> bool:
        """Whether it is for a phone."""
        return self.name == "narrow"

    @property
    def room(self) -> float:
        """For plots."""
        return self.pixels - self.left - self.right

    def pick(self, wide: _Choice, narrow: _Choice) -> _Choice:
        """The one of two that is meant for this width."""
        return narrow if self.narrow else wide


WIDE = Width("wide", 900.0, 76.0, 24.0, 12.0)
NARROW = Width("narrow", 360.0, 64.0, 20.0, SMALL)


@dataclass(frozen=True, eq=False)
class Line:
    """Points joined by strokes that break at NaN, and a band between low and high ends.

    Attributes:
        x, y: Where the points are.
        colour: Of line and band.
        label: For the legend; "" for none.
        thick: In pixels.
        dash: A style of Matplotlib's.
        marker: At the points, a letter of Matplotlib's.
        size: Of the markers.
        fill: Colour inside the markers; None for the line's own.
        every: The first point that has a marker, and how many there are to the next.
        low, high: The ends of the band.
        strong: How opaque the band is.
        steps: Whether each value holds until the next point.
        order: What lies over what.
    """

    x: ArrayLike
    y: ArrayLike
    colour: str
    label: str = ""
    thick: float = 1.9
    dash: str | tuple[float, tuple[float, ...]] = "-"
    marker: str = ""
    size: float = 6.0
    fill: str | None = None
    every: tuple[int, int] | None = None
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    strong: float = 0.15
    steps: bool = False
    order: float = 2.0


@dataclass(frozen=True, eq=False)
class Dots:
    """Large dots with an edge; hollow ones have the colour at their edge alone."""

    x: ArrayLike
    y: ArrayLike
    colour: str
    size: float
    label: str = ""
    hollow: bool = False
    edge: float = 1.5


@dataclass(frozen=True, eq=False)
class Boxes:
    """Rectangles as one path: quick to draw and small in a file.

    Attributes:
        places: Left, bottom, right and top of each, shape (boxes, 4).
        colour: Of all.
        label: For the legend; "" for none.
        hatched: Strokes of the colour on paper.
        strong: How opaque they are, 0..1.
        ground: Behind all else; bottom and top are 0..1 from below to above the plot.
    """

    places: ArrayLike
    colour: str
    label: str = ""
    hatched: bool = False
    strong: float | None = None
    ground: bool = False


@dataclass(frozen=True)
class Note:
    """A small text in a plot: at a point, or beside it."""

    x: float
    y: float
    text: str
    beside: bool = True


Mark = Line | Dots | Boxes | Note


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Attributes:
        ends: The values at its left and right, or lower and upper, end; None to see all marks.
        label: What it says.
        ticks: Texts by place; or how many whole numbers at most; None for any that fit.
        unit: After each number.
        numbered: Whether ticks have texts.
        twice: Whether the texts stand on the other side, too.
    """

    ends: tuple[float, float] | None
    label: str = ""
    ticks: Mapping[float, str] | int | None = None
    unit: str = ""
    numbered: bool = True
    twice: bool = False


@dataclass(frozen=True)
class Panel:
    """One plot. Lengths in pixels, from the left of the chart and from below its legend.

    Attributes:
        marks: What it shows; those with a label are in the legend, in this order.
        x, y: Its axes.
        height: Of the plot.
        top: Where it begins.
        left, width: None for all the room.
        sides: Which of its sides have a line.
        line: The colour of those lines.
        grid: Along which axis there are lines at the ticks.
        flush: Whether its ticks are texts alone.
    """

    marks: Sequence[Mark]
    x: Axis
    y: Axis
    height: float
    top: float = 0.0
    left: float | None = None
    width: float | None = None
    sides: tuple[str, ...] = ("left", "bottom")
    line: str = MUTED
    grid: Literal["x", "y"] = "y"
    flush: bool = False


@dataclass(frozen=True)
class Caption:
    """A line of text outside the plots, at or left of a place; a title is strong."""

    text: str
    top: float
    at: float
    right: bool = False
    title: bool = False


@dataclass(frozen=True)
class Chart:
    """All there is to draw.

    Attributes:
        width: How wide it is drawn.
        title: What a screen reader says first.
        description: What it says next.
        headline: Two lines above a chart that stands alone.
        panels: The plots.
        depth: How high all is that stands below the legend, in pixels.
        left: Where legend and headline begin; None for where plots do.
        captions: Texts outside the plots.
        marked: Labels above the first plot by the place on its x axis to which a line leads down.
        reach: How far down these lines go, in pixels from the top of the plot.
    """

    width: Width
    title: str
    description: str
    headline: tuple[str, str]
    panels: Sequence[Panel]
    depth: float
    left: float | None = None
    captions: Sequence[Caption] = ()
    marked: Mapping[float, str] = field(default_factory=dict)
    reach: float = 0.0


def name(text: str, *, limit: int = 40) -> str:
    """A name from outside as one line that can be drawn."""
    return printable(text, _glyphs(), limit=limit)


def in_percent(shares: Sequence[Proportion]) -> tuple[NDArray[np.float64], ...]:
    """Values, low and high ends in percent; the value is NaN where there was nothing to count."""
    values = [np.nan if share.value is None else share.value for share in shares]
    rows = (values, [share.low for share in shares], [share.high for share in shares])
    return tuple(100 * np.array(row, dtype=float) for row in rows)


@cache
def _glyphs() -> Container[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())
