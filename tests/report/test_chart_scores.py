"""The chart of a scan's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chart_samples import rules

from goodnet.report.charts import NARROW, WIDE, is_spread, scores_chart, to_svg
from goodnet.report.charts.figure import draw as draw_chart
from goodnet.results import ScanRecord, TargetRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scan(*scores: float | None, named: tuple[int, ...] = (), **changes: Any) -> ScanRecord:
    targets = tuple(TargetRecord(label, scores[label] or 0.0) for label in named)
    return ScanRecord(scores=scores, targets=targets, **changes)


def draw(found: ScanRecord, *, narrow: bool = False) -> Figure:
    return draw_chart(scores_chart(found, NARROW if narrow else WIDE))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def heights(figure: Figure) -> list[float]:
    """Of the bars that are there."""
    vertices = figure.axes[0].patches[0].get_path().vertices
    return [float(corners[:, 1].max()) for corners in np.asarray(vertices).reshape(-1, 5, 2)]


def test_every_label_is_counted_once() -> None:
    figure = draw(scan(7.1, 0.2, -0.4, 0.9, None, 0.1, named=(0,), threshold=4.2))
    assert sum(heights(figure)) == 5
    strokes = np.asarray(figure.axes[1].patches[0].get_path().vertices).reshape(-1, 5, 2)
    assert len(strokes) == 4
    assert np.asarray(figure.axes[1].get_lines()[0].get_xydata()).tolist() == [[7.1, 0.5]]


def test_labels_that_stand_out_and_the_threshold_are_written_where_they_are() -> None:
    figure = draw(scan(7.1, 0.2, 6.0, 0.9, named=(0, 2), threshold=4.2))
    assert texts(figure) == ["threshold 4.2", "label 2", "label 0"]
    to_data = figure.axes[0].transData.inverted()
    places = [
        to_data.transform(rule.get_transform().transform(rule.get_xydata())[0])[0]
        for rule in rules(figure)
    ]
    assert places == pytest.approx([4.2, 6.0, 7.1])


def test_where_none_stands_out_the_highest_is_written() -> None:
    assert texts(draw(scan(0.1, 0.2, 0.9, 0.3))) == ["label 2"]


def test_equal_scores_share_a_text() -> None:
    assert texts(draw(scan(5.0, 0.0, 5.0, named=(0, 2), threshold=5.0))) == [
        "threshold 5, label 0, 2"
    ]


def test_the_threshold_is_in_the_picture_though_no_score_is_near() -> None:
    low, high = draw(scan(0.0, 1.0, threshold=30.0)).axes[0].get_xlim()
    assert low < 0
    assert high > 30


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 43, 1283, 10_000])
def test_it_is_small_and_whole_with_few_labels_and_with_many(classes: int, *, narrow: bool) -> None:
    values = np.random.default_rng(classes).gumbel(size=classes).tolist()
    values[1] = 30.0
    found = scan(*values, named=(1,), threshold=12.0)
    svg = to_svg(scores_chart(found, NARROW if narrow else WIDE), "a")
    assert len(svg) < 60_000
    assert f"{classes} labels" in svg
    figure = draw(found, narrow=narrow)
    assert sum(heights(figure)) == classes
    width = figure.bbox.width
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width


def test_many_labels_that_stand_out_are_dots_and_the_first_have_a_name() -> None:
    scores = [20.0 + label for label in range(30)] + [0.0] * 70
    figure = draw(scan(*scores, named=tuple(range(30))), narrow=True)
    assert texts(figure) == [f"label {label}" for label in range(4)]
    assert len(np.asarray(figure.axes[1].get_lines()[0].get_xydata())) == 30


@pytest.mark.parametrize("high", [1e-12, 2.0**53])
def test_any_finite_scores_can_be_drawn(high: float) -> None:
    assert "scores from" in to_svg(scores_chart(scan(-high, 0.0, high), WIDE), "a")


def test_scores_that_are_all_the_same_show_nothing() -> None:
    assert not is_spread(scan(0.0, 0.0, None))
    assert not is_spread(scan(None, None))
    assert is_spread(scan(0.0, 0.1))


def test_a_reader_who_cannot_see_it_hears_what_it_shows() -> None:
    svg = to_svg(scores_chart(scan(7.0, 0.0, 1.0, named=(0,), threshold=4.0), WIDE), "a")
    assert (
        "3 labels, scores from 0 to 7, half of them below 1. The threshold is 4. "
        "Standing out: label 0 with 7."
    ) in svg
