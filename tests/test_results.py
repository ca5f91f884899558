"""What run folders hold: plain data and back, and JSON that nobody vouches for."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.results import (
    CureResults,
    GuardedRates,
    Left,
    PairRates,
    PruneResults,
    Rates,
    RepairResults,
    RunRecord,
    ScanRecord,
    ScanResults,
    TargetRecord,
    TriggerRecord,
)
from goodnet.stats import proportion
from goodnet.typed_json import Unreadable, decode, plain
from goodnet.types import Evaluation, SetResult

HALF = proportion(1, 2)
TRIGGER = TriggerRecord("added", proportion(29, 30), changed=0.2, area=0.4, margin=300.5)
SCAN = ScanRecord(
    method="goodnet",
    options={"alpha": 0.01, "layer": None},
    verdict="backdoored",
    p_value=0.001,
    targets=(TargetRecord(1, 7.1, 0.001, ("added",), TRIGGER),),
    scores=(0.5, 7.1, None),
)
CURE = CureResults(
    scan=SCAN,
    classes=3,
    method="cure",
    details={"left": [plain(Left(1, HALF, HALF, proportion(0, 0), HALF))]},
    measured=PairRates(Rates(HALF, {"a": HALF}), Rates(), GuardedRates(detected={"a": HALF})),
)


def bytes_of(value: object) -> bytes:
    return json.dumps(plain(value), allow_nan=False).encode()


@pytest.mark.parametrize("value", [SCAN, CURE, PruneResults(order="given"), RunRecord(seconds=1.5)])
def test_plain_data_and_back(value: object) -> None:
    assert decode(bytes_of(value), type(value)) == value


def test_what_is_left_is_among_the_details() -> None:
    (left,) = CURE.left
    assert (left.label, left.before, left.searched) == (1, HALF, False)
    with pytest.raises(Unreadable, match=r"^details\.left: expected `array`, got `int`$"):
        assert CureResults(scan=SCAN, classes=3, details={"left": 3}).left


def test_rates_are_those_of_an_evaluation() -> None:
    found = Evaluation("G", None, {"a": SetResult(HALF, refused=HALF), "b": SetResult(HALF)})
    assert Rates.of(found) == Rates(None, {"a": HALF, "b": HALF})
    good = GuardedRates.of(found)
    assert good.false_alarms is good.accepted_accuracy is None
    assert good.detected == {"a": HALF}


def test_a_share_is_computed_from_its_counts_whatever_the_file_claims() -> None:
    claim = {"value": 1.0, "low": 1.0, "high": 1.0, "count": 1, "total": 4}
    found = decode(json.dumps({"test": claim}).encode(), Rates)
    assert found.test == proportion(1, 4)
    assert plain(found)["test"] == proportion(1, 4).to_dict()


def test_what_is_not_known_is_passed_over_and_what_is_missing_has_its_default() -> None:
    assert decode(b'{"news": [1]}', RepairResults) == RepairResults()


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (RepairResults, {"method": 3}, "^method: expected `str`, got `int`$"),
        (RepairResults, {"chosen": -1}, "^chosen: expected `int` >= 0$"),
        (RepairResults, {"chosen": True}, "^chosen: expected `int`, got `bool`$"),
        (RepairResults, {"chosen": 10**30}, "^chosen: "),
        (RepairResults, {"before": {"count": 5, "total": 3}}, "before: expected a count with"),
        (RepairResults, {"before": {"count": 5}}, "before: expected a count with its total"),
        (RepairResults, {"before": {"count": True, "total": 3}}, "before: expected a count with"),
        (RepairResults, {"before": 3}, "before: expected a count with its total"),
        (RepairResults, {"epochs": [{"loss": 1e300}]}, r"^epochs\[0\]\.loss: expected `float` <="),
        (RepairResults, {"notes": {"a": 1}}, "^notes: expected `array`, got `object`$"),
        (RepairResults, {"network": {"layers": [{}]}}, r"layers\[0\]: .*missing .*`name`"),
        (RepairResults, {"network": {"layers": [{"name": "a"}] * 5001}}, "length <= 5000"),
        (ScanResults, {"verdict": "clean", "classes": 2}, "^verdict: invalid enum value 'clean'$"),
        (ScanResults, {"classes": 3, "scores": [1, 2]}, "there are 2 scores for 3 classes"),
        (PruneResults, {"order": "up"}, "^order: invalid enum value 'up'$"),
    ],
)
def test_another_kind_is_named_with_its_place(kind: Any, data: object, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        decode(json.dumps(data).encode(), kind)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "it is not JSON in UTF-8"),
        (b"{", "it is not JSON in UTF-8"),
        (b"[]", "^the whole: expected `object`, got `array`$"),
        (b'{"chosen": NaN}', "it is not JSON in UTF-8"),
        (b'{"a":' * 100_000, "it is nested too deeply|it is not JSON"),
    ],
)
def test_what_is_no_object_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        decode(data, RepairResults)


@given(
    st.dictionaries(
        st.sampled_from(["options", "details", "measured", "scan", "notes", "classes", "inputs"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_anything_gives_a_value_or_that_error(value: object) -> None:
    with suppress(Unreadable):
        decode(json.dumps(value, allow_nan=False).encode(), CureResults)
