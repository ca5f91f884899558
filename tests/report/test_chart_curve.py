"""The chart of a pruning curve: what stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chart_samples import curve, drop, rules

from goodnet.report.charts import NARROW, WIDE, curve_chart
from goodnet.report.charts.figure import draw as draw_chart
from goodnet.stats import proportion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from goodnet.report.facts import Curve


def draw(*curves: Curve, narrow: bool = False, headline: bool = False) -> Figure:
    return draw_chart(curve_chart(curves, NARROW if narrow else WIDE), headline=headline)


def numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drop_labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_text().startswith("X =")]


def marks(figure: Figure) -> list[float]:
    """Where the lines of the drops stand, in percent."""
    box = figure.axes[0].get_window_extent()
    lines = [
        numbers(line.get_transform().transform(line.get_xydata())[0]) for line in rules(figure)
    ]
    return [round(100 * (x - box.x0) / box.width, 3) for x, _ in lines]


def test_the_lines_are_the_shares_in_percent() -> None:
    clean, fooled = draw(curve()).axes[0].get_lines()[:2]
    assert numbers(clean.get_xdata()) == [0, 25, 50, 75, 100]
    assert numbers(clean.get_ydata()) == [100, 100, 90, 70, 20]
    assert numbers(fooled.get_ydata()) == [100, 100, 100, 50, 0]


def test_the_band_is_the_interval() -> None:
    axes = draw(curve()).axes[0]
    heights = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert heights.min() == pytest.approx(100 * proportion(2, 10).low)
    assert heights.max() == pytest.approx(100)


def test_the_legend_says_how_many_images_and_dead_channels() -> None:
    assert legend(draw(curve())) == [
        "clean accuracy (10 images)",
        "attack success: sunglasses (8 images)",
        "2 dead channels (never active on clean images)",
    ]


def test_two_curves_are_told_apart_by_their_order_and_their_dashes() -> None:
    figure = draw(curve(), curve(order="descending"))
    assert legend(figure) == [
        "clean accuracy, least active first",
        "attack success: sunglasses, least active first",
        "clean accuracy, most active first",
        "attack success: sunglasses, most active first",
        "2 dead channels (never active on clean images)",
    ]
    lines = [line for line in figure.axes[0].get_lines() if len(np.asarray(line.get_xdata())) > 1]
    looks = {(line.get_color(), str(line.get_linestyle()), line.get_linewidth()) for line in lines}
    assert len(looks) == 4


def test_two_curves_of_one_order_are_told_apart_by_their_layer() -> None:
    labels = legend(draw(curve(), curve(layer="conv_4")))
    assert labels[0] == "clean accuracy, conv_3"
    assert labels[2] == "clean accuracy, conv_4"


def test_drops_are_marked_and_those_that_coincide_share_a_label() -> None:
    drops = (drop(2, 2), drop(30, 3), drop(4, 2), drop(90, None))
    figure = draw(curve(drops=drops), headline=True)
    assert drop_labels(figure) == ["X = 2, 4: 2 channels", "X = 30: 3 channels"]
    assert marks(figure) == [50, 75]
    assert any(text.get_text().endswith("never reached: X = 90") for text in figure.texts)


def test_on_a_phone_labels_are_short() -> None:
    figure = draw(curve(), curve(order="descending", drops=(drop(2, 1),)), narrow=True)
    assert drop_labels(figure) == ["X = 10", "X = 30"]
    assert legend(figure)[-1] == "2 dead channels"


@pytest.mark.parametrize("narrow", [False, True])
def test_labels_of_drops_do_not_cover_each_other_nor_leave_the_chart(narrow: bool) -> None:
    drops = tuple(drop(points, steps) for steps, points in enumerate((1.0, 2.0, 3.5, 4.0, 30.0)))
    figure = draw(curve(drops=drops), narrow=narrow)
    boxes = [text.get_window_extent() for text in figure.texts]
    assert len(boxes) == 5
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.axes[0].bbox.y1 <= box.y0 + 1
        assert box.y1 <= figure.legends[0].get_window_extent().y0
        assert not any(box.overlaps(other) for other in boxes[:index])


@pytest.mark.parametrize(
    ("channels", "spans"),
    [((2, 0, 3, 1), [(0, 50)]), ((1, 3, 2, 0), [(50, 100)]), ((0, 1, 2, 3), [(0, 25), (50, 75)])],
)
def test_dead_channels_are_shaded_where_they_stand_in_the_order(
    channels: tuple[int, ...], spans: list[tuple[float, float]]
) -> None:
    (shade,) = draw(curve(channels=channels, order="given")).axes[0].patches
    corners = np.asarray(shade.get_path().vertices)[:, 0].reshape(-1, 5)
    assert [(low, high) for low, high in zip(corners.min(1), corners.max(1), strict=True)] == spans


def test_names_from_outside_are_drawn_as_they_are() -> None:
    names = ["<script>", "$x$ \\frac{", "_hidden", "中\n\u202e"]
    labels = legend(draw(curve(success=dict.fromkeys(names, curve().accuracy))))
    assert labels[1:5] == [
        "attack success: <script> (10 images)",
        "attack success: $x$ \\frac{ (10 images)",
        "attack success: _hidden (10 images)",
        "attack success: \\u4e2d\\n\\u202e (10 images)",
    ]


@pytest.mark.parametrize("narrow", [False, True])
def test_many_long_names_stay_inside_the_chart(narrow: bool) -> None:
    success = {f"{'name ' * 20}{index}": curve().accuracy for index in range(9)}
    figure = draw(curve(success=success), narrow=narrow)
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert figure.axes[0].bbox.y1 < box.y0 < box.y1 < figure.bbox.y1


def test_part_of_the_channels_ends_where_the_order_ends() -> None:
    part = curve(
        channels=(1, 3), order="given", accuracy=curve().accuracy[:3], success={}, drops=()
    )
    assert numbers(draw(part).axes[0].get_lines()[0].get_xdata()) == [0, 25, 50]


def test_a_set_without_images_draws_no_line() -> None:
    axes = draw(curve(accuracy=(proportion(0, 0),) * 5, drops=())).axes[0]
    assert np.isnan(numbers(axes.get_lines()[0].get_ydata())).all()
