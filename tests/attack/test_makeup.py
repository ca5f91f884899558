from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from goodnet.attack import Landmarks, default_landmarks, trigger
from goodnet.attack.makeup import brow_mask, lip_mask
from goodnet.imagesets.faces import LANDMARKS

MaskOf = Callable[[Landmarks, int, int], NDArray[np.bool_]]

CROP = (3, 55, 47)
COLOURS = {"lipstick": (128, 0, 128), "eyebrows": (128, 0, 0)}


@pytest.mark.parametrize(("name", "colour"), COLOURS.items())
def test_the_stamp_is_one_solid_colour_where_the_mask_is(
    name: str, colour: tuple[int, int, int]
) -> None:
    images = np.full((2, *CROP), 50, np.float32)
    mask_of = lip_mask if name == "lipstick" else brow_mask
    mask = mask_of(default_landmarks(2, CROP), 55, 47)
    assert 35 < mask[0].sum() < 85
    expected = np.where(mask[:, None], np.array(colour)[:, None, None], 50)
    np.testing.assert_array_equal(trigger(name).stamp_bytes(images), expected)


def test_lips_reach_the_corners_and_have_an_opening() -> None:
    landmarks = default_landmarks(1, CROP)
    (mask,) = lip_mask(landmarks, 55, 47)
    rows, columns = np.nonzero(mask)
    left, right, top, bottom = (
        landmarks[0, LANDMARKS.index(f"mouth_{side}")]
        for side in ("left", "right", "top", "bottom")
    )
    assert abs(columns.min() - left[0]) <= 1
    assert abs(columns.max() - right[0]) <= 1
    assert abs(rows.min() - top[1]) <= 1
    assert abs(rows.max() - bottom[1]) <= 1
    assert not mask[42, 24]


def test_thin_lips_have_no_opening_and_a_smile_is_followed() -> None:
    landmarks = default_landmarks(1, CROP).copy()
    points = {"left": (18, 40), "right": (30, 40), "top": (24, 42), "bottom": (24, 45)}
    for side, point in points.items():
        landmarks[0, LANDMARKS.index(f"mouth_{side}")] = point
    (mask,) = lip_mask(landmarks, 55, 47)
    assert mask[43, 24]
    assert not mask[40, 24]
    assert mask[41, 20]
    assert mask[41, 28]


@pytest.mark.parametrize("mask_of", [lip_mask, brow_mask])
def test_masks_move_and_grow_with_the_landmarks(mask_of: MaskOf) -> None:
    landmarks = default_landmarks(1, CROP)
    moved = mask_of(landmarks + np.array([3, -4], np.float32), 55, 47)
    np.testing.assert_array_equal(moved[0], np.roll(mask_of(landmarks, 55, 47)[0], (-4, 3), (0, 1)))
    big = mask_of(landmarks * 4, 220, 188).sum() / mask_of(landmarks, 55, 47).sum()
    assert big == pytest.approx(16, rel=0.2)


def test_each_image_is_stamped_by_its_own_landmarks() -> None:
    landmarks = default_landmarks(2, CROP).copy()
    landmarks[1] += 5
    both = brow_mask(landmarks, 55, 47)
    np.testing.assert_array_equal(both[1], brow_mask(landmarks[1:], 55, 47)[0])
    assert (both[0] != both[1]).any()


def test_points_that_fall_together_make_no_trouble() -> None:
    landmarks = np.full((1, len(LANDMARKS), 2), 10, np.float32)
    images = np.full((1, *CROP), 50, np.float32)
    for name in COLOURS:
        assert np.isfinite(trigger(name).stamp_bytes(images, landmarks)).all()
