"""What is said of an attack never goes further than the intervals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.evidence import Attack, effect, worst_attack
from goodnet.report.facts import Run, Trial
from goodnet.results import Rates
from goodnet.stats import proportion


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((11547, 11547), (8914, 11547), "stays"),  # 77.2 %: lower, yet on most
        ((100, 100), (1, 100), "little"),
        ((100, 100), (30, 100), "weakened"),
        ((450, 1000), (445, 1000), "stays"),  # no difference to be seen
        ((2, 1000), (0, 1000), "absent"),
        ((0, 10), (0, 10), "unclear"),  # too few to rule a backdoor out
        ((3, 20), (0, 20), "unclear"),
        ((16, 16), (0, 16), "weakened"),  # 0 of 16 may still be 1 in 5
    ],
)
def test_the_words_follow_the_intervals(
    before: tuple[int, int], after: tuple[int, int], expected: str
) -> None:
    assert effect(proportion(*before), proportion(*after)) == expected


@given(st.integers(1, 300), st.data())
def test_success_is_claimed_only_where_the_whole_interval_is_low(
    total: int, data: st.DataObject
) -> None:
    before = proportion(data.draw(st.integers(0, total)), total)
    after = proportion(data.draw(st.integers(0, total)), total)
    if effect(before, after) == "little":
        assert after.high <= 0.1
        assert after.high < before.low


def worst(before: Rates, after: Rates) -> Attack | None:
    trial = Trial("X = 2", repaired=after)
    return worst_attack(Run("run", "prune", "prune", 10, before, (trial,), 0), trial)


def test_the_worst_set_decides() -> None:
    before = {name: proportion(100, 100) for name in ("one", "two")}
    after = {"one": proportion(3, 100), "two": proportion(40, 100)}
    attack = worst(Rates(None, before), Rates(None, after))
    assert attack is not None
    assert (attack.name, attack.sets, attack.detected) == ("two", 2, None)
    assert attack.where == "images poisoned with two (the worst of 2 sets)"


def test_without_poison_there_is_no_attack() -> None:
    assert worst(Rates(), Rates()) is None
    empty = {"one": proportion(0, 0)}
    assert worst(Rates(None, empty), Rates(None, empty)) is None
