"""The charts of a run as files for papers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chart_samples import GUARDED, REPAIRED, B, curve

from goodnet.report.exports import export_charts
from goodnet.report.facts import Run, Scan, Trial
from goodnet.results import EpochResult
from goodnet.stats import proportion

if TYPE_CHECKING:
    from pathlib import Path

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
    scan = Scan("no_finding", 0.4, "", (1.0, 2.0, 5.0))
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
