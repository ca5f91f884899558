from __future__ import annotations

import numpy as np
from tiny import pictures

from goodnet.attack import trigger


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
