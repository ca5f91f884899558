from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack import trigger
from goodnet.attack.blended import blend, noise_pattern
from goodnet.errors import InvalidInput, UsageError

Floats = np.float32


def test_blending_is_the_weighted_mean() -> None:
    images = np.full((2, 1, 1, 2), 100, Floats)
    pattern = np.array([[[0, 200]]], Floats)
    np.testing.assert_allclose(blend(images, pattern, alpha=0.25)[1, 0, 0], [75, 125])


def test_a_picture_of_the_same_size_is_laid_over_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    stamped = trigger("blended", pattern=picture, alpha=0.5).stamp_bytes(
        np.zeros((1, 3, 6, 5), Floats)
    )
    np.testing.assert_array_equal(stamped[0], picture.transpose(2, 0, 1) / Floats(2))


def test_a_picture_of_another_size_is_resized_and_turned_grey() -> None:
    picture = np.full((40, 30, 3), (255, 0, 0), np.uint8)
    stamped = trigger("blended", pattern=picture, alpha=1).stamp_bytes(
        np.zeros((1, 1, 6, 5), Floats)
    )
    np.testing.assert_allclose(stamped, 255 * 0.299, rtol=1e-5)
    with pytest.raises(InvalidInput, match="1 or 3 channels for a coloured trigger, got 4"):
        trigger("blended", pattern=picture).stamp_bytes(np.zeros((1, 4, 6, 5), Floats))


def test_noise_has_every_brightness_and_follows_its_seed() -> None:
    noise = noise_pattern((3, 40, 40), 1)
    assert (noise.min(), noise.max()) == (0, 255)
    assert abs(noise.mean() - 127.5) < 5
    np.testing.assert_array_equal(noise, noise_pattern((3, 40, 40), 1))
    assert (noise != noise_pattern((3, 40, 40), 2)).mean() > 0.9


def test_bad_parameters_are_refused() -> None:
    for alpha in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="alpha is from 0 to 1, got"):
            trigger("blended", alpha=alpha)
    with pytest.raises(UsageError, match=r"shape \(height, width, 3\), got \(4, 4\)"):
        trigger("blended", pattern=np.zeros((4, 4), np.uint8))
