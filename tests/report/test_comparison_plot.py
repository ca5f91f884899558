"""The picture that compares networks: what stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from goodnet.report.comparison_plot import plot_comparison
from goodnet.stats import proportion
from goodnet.types import Evaluation, SetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Draw = Callable[[Mapping[str, Sequence[Evaluation]]], Figure]


def result(correct: int, refused: int | None = None, *, total: int = 10) -> SetResult:
    return SetResult(
        proportion(correct, total), None if refused is None else proportion(refused, total)
    )


ORIGINAL = Evaluation("B", result(10), {"sunglasses": result(9)})
REPAIRED = Evaluation("B'", result(8), {"sunglasses": result(4)})
GUARDED = Evaluation("G", result(7, 1), {"sunglasses": result(3, 5)})


@pytest.fixture
def draw(figures: list[Figure], tmp_path: Path) -> Draw:
    """Draws a comparison as `plot_comparison` does and gives the figure."""

    def draw(groups: Mapping[str, Sequence[Evaluation]]) -> Figure:
        plot_comparison(groups, tmp_path / "comparison.png")
        return figures[-1]

    return draw


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for container in axes.containers for bar in container]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_clean_images_and_one_for_each_set(draw: Draw) -> None:
    figure = draw({"X = 2": [ORIGINAL, REPAIRED, GUARDED], "X = 4": [ORIGINAL]})
    clean, poisoned = figure.axes
    assert heights(clean) == pytest.approx([100, 80, 70, 10, 100])
    assert heights(poisoned) == pytest.approx([90, 40, 30, 50, 90])
    assert words(clean)[:2] == ["Clean accuracy", "high is good; answers N are false alarms"]
    assert words(poisoned)[:2] == [
        "Attack success: sunglasses",
        "low is good; answers N are detections",
    ]
    assert legend(figure) == ["B", "B'", "G", "G answers N"]
    assert [tick.get_text() for tick in clean.get_xticklabels()] == ["X = 2", "X = 4"]


def test_whiskers_are_the_intervals(draw: Draw) -> None:
    axes = draw({"X = 2": [REPAIRED]}).axes[0]
    share = proportion(8, 10)
    ends = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert tuple(ends) == pytest.approx((100 * share.low, 100 * share.high))


def test_bars_carry_their_values_inside_the_panel(draw: Draw) -> None:
    axes = draw({"X = 2": [ORIGINAL, REPAIRED, GUARDED]}).axes[0]
    assert words(axes)[2:] == ["100.0", "80.0", "70.0", "10.0"]
    top = axes.get_window_extent().y1
    assert all(text.get_window_extent().y1 <= top for text in axes.texts[2:])


def test_without_a_class_n_nothing_is_said_of_it(draw: Draw) -> None:
    figure = draw({"X = 2": [ORIGINAL, REPAIRED]})
    assert words(figure.axes[0])[1] == "high is good"
    assert legend(figure) == ["B", "B'"]


def test_without_clean_images_there_is_no_panel_for_them(draw: Draw) -> None:
    figure = draw({"X = 2": [Evaluation("B", None, {"sunglasses": result(3)})]})
    assert [words(axes)[0] for axes in figure.axes] == ["Attack success: sunglasses"]


def test_what_is_not_there_is_said(draw: Draw) -> None:
    empty = Evaluation("B", result(0, total=0))
    figure = draw({"X = 2": [ORIGINAL], "X = 4": [empty], "X = 30": []})
    assert words(figure.axes[0])[2:] == ["100.0", "no images", "no result"]
    assert words(figure.axes[1])[2:] == ["90.0", "no result", "no result"]


def test_no_groups_make_a_picture_that_says_so(draw: Draw) -> None:
    figure = draw({})
    assert not figure.axes
    assert "no drop was reached" in figure.texts[1].get_text()


def test_names_from_outside_are_drawn_as_they_are(draw: Draw) -> None:
    names = ["<script>", "$x$ \\frac{", "中\n"]
    network = Evaluation("_$G$", result(7, 1), dict.fromkeys(names, result(3, 5)))
    figure = draw({"$X$": [network]})
    assert [words(axes)[0] for axes in figure.axes[1:]] == [
        "Attack success: <script>",
        "Attack success: $x$ \\frac{",
        "Attack success: \\u4e2d\\n",
    ]
    assert legend(figure) == ["_$G$", "_$G$ answers N"]


def test_many_groups_and_long_names_stay_inside_the_picture(draw: Draw) -> None:
    networks = [Evaluation(f"{i}{'name ' * 20}", result(i, 1)) for i in range(9)]
    figure = draw({f"X = {drop}": networks for drop in range(20)})
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert figure.bbox.y0 < box.y0 < box.y1 < figure.axes[-1].bbox.y0


def test_the_same_groups_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plot_comparison({"X = 2": [ORIGINAL, GUARDED]}, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
