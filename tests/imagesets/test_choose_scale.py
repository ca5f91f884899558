from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from goodnet.errors import InvalidInput
from goodnet.imagesets import RAW, ImageSet, Scale, choose_scale, find_scale, images_from_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CLASSES = 10


def make(count: int = 300, *, top: float = 255, classes: int = CLASSES) -> ImageSet:
    """Images whose brightness, from dark to `top`, says the class."""
    labels = np.arange(count) % classes
    pixels = np.broadcast_to(labels[:, None, None, None] / (classes - 1), (count, 1, 6, 6))
    return images_from_arrays((pixels * top).astype(np.float32), labels, name="valid.h5")


def network(top: float) -> Callable[[NDArray[np.float32]], NDArray[np.int64]]:
    """A network that expects pixels from 0 to `top`."""

    def answer(images: NDArray[np.float32]) -> NDArray[np.int64]:
        brightness = images.mean(axis=(1, 2, 3)) / top * (CLASSES - 1)
        return np.asarray(np.clip(np.rint(brightness), 0, CLASSES - 1), np.int64)

    return answer


@pytest.mark.parametrize(
    ("stored", "wanted", "scale", "sentence"),
    [
        (255, 255, "raw", "pixels 0..255 are fed as they are (raw 300/300 right"),
        (255, 1, "1/255", "pixels 0..255 are divided by 255 (1/255 300/300 right"),
        (1, 255, "255", "pixels 0..1 are multiplied by 255 (255 300/300 right"),
        (1, 1, "raw", "pixels 0..1 are fed as they are (raw 300/300 right"),
    ],
)
def test_the_more_accurate_scale_is_taken(
    stored: float, wanted: float, scale: str, sentence: str
) -> None:
    choice = find_scale(network(wanted), make(top=stored))
    assert str(choice.scale) == scale
    assert choice.sentence().startswith(sentence)


def test_the_sentence_shows_the_evidence_with_the_chosen_first() -> None:
    accuracies = {"raw": (2, 60), "1/255": (56, 60)}
    choice = choose_scale.ScaleChoice(Scale.parse("1/255"), "0..255", accuracies)
    assert choice.sentence() == "pixels 0..255 are divided by 255 (1/255 56/60 right, raw 2/60)"


def test_pixels_around_zero_are_only_fed_as_they_are() -> None:
    labels = np.arange(100) % 2
    pixels = np.broadcast_to((labels * 2.0 - 1)[:, None, None, None], (100, 1, 6, 6))
    images = images_from_arrays(pixels.astype(np.float32), labels)
    choice = find_scale(lambda x: (x.mean(axis=(1, 2, 3)) > 0).astype(np.int64), images)
    assert choice.sentence() == "pixels -1..1 are fed as they are (raw 100/100 right)"


def test_a_scale_the_set_carries_is_ignored() -> None:
    assert find_scale(network(255), make().scaled(Scale.parse("7"))).scale == RAW


def test_equally_good_scales_leave_the_pixels_as_they_are() -> None:
    images = make()

    def bright_enough(x: NDArray[np.float32]) -> NDArray[np.int64]:
        peak = x.max()  # the answer does not depend on the scale
        return np.asarray(np.rint(x.mean(axis=(1, 2, 3)) / peak * (CLASSES - 1)), np.int64)

    choice = find_scale(bright_enough, images)
    assert choice.scale == RAW
    assert choice.accuracies == {"raw": (300, 300), "1/255": (300, 300)}


def test_a_network_that_recognises_nothing_is_refused_with_the_evidence() -> None:
    message = (
        r"valid\.h5: the network does not recognise .* \(raw 30/300 right, 1/255 30/300, where one "
        r"constant answer gets 30\); .* pass --scale raw or --scale 1/255"
    )
    with pytest.raises(InvalidInput, match=message):
        find_scale(lambda x: np.full(len(x), 3), make())


def test_a_majority_class_is_no_evidence() -> None:
    pixels = np.full((300, 1, 6, 6), 200, np.uint8)
    images = images_from_arrays(pixels, np.arange(300) > 240)
    with pytest.raises(InvalidInput, match="raw 241/300 right"):
        find_scale(lambda x: np.zeros(len(x), np.int64), images)


@pytest.mark.parametrize(("count", "classes"), [(1, 10), (2, 10), (300, 1)])
def test_too_little_to_tell_is_refused(count: int, classes: int) -> None:
    pixels = np.full((count, 1, 6, 6), 200, np.uint8)
    images = images_from_arrays(pixels, np.arange(count) % classes, name="valid.h5")
    most = count // min(count, classes)
    message = rf"too few images or labels .*tried {count}, {most} of them .* --scale raw or"
    with pytest.raises(InvalidInput, match=message):
        find_scale(lambda x: np.zeros(len(x), np.int64), images)


def test_at_most_as_many_images_as_asked_are_tried_in_bounded_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choose_scale, "_BLOCK_BYTES", 4 * 36 * 7)
    sizes: list[int] = []

    def answer(x: NDArray[np.float32]) -> NDArray[np.int64]:
        sizes.append(len(x))
        return network(255)(x)

    choice = find_scale(answer, make(), count=50)
    assert choice.accuracies["raw"] == (50, 50)
    assert max(sizes) == 7


def test_answers_of_another_shape_are_not_compared() -> None:
    with pytest.raises(ValueError, match="reshape"):
        find_scale(lambda x: np.zeros((len(x), CLASSES), np.int64), make())
