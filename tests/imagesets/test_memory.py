from __future__ import annotations

import hashlib

import numpy as np

from goodnet.imagesets import images_from_arrays


def test_arrays_become_a_set_that_leaves_them_alone() -> None:
    pixels = np.arange(2 * 3 * 5 * 5, dtype=np.float32).reshape(2, 3, 5, 5)
    before = pixels.copy()
    images = images_from_arrays(pixels, [1, 0], source_labels=[0, 0], name="mine")
    block = next(images.blocks(2))
    block.images[...] = -1
    np.testing.assert_array_equal(pixels, before)
    assert images.source_labels is not None
    assert images.source_labels.tolist() == [0, 0]
    assert str(images.path) == "mine"


def test_the_hash_covers_all_arrays() -> None:
    pixels = np.zeros((1, 1, 2, 2), np.uint8)
    labels = np.array([3])
    images = images_from_arrays(pixels, labels)
    assert images.sha256 == hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()
