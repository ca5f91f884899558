"""A figure that is filled from the top down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.report import canvas
from goodnet.report.flags import place_flags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["NARROW", "WIDE", "Stack", "whole_ticks"]

WIDE, NARROW = 900.0, 360.0

_EDGE = 8.0
_ROW = 20.0
_HANDLE, _HANDLE_GAP, _COLUMN_GAP = 34.0, 8.0, 22.0
_FLAG_PAD = 4.0


class Stack:
    """Headline, legend, labels and plots below one another; all lengths in pixels.

    Attributes:
        narrow: Whether it is for a phone.
        figure: What is being filled; `finish` gives it its size.
        width: Of the whole figure.
        left: Where the plots begin.
        depth: How far down the next part begins.
        pixels: The transform from (pixels from the left, pixels from the top).
    """

    def __init__(self, *, narrow: bool, left: float) -> None:
        from matplotlib.transforms import Affine2D

        self.narrow = narrow
        self.figure = canvas.blank()
        self.width = NARROW if narrow else WIDE
        self.left = left
        self.depth = _EDGE
        self._down = Affine2D()
        self.pixels = self._down + self.figure.dpi_scale_trans
        self._places: list[tuple[Axes, tuple[float, float, float, float]]] = []

    @property
    def room(self) -> float:
        """From where the plots begin to the right margin, which holds half of a tick's label."""
        return self.width - self.left - (20.0 if self.narrow else 24.0)

    @property
    def _legend_left(self) -> float:
        return _EDGE if self.narrow else self.left

    def headline(self, title: str, subtitle: str) -> None:
        """Write a title and a line below it."""
        style: dict[str, Any] = {"va": "top", "transform": self.pixels}
        text = self.figure.text
        text(self.left, self.depth + 6, title, fontsize=17, fontweight="bold", **style)
        text(self.left, self.depth + 34, subtitle, color=canvas.MUTED, **style)
        self.depth += 64

    def text(self, text: str, *, at: float | None = None, **style: Any) -> None:
        """Write a small line at the present depth, where the plots begin or at a place."""
        self.figure.text(
            self.left if at is None else at,
            self.depth + 11,
            text,
            transform=self.pixels,
            **{"color": canvas.MUTED, "fontsize": canvas.SMALL, **style},
        )

    def legend(self, handles: Sequence[Artist]) -> None:
        """Explain the artists, in as many columns as there is room for."""
        import matplotlib

        if not handles:
            return
        columns = self._columns([str(handle.get_label()) for handle in handles])
        size = matplotlib.rcParams["font.size"]
        self.figure.legend(
            handles=list(handles),
            loc="upper left",
            bbox_to_anchor=(self._legend_left, self.depth + 3),
            bbox_transform=self.pixels,
            ncols=columns,
            handlelength=_HANDLE / size,
            handletextpad=_HANDLE_GAP / size,
            columnspacing=_COLUMN_GAP / size,
            labelspacing=(_ROW - 1.17 * size) / size,
        )
        self.depth += _ROW * -(-len(handles) // columns) + 12

    def _columns(self, labels: Sequence[str]) -> int:
        """The most columns of a legend that fit; it is filled column by column."""
        room = self.left + self.room - self._legend_left
        widths = [canvas.text_width(self.figure, label) for label in labels]
        for columns in range(len(labels), 1, -1):
            entries = np.array_split(widths, columns)
            step = _HANDLE + _HANDLE_GAP + _COLUMN_GAP
            if sum(column.max() + step for column in entries) - _COLUMN_GAP <= room:
                return columns
        return 1

    def flags(self, marks: Mapping[float, str], *, plot: float) -> None:
        """Write labels above the plot that comes next, each with a line down through it.

        Args:
            marks: The labels, by how many pixels from the left of the plot they belong.
            plot: How high that plot will be.
        """
        places = sorted(marks)
        labels = [self._label(marks[place]) for place in places]
        scale = canvas.UNITS / self.figure.dpi
        widths = [label.get_window_extent().width * scale + 2 * _FLAG_PAD for label in labels]
        flags = place_flags(
            [self.left + place for place in places],
            widths,
            span=(4, self.width - 4),
            gap=_FLAG_PAD,
        )
        foot = self.depth + _ROW * (max((flag.row for flag in flags), default=-1) + 1)
        for place, label, flag in zip(places, labels, flags, strict=True):
            top = foot - _ROW * flag.row
            label.set_position((flag.left + _FLAG_PAD, top - 6))
            self._rule(self.left + place, top - _ROW + 3, foot + plot)
        self.depth = foot

    def axes(self) -> Axes:
        """Axes that `put` will give a place."""
        return self.figure.add_axes((0, 0, 1, 1), label=str(len(self.figure.axes)))

    def put(
        self, axes: Axes, height: float, *, left: float | None = None, width: float | None = None
    ) -> None:
        """Set axes at the present depth, over all the room unless it says where.

        Args:
            axes: What `axes` made.
            height: How high the plot is.
            left: Where it begins.
            width: How wide it is.
        """
        place = (
            self.left if left is None else left,
            self.depth,
            self.room if width is None else width,
            height,
        )
        self._places.append((axes, place))

    def finish(self) -> Figure:
        """The figure, as high as what is in it."""
        width, height = self.width, self.depth + _EDGE
        unit = 1 / canvas.UNITS
        self.figure.set_size_inches(width * unit, height * unit)
        self._down.scale(unit, -unit).translate(0, height * unit)
        for axes, (left, top, across, down) in self._places:
            axes.set_position(
                (left / width, 1 - (top + down) / height, across / width, down / height)
            )
        return self.figure

    def _label(self, text: str) -> Text:
        return self.figure.text(0, 0, text, fontsize=canvas.SMALL, transform=self.pixels)

    def _rule(self, place: float, top: float, bottom: float) -> None:
        from matplotlib.lines import Line2D

        rule = Line2D([place, place], [top, bottom], color=canvas.MUTED, linewidth=1, zorder=-1)
        rule.set_transform(self.pixels)
        self.figure.add_artist(rule)


def whole_ticks(axes: Axes, *, most: int) -> None:
    """Mark whole numbers only on the horizontal axis, so many at most."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
