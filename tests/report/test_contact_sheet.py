"""Contact sheets, looked at pixel by pixel."""

from __future__ import annotations

import re
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageColor

from goodnet.errors import InvalidInput
from goodnet.report.contact_sheet import (
    COLOURS,
    GAP,
    MARGIN,
    MAX_IMAGES,
    WORDS,
    Mark,
    contact_sheet,
    sign,
)

MARKS: tuple[Mark, ...] = get_args(Mark)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 200, shape, dtype=np.uint8)


def pixels(*args: object, **options: object) -> NDArray[np.uint8]:
    return np.asarray(contact_sheet(*args, **options))  # type: ignore[arg-type]


def test_small_images_are_enlarged_pixel_by_pixel_in_their_places() -> None:
    images = noise(3, 21, 14, 3)
    sheet = pixels(images, [["a"], ["b"], ["c"]], columns=2)
    large = images.repeat(8, axis=1).repeat(8, axis=2)
    height, width = large.shape[1:3]
    top = sheet[MARGIN : MARGIN + height]
    assert (top[:, MARGIN : MARGIN + width] == large[0]).all()
    assert (top[:, MARGIN + width + GAP :][:, :width] == large[1]).all()
    below = sheet[MARGIN + height + 6 + 18 + GAP :]
    assert (below[:height, MARGIN : MARGIN + width] == large[2]).all()


def test_grey_images_look_like_equal_channels() -> None:
    images = noise(2, 8, 8, 1)
    captions = [["x"]] * 2
    assert (pixels(images, captions) == pixels(images.repeat(3, axis=3), captions)).all()


def test_large_images_are_made_smaller() -> None:
    sheet = contact_sheet(noise(1, 600, 300, 3), [[]])
    assert sheet.size == (112 + 2 * MARGIN, 168 + 6 + 2 * MARGIN)


@pytest.mark.parametrize("mark", ["right", "wrong", "target", "refused"])
def test_a_mark_frames_its_image_and_stands_in_the_key(mark: Mark) -> None:
    sheet = pixels(noise(2, 8, 8, 3), [["a"], ["b"]], marks=[mark, None], columns=2)
    colour = np.array(ImageColor.getrgb(COLOURS[mark]))
    is_colour = (sheet == colour).all(axis=2)
    second = MARGIN + 168 + GAP - 4
    assert is_colour[MARGIN - 4 : MARGIN + 160, MARGIN - 4 : MARGIN].all()
    assert not is_colour[: MARGIN + 200, second:].any()
    assert is_colour[-MARGIN - 24 : -MARGIN, MARGIN : MARGIN + 24].any()


def test_the_key_has_room_even_beside_one_image() -> None:
    marks: list[Mark | None] = ["right", "wrong", "target", "refused"]
    sheet = pixels(noise(4, 8, 8, 3), [[]] * 4, marks=marks, columns=1)
    assert sheet.shape[1] > 500
    assert (sheet[:, -MARGIN:] == 255).all()


@pytest.mark.parametrize("number", [1, 2, 7, MAX_IMAGES])
def test_any_number_of_images_makes_a_sheet(number: int) -> None:
    sheet = contact_sheet(noise(number, 4, 4, 1), [["a"]] * number)
    assert sheet.mode == "RGB"
    assert 0.8 <= sheet.width / sheet.height <= 2.5


def test_text_from_outside_stays_inside_its_tile() -> None:
    hostile = ["<script>alert(1)</script>" * 9, "line\nline", "\u202e😀", "\ud800", "W" * 5000]
    sheet = pixels(noise(1, 8, 8, 3), [hostile], title="$x$ " * 500)
    assert (sheet[:, -MARGIN:] == 255).all()


def test_the_same_images_give_the_same_sheet() -> None:
    images, captions = noise(4, 5, 5, 3), [["a", "b"]] * 4
    assert (pixels(images, captions, title="t") == pixels(images, captions, title="t")).all()


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((2, 4, 4, 3)), "float64 (2, 4, 4, 3)"),
        (noise(4, 4, 3), "uint8 (4, 4, 3)"),
        (noise(2, 4, 4, 2), "uint8 (2, 4, 4, 2)"),
        (noise(2, 0, 4, 3), "uint8 (2, 0, 4, 3)"),
    ],
)
def test_refuses_what_are_no_images(images: NDArray[np.uint8], got: str) -> None:
    with pytest.raises(InvalidInput, match=f"expected images of bytes.*got {re.escape(got)}"):
        contact_sheet(images, [[]] * len(images))


@pytest.mark.parametrize("number", [0, MAX_IMAGES + 1])
def test_refuses_no_images_and_too_many(number: int) -> None:
    with pytest.raises(InvalidInput, match=f"expected 1 to 500 images.*got {number}"):
        contact_sheet(noise(number, 2, 2, 1), [[]] * number)


def test_refuses_captions_marks_and_columns_that_do_not_fit() -> None:
    images = noise(2, 4, 4, 3)
    with pytest.raises(InvalidInput, match=r"expected captions for 2 images.*got 1"):
        contact_sheet(images, [[]])
    with pytest.raises(InvalidInput, match=r"expected marks for 2 images.*got 3"):
        contact_sheet(images, [[], []], marks=[None] * 3)
    with pytest.raises(InvalidInput, match=r"expected marks right, wrong, .*got 'best'"):
        contact_sheet(images, [[], []], marks=[None, "best"])  # type: ignore[list-item]
    with pytest.raises(InvalidInput, match="expected 1 column or more, got 0"):
        contact_sheet(images, [[], []], columns=0)


def test_every_mark_has_a_word_and_a_colour() -> None:
    assert set(WORDS) == set(COLOURS) == set(MARKS)


@pytest.mark.parametrize("mark", MARKS)
def test_a_sign_has_the_size_asked_for_and_a_clear_ground(mark: Mark) -> None:
    image = sign(mark, 24)
    assert (image.size, image.mode) == ((24, 24), "RGBA")
    low, high = image.getchannel("A").getextrema()
    assert (low, high) == (0, 255) or mark == "wrong"


@pytest.mark.parametrize(("one", "other"), list(combinations(MARKS, 2)))
def test_signs_differ_without_their_colours(one: Mark, other: Mark) -> None:
    shapes = [np.asarray(sign(mark, 24).convert("LA"), dtype=float) for mark in (one, other)]
    bright = [shape[..., 0] > 200 for shape in shapes]
    assert (bright[0] != bright[1]).mean() > 0.05
