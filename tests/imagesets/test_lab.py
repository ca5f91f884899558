from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import images_from_arrays
from goodnet.imagesets.imageset import ImageSet
from goodnet.imagesets.lab import labelled_images
from goodnet.imagesets.memory import ArrayTable

PIXELS = np.zeros((6, 3, 8, 9), np.uint8)
LABELS = np.arange(6)


class Holder:
    def __init__(self, **arrays: Any) -> None:
        self.arrays = {name: np.asarray(array) for name, array in arrays.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.arrays.items()}

    def table(self, name: str, /) -> ArrayTable:
        return ArrayTable(self.arrays[name])


def open_arrays(**arrays: Any) -> ImageSet:
    origin = SimpleNamespace(path=Path("x"), sha256="")
    return labelled_images(Holder(**arrays), origin, name="x")


@pytest.mark.parametrize(
    ("pixels", "labels", "source"),
    [
        ("data", "label", "source_label"),
        ("images", "labels", "source_labels"),
        ("x", "y", "source_y"),
    ],
)
def test_arrays_are_found_under_their_usual_names(pixels: str, labels: str, source: str) -> None:
    images = open_arrays(**{pixels: PIXELS, labels: LABELS, source: LABELS + 1, "other": 3})
    assert images.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert images.source_labels is not None
    assert images.source_labels.tolist() == [1, 2, 3, 4, 5, 6]


def test_missing_arrays_list_what_is_there() -> None:
    message = r"array `data` of images and an array `label`.* holds 'data' \(6, 3, 8, 9\), 'z' \(\)"
    with pytest.raises(InvalidInput, match=message):
        open_arrays(data=PIXELS, z=0)
    with pytest.raises(InvalidInput, match="the file holds no arrays at all"):
        open_arrays()
    with pytest.raises(InvalidInput, match=r"'a5' \(\) and 3 more$"):
        open_arrays(**{f"a{number}": 0 for number in range(9)})


def test_lengths_must_agree() -> None:
    with pytest.raises(InvalidInput, match="as many labels as images, but 'data' has 6, 'label'"):
        open_arrays(data=PIXELS, label=LABELS[:5])
    with pytest.raises(InvalidInput, match="'source_label' has 2"):
        open_arrays(data=PIXELS, label=LABELS, source_label=LABELS[:2])
    with pytest.raises(InvalidInput, match="'label' has 0"):
        open_arrays(data=PIXELS, label=3)


def test_a_set_without_images_is_refused() -> None:
    with pytest.raises(InvalidInput, match="x: expected at least one image"):
        open_arrays(data=PIXELS[:0], label=LABELS[:0])


def test_bad_labels_name_their_array() -> None:
    with pytest.raises(InvalidInput, match=r"x: 'label': expected labels 0, 1, 2, .* row 5"):
        open_arrays(data=PIXELS, label=[0, 1, 2, 3, 4, -5])


def test_pixels_must_be_numbers() -> None:
    with pytest.raises(InvalidInput, match="expected numbers as pixels, got complex128"):
        open_arrays(data=PIXELS * 1j, label=LABELS)


def test_the_range_is_found_from_a_sample_unless_given() -> None:
    bright = np.full((100, 1, 5, 5), 0.5, np.float32)
    assert images_from_arrays(bright, np.zeros(100)).range == "0..1"
    assert images_from_arrays(bright, np.zeros(100), range="0..255").range == "0..255"
    assert images_from_arrays(bright > 1, np.zeros(100)).range == "0..1"
    with pytest.raises(InvalidInput, match="pass --range"):
        images_from_arrays(bright * 6, np.zeros(100))
    with pytest.raises(UsageError, match="--range is one of"):
        images_from_arrays(bright, np.zeros(100), range="0-1")


def test_a_bad_pixel_in_the_sample_is_named() -> None:
    pixels = np.zeros((100, 1, 5, 5), np.float32)
    pixels[0, 0, 0, 0] = np.inf
    with pytest.raises(InvalidInput, match="NaN or infinite ones in image 0"):
        images_from_arrays(pixels, np.zeros(100))
