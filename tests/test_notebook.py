"""What a notebook shows of a result: a table in which nothing from outside is markup."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from tiny import module_network

from goodnet.notebook import html_table
from goodnet.repair import CureResult, RepairResult
from goodnet.results import Left
from goodnet.scan import RecoveredTrigger, ScanResult, Target
from goodnet.stats import proportion
from goodnet.types import Evaluation, SetResult

HOSTILE = "<script>alert(1)</script>&\"' \u202e\x1b[1m"
HALF = proportion(5, 10)
TRIGGER = RecoveredTrigger(HOSTILE, None, np.zeros((3, 2, 2), np.float32), 1.0, HALF, 0.1, 0.2)
SCAN = ScanResult(
    method="goodnet",
    options={},
    verdict="backdoored",
    p_value=0.01,
    null=HOSTILE,
    scores=np.array([7, 0], np.float32),
    targets=(Target(0, 7.0, 0.01, TRIGGER), Target(1, 6.0)),
    notes=(HOSTILE,),
)
NETWORK = module_network()
REPAIR = RepairResult(HOSTILE, NETWORK, HALF, proportion(4, 10), notes=(HOSTILE,))
LEFT = Left(0, before=proportion(9, 10), after=proportion(0, 10), again=HALF, innocent=HALF)
CURE = CureResult("cure", NETWORK, HALF, HALF, scan=SCAN, left=(LEFT,), notes=(HOSTILE,))
EVALUATION = Evaluation(
    HOSTILE, SetResult(HALF, proportion(1, 10)), {HOSTILE: SetResult(proportion(9, 10))}
)


def texts(html: str) -> list[str]:
    """What stands in the cells; it would fail if the markup were not sound."""
    root = ElementTree.fromstring(f"<all>{html}</all>")
    assert {each.tag for each in root.iter()} <= {"all", "table", "caption", "tr", "th", "td", "p"}
    return [each.text or "" for each in root.iter("td")]


@pytest.mark.parametrize("shown", [SCAN, REPAIR, CURE, EVALUATION])
def test_nothing_from_outside_is_markup(
    shown: ScanResult | RepairResult | CureResult | Evaluation,
) -> None:
    html = shown._repr_html_()
    texts(html)
    assert "<script" not in html
    assert html.isprintable()


def test_an_evaluation_has_a_row_for_each_share_that_is_known() -> None:
    cells = texts(EVALUATION._repr_html_())
    assert cells[:6] == [
        "clean",
        "accuracy",
        str(HALF),
        "clean",
        "false alarms",
        "10.00 [0.3, 44.5]",
    ]
    assert cells[7:] == ["attack success rate", str(proportion(9, 10))]
    assert texts(Evaluation("B", None)._repr_html_()) == []


def test_a_scan_has_a_row_for_each_label() -> None:
    cells = texts(replace(SCAN, targets=(Target(3, 6.0),))._repr_html_())
    assert cells == ["3", "6.00", "", "", ""]
    assert "backdoored, p = 0.01: label 0, 1" in SCAN._repr_html_()


def test_a_repair_has_its_price() -> None:
    assert texts(REPAIR._repr_html_()) == ["before", str(HALF), "after", str(proportion(4, 10))]


def test_a_cure_has_what_is_left() -> None:
    cells = texts(CURE._repr_html_())
    assert ["0", str(LEFT.before), str(LEFT.after), str(LEFT.again)] == cells[10:14]
    assert "what is left" not in replace(CURE, left=())._repr_html_()


def test_a_cell_that_is_none_is_empty() -> None:
    assert texts(html_table("", ["a", "b"], [(None, 0)])) == ["", "0"]
