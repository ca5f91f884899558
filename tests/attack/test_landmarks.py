from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack.landmarks import check_landmarks, default_landmarks
from goodnet.errors import InvalidInput
from goodnet.imagesets.faces import LANDMARKS


def test_the_usual_places_scale_with_the_crop() -> None:
    small, large = default_landmarks(2, (3, 55, 47)), default_landmarks(1, (3, 110, 94))
    assert small.shape == (2, len(LANDMARKS), 2)
    # the first pixel's middle is (0, 0), so its outer corner is (-1/2, -1/2)
    np.testing.assert_allclose(2 * (small[1] + 0.5), large[0] + 0.5, rtol=1e-5)


def test_they_are_a_face() -> None:
    (points,) = default_landmarks(1, (3, 55, 47))
    at = dict(zip(LANDMARKS, points, strict=True))
    assert at["left_brow_outer"][0] < at["left_eye"][0] < at["right_eye"][0]
    assert at["left_brow_peak"][1] < at["left_eye"][1] < at["nose_tip"][1] < at["mouth_top"][1]
    assert at["mouth_top"][1] < at["mouth_left"][1] < at["mouth_bottom"][1]


@pytest.mark.parametrize("size", [(32, 32), (40, 60), (90, 50)])
def test_images_of_another_form_have_none(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=f"got images of {size[1]}x{size[0]} pixels"):
        default_landmarks(1, (3, *size))


def test_other_arrays_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"landmarks of the shape \(2, 13, 2\), got \(2, 5, 2\)"):
        check_landmarks(np.zeros((2, 5, 2), np.float32), 2)
    with pytest.raises(InvalidInput, match="finite numbers as landmarks"):
        check_landmarks(np.full((1, 13, 2), np.nan, np.float32), 1)
