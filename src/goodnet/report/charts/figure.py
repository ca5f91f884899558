"""A chart as a Matplotlib figure, without its global state, and as picture files."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goodnet.report.charts.chart import (
    FONT,
    INK,
    LINE,
    MUTED,
    PAPER,
    SMALL,
    WIDE,
    Boxes,
    Dots,
    Line,
    Note,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis as DrawnAxis
    from matplotlib.figure import Figure

    from goodnet.report.charts.chart import Axis, Caption, Chart, Mark, Panel, Width

UNITS = 72  # pixels of a chart in one of Matplotlib's inches: a point is a pixel

_DPI = 144
_EDGE, _ROW, _PAD = 8.0, 20.0, 4.0
_HANDLE, _HANDLE_GAP, _COLUMN_GAP = 34.0, 8.0, 22.0
_LOOK: dict[Any, Any] = {
    "font.family": [FONT],
    "text.color": INK,
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelpad": 6.0,
    "axes.axisbelow": True,
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
def look(width: Width = WIDE) -> Iterator[None]:
    """Draw with this package's settings, whatever the user's own are; they come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_LOOK, "font.size": width.letters})
        yield


def text_width(texts: Sequence[str], width: Width, **style: Any) -> float:
    """How wide the text_width of some lines of text is, in pixels of the chart."""
    with look(width):
        figure = _blank()
        return max((_extent(figure, text, **style) for text in texts), default=0.0)


