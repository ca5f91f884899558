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
    "MUTED",
    "SHADE",
    "blank",
    "headline",
    "look",
    "name",
    "percent_axis",
    "save",
]

# Okabe and Ito's colours, told apart by colour-blind readers too.
CLEAN = "#0072B2"
HUES = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, MUTED, SHADE, PAPER = "#222222", "#626262", "#E9E9E9", "#FFFFFF"

_DPI = 150
_FONT = "DejaVu Sans"  # comes with Matplotlib: the same letters on every machine
_LOOK: dict[Any, Any] = {
    "font.family": [_FONT],
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E0E0E0",
    "xtick.color": "#9A9A9A",
    "ytick.color": "#9A9A9A",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
}


@contextmanager
def look() -> Iterator[None]:
    """Draw with this package's settings, whatever the user's own are; they come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def name(text: str, *, limit: int = 40) -> str:
    """A name from outside as one drawable line."""
    return drawable(text, _glyphs(), limit=limit)


def blank() -> Figure:
    """A figure to be given its size; texts measured on it have the size they are drawn with."""
    from matplotlib.figure import Figure

    return Figure(dpi=_DPI)


def percent_axis(axes: Axes, *, bottom: float, top: float) -> None:
    """Mark 0..100 % on the vertical axis, which runs from `bottom` to `top`."""
    axes.set_ylim(bottom, top)
    axes.set_yticks(range(0, 101, 20), [f"{tick} %" for tick in range(0, 101, 20)])


def headline(figure: Figure, title: str, subtitle: str, *, left: float) -> None:
    """Write a title and a line below it at the top; `left` in inches."""
    top = figure.get_figheight()
    place: dict[str, Any] = {"transform": figure.dpi_scale_trans, "va": "top"}
    figure.text(left, top - 0.18, name(title, limit=64), fontsize=13, fontweight="bold", **place)
    figure.text(left, top - 0.46, name(subtitle, limit=112), color=MUTED, **place)


def save(figure: Figure, destination: Path) -> None:
    """Write a PNG; the same figure gives the same bytes.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    figure.savefig(destination, format="png", facecolor=PAPER, metadata={"Software": None})


@cache
def _glyphs() -> Container[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(_FONT)).get_charmap())
