"""Colours on images of any number of channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput

__all__ = ["in_channels"]

# How bright red, green and blue look (ITU-R BT.601), as Pillow turns pictures grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def in_channels(colours: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Colours for images of so many channels: as they are, or their brightness.

    Args:
        colours: Red, green, blue on the first axis, shape (3, ...).
        channels: 3 or 1.

    Returns:
        Shape (channels, ...).

    Raises:
        InvalidInput: If there is another number of channels.
    """
    if channels == 3:
        return colours
    if channels == 1:
        return np.tensordot(_LUMA, colours, axes=1)[None].astype(np.float32)
    raise InvalidInput(f"expected images of 1 or 3 channels for a coloured trigger, got {channels}")
