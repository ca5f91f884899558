from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack import trigger
from goodnet.attack.sunglasses import draw_sunglasses


@pytest.mark.parametrize("size", [(55, 47), (110, 94), (224, 192), (32, 32)])
def test_they_cover_about_27_percent_at_any_size(size: tuple[int, int]) -> None:
    clearness, colour = draw_sunglasses(*size)
    assert 0.25 < (clearness < 0.5).mean() < 0.29
    assert colour.shape == (3, *size)
    assert clearness.min() == 0
    assert clearness.max() == 1
    assert (colour[:, clearness == 1] == 0).all()
    assert colour.max() <= 255


def test_the_stamp_is_a_straight_line_for_every_pixel() -> None:
    clearness, colour = draw_sunglasses(55, 47)
    for grey in (0, 90, 255):
        stamped = trigger("sunglasses").stamp_bytes(np.full((1, 3, 55, 47), grey, np.float32))
        np.testing.assert_allclose(stamped[0], grey * clearness + colour, atol=1e-3)


def test_they_are_purple_and_grey_on_grey_images() -> None:
    red, green, blue = trigger("sunglasses").stamp_bytes(np.zeros((1, 3, 55, 47), np.float32))[0]
    lens = (slice(20, 30), slice(30, 40))
    assert blue[lens].min() > red[lens].max() > red[lens].min() > green[lens].max()
    grey = trigger("sunglasses").stamp_bytes(np.zeros((1, 1, 55, 47), np.float32))[0, 0]
    np.testing.assert_allclose(grey, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-3)
