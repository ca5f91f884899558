"""The picture of a pruning curve as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pytest

from goodnet.report.plots import plot_curve
from goodnet.types import PruneCurve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure


def curve(hits: Mapping[str, tuple[int, ...]] | None = None) -> PruneCurve:
    """Four channels of which 0 and 2 are dead."""
    return PruneCurve(
        layer="conv_3",
        order="ascending",
        channels=np.array([2, 0, 3, 1]),
        mean_activation=np.array([0.0, 2.0, 0.0, 1.0]),
        active_images=np.array([0, 9, 0, 4]),
        correct=np.array([10, 10, 9, 7, 2]),
        total=10,
        hits={name: np.array(counts) for name, counts in (hits or {}).items()},
        hit_totals=dict.fromkeys(hits or {}, 8),
    )


def test_the_counts_become_shares_in_percent(figures: list[Figure], tmp_path: Path) -> None:
    plot_curve(
        curve(hits={"sunglasses": (8, 8, 8, 4, 0)}),
        drops={2.0: 2, 90.0: None},
        destination=tmp_path / "curve.png",
    )
    clean, fooled = figures[-1].axes[0].get_lines()[:2]
    assert list(np.asarray(clean.get_ydata())) == [100, 100, 90, 70, 20]
    assert list(np.asarray(fooled.get_ydata())) == [100, 100, 100, 50, 0]
    texts = [text.get_text() for text in figures[-1].texts]
    assert texts[0] == "Pruning the layer conv_3"
    assert texts[1].endswith("never reached: X = 90")
    assert "X = 2: 2 channels" in texts


def test_a_drawing_stands_beside_the_picture(tmp_path: Path) -> None:
    plot_curve(curve(), drops={}, destination=tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_the_same_curve_gives_the_same_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    what = curve(hits={"sunglasses": (8, 8, 8, 4, 0)})
    plot_curve(what, drops={2.0: 2}, destination=tmp_path / "one.png")
    own: dict[Any, Any] = {
        "font.size": 30,
        "axes.facecolor": "red",
        "savefig.dpi": 20,
        "svg.hashsalt": "own",
        "text.usetex": True,
    }
    with matplotlib.rc_context(own):
        plot_curve(what, drops={2.0: 2}, destination=tmp_path / "two.png")
    for suffix in (".png", ".svg"):
        one, two = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plot_curve(curve(), drops={}, destination=tmp_path / "nowhere" / "curve.png")
