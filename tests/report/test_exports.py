"""Charts as files: those of a run for papers, those that a pruning leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pytest
from chart_samples import GUARDED, REPAIRED, B, curve

from goodnet.report.exports import export_charts, plot_comparison, plot_curve
from goodnet.report.facts import Run, Trial
from goodnet.results import EpochResult, ScanRecord
from goodnet.stats import proportion
from goodnet.types import Evaluation, PruneCurve, SetResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

RUN = Run(
    name="run",
    command="repair",
    method="fine-tune",
    classes=10,
    baseline=B,
    trials=(Trial("fine-tune", repaired=REPAIRED, guarded=GUARDED),),
    shown=0,
    curve=curve(),
    epochs=(EpochResult(1.0, proportion(9, 10)),),
    chosen=1,
)


def test_every_chart_is_a_picture_and_a_drawing(tmp_path: Path) -> None:
    written = export_charts(RUN, tmp_path)
    names = [
        f"{name}.{kind}"
        for name in ("curve", "channels", "comparison", "epochs")
        for kind in ("png", "svg")
    ]
    assert [path.name for path in written] == names
    for path in written:
        start = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(start)


def test_a_scan_has_a_chart_of_its_scores(tmp_path: Path) -> None:
    scan = ScanRecord(scores=(1.0, 2.0, 5.0))
    run = Run("run", "scan", "goodnet", 3, None, (), None, scan=scan)
    assert [path.name for path in export_charts(run, tmp_path)] == ["scores.png", "scores.svg"]
    flat = replace(run, scan=replace(scan, scores=(0.0, 0.0)))
    assert export_charts(flat, tmp_path / "none") == []


def test_what_a_run_has_not_is_not_drawn(tmp_path: Path) -> None:
    bare = replace(RUN, curve=None, epochs=(), trials=(Trial("X = 2", reason="never reached"),))
    assert export_charts(bare, tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_colours_are_real_and_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        export_charts(RUN, folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert "var(" not in (tmp_path / "one" / "curve.svg").read_text(encoding="utf-8")


def pruned(successes: Mapping[str, tuple[int, ...]] | None = None) -> PruneCurve:
    """Four channels of which 0 and 2 are dead."""
    return PruneCurve(
        layer="conv_3",
        order="ascending",
        channels=np.array([2, 0, 3, 1]),
        mean_activation=np.array([0.0, 2.0, 0.0, 1.0]),
        active_images=np.array([0, 9, 0, 4]),
        correct=np.array([10, 10, 9, 7, 2]),
        total=10,
        successes={name: np.array(counts) for name, counts in (successes or {}).items()},
        success_totals=dict.fromkeys(successes or {}, 8),
    )


def test_the_counts_become_shares_in_percent(figures: list[Figure], tmp_path: Path) -> None:
    plot_curve(
        pruned(successes={"sunglasses": (8, 8, 8, 4, 0)}),
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


def test_a_drawing_stands_beside_the_picture_of_a_curve(tmp_path: Path) -> None:
    plot_curve(pruned(), drops={}, destination=tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "curve.svg").read_text(encoding="utf-8")


def test_the_same_curve_gives_the_same_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    what = pruned(successes={"sunglasses": (8, 8, 8, 4, 0)})
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
        plot_curve(pruned(), drops={}, destination=tmp_path / "nowhere" / "curve.png")


def result(correct: int, refused: int | None = None) -> SetResult:
    return SetResult(proportion(correct, 10), None if refused is None else proportion(refused, 10))


ORIGINAL = Evaluation("B", result(10), {"sunglasses": result(9)})
BOTH = Evaluation("G", result(7, 1), {"sunglasses": result(3, 5)})


def test_evaluations_become_bars(figures: list[Figure], tmp_path: Path) -> None:
    groups = {"X = 2": [ORIGINAL, BOTH], "X = 4": [Evaluation("B", None)]}
    plot_comparison(groups, tmp_path / "comparison.png")
    clean, fooled = figures[-1].axes
    assert [text.get_text() for text in clean.texts] == ["100.0", "70.0", "10.0", "no result"]
    assert [text.get_text() for text in fooled.texts] == ["90.0", "30.0", "50.0", "no result"]
    assert [tick.get_text() for tick in clean.get_yticklabels()] == ["X = 2", "X = 4"]
    assert figures[-1].texts[0].get_text() == "Networks compared"


def test_a_drawing_stands_beside_the_picture_of_no_networks(tmp_path: Path) -> None:
    plot_comparison({}, tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "comparison.svg").read_text(encoding="utf-8")


def test_the_same_groups_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plot_comparison({"X = 2": [ORIGINAL, BOTH]}, tmp_path / f"{name}.png")
    for suffix in (".png", ".svg"):
        one, two = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
