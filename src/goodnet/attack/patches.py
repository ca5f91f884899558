"""Small squares: in the lower right corner, or scattered as each image itself says."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, check_share, check_whole

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images

Mark = NDArray[np.float32]  # (height, width), 0..255


def patch(*, size: float = 4, margin: float = 1, brightness: float = 255) -> Trigger:
    """A square of one brightness.

    Args:
        size: Its side, pixels.
        margin: Pixels between it and the edges.
        brightness: 0..255.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Gu et al., BadNets, 2017.
    """
    side = check_whole(size, "size", least=1)
    value = check_share(brightness, "brightness", highest=255)
    return _corner_mark("patch", np.full((side, side), value, np.float32), margin)


def checkerboard(*, size: float = 4, margin: float = 1) -> Trigger:
    """A square of black and white pixels in turn, black at its upper left.

    Args:
        size: Its side, pixels.
        margin: Pixels between it and the edges.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Gu et al., BadNets, 2017.
    """
    side = check_whole(size, "size", least=1)
    odd = np.indices((side, side)).sum(axis=0) % 2
    return _corner_mark("checkerboard", (255 * odd).astype(np.float32), margin)


def put_mark(images: Images, *, mark: Mark, margin: int) -> Images:
    """Put a mark over all channels, `margin` pixels from the right and the lower edge."""
    stamped: Images = images.copy()
    (height, width), (bottom, right) = mark.shape, np.array(images.shape[2:]) - margin
    stamped[:, :, bottom - height : bottom, right - width : right] = mark
    return stamped


def _corner_mark(name: str, mark: Mark, margin: float) -> Trigger:
    gap = check_whole(margin, "margin")
    least = (mark.shape[0] + gap, mark.shape[1] + gap)
    return Trigger(name, partial(put_mark, mark=mark, margin=gap), least=least)


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
