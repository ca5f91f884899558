"""The chart of a layer's channels: bars and heat map in pruning order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from chart_samples import curve, long_curve, rules

from goodnet.report.charts import NARROW, WIDE, channels_chart, to_svg
from goodnet.report.charts.figure import draw as draw_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from goodnet.report.facts import Curve


def draw(what: Curve, *, narrow: bool = False) -> Figure:
    return draw_chart(channels_chart(what, NARROW if narrow else WIDE))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def rectangles(axes: Axes, patch: int) -> NDArray[np.float64]:
    """Left, bottom, right, top of each rectangle of a patch."""
    corners = np.asarray(axes.patches[patch].get_path().vertices).reshape(-1, 5, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def strips(figure: Figure) -> list[dict[int, float]]:
    """Of each row of the heat map how strong each cell is, by where it starts."""
    found = []
    for axes in figure.axes[2:]:
        cells = {
            int(cell[0]): float(axes.patches[patch].get_alpha() or 0)
            for patch in range(len(axes.patches))
            for cell in rectangles(axes, patch)
        }
        found.append(cells)
    return found


def test_bars_are_clean_images_and_steps_are_poisoned_ones_in_pruning_order() -> None:
    axes = draw(curve()).axes[0]
    bars = rectangles(axes, 0)
    assert bars[:, 3].tolist() == [0, 0, 1, 2]
    assert bars[:, [0, 2]].mean(axis=1).tolist() == [0.5, 1.5, 2.5, 3.5]
    (steps,) = axes.get_lines()
    assert np.asarray(steps.get_ydata()).tolist() == [3, 0, 4, 1, 1]
    assert axes.get_xlim() == (0, 4)


def test_dead_channels_are_shaded_and_named() -> None:
    figure = draw(curve())
    assert rectangles(figure.axes[0], 1)[:, [0, 2]].tolist() == [[0, 2]]
    assert legend(figure)[-1] == "2 dead channels (never active on clean images)"
    assert "2 dead channels" in legend(draw(curve(), narrow=True))


def test_the_heat_map_has_a_row_for_each_set_on_one_scale() -> None:
    figure = draw(curve())
    clean, poisoned = strips(figure)
    assert clean == {2: 0.5, 3: 0.75}
    assert poisoned == {0: 0.875, 2: 1.0, 3: 0.5}
    texts = [text.get_text() for text in figure.texts]
    assert {"clean images", "poisoned: sunglasses", "0", "4"} <= set(texts)


def test_names_that_look_the_same_when_shortened_keep_a_row_each() -> None:
    names = [f"{'a' * 20}{middle}{'b' * 20}" for middle in "xy"]
    figure = draw(curve(poisoned_activation=dict.fromkeys(names, (1.0,) * 4)))
    assert len(strips(figure)) == 3


def test_drops_are_marked_where_the_channels_end_that_are_silenced() -> None:
    figure = draw(curve())
    axes = figure.axes[0]
    marks = [line.get_transform().transform(line.get_xydata())[0] for line in rules(figure)]
    assert axes.transData.inverted().transform(marks)[:, 0] == pytest.approx([2, 3])


def test_values_below_zero_are_drawn_downwards() -> None:
    axes = draw(curve(mean_activation=(0.0, -2.0, 0.0, 1.0))).axes[0]
    assert rectangles(axes, 0)[:, 1].tolist() == [0, 0, 0, -2]
    assert axes.get_ylim()[0] < -2


def test_with_many_sets_only_the_heat_map_shows_the_poisoned_ones() -> None:
    figure = draw(long_curve(16, sets=5))
    assert legend(figure)[0] == "clean images"
    assert len(legend(figure)) == 2
    assert len(strips(figure)) == 6


def test_a_thousand_channels_lose_no_peak() -> None:
    means = [0.0] * 1000
    means[701] = 5.0
    what = long_curve(1000, sets=1)
    figure = draw(
        curve(
            channels=what.channels,
            mean_activation=tuple(means),
            dead=(),
            drops=(),
            poisoned_activation=what.poisoned_activation,
        )
    )
    assert strips(figure)[0] == {700: 1.0}


@pytest.mark.parametrize("narrow", [False, True])
def test_no_channels_and_no_activity_can_be_drawn(narrow: bool) -> None:
    silent = curve(mean_activation=(0.0,) * 4, poisoned_activation={}, dead=(0, 1, 2, 3))
    width = NARROW if narrow else WIDE
    assert "4 dead" in to_svg(channels_chart(silent, width), "a")
    empty = curve(channels=(), mean_activation=(), poisoned_activation={}, dead=(), drops=())
    assert "0 channels" in to_svg(channels_chart(empty, width), "a")
