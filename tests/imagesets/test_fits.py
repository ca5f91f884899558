from __future__ import annotations

import numpy as np
import pytest

from goodnet.errors import InvalidInput
from goodnet.imagesets import ImageSet, check_fits, images_from_arrays


def make(shape: tuple[int, ...], labels: list[int], layout: str | None = None) -> ImageSet:
    pixels = np.zeros((len(labels), *shape), np.uint8)
    return images_from_arrays(pixels, labels, layout=layout, name="valid.h5")


def test_what_fits_passes() -> None:
    check_fits(make((3, 55, 47), [0, 9]), shape=(3, 55, 47), num_classes=10)
    check_fits(make((3, 55, 47), [0, 9]), shape=(3, None, None), num_classes=10)


@pytest.mark.parametrize(
    ("stored", "layout", "message"),
    [
        ((3, 32, 32), None, "images of 3x32x32 .channels x height x width., the network takes"),
        ((1, 55, 47), None, "images of 1x55x47 .* takes 3x55x47$"),
        ((3, 47, 55), None, "takes 3x55x47; height and width seem to be swapped"),
        ((55, 47, 3), "NCHW", "images of 55x47x3 .* they would fit with --layout NHWC"),
        ((3, 55, 47), "NHWC", "images of 47x3x55 .* they would fit with --layout NCHW"),
    ],
)
def test_another_shape_shows_both(stored: tuple[int, ...], layout: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_fits(make(stored, [0], layout), shape=(3, 55, 47), num_classes=10)


def test_sizes_the_network_leaves_open_are_shown_as_such() -> None:
    with pytest.raises(InvalidInput, match="the network takes 3xanyxany"):
        check_fits(make((1, 8, 8), [0]), shape=(3, None, None), num_classes=10)


def test_labels_outside_the_classes_are_shown_with_the_first() -> None:
    images = make((3, 8, 8), [2, 5, 12, 11])
    message = (
        r"classes 0\.\.9, the labels of valid\.h5 go from 2 to 12; the first outside is 12 at "
        r"image 2$"
    )
    with pytest.raises(InvalidInput, match=message):
        check_fits(images, shape=(3, 8, 8), num_classes=10)
    check_fits(images, shape=(3, 8, 8), num_classes=10, labels=False)


def test_labels_that_count_from_1_are_recognised() -> None:
    with pytest.raises(InvalidInput, match="they seem to count from 1"):
        check_fits(make((3, 8, 8), [1, 10]), shape=(3, 8, 8), num_classes=10)


def test_source_labels_are_checked_too() -> None:
    images = images_from_arrays(np.zeros((1, 3, 8, 8), np.uint8), [0], [77], name="bd")
    with pytest.raises(InvalidInput, match="the source labels of bd go from 77 to 77"):
        check_fits(images, shape=(3, 8, 8), num_classes=10)
