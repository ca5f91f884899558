"""A figure as SVG to be set into a page, which gives it its colours and its font."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from goodnet.report import canvas
from goodnet.report.charts.plain_svg import simplify

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Chart", "to_chart"]

_SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True)
class Chart:
    """A drawn chart and where its data lies in it.

    Attributes:
        svg: One `<svg>` with a title and a description. Its colours are CSS variables named after
            `canvas.ROLES` ("--ink"), its font is the page's. It has no style attributes, and
            every id in it begins with the prefix that was given.
        plot: Left, top, width and height of the plot in the units of the view box.
        x: The values at its left and right end.
        y: The values at its bottom and top.
    """

    svg: str
    plot: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]


def to_chart(figure: Figure, *, prefix: str, title: str, description: str) -> Chart:
    """Turn a figure into a chart; its first axes are the plot. To be called inside `look`.

    Args:
        figure: What to show.
        prefix: What every id begins with, so that no two charts of a page share one.
        title: What a screen reader says first.
        description: What it says next.
    """
    axes = figure.axes[0]
    width, height = (float(length) * canvas.UNITS for length in figure.get_size_inches())
    left, bottom, across, up = (float(share) for share in axes.get_position().bounds)
    (start, end), (low, high) = axes.get_xlim(), axes.get_ylim()
    return Chart(
        svg=_markup(figure, prefix, title, description),
        plot=(left * width, (1 - bottom - up) * height, across * width, up * height),
        x=(float(start), float(end)),
        y=(float(low), float(high)),
    )


def _markup(figure: Figure, prefix: str, title: str, description: str) -> str:
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    # Matplotlib wrote it a moment ago: nothing in it is from outside but escaped names.
    drawn = ElementTree.fromstring(buffer.getvalue())  # noqa: S314
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": _SVG,
            "viewBox": drawn.get("viewBox", ""),
            "role": "img",
            "aria-labelledby": f"{prefix}-title",
            "aria-describedby": f"{prefix}-desc",
            "stroke-linejoin": "round",
        },
    )
    for tag, text in (("title", title), ("desc", description)):
        ElementTree.SubElement(root, tag, {"id": f"{prefix}-{tag}"}).text = text
    root.extend(simplify(drawn, prefix))
    return ElementTree.tostring(root, encoding="unicode")