def save(chart: Chart, destination: Path) -> tuple[Path, Path]:
    """Write a chart that stands alone as the PNG named and as an SVG beside it.

    The letters of the SVG are outlines. The same chart gives the same bytes.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    vector = destination.with_suffix(".svg")
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with look(chart.width):
        figure = draw(chart, headline=True)
        save_png(figure, destination)
        figure.savefig(vector, format="svg", facecolor=PAPER, metadata=nothing)
    return destination, vector


def save_png(figure: Figure, destination: Path) -> None:
    """Write a figure as a PNG without date or program. To be called inside `look`."""
    figure.savefig(destination, format="png", facecolor=PAPER, metadata={"Software": None})


def draw(chart: Chart, *, headline: bool = False) -> Figure:
    """Fill a figure from the top down: headline, legend, labels, then the plots.

    Args:
        chart: What to draw.
        headline: Whether it is to stand alone.
    """
    with look(chart.width):
        return _Drawing(chart).finished(headline=headline)


class _Drawing:
    """A figure that grows; `pixels` is the transform from (from the left, from the top)."""

    def __init__(self, chart: Chart) -> None:
        from matplotlib.transforms import Affine2D

        self.chart = chart
        self.left = chart.width.left if chart.left is None else chart.left
        self.room = chart.width.pixels - self.left - chart.width.right
        self.figure = _blank()
        self.down = Affine2D()
        self.pixels = self.down + self.figure.dpi_scale_trans

    def finished(self, *, headline: bool) -> Figure:
        depth = self._headline(_EDGE) if headline else _EDGE
        drawn = [_draw_panel(self.figure, panel) for panel in self.chart.panels]
        depth = self._legend([handle for _, handles in drawn for handle in handles], depth)
        depth = self._labels(depth)
        for caption in self.chart.captions:
            self._caption(caption, depth)
        wide, high = self.chart.width.pixels, depth + self.chart.depth + _EDGE
        unit = 1 / UNITS
        self.figure.set_size_inches(wide * unit, high * unit)
        self.down.scale(unit, -unit).translate(0, high * unit)
        for (axes, _), panel in zip(drawn, self.chart.panels, strict=True):
            left = self.left if panel.left is None else panel.left
            across = self.room if panel.width is None else panel.width
            bottom = 1 - (depth + panel.top + panel.height) / high
            axes.set_position((left / wide, bottom, across / wide, panel.height / high))
        return self.figure

    def _headline(self, depth: float) -> float:
        title, subtitle = self.chart.headline
        style: dict[str, Any] = {"va": "top", "transform": self.pixels}
        self.figure.text(self.left, depth + 6, title, fontsize=17, fontweight="bold", **style)
        self.figure.text(self.left, depth + 34, subtitle, color=MUTED, **style)
        return depth + 64

    def _caption(self, caption: Caption, depth: float) -> None:
        style: dict[str, Any] = (
            {"fontweight": "bold"} if caption.title else {"color": MUTED, "fontsize": SMALL}
        )
        style["ha"] = "right" if caption.right else "left"
        top = depth + caption.top + 11
        self.figure.text(caption.at, top, caption.text, transform=self.pixels, **style)

    def _legend(self, handles: Sequence[Artist], depth: float) -> float:
        """Explain the artists, in as many columns as there is room for."""
        if not handles:
            return depth
        left = _EDGE if self.chart.width.narrow else self.left
        room = self.left + self.room - left
        columns = _columns(self.figure, [str(one.get_label()) for one in handles], room)
        size = self.chart.width.letters
        self.figure.legend(
            handles=list(handles),
            loc="upper left",
            bbox_to_anchor=(left, depth + 3),
            bbox_transform=self.pixels,
            ncols=columns,
            handlelength=_HANDLE / size,
            handletextpad=_HANDLE_GAP / size,
            columnspacing=_COLUMN_GAP / size,
            labelspacing=(_ROW - 1.17 * size) / size,
        )
        return depth + _ROW * -(-len(handles) // columns) + 12

    def _labels(self, depth: float) -> float:
        """Write labels above the first plot, each with a line down through it."""
        from matplotlib.lines import Line2D

        if not self.chart.marked:
            return depth
        low, high = self.figure.axes[0].get_xlim()
        marked = sorted(self.chart.marked.items())
        places = [self.left + (at - low) * self.room / (high - low) for at, _ in marked]
        widths = [_extent(self.figure, text, fontsize=SMALL) + 2 * _PAD for _, text in marked]
        span = (_PAD, self.chart.width.pixels - _PAD)
        found = place_labels(places, widths, span=span, gap=_PAD)
        foot = depth + _ROW * (max(label.row for label in found) + 1)
        for place, label, (_, text) in zip(places, found, marked, strict=True):
            top = foot - _ROW * label.row
            where = (label.left + _PAD, top - 6)
            self.figure.text(*where, text, fontsize=SMALL, transform=self.pixels)
            ends = [top - _ROW + 3, foot + self.chart.reach]
            rule = Line2D([place, place], ends, color=MUTED, linewidth=1, zorder=-1)
            rule.set_transform(self.pixels)
            self.figure.add_artist(rule)
        return foot


def _blank() -> Figure:
    """A figure to be given its size; texts measured on it have the size they are drawn with."""
    from matplotlib.figure import Figure

    return Figure(dpi=_DPI)


def _extent(figure: Figure, text: str, **style: Any) -> float:
    artist = figure.text(0, 0, text, **style)
    width = float(artist.get_window_extent().width)
    artist.remove()
    return width * UNITS / figure.dpi


def _columns(figure: Figure, labels: Sequence[str], room: float) -> int:
    """The most columns of a legend that fit; it is filled column by column."""
    widths = [_extent(figure, label) + _HANDLE + _HANDLE_GAP for label in labels]
    for columns in range(len(labels), 1, -1):
        entries = np.array_split(widths, columns)
        if sum(column.max() + _COLUMN_GAP for column in entries) - _COLUMN_GAP <= room:
            return columns
    return 1


def _draw_panel(figure: Figure, panel: Panel) -> tuple[Axes, list[Artist]]:
    """The axes, which are given their place later, and what of it the legend shows."""
    axes = figure.add_axes((0, 0, 1, 1), label=str(len(figure.axes)))
    handles = [_draw_mark(mark, axes) for mark in panel.marks]
    _frame(axes.xaxis, panel.x, axes)
    _frame(axes.yaxis, panel.y, axes)
    for side, spine in axes.spines.items():
        spine.set(visible=side in panel.sides, color=panel.line)
    axes.grid(visible=True, axis=panel.grid)
    if panel.flush:
        axes.tick_params(length=0, labelsize=SMALL)
        axes.tick_params(axis="y", pad=8)
    return axes, [handle for handle in handles if handle is not None]


def _frame(drawn: DrawnAxis, axis: Axis, axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    is_x = drawn is axes.xaxis
    if axis.ends is not None:
        (axes.set_xlim if is_x else axes.set_ylim)(*axis.ends)
    if isinstance(axis.ticks, int):
        steps = [1, 2, 5, 10] if is_x else None
        drawn.set_major_locator(MaxNLocator(axis.ticks, integer=True, steps=steps))
    elif axis.ticks is not None:
        drawn.set_ticks(list(axis.ticks), list(axis.ticks.values()))
    if axis.unit:
        drawn.set_major_formatter(lambda value, _: f"{value:g}{axis.unit}")
    if axis.label:
        style: dict[str, Any] = {} if is_x else {"rotation_mode": "anchor"}
        drawn.set_label_text(axis.label, **style)
    if is_x:
        axes.tick_params(labelbottom=axis.numbered, labeltop=axis.twice)


def _draw_mark(mark: Mark, axes: Axes) -> Artist | None:
    """Draw a mark; what the legend shows of it, if it has a label."""
    match mark:
        case Line():
            artist = _draw_line(mark, axes)
        case Dots():
            artist = _draw_dots(mark, axes)
        case Boxes():
            artist = _draw_boxes(mark, axes)
        case Note():
            _write_note(mark, axes)
            return None
    return artist if mark.label else None


def _draw_line(mark: Line, axes: Axes) -> Artist:
    style: dict[str, Any] = {
        "color": mark.colour,
        "linewidth": mark.thick,
        "linestyle": mark.dash,
        "marker": mark.marker,
        "markersize": mark.size,
        "markerfacecolor": mark.fill,
        "markevery": mark.every,
        "drawstyle": "steps-post" if mark.steps else "default",
        "zorder": mark.order,
    }
    # Only steps that begin at an edge would stick out of the plot.
    (line,) = axes.plot(mark.x, mark.y, label=mark.label, clip_on=mark.steps, **style)
    if mark.low is not None and mark.high is not None:
        band: dict[str, Any] = {"color": mark.colour, "alpha": mark.strong, "linewidth": 0}
        axes.fill_between(mark.x, mark.low, mark.high, zorder=1.2, **band)
    return line


def _draw_dots(mark: Dots, axes: Axes) -> Artist:
    inner, edge = (PAPER, mark.colour) if mark.hollow else (mark.colour, PAPER)
    style: dict[str, Any] = {"color": inner, "markeredgecolor": edge, "zorder": 4}
    style |= {"markeredgewidth": mark.edge, "markersize": mark.size}
    (dots,) = axes.plot(mark.x, mark.y, "o", label=mark.label, clip_on=False, **style)
    return dots


def _draw_boxes(mark: Boxes, axes: Axes) -> Artist:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left, bottom, right, top = np.asarray(mark.places, dtype=float).reshape(-1, 4).T
    corners = [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
    vertices = np.array(corners).transpose(2, 0, 1).reshape(-1, 2)
    kinds = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    style: dict[str, Any] = {"facecolor": mark.colour, "linewidth": 0, "alpha": mark.strong}
    if mark.hatched:
        style |= {"facecolor": PAPER, "edgecolor": mark.colour, "hatch": "////", "linewidth": 1}
    if mark.ground:
        style |= {"zorder": 0, "transform": axes.get_xaxis_transform()}
    path = Path(vertices, np.tile(kinds, len(left)))
    return axes.add_patch(PathPatch(path, label=mark.label, **style))


def _write_note(mark: Note, axes: Axes) -> None:
    if not mark.beside:
        axes.text(mark.x, mark.y, mark.text, fontsize=SMALL)
        return
    where: dict[str, Any] = {"textcoords": "offset points", "va": "center_baseline"}
    place = (mark.x, mark.y)
    axes.annotate(mark.text, place, (5, -0.5), fontsize=SMALL, annotation_clip=False, **where)


class Place(NamedTuple):
    """Where one label stands: its left end, and its row counted upwards from the plot."""

    left: float
    row: int


def place_labels(
    marks: Sequence[float], widths: Sequence[float], *, span: tuple[float, float], gap: float
) -> list[Place]:
    """Set a label beside each mark, in the lowest row where it is free.

    A label stands to the left of its mark; to the right where there is no room left of it, or
    where the mark before, with its label to the right, would be covered. It keeps `gap` from the
    labels of its row and from the marks that rise through it to a higher one.

    Args:
        marks: Horizontal places of the marks, ascending.
        widths: Widths of their labels, in the same unit.
        span: Left and right end of the room for labels.
        gap: Least distance between two labels of a row.

    Returns:
        One place for each mark.

    Example:
        >>> for place in place_labels([10, 150, 160, 299], [40, 40, 40, 40], span=(0, 300), gap=5):
        ...     print(place)
        Place(left=10, row=0)
        Place(left=110, row=0)
        Place(left=120, row=1)
        Place(left=259, row=0)
    """
    first_left = _first_to_the_left(marks, widths, start=span[0], gap=gap)
    taken: list[tuple[int, float, float]] = []  # row, left and right end
    places: dict[int, Place] = {}
    for index in [*reversed(range(first_left)), *range(first_left, len(marks))]:
        mark, width = marks[index], widths[index]
        left = mark if index < first_left else min(mark, span[1]) - width
        left = max(min(left, span[1] - width), span[0])
        row = next(row for row in count() if _is_free(taken, row, left - gap, left + width + gap))
        taken += [*((below, mark, mark) for below in range(row)), (row, left, left + width)]
        places[index] = Place(left, row)
    return [places[index] for index in range(len(marks))]


def _first_to_the_left(
    marks: Sequence[float], widths: Sequence[float], *, start: float, gap: float
) -> int:
    """Index of the first mark with room for its label to the left."""
    wall = start - gap
    for index, (mark, width) in enumerate(zip(marks, widths, strict=True)):
        if mark - width >= wall + gap:
            return index
        wall = mark
    return len(marks)


def _is_free(
    taken: Sequence[tuple[int, float, float]], row: int, left: float, right: float
) -> bool:
    return all(other != row or end <= left or start >= right for other, start, end in taken)
