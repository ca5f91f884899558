"""The chart that compares networks: what stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from chart_samples import GUARDED, REPAIRED, B

from goodnet.report.charts import NARROW, WIDE, comparison_chart, groups_of
from goodnet.report.charts.chart import SMALL
from goodnet.report.charts.figure import draw as draw_chart
from goodnet.report.facts import Run, Trial
from goodnet.results import Rates
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ALL = {"B": B, "B'": REPAIRED, "G": GUARDED}


def draw(groups: Mapping[str, Mapping[str, Rates]], *, narrow: bool = False) -> Figure:
    return draw_chart(comparison_chart(groups, NARROW if narrow else WIDE), headline=True)


def lengths(axes: Axes) -> list[list[float]]:
    """Of each kind of bar how long they are, from the top down."""
    paths = [np.asarray(patch.get_path().vertices) for patch in axes.patches]
    return [path[:, 0].reshape(-1, 5).max(axis=1).tolist() for path in paths]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def titles(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts[2:]]


def test_a_panel_for_clean_images_and_one_for_each_set() -> None:
    figure = draw({"X = 2": ALL, "X = 4": {"B": B}})
    clean, fooled = figure.axes
    assert lengths(clean) == [[100, 100], [80], [70], [10]]
    assert lengths(fooled) == [[90, 90], [40], [30], [50]]
    assert titles(figure) == [
        *("Clean accuracy", "high is good"),
        *("Attack: sunglasses", "success rate, low is good"),
    ]
    assert legend(figure) == ["B", "B'", "G", "G answers N: false alarms, detections"]
    assert [tick.get_text() for tick in clean.get_yticklabels()] == ["X = 2", "X = 4"]
    assert not fooled.get_yticklabels()


def test_groups_stand_below_one_another() -> None:
    axes = draw({"X = 2": {"B": B}, "X = 4": {"B": B}}).axes[0]
    first, second = np.asarray(axes.patches[0].get_path().vertices)[:, 1].reshape(-1, 5)
    assert axes.get_ylim()[0] > second.max() > second.min() > first.max() > first.min() > 0


def test_whiskers_are_the_intervals() -> None:
    (line,) = draw({"X = 2": {"B'": REPAIRED}}).axes[0].get_lines()
    share = proportion(8, 10)
    ends = np.asarray(line.get_xdata(), dtype=float)
    assert np.nanmin(ends) == pytest.approx(100 * share.low)
    assert np.nanmax(ends) == pytest.approx(100 * share.high)


@pytest.mark.parametrize("narrow", [False, True])
def test_bars_carry_their_values_inside_the_panel(narrow: bool) -> None:
    axes = draw({"X = 2": ALL}, narrow=narrow).axes[0]
    assert words(axes) == ["100.0", "80.0", "70.0", "10.0"]
    box = axes.get_window_extent()
    assert all(text.get_window_extent().x1 <= box.x1 for text in axes.texts)


def test_without_a_class_n_nothing_is_said_of_it() -> None:
    figure = draw({"X = 2": {"B": B, "B'": REPAIRED}})
    assert legend(figure) == ["B", "B'"]
    assert figure.texts[1].get_text() == "with 95 % intervals"


def test_without_clean_images_there_is_no_panel_for_them() -> None:
    figure = draw({"X = 2": {"B": Rates(None, {"sunglasses": proportion(3, 10)})}})
    assert titles(figure) == ["Attack: sunglasses", "success rate, low is good"]


def test_what_is_not_there_is_said() -> None:
    empty = {"B": Rates(proportion(0, 0))}
    figure = draw({"X = 2": {"B": B}, "X = 4": empty, "X = 30": {}})
    assert words(figure.axes[0]) == ["100.0", "no images", "no result"]
    assert words(figure.axes[1]) == ["90.0", "no result", "no result"]


def test_no_groups_make_a_chart_that_says_so() -> None:
    assert titles(draw({})) == ["There is no network to compare."]


def test_names_from_outside_are_drawn_as_they_are() -> None:
    names = ["<script>", "$x$ \\frac{", "中\n"]
    network = Rates(proportion(7, 10), dict.fromkeys(names, proportion(3, 5)))
    figure = draw({"$X$": {"_$G$": network}})
    assert titles(figure)[2::2] == [
        "Attack: <script>",
        "Attack: $x$ \\frac{",
        "Attack: \\u4e2d\\n",
    ]
    assert legend(figure) == ["_$G$"]


@pytest.mark.parametrize("narrow", [False, True])
def test_many_groups_and_long_names_stay_inside_the_chart(narrow: bool) -> None:
    networks = {f"{i}{'name ' * 20}": Rates(proportion(i, 10)) for i in range(9)}
    figure = draw({f"{'long ' * 20}{group}": networks for group in range(20)}, narrow=narrow)
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert figure.axes[0].bbox.y1 < box.y0 < box.y1 < figure.bbox.y1
    for text in [*figure.axes[0].get_yticklabels(), *figure.axes[0].texts]:
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1


def test_a_hundred_groups_have_room_for_their_names() -> None:
    figure = draw({f"method {index}": ALL for index in range(100)})
    middles = np.asarray(figure.axes[0].get_yticks())
    assert len(middles) == 100
    assert np.diff(middles).min() > 1.5 * SMALL


def test_the_networks_of_a_run_are_those_that_could_be_made() -> None:
    trials = (
        Trial("X = 2", repaired=REPAIRED, guarded=GUARDED),
        Trial("X = 90", reason="never reached"),
        Trial("fine-pruning", model="a.h5", repaired=REPAIRED),
    )
    run = Run("run", "prune", "prune", 10, B, trials, 0)
    assert groups_of(run) == {
        "X = 2": ALL,
        "a.h5: fine-pruning": {"B": B, "B'": REPAIRED},
    }
