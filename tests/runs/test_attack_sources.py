"""The parts an attack's images are divided into: to train, to validate and to test."""

from __future__ import annotations

import numpy as np
import pytest
from attack_samples import CLASSES, coloured, pixels_of

from goodnet.imagesets import images_from_arrays
from goodnet.runs.attack.sources import image_source


def test_one_in_ten_of_each_class_is_set_aside() -> None:
    images = coloured()
    parts = image_source(images, seed=0).load(lambda _: None)
    rows = []
    for part, count in ((parts.train, 16), (parts.valid, 2), (parts.test, 2)):
        assert np.bincount(part.labels).tolist() == [count] * CLASSES
        assert part.landmarks is None
        rows += [image.tobytes() for image in part.images]
    everything = [image.tobytes() for image in pixels_of(images).astype(np.uint8)]
    assert sorted(rows) == sorted(everything)
    other = image_source(images, seed=1).load(lambda _: None)
    assert not np.array_equal(other.test.images, parts.test.images)


def test_a_class_with_too_few_images_is_only_trained_on() -> None:
    pixels = np.arange(14 * 192).reshape(14, 3, 8, 8).astype(np.uint8)
    images = images_from_arrays(pixels, [0] * 12 + [1] * 2)
    labels = image_source(images, seed=0).labels
    assert np.bincount(labels.train).tolist() == [10, 2]
    assert (labels.valid.tolist(), labels.test.tolist()) == ([0], [0])


def test_a_test_set_is_taken_as_it_is() -> None:
    images, test = coloured(), coloured(1, each=4)
    done: list[int] = []
    source = image_source(images, test, seed=0)
    parts = source.load(done.append)
    assert sum(done) == source.count == len(images) + len(test)
    assert np.bincount(parts.train.labels).tolist() == [18] * CLASSES
    np.testing.assert_array_equal(parts.test.images, pixels_of(test))
    np.testing.assert_array_equal(parts.test.labels, test.labels)
    assert [set(part.tolist()) for part in vars(source.labels).values()] == [{0, 1, 2}] * 3


@pytest.mark.parametrize(("stored", "factor", "shift"), [("0..1", 255, 0), ("-1..1", 127.5, 127.5)])
def test_floats_become_what_the_network_takes(stored: str, factor: float, shift: float) -> None:
    whole = pixels_of(coloured())
    images = images_from_arrays(
        ((whole - shift) / factor).astype(np.float32), coloured().labels, range=stored
    )
    parts = image_source(images, seed=0).load(lambda _: None)
    exact = image_source(coloured(), seed=0).load(lambda _: None)
    assert parts.train.images.dtype == np.float32
    np.testing.assert_allclose(parts.train.images, exact.train.images, atol=1e-3)
