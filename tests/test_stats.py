"""`goodnet.stats` against SciPy's own interval and against closed forms."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from goodnet.errors import InvalidInput
from goodnet.stats import conformal_limit, proportion

TAIL = 0.025


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 100_000))
    return draw(st.integers(0, total)), total


@pytest.mark.parametrize("total", [1, 2, 7, 60, 2500, 11547])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.5, 0.98, 1.0])
def test_equals_the_exact_interval_of_scipy(total: int, part: float) -> None:
    count = round(part * total)
    exact = binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    share = proportion(count, total)
    assert share.value == count / total
    assert (share.low, share.high) == pytest.approx((exact.low, exact.high), abs=1e-10)


@pytest.mark.parametrize("total", [1, 3, 60, 11547])
def test_none_and_all_have_closed_forms(total: int) -> None:
    none, every = proportion(0, total), proportion(total, total)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - TAIL ** (1 / total), rel=1e-9)
    assert (every.value, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(TAIL ** (1 / total), rel=1e-9)


def test_nothing_counted_is_nothing_known() -> None:
    assert proportion(0, 0).to_dict() == {
        "value": None,
        "low": 0.0,
        "high": 1.0,
        "count": 0,
        "total": 0,
    }


@given(counts())
def test_holds_the_value_and_mirrors(pair: tuple[int, int]) -> None:
    count, total = pair
    share, mirrored = proportion(count, total), proportion(total - count, total)
    assert share.value is not None
    assert 0.0 <= share.low <= share.value <= share.high <= 1.0
    assert share.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    assert share.high == pytest.approx(1 - mirrored.low, abs=1e-12)


@given(counts())
def test_each_end_leaves_a_tail_of_a_fortieth(pair: tuple[int, int]) -> None:
    count, total = pair
    share = proportion(count, total)
    if count > 0:
        assert binom.sf(count - 1, total, share.low) == pytest.approx(TAIL, rel=1e-6)
    if count < total:
        assert binom.cdf(count, total, share.high) == pytest.approx(TAIL, rel=1e-6)


def test_takes_the_integers_of_numpy_and_gives_plain_ones() -> None:
    share = proportion(np.int64(3), np.uint16(4))
    assert (type(share.count), type(share.total), type(share.low)) == (int, int, float)


@pytest.mark.parametrize(("count", "total"), [(-1, 5), (6, 5), (0, -1)])
def test_refuses_a_count_that_cannot_be(count: int, total: int) -> None:
    with pytest.raises(InvalidInput, match=f"from 0 to the total {total}, got {count}"):
        proportion(count, total)


def test_importing_it_does_not_import_scipy() -> None:
    code = "import sys, goodnet.stats; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("count", "rate"), [(9, 0.1), (60, 0.05), (99, 0.01), (30, 0.2)])
def test_a_conformal_limit_holds_its_rate_over_a_thousand_sets(count: int, rate: float) -> None:
    """However readings are distributed: here some are far out."""
    random = np.random.default_rng(0)
    above = []
    for _ in range(1000):
        readings = np.exp(3 * random.standard_normal(count))
        limit, holds = conformal_limit(readings.tolist(), rate)
        assert holds <= rate + 1e-12
        above.append((np.exp(3 * random.standard_normal(200)) > limit).mean())
    error = np.std(above) / np.sqrt(len(above))
    assert abs(np.mean(above) - holds) <= 4 * error


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0.001, 0.999))
def test_a_conformal_limit_is_one_of_the_readings(readings: list[float], rate: float) -> None:
    limit, holds = conformal_limit(readings, rate)
    assert limit in readings
    above = sum(reading > limit for reading in readings)
    assert above < holds * (len(readings) + 1) + 1e-9
    assert holds <= max(rate, 1 / (len(readings) + 1)) + 1e-12
