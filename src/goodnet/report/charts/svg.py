"""A figure as SVG to be set into a page, which gives it its colours and its font."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from goodnet.report.charts.chart import NARROW, ROLES, WIDE
from goodnet.report.charts.figure import UNITS, draw, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from xml.etree.ElementTree import Element

    from matplotlib.figure import Figure

    from goodnet.report.charts.chart import Chart, Width

_HREF = "{http://www.w3.org/1999/xlink}href"
_VARIABLES = {colour.lower(): f"var(--{role})" for role, colour in ROLES.items()}
_USELESS = {"metadata", "style"}
# What a part has anyway: the last comes from the root.
_DEFAULTS = {
    "font-weight": "400",
    "text-anchor": "start",
    "stroke-dashoffset": "0",
    "stroke-linecap": "butt",
    "stroke-linejoin": "round",
}
_SHORT_FONT = re.compile(r"(?:(\d+|bold) )?([\d.]+px) .*")
_LINKS = re.compile(r"#([\w-]+)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\)")


def simplify(drawn: Element, prefix: str) -> Iterator[Element]:
    """The parts of a drawing without what a page has no use for.

    Args:
        drawn: The root of what Matplotlib wrote.
        prefix: What the ids begin with that other parts refer to; all other ids go.
    """
    links = [link for part in drawn.iter() for link in _links(part.attrib)]
    ids = {link: f"{prefix}-{number}" for number, link in enumerate(dict.fromkeys(links), start=1)}
    for child in drawn:
        yield from _plain(child, ids)


def _links(attributes: Mapping[str, str]) -> Iterator[str]:
    for key, value in attributes.items():
        if key == _HREF or "url(#" in value:
            yield from _LINKS.findall(value)


def _plain(part: Element, ids: Mapping[str, str]) -> Iterator[Element]:
    """The part, or what is in it if it says nothing itself."""
    tag = part.tag.rpartition("}")[2]
    if tag in _USELESS:
        return
    attributes = dict(_attributes(part, ids))
    children = [plain for child in part for plain in _plain(child, ids)]
    if attributes.get("fill") == "none" and "stroke" not in attributes:
        return
    if (tag == "g" and not attributes) or (tag == "defs" and not children):
        yield from children
        return
    plain = ElementTree.Element(tag, attributes)
    plain.text = part.text if tag == "text" else None
    plain.extend(children)
    yield plain


def _attributes(part: Element, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in part.attrib.items():
        if key == "id":
            if value in ids:
                yield key, ids[value]
        elif key == "style":
            yield from _styles(value, ids)
        elif key == "d":
            yield key, _path(value)
        elif not _NO_TURN.fullmatch(value):
            yield key.replace(_HREF, "href"), _value(value, ids)


def _styles(style: str, ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Declarations as attributes; the page chooses the family of letters."""
    for declaration in style.split(";"):
        key, _, value = (text.strip() for text in declaration.partition(":"))
        short = _SHORT_FONT.fullmatch(value) if key == "font" else None
        if short:
            yield from _styles(f"font-weight: {short[1] or 400}; font-size: {short[2]}", ids)
        elif key and key != "font-family" and _DEFAULTS.get(key) != value:
            yield key, _VARIABLES.get(value, _value(value, ids))


def _value(value: str, ids: Mapping[str, str]) -> str:
    if value in _VARIABLES:
        return _VARIABLES[value]
    linked = _LINKS.sub(lambda link: f"#{ids.get(link[1], link[1])}", value)
    return _NUMBER.sub(lambda number: _short(number[0]), linked)


def _short(number: str) -> str:
    """To a hundredth of a pixel."""
    return f"{round(float(number), 2):g}"


def _path(data: str) -> str:
    """The same lines in fewer letters: H and V for level and upright ones."""
    parts: list[str] = []
    last = ("", "")
    words = iter(data.split())
    for word in words:
        if word not in ("M", "L"):
            parts.append(word if word.isalpha() else f" {_short(word)}")
            last = ("", "")
            continue
        point = (_short(next(words)), _short(next(words)))
        if word == "L" and point[1] == last[1]:
            parts.append(f"H{point[0]}")
        elif word == "L" and point[0] == last[0]:
            parts.append(f"V{point[1]}")
        else:
            parts.append(f"{word}{point[0]} {point[1]}")
        last = point
    return "".join(parts)


_SVG = "http://www.w3.org/2000/svg"


def both_widths(describe: Callable[[Width], Chart], prefix: str) -> dict[str, str]:
    """The SVG of a chart by the name of its width; a page shows the one that fits."""
    return {width.name: to_svg(describe(width), prefix) for width in (WIDE, NARROW)}


def to_svg(chart: Chart, prefix: str) -> str:
    """One `<svg>` with a title and a description, to be set into a page.

    Its colours are CSS variables named after `ROLES` ("--ink"), its font is the page's. It has no
    style attributes. Where its first plot lies is written on it for scripts: `data-plot` is left,
    top, width and height in the units of the view box, `data-x` and `data-y` are the values at
    its left and right, lower and upper ends.

    Args:
        chart: What to show.
        prefix: What every id begins with, so that no two charts of a page share one.
    """
    import matplotlib

    prefix, buffer = f"{prefix}-{chart.width.name}", io.StringIO()
    with look(chart.width), matplotlib.rc_context({"svg.fonttype": "none"}):
        figure = draw(chart)
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
            **_plot(figure),
        },
    )
    for tag, text in (("title", chart.title), ("desc", chart.description)):
        ElementTree.SubElement(root, tag, {"id": f"{prefix}-{tag}"}).text = text
    root.extend(simplify(drawn, prefix))
    return ElementTree.tostring(root, encoding="unicode")


def _plot(figure: Figure) -> dict[str, str]:
    """Where the first plot lies and what its axes show, as attributes."""
    if not figure.axes:
        return {}
    axes, (width, height) = figure.axes[0], UNITS * figure.get_size_inches()
    left, bottom, across, up = axes.get_position().bounds
    found = {
        "plot": (left * width, (1 - bottom - up) * height, across * width, up * height),
        "x": axes.get_xlim(),
        "y": axes.get_ylim(),
    }
    return {f"data-{key}": " ".join(f"{n:.6g}" for n in found[key]) for key in found}
