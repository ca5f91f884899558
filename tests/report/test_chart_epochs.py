"""The chart of a training: accuracy and loss, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from chart_samples import rules

from goodnet.report.charts import WIDE, epochs_chart
from goodnet.report.charts.figure import draw as draw_chart
from goodnet.results import EpochResult
from goodnet.stats import proportion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCHS = [EpochResult(3.0 / (index + 1), proportion(5 + index, 10)) for index in range(4)]


def draw(epochs: list[EpochResult], chosen: int) -> Figure:
    return draw_chart(epochs_chart(epochs, chosen, WIDE))


def test_accuracy_stands_above_loss_against_the_epoch() -> None:
    accuracy, loss = draw(EPOCHS, 3).axes
    assert np.asarray(accuracy.get_lines()[0].get_xydata()).tolist() == [
        *([1, 50], [2, 60], [3, 70], [4, 80])
    ]
    assert np.asarray(loss.get_lines()[0].get_xydata()).tolist() == [
        *([1, 3.0], [2, 1.5], [3, 1.0], [4, 0.75])
    ]
    assert accuracy.bbox.y0 > loss.bbox.y1
    assert accuracy.get_xlim() == loss.get_xlim() == (1, 4)


def test_the_band_is_the_interval_and_inside_the_plot() -> None:
    axes = draw(EPOCHS, 3).axes[0]
    heights = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    low, high = axes.get_ylim()
    assert heights.min() == pytest.approx(100 * proportion(5, 10).low)
    assert low < heights.min() < heights.max() < high


def test_the_epoch_that_was_taken_is_marked() -> None:
    figure = draw(EPOCHS, 3)
    assert [text.get_text() for text in figure.texts] == ["taken: epoch 3"]
    (line,) = rules(figure)
    mark = line.get_transform().transform(line.get_xydata())[0]
    assert figure.axes[0].transData.inverted().transform(mark)[0] == pytest.approx(3)


def test_without_a_chosen_epoch_nothing_is_marked() -> None:
    assert not draw(EPOCHS, 0).texts


def test_a_single_epoch_shows_its_interval() -> None:
    whisker = draw(EPOCHS[:1], 1).axes[0].get_lines()[1].get_ydata()
    share = proportion(5, 10)
    assert np.asarray(whisker) == pytest.approx([100 * share.low, 100 * share.high])


def test_no_epochs_are_said_to_be_none() -> None:
    assert epochs_chart([], 0, WIDE).description == "There were no epochs."
    assert draw([], 0).axes
