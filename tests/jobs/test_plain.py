from __future__ import annotations

from goodnet.jobs.plain import guarded_rates, plain_rates, plain_share
from goodnet.stats import proportion
from goodnet.types import Evaluation, SetResult


def test_what_is_not_known_is_null_or_left_out() -> None:
    half = proportion(1, 2)
    found = Evaluation("G", None, {"a": SetResult(half, refused=half), "b": SetResult(half)})
    assert plain_rates(found) == {
        "test": None,
        "backdoor": {"a": plain_share(half), "b": plain_share(half)},
    }
    good = guarded_rates(found)
    assert good["false_alarms"] is good["accepted_accuracy"] is None
    assert good["detected"] == {"a": half.to_dict()}
