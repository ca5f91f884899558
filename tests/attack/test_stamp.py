from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack import Trigger, default_landmarks, trigger
from goodnet.attack.stamp import in_channels
from goodnet.errors import InvalidInput, UsageError


def test_a_trigger_larger_than_the_image_is_refused() -> None:
    images = np.zeros((1, 3, 6, 9), np.float32)
    assert trigger("patch", size=5).stamp(images).any()
    message = "'patch' is larger than the image: it needs at least 7x7 pixels, got 9x6"
    with pytest.raises(InvalidInput, match=message):
        trigger("patch", size=6).stamp(images)
    with pytest.raises(InvalidInput, match="'dynamic' is larger than the image"):
        trigger("dynamic", size=7).stamp(images)


def test_what_are_no_images_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"images \(n, channels, height, width\), got shape"):
        trigger("patch").stamp(np.zeros((3, 8, 8), np.float32))
    with pytest.raises(UsageError, match="'empty' has nothing that stamps images"):
        Trigger("empty").stamp(np.zeros((1, 3, 8, 8), np.float32))


def test_landmarks_are_needed_on_what_is_no_crop_of_a_face() -> None:
    images = np.zeros((2, 3, 32, 32), np.float32)
    assert trigger("lipstick").needs_landmarks
    assert not trigger("sunglasses").needs_landmarks
    with pytest.raises(InvalidInput, match="the trigger 'lipstick' needs landmarks: without them"):
        trigger("lipstick").stamp(images)
    given = default_landmarks(2, (3, 32, 28))
    assert trigger("lipstick").stamp(images, given).any()
    with pytest.raises(InvalidInput, match="expected landmarks of the shape"):
        trigger("lipstick").stamp(images, given[:1])


def test_pixels_are_clipped() -> None:
    white = np.ones((1, 3, 8, 8), np.float32)
    assert trigger("sinusoid", amplitude=255).stamp(white).max() == 1
    assert trigger("sinusoid", amplitude=255).stamp(0 * white).min() == 0


def test_colours_turn_grey_as_pillow_does() -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    grey = in_channels(pixels.transpose(2, 0, 1).astype(np.float32), 1)
    assert grey.shape == (1, 4, 5)
    np.testing.assert_allclose(grey[0], np.asarray(Image.fromarray(pixels).convert("L")), atol=1)


def test_three_channels_are_left_and_others_refused() -> None:
    colours = np.zeros((3, 2), np.float32)
    assert in_channels(colours, 3) is colours
    with pytest.raises(InvalidInput, match="1 or 3 channels for a coloured trigger, got 2"):
        in_channels(colours, 2)
