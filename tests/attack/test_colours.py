from __future__ import annotations

import numpy as np
import pytest

from goodnet.attack.colours import in_channels
from goodnet.errors import InvalidInput


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
