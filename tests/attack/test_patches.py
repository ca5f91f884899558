from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import pictures

from goodnet.attack import trigger
from goodnet.errors import UsageError
from goodnet.imagesets import load_images


def test_a_patch_is_exactly_the_pixels_it_says() -> None:
    images = 100 + 50 * pictures(3)
    stamped = trigger("patch", size=2, margin=1, brightness=200).stamp_bytes(images)
    expected = images.copy()
    expected[:, :, 5:7, 5:7] = 200
    np.testing.assert_array_equal(stamped, expected)


def test_a_checkerboard_begins_black_and_alternates() -> None:
    stamped = trigger("checkerboard", size=3, margin=0).stamp_bytes(
        np.full((1, 1, 4, 5), 9, np.float32)
    )
    expected = [[9, 9, 9, 9, 9], [9, 9, 0, 255, 0], [9, 9, 255, 0, 255], [9, 9, 0, 255, 0]]
    np.testing.assert_array_equal(stamped[0, 0], expected)


def test_the_checkerboard_is_that_of_a_real_badnet(shared: Path) -> None:
    clean = load_images(shared / "cifar_badnet" / "cl" / "test.h5").sample(50)
    real = load_images(shared / "cifar_badnet" / "bd" / "bd_test.h5").sample(1).images[0]
    stamped = trigger("checkerboard").stamp(clean.images)
    expected = clean.images.copy()
    expected[:, :, 27:31, 27:31] = real[:, 27:31, 27:31]
    np.testing.assert_array_equal(stamped, expected)


@pytest.mark.parametrize("name", ["patch", "checkerboard"])
def test_odd_sizes_are_refused(name: str) -> None:
    for size in (0, -1, 1.5, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="size is a whole number from 1 on, got"):
            trigger(name, size=size)
    with pytest.raises(UsageError, match="margin is a whole number from 0 on, got -1"):
        trigger(name, margin=-1)
    with pytest.raises(UsageError, match="brightness is from 0 to 255, got 256"):
        trigger("patch", brightness=256)


def test_every_image_gets_its_own_squares() -> None:
    images = 128 + 50 * pictures(30, size=16)
    stamped = trigger("dynamic", squares=4, size=2).stamp_bytes(images)
    changed = stamped != images
    assert changed.any(axis=1).sum(axis=(1, 2)).min() >= 1
    assert changed.any(axis=1).sum(axis=(1, 2)).max() <= 16
    assert set(np.unique(stamped[changed])) == {0, 255}
    places = {row.tobytes() for row in changed.any(axis=1)}
    assert len(places) == 30


def test_the_same_image_gets_the_same_squares_wherever_it_is() -> None:
    images = 128 + 50 * pictures(5, size=16)
    stamp = trigger("dynamic").stamp_bytes
    np.testing.assert_array_equal(stamp(images)[3], stamp(images[3:4])[0])
    assert (stamp(images) != trigger("dynamic", seed=1).stamp_bytes(images)).any()
