"""The look all pictures share, and how they reach a file. Matplotlib without its global state."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from goodnet.report.drawable import drawable

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CLEAN",
    "HUES",
    "INK",
    "LINE",
    "MUTED",
    "NEUTRAL",
    "PAPER",
    "ROLES",
    "SHADE",
    "SMALL",
    "UNITS",
    "blank",
    "look",
    "name",
    "percent_axis",
    "save",
    "save_vector",
    "text_width",
]

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

SMALL = 11.0  # size of the smallest letters, in pixels
UNITS = 72  # pixels of a chart in one of Matplotlib's inches: a point is a pixel
_DPI = 144
_FONT = "DejaVu Sans"  # comes with Matplotlib: the same letters on every machine
_LOOK: dict[Any, Any] = {
    "font.family": [_FONT],
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelpad": 6.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 1.2,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
    "svg.hashsalt": "goodnet",
}


@contextmanager
def look(*, narrow: bool = False) -> Iterator[None]:
    """Draw with this package's settings, whatever the user's own are; they come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_LOOK, "font.size": SMALL if narrow else 12.0})
        yield


def name(text: str, *, limit: int = 40) -> str:
    """A name from outside as one drawable line."""
    return drawable(text, _glyphs(), limit=limit)


def blank() -> Figure:
    """A figure to be given its size; texts measured on it have the size they are drawn with."""
    from matplotlib.figure import Figure

    return Figure(dpi=_DPI)


def text_width(figure: Figure, text: str, **style: Any) -> float:
    """How wide a line of text is on this figure, in pixels of the chart."""
    artist = figure.text(0, 0, text, **style)
    width = float(artist.get_window_extent().width)
    artist.remove()
    return width * UNITS / figure.dpi


def percent_axis(axes: Axes, *, bottom: float, top: float) -> None:
    """Mark 0..100 % on the vertical axis, which runs from `bottom` to `top`."""
    axes.set_ylim(bottom, top)
    axes.set_yticks(range(0, 101, 20), [f"{tick} %" for tick in range(0, 101, 20)])


def save(figure: Figure, destination: Path) -> None:
    """Write a PNG; the same figure gives the same bytes.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    figure.savefig(destination, format="png", facecolor=PAPER, metadata={"Software": None})


def save_vector(figure: Figure, destination: Path) -> None:
    """Write an SVG with its letters as outlines; the same figure gives the same bytes.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(destination, format="svg", facecolor=PAPER, metadata=nothing)


@cache
def _glyphs() -> Container[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())
