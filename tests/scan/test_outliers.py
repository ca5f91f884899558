from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from goodnet.scan.outliers import above, far, robust_z, spread, too_few


def test_the_spread_of_normal_values_is_their_standard_deviation() -> None:
    values = np.random.default_rng(0).normal(5, 3, 20_000)
    assert spread(values) == pytest.approx(3, rel=0.03)


def test_outliers_do_not_widen_the_spread() -> None:
    values = np.random.default_rng(0).normal(0, 1, 2001)
    z = robust_z(np.append(values, [1e6] * 20))
    assert z[-1] == pytest.approx(1e6, rel=0.1)


def test_where_most_values_are_the_same_the_others_still_have_a_score() -> None:
    z = robust_z(np.array([0.0, 0.0, 0.0, 0.0, 1.0]))
    assert z[-1] == pytest.approx(1 / (1.2533 * 0.2))
    assert not z[:-1].any()


def test_equal_values_have_no_outlier() -> None:
    assert not robust_z(np.full(6, 3.0)).any()


def test_the_cut_grows_with_the_number_of_classes() -> None:
    assert far(10) == far(100) == 3.5
    assert far(1283) == pytest.approx(norm.isf(0.05 / 1283))
    assert far(1283) > 3.9


def test_places_above_a_threshold_come_largest_first() -> None:
    assert above(np.array([1.0, 5.0, 2.0, 9.0, np.nan]), 1.5) == [3, 1, 2]


def test_few_classes_are_told() -> None:
    assert too_few(5) == ()
    assert "4 classes are too few" in too_few(4)[0]
