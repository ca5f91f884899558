"""The picture of a pruning curve: what stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pytest
from matplotlib.patches import Rectangle

from goodnet.report.curve_plot import plot_curve
from goodnet.stats import proportion
from goodnet.types import PruneCurve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    Draw = Callable[..., Figure]


def curve(
    correct: tuple[int, ...] = (10, 10, 9, 7, 2),
    hits: Mapping[str, tuple[int, ...]] | None = None,
    *,
    order: str = "ascending",
    channels: tuple[int, ...] = (2, 0, 3, 1),
    total: int = 10,
) -> PruneCurve:
    """Four channels of which 0 and 2 are dead."""
    return PruneCurve(
        layer="conv_3",
        order=order,
        channels=np.array(channels),
        mean_activation=np.array([0.0, 2.0, 0.0, 1.0]),
        active_images=np.array([0, 9, 0, 4]),
        correct=np.array(correct),
        total=total,
        hits={name: np.array(counts) for name, counts in (hits or {}).items()},
        hit_totals=dict.fromkeys(hits or {}, 8),
    )


@pytest.fixture
def draw(figures: list[Figure], tmp_path: Path) -> Draw:
    """Draws a curve as `plot_curve` does and gives the figure."""

    def draw(what: PruneCurve, drops: Mapping[float, int | None] | None = None) -> Figure:
        plot_curve(what, drops=drops or {}, destination=tmp_path / "curve.png")
        return figures[-1]

    return draw


def numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_lines_are_the_counts_in_percent(draw: Draw) -> None:
    axes = draw(curve(hits={"sunglasses": (8, 8, 8, 4, 0)})).axes[0]
    clean, fooled = axes.get_lines()[:2]
    assert numbers(clean.get_xdata()) == [0, 25, 50, 75, 100]
    assert numbers(clean.get_ydata()) == [100, 100, 90, 70, 20]
    assert numbers(fooled.get_ydata()) == [100, 100, 100, 50, 0]


def test_the_band_is_the_interval(draw: Draw) -> None:
    axes = draw(curve()).axes[0]
    heights = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    last = proportion(2, 10)
    assert heights.min() == pytest.approx(100 * last.low)
    assert heights.max() == pytest.approx(100)


def test_the_legend_says_how_many_images_and_dead_channels(draw: Draw) -> None:
    assert legend(draw(curve(hits={"sunglasses": (8,) * 5}))) == [
        "clean accuracy (10 images)",
        "attack success: sunglasses (8 images)",
        "2 dead channels (never active on clean images)",
    ]


def test_drops_are_labelled_and_those_that_coincide_share_a_label(draw: Draw) -> None:
    figure = draw(curve(), {2.0: 2, 4.0: 2, 30.0: 3, 90.0: None})
    texts = [text.get_text() for text in figure.texts]
    assert "X = 2, 4: 2 channels" in texts
    assert "X = 30: 3 channels" in texts
    assert any(text.endswith("never reached: X = 90") for text in texts)
    lines = figure.axes[0].get_lines()
    marks = [numbers(line.get_xdata())[0] for line in lines if line.get_zorder() == 1.5]
    assert marks == [50, 75]


def test_labels_of_drops_do_not_cover_each_other_nor_leave_the_picture(draw: Draw) -> None:
    figure = draw(curve(), {1.0: 0, 2.0: 1, 3.5: 2, 4.0: 3, 30.0: 4})
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text()[:3] == "X ="]
    assert len(boxes) == 5
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:index])


@pytest.mark.parametrize(
    ("channels", "spans"),
    [((2, 0, 3, 1), [(0, 50)]), ((1, 3, 2, 0), [(50, 100)]), ((0, 1, 2, 3), [(0, 25), (50, 75)])],
)
def test_dead_channels_are_shaded_where_they_stand_in_the_order(
    draw: Draw, channels: tuple[int, ...], spans: list[tuple[float, float]]
) -> None:
    axes = draw(curve(channels=channels, order="given")).axes[0]
    shaded = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in shaded] == spans


def test_names_from_outside_are_drawn_as_they_are(draw: Draw) -> None:
    names = ["<script>", "$x$ \\frac{", "_hidden", "中\n\u202e"]
    labels = legend(draw(curve(hits=dict.fromkeys(names, (8,) * 5))))
    assert labels[1:5] == [
        "attack success: <script> (8 images)",
        "attack success: $x$ \\frac{ (8 images)",
        "attack success: _hidden (8 images)",
        "attack success: \\u4e2d\\n\\u202e (8 images)",
    ]


def test_many_long_names_stay_inside_the_picture(draw: Draw) -> None:
    figure = draw(curve(hits={f"{'name ' * 20}{index}": (8,) * 5 for index in range(9)}))
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert figure.bbox.y0 < box.y0 < box.y1 < figure.axes[0].bbox.y0


def test_part_of_the_channels_ends_where_the_order_ends(draw: Draw) -> None:
    axes = draw(curve((10, 9, 8), channels=(1, 3), order="given")).axes[0]
    assert numbers(axes.get_lines()[0].get_xdata()) == [0, 25, 50]


def test_a_set_without_images_draws_no_line(draw: Draw) -> None:
    axes = draw(curve((0,) * 5, total=0), {2.0: None}).axes[0]
    assert np.isnan(numbers(axes.get_lines()[0].get_ydata())).all()


def test_the_same_curve_gives_the_same_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    what = curve(hits={"sunglasses": (8, 8, 8, 4, 0)})
    plot_curve(what, drops={2.0: 2}, destination=tmp_path / "one.png")
    own: dict[Any, Any] = {
        "font.size": 30,
        "axes.facecolor": "red",
        "savefig.dpi": 20,
        "text.usetex": True,
    }
    with matplotlib.rc_context(own):
        plot_curve(what, drops={2.0: 2}, destination=tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plot_curve(curve(), drops={}, destination=tmp_path / "nowhere" / "curve.png")
