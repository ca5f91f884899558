from __future__ import annotations

import json

import numpy as np
import pytest

from goodnet.results import ScanRecord
from goodnet.scan import Direction, RecoveredTrigger, ScanResult, Target
from goodnet.scan.result import Floats
from goodnet.stats import proportion
from goodnet.typed_json import Unreadable, decode, plain

RANDOM = np.random.default_rng(0)
ADDED = RANDOM.uniform(-0.3, 0.3, (3, 5, 4)).astype(np.float32)
MASK = (RANDOM.uniform(size=(5, 4)) > 0.5).astype(np.float32) * np.float32(0.5)
PAINTED = (RANDOM.uniform(size=(3, 5, 4)).astype(np.float32)) * MASK


def trigger(mask: Floats | None, added: Floats) -> RecoveredTrigger:
    return RecoveredTrigger("painted", mask, added, 12.5, proportion(28, 30), 0.25, 0.4)


def result() -> ScanResult:
    direction = Direction("fc", np.array([0.6, 0.8], np.float32), 0.1)
    targets = (
        Target(3, 2.5, 0.01, trigger(None, ADDED), ("added",), direction),
        Target(1, 1.5, None, trigger(MASK, PAINTED)),
        Target(0, 1.0),
    )
    return ScanResult(
        "goodnet",
        {"seed": 3},
        "backdoored",
        0.01,
        "against what",
        np.array([1.0, 1.5, 0.0, 2.5], np.float32),
        0.5,
        targets,
        (30, 31),
        ("a note",),
        {"all": 1.25, "band": 0.5},
    )


def test_a_result_turns_into_plain_data_and_back() -> None:
    before = result()
    data = json.dumps(plain(before.to_record())).encode()
    arrays = {target.label: target.arrays() for target in before.targets}
    after = ScanResult.from_record(decode(data, ScanRecord), arrays)
    assert after.to_record() == before.to_record()
    for one, other in zip(before.targets, after.targets, strict=True):
        assert (one.trigger is None) == (other.trigger is None)
        if one.trigger and other.trigger:
            np.testing.assert_allclose(other.trigger.added, one.trigger.added, atol=1e-6)
        if one.direction and other.direction:
            assert np.array_equal(one.direction.vector, other.direction.vector)


def test_plain_data_names_the_labels_first_and_holds_no_arrays() -> None:
    told = plain(result().to_record())
    assert [next(iter(target)) for target in told["targets"]] == ["label"] * 3
    assert [target["label"] for target in told["targets"]] == [3, 1, 0]
    assert (told["verdict"], told["p_value"]) == ("backdoored", 0.01)
    assert str(result()) == "backdoored, p = 0.01: label 3, 1, 0"


def test_scores_that_are_no_numbers_are_told_as_unknown() -> None:
    record = ScanResult(
        "x", {}, "inconclusive", None, "", np.array([np.nan, 1.0, np.inf], np.float32)
    ).to_record()
    assert record.scores == (None, 1.0, None)
    back = ScanResult.from_record(record, {})
    assert np.isnan(back.scores[[0, 2]]).all()


def test_an_unknown_verdict_is_refused() -> None:
    told = plain(result().to_record()) | {"verdict": "clean"}
    with pytest.raises(Unreadable, match="verdict: invalid enum value 'clean'"):
        decode(json.dumps(told).encode(), ScanRecord)


def test_a_trigger_file_gives_the_same_stamp() -> None:
    images = RANDOM.uniform(0, 255, (2, 3, 5, 4)).astype(np.float32)
    painted = trigger(MASK, PAINTED).arrays
    found = (1 - painted["mask"]) * images + painted["mask"] * painted["pattern"]
    np.testing.assert_allclose(found, (1 - MASK) * images + 255 * PAINTED, atol=1e-2)
    np.testing.assert_allclose(trigger(None, ADDED).arrays["added"], 255 * ADDED, atol=1e-4)
