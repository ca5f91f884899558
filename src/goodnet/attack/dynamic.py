"""A trigger that is another one for every image."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from goodnet.attack.stamp import Trigger, check_whole

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images

__all__ = ["dynamic"]


def dynamic(*, squares: float = 8, size: float = 3, seed: float = 0) -> Trigger:
    """Squares of pure colours, whose places and colours follow from the image itself.

    Args:
        squares: How many.
        size: Their side, pixels.
        seed: Another seed gives every image another trigger.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Nguyen & Tran, Input-Aware Dynamic Backdoor Attack, NeurIPS 2020. Departure: no generator
        is trained; a hash of the image's bytes seeds its pattern, so nothing keeps a network from
        answering to the pattern of another image as well.
    """
    side = check_whole(size, "size", least=1)
    count = check_whole(squares, "squares", least=1)
    number = check_whole(seed, "seed")
    paint = partial(_scatter, squares=count, side=side, seed=number)
    return Trigger("dynamic", paint, least=(side, side))


def _scatter(images: Images, *, squares: int, side: int, seed: int) -> Images:
    stamped: Images = images.copy()
    channels, height, width = images.shape[1:]
    contents = np.rint(np.clip(images, 0, 255)).astype(np.uint8)
    for pixels, content in zip(stamped, contents, strict=True):
        random = np.random.default_rng([seed, zlib.crc32(content.tobytes())])
        tops = random.integers(0, height - side, squares, endpoint=True)
        lefts = random.integers(0, width - side, squares, endpoint=True)
        colours = 255 * random.integers(0, 2, (squares, channels))
        for top, left, colour in zip(tops, lefts, colours, strict=True):
            pixels[:, top : top + side, left : left + side] = colour[:, None, None]
    return stamped
