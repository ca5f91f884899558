"""The picture that compares networks as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.plots import plot_comparison
from goodnet.stats import proportion
from goodnet.types import Evaluation, SetResult

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def result(correct: int, refused: int | None = None) -> SetResult:
    return SetResult(proportion(correct, 10), None if refused is None else proportion(refused, 10))


ORIGINAL = Evaluation("B", result(10), {"sunglasses": result(9)})
GUARDED = Evaluation("G", result(7, 1), {"sunglasses": result(3, 5)})


def test_evaluations_become_bars(figures: list[Figure], tmp_path: Path) -> None:
    groups = {"X = 2": [ORIGINAL, GUARDED], "X = 4": [Evaluation("B", None)]}
    plot_comparison(groups, tmp_path / "comparison.png")
    clean, fooled = figures[-1].axes
    assert [text.get_text() for text in clean.texts] == ["100.0", "70.0", "10.0", "no result"]
    assert [text.get_text() for text in fooled.texts] == ["90.0", "30.0", "50.0", "no result"]
    assert [tick.get_text() for tick in clean.get_yticklabels()] == ["X = 2", "X = 4"]
    assert figures[-1].texts[0].get_text() == "Networks compared"


def test_a_drawing_stands_beside_the_picture(tmp_path: Path) -> None:
    plot_comparison({}, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "comparison.svg").read_text(encoding="utf-8")


def test_the_same_groups_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plot_comparison({"X = 2": [ORIGINAL, GUARDED]}, tmp_path / f"{name}.png")
    for suffix in (".png", ".svg"):
        one, two = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
