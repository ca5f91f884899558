"""A figure as SVG for a page: what is in it, and that data lies where it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from chart_samples import GUARDED, HOSTILE, REPAIRED, B, curve, long_curve

from goodnet.report.charts import (
    NARROW,
    WIDE,
    channels_chart,
    comparison_chart,
    curve_chart,
    epochs_chart,
    to_svg,
)
from goodnet.report.charts.chart import ROLES
from goodnet.report.charts.svg import simplify
from goodnet.results import EpochResult, Rates
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.report.charts import Chart, Width

    Describe = Callable[[Width], Chart]

HOSTILE_CURVE = curve(
    layer=HOSTILE,
    success={HOSTILE: curve().accuracy},
    poisoned_activation={HOSTILE: (0.0, 1.0, 2.0, -3.0)},
)
ALL = {"B": B, "B'": REPAIRED, "G": GUARDED}
HOSTILE_NETWORK = {HOSTILE: Rates(proportion(1, 2), {HOSTILE: proportion(1, 2)})}
EPOCHS = [EpochResult(2.0, proportion(5, 10)), EpochResult(1.0, proportion(7, 10))]
CHARTS: dict[str, Describe] = {
    "curve": lambda width: curve_chart([curve()], width),
    "two curves": lambda width: curve_chart([curve(), curve(order="descending")], width),
    "channels": lambda width: channels_chart(curve(), width),
    "comparison": lambda width: comparison_chart({"X = 2": ALL}, width),
    "no comparison": lambda width: comparison_chart({}, width),
    "epochs": lambda width: epochs_chart(EPOCHS, 2, width),
    "hostile curve": lambda width: curve_chart([HOSTILE_CURVE], width),
    "hostile channels": lambda width: channels_chart(HOSTILE_CURVE, width),
    "hostile comparison": lambda width: comparison_chart({HOSTILE: HOSTILE_NETWORK}, width),
}
every_chart = pytest.mark.parametrize("describe", CHARTS.values(), ids=CHARTS.keys())
each_width = pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])


def parts(chart: Chart, prefix: str = "first") -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(to_svg(chart, prefix)).iter())


def tag(part: ElementTree.Element) -> str:
    return part.tag.rpartition("}")[2]


@every_chart
@each_width
def test_a_chart_is_plain(describe: Describe, width: Width) -> None:
    root, *inside = parts(describe(width))
    assert [tag(part) for part in inside[:2]] == ["title", "desc"]
    assert {tag(part) for part in inside} <= {
        *("title", "desc", "defs", "g", "path", "text", "use", "rect", "clipPath", "pattern")
    }
    for part in [root, *inside]:
        assert not {"style", "class", "font-family"} & set(part.attrib)
        assert not any(key.startswith("on") for key in part.attrib)
    assert root.attrib["viewBox"].split()[2] == ("360" if width.narrow else "900")


@every_chart
def test_all_colours_are_variables_that_a_page_knows(describe: Describe) -> None:
    known = {"none", *(f"var(--{role})" for role in ROLES)}
    found = {
        part.attrib[key]
        for part in parts(describe(WIDE))
        for key in ("fill", "stroke")
        if key in part.attrib
    }
    assert {colour for colour in found if not colour.startswith("url(#first-wide-")} <= known


@every_chart
def test_ids_begin_with_the_prefix_and_every_reference_meets_one(describe: Describe) -> None:
    drawn = parts(describe(WIDE), "run-2")
    ids = [part.attrib["id"] for part in drawn if "id" in part.attrib]
    texts = [value for part in drawn for value in part.attrib.values()]
    links = {link for text in texts for link in re.findall(r"#([\w-]+)", text)}
    assert links <= set(ids)
    assert len(ids) == len(set(ids))
    assert all(one.startswith("run-2-wide-") for one in ids)
    root = drawn[0]
    assert {root.attrib["aria-labelledby"], root.attrib["aria-describedby"]} <= set(ids)


@every_chart
def test_the_same_data_gives_the_same_chart(describe: Describe) -> None:
    assert to_svg(describe(WIDE), "a") == to_svg(describe(WIDE), "a")


@every_chart
@each_width
def test_letters_are_large_enough_to_read_and_stay_inside(describe: Describe, width: Width) -> None:
    root, *inside = parts(describe(width))
    _, _, across, height = map(float, root.attrib["viewBox"].split())
    for text in (part for part in inside if tag(part) == "text"):
        assert float(text.attrib["font-size"].removesuffix("px")) >= 11
        assert 0 <= float(text.attrib["x"]) <= across
        assert 0 <= float(text.attrib["y"]) <= height


@pytest.mark.parametrize("kind", ["hostile curve", "hostile channels", "hostile comparison"])
def test_names_from_outside_are_spelled_and_escaped(kind: str) -> None:
    svg = to_svg(CHARTS[kind](WIDE), "a")
    assert "<script" not in svg
    assert "\u202e" not in svg
    assert "\\u202e" in svg


def path_points(data: str) -> list[tuple[float, float]]:
    points, x, y = [], 0.0, 0.0
    for command, numbers in re.findall(r"([MLHV])([-\d. e]*)", data):
        values = [float(number) for number in numbers.split()]
        if command in "ML":
            x, y = values
        else:
            x, y = (values[0], y) if command == "H" else (x, values[0])
        points.append((x, y))
    return points


def numbers(root: ElementTree.Element, what: str) -> list[float]:
    return [float(number) for number in root.attrib[f"data-{what}"].split()]


@each_width
def test_the_plot_says_where_the_data_lies(width: Width) -> None:
    drawn_parts = parts(curve_chart([curve()], width))
    (line,) = (
        part
        for part in drawn_parts
        if tag(part) == "path"
        and part.get("stroke") == "var(--series-0)"
        and part.get("stroke-width") == "2.4"
        and len(path_points(part.attrib["d"])) == 5
    )
    left, top, across, height = numbers(drawn_parts[0], "plot")
    (start, end), (low, high) = numbers(drawn_parts[0], "x"), numbers(drawn_parts[0], "y")
    expected = [
        (
            left + across * (share - start) / (end - start),
            top + height * (high - up) / (high - low),
        )
        for share, up in zip((0, 25, 50, 75, 100), (100, 100, 90, 70, 20), strict=True)
    ]
    drawn = path_points(line.attrib["d"])
    assert [value for point in drawn for value in point] == pytest.approx(
        [value for point in expected for value in point], abs=0.006
    )


def test_a_thousand_channels_and_a_hundred_trials_make_small_charts() -> None:
    what = long_curve(1000, sets=4)
    groups = {f"method {index}": ALL for index in range(100)}
    for chart in (
        curve_chart([what], WIDE),
        channels_chart(what, WIDE),
        comparison_chart(groups, WIDE),
    ):
        assert len(to_svg(chart, "a")) < 400_000


def simplified(svg: str) -> str:
    root = ElementTree.fromstring(f'<svg xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</svg>')
    return "".join(ElementTree.tostring(part, encoding="unicode") for part in simplify(root, "p"))


@pytest.mark.parametrize(
    ("drawn", "plain"),
    [
        ('<g id="text_1"><text x="1">a</text></g>', '<text x="1">a</text>'),
        ('<path d="M 0 0 \nL 2.000001 0 \nL 2 3 \nL 1 1 \nz\n"/>', '<path d="M0 0H2V3L1 1z" />'),
        ('<path d="M 0 0 Q 1 1.25 2 2 L 2 3"/>', '<path d="M0 0Q 1 1.25 2 2L2 3" />'),
        ('<path d="M 0 0" style="fill: none"/>', ""),
        ('<path d="M 0 0" style="stroke: #0072b2"/>', '<path d="M0 0" stroke="var(--series-0)" />'),
        (
            "<text style=\"font: 700 12px 'DejaVu Sans', sans-serif\">a</text>",
            '<text font-weight="700" font-size="12px">a</text>',
        ),
        ('<text transform="rotate(-0 1 2)">a</text>', "<text>a</text>"),
        ('<text transform="rotate(-90 1 2)">a</text>',) * 2,
        ('<defs><style type="text/css">*{}</style></defs>', ""),
        ('<rect id="m1"/><use xlink:href="#m1"/>', '<rect id="p-1" /><use href="#p-1" />'),
        ('<g id="c"/><path clip-path="url(#c)"/>', '<g id="p-1" /><path clip-path="url(#p-1)" />'),
    ],
)
def test_what_matplotlib_writes_is_made_plain(drawn: str, plain: str) -> None:
    assert simplified(drawn) == plain
