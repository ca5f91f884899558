from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack import trigger
from goodnet.attack.warp import displacement, sample_at
from goodnet.errors import UsageError


def test_the_field_is_never_larger_than_at_its_points() -> None:
    for seed in range(5):
        points = np.random.default_rng(seed).uniform(-1, 1, (2, 4, 4))
        largest = np.abs(points).max() / np.abs(points).mean()
        field = displacement(32, 28, grid=4, strength=0.5, seed=seed)
        assert field.shape == (2, 32, 28)
        assert np.abs(field).max() <= 0.25 * largest + 1e-6


def test_the_field_passes_through_its_points() -> None:
    points = np.random.default_rng(3).uniform(-1, 1, (2, 4, 4))
    field = displacement(4, 4, grid=4, strength=0.5, seed=3)
    np.testing.assert_allclose(field, points * 0.25 / np.abs(points).mean(), atol=1e-6)


def test_a_ramp_shows_the_displacement() -> None:
    ramp = np.broadcast_to(100 + np.arange(20, dtype=np.float32), (1, 1, 20, 20))
    moved = trigger("warp", strength=1, seed=2).stamp_bytes(ramp.copy()) - ramp
    _, right = displacement(20, 20, grid=4, strength=1, seed=2)
    np.testing.assert_allclose(moved[0, 0, :, 3:-3], right[:, 3:-3], atol=1e-4)


def test_places_between_pixels_are_interpolated_and_edges_go_on() -> None:
    images = np.array([[[[0, 10], [20, 30]]]], np.float32)
    rows, columns = np.array([[0.5, -4]], np.float32), np.array([[0.5, 9]], np.float32)
    np.testing.assert_allclose(sample_at(images, rows, columns)[0, 0], [[15, 10]])


def test_no_strength_leaves_the_image_as_it_is() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, 9, 7)).astype(np.float32)
    np.testing.assert_array_equal(trigger("warp", strength=0).stamp_bytes(images), images)


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="grid is a whole number from 2 on, got 1"):
        trigger("warp", grid=1)
    with pytest.raises(UsageError, match="strength is from 0 to 1000, got -1"):
        trigger("warp", strength=-1)
