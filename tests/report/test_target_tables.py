"""The labels that a scan names as CSV and LaTeX."""

from __future__ import annotations

import csv
from dataclasses import replace

from chart_samples import HOSTILE

from goodnet.report.facts import Run
from goodnet.report.tables import trials_csv, trials_latex
from goodnet.results import DirectionRecord, ScanRecord, TargetRecord, TriggerRecord
from goodnet.stats import proportion

FOUND = TargetRecord(
    label=3,
    score=7.125,
    p_value=0.001,
    trigger=TriggerRecord(
        "painted, 4 x 4", proportion(29, 30), changed=0.2, area=0.4, margin=120.5
    ),
    families=("painted, 4 x 4", "added"),
    direction=DirectionRecord("dense", 0.1),
    file="triggers/label_3.npz",
)
BARE = TargetRecord(label=1, score=2.0)


def run(*targets: TargetRecord) -> Run:
    scan = ScanRecord(scores=(1.0, 2.0, 0.0, 7.125), targets=targets)
    return Run("run", "scan", "goodnet", 4, None, (), None, scan=scan)


def rows(*targets: TargetRecord) -> list[dict[str, str]]:
    return list(csv.DictReader(trials_csv(run(*targets)).splitlines()))


def test_a_row_for_each_label() -> None:
    found, bare = rows(FOUND, BARE)
    share = proportion(29, 30)
    assert [found[key] for key in ("label", "score", "p_value")] == ["3", "7.125", "0.001"]
    assert [float(found[f"success{end}"]) for end in ("", "_low", "_high")] == [
        *(share.value, share.low, share.high)
    ]
    assert [found[key] for key in ("images", "margin", "changed", "area", "own_class")] == [
        *("30", "120.5", "0.2", "0.4", "0.1")
    ]
    assert found["families"] == "painted, 4 x 4; added"
    assert found["file"] == "triggers/label_3.npz"
    assert {key for key, value in bare.items() if value} == {"label", "score"}


def test_without_labels_there_is_a_header() -> None:
    assert trials_csv(run()).startswith("label,score,p_value,family,success,")
    assert rows() == []
    assert trials_latex(run()).startswith(r"\begin{tabular}{rrrlrrrr}")


def test_no_cell_is_a_formula() -> None:
    assert FOUND.trigger is not None
    trigger = replace(FOUND.trigger, family="=cmd")
    evil = replace(
        FOUND, trigger=trigger, direction=DirectionRecord("@x"), families=("+1",), file="-2"
    )
    (row,) = rows(evil)
    cells = [row[key] for key in ("family", "layer", "families", "file")]
    assert cells == ["'=cmd", "'@x", "'+1", "'-2"]


def test_latex_has_percent_and_cells_for_all_columns() -> None:
    assert FOUND.trigger is not None
    lines = trials_latex(run(FOUND, BARE)).splitlines()
    assert lines[4] == (
        r"3 & 7.12 & 0.001 & painted, 4 x 4 & 96.67 [82.8, 99.9] & 40.0 & 20.0 & 0.1 \\"
    )
    assert lines[5] == r"1 & 2.00 & -- & -- & -- & -- & -- & -- \\"
    evil = replace(FOUND, trigger=replace(FOUND.trigger, family=HOSTILE + r"\input{x}"))
    assert r"\input{x}" not in trials_latex(run(evil))
    assert trials_latex(run(evil)).isascii()
