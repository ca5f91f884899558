from __future__ import annotations

import numpy as np
import pytest

from goodnet.repair.directions import directions, duals

RANDOM = np.random.default_rng(0)


def inside(basis: np.ndarray, vector: np.ndarray) -> float:
    """Share of a vector's length that lies in the span of orthonormal columns."""
    return float(np.linalg.norm(basis.T @ vector) / np.linalg.norm(vector))


def test_one_direction_is_the_mean_difference() -> None:
    wanted = RANDOM.normal(size=12)
    noise = RANDOM.normal(size=(40, 12))
    found = directions([wanted + noise - noise.mean(0)], 1)
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(wanted) / np.linalg.norm(wanted))


def test_the_next_directions_are_those_in_which_differences_vary_most() -> None:
    mean, strong, weak = np.eye(12)[[3, 5, 7]]
    sizes = RANDOM.normal(size=(200, 2)) * [2.0, 0.3]
    differences = 4 * mean + sizes @ np.stack([strong, weak])
    basis = directions([differences], 2)
    assert basis.shape == (12, 2)
    assert inside(basis, mean) > 0.99
    assert inside(basis, strong) > 0.99
    assert inside(basis, weak) < 0.1


def test_several_triggers_give_orthonormal_directions() -> None:
    means = RANDOM.normal(size=(3, 12))
    basis = directions([RANDOM.normal(size=(50, 12)) + mean for mean in means], 3)
    assert basis.shape == (12, 9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(9), atol=1e-12)


def test_a_trigger_given_twice_counts_once_and_one_without_effect_not_at_all() -> None:
    some = RANDOM.normal(size=(30, 12)) + 1
    assert directions([some, some], 1).shape == (12, 1)
    assert directions([some, 0 * some], 1).shape == (12, 1)
    assert directions([0 * some], 3).shape == (12, 0)


def test_there_are_no_more_directions_than_channels() -> None:
    basis = directions([RANDOM.normal(size=(30, 4)) + 1], 9)
    assert basis.shape[1] <= 4
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)


def stretched(count: int) -> np.ndarray:
    """Features that vary four times as much along the first axis as along the others."""
    return RANDOM.normal(size=(count, 12)) * np.where(np.arange(12) == 0, 4.0, 1.0)


@pytest.mark.parametrize("count", [2, 3, 10, 500])
def test_duals_read_each_direction_and_none_of_the_others(count: int) -> None:
    basis = directions([RANDOM.normal(size=(30, 12)) + mean for mean in np.eye(12)[:2]], 2)
    found = duals(basis, stretched(count))
    np.testing.assert_allclose(found.T @ basis, np.eye(basis.shape[1]), atol=1e-8)


def test_duals_see_least_of_what_clean_images_differ_in() -> None:
    clean = stretched(500)
    basis = np.eye(12)[:, :2] @ np.array([[0.6, 0.8], [0.8, -0.6]])[:, :1]
    found = duals(basis, clean)
    assert (clean @ found).var() < 0.5 * (clean @ basis).var()
    for _ in range(20):
        other = found + 0.1 * (np.eye(12) - basis @ basis.T) @ RANDOM.normal(size=(12, 1))
        assert (clean @ found).var() < (clean @ other).var()


def test_with_nothing_to_go_by_duals_are_the_directions() -> None:
    basis = directions([RANDOM.normal(size=(30, 12)) + 1], 2)
    np.testing.assert_array_equal(duals(basis, np.ones((5, 12))), basis)
    assert duals(basis[:, :0], stretched(50)).shape == (12, 0)
