"""A picture laid thinly over the whole image."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, check_share, check_whole, in_channels
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images, Shape

Pattern = NDArray[np.float32]  # (channels, height, width), 0..255


def blended(
    *, pattern: NDArray[np.uint8] | None = None, alpha: float = 0.2, seed: float = 0
) -> Trigger:
    """A pattern blended over the image: (1 - alpha) * image + alpha * pattern.

    Args:
        pattern: A picture, pixels 0..255, shape (height, width, 3), brought to the size of the
            images; None for noise, which is drawn at their size.
        alpha: How much of the pattern is seen, 0..1.
        seed: Of the noise.

    Raises:
        UsageError: If a parameter is out of its range or `pattern` is not a picture.

    References:
        Chen et al., Targeted Backdoor Attacks on Deep Learning Systems Using Data Poisoning, 2017.
    """
    share = check_share(alpha, "alpha")
    number = check_whole(seed, "seed")
    if pattern is not None and (pattern.ndim != 3 or pattern.shape[2] != 3 or not pattern.size):
        raise UsageError(f"a pattern has the shape (height, width, 3), got {pattern.shape}")
    return Trigger("blended", partial(_blend_pattern, pattern=pattern, alpha=share, seed=number))


def blend(images: Images, pattern: Pattern, *, alpha: float) -> Images:
    """(1 - alpha) * image + alpha * pattern.

    Args:
        images: Shape (n, channels, height, width).
        pattern: Shape (channels, height, width).
        alpha: 0..1.
    """
    share = np.float32(alpha)
    mixed: Images = images * (1 - share) + pattern * share
    return mixed


def fit_pattern(pattern: NDArray[np.uint8], shape: Shape) -> Pattern:
    """Bring a picture (height, width, 3) to the shape of one image (channels, height, width).

    Raises:
        InvalidInput: If the images have neither 1 nor 3 channels.
    """
    from PIL import Image

    channels, height, width = shape
    resized = Image.fromarray(pattern).resize((width, height), Image.Resampling.BILINEAR)
    colours = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray(in_channels(colours, channels))


@lru_cache(maxsize=8)
def noise_pattern(shape: Shape, seed: int) -> Pattern:
    """Independent pixels, every value of 0..255 as likely; the same for the same seed."""
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)
    noise.setflags(write=False)
    return noise


def _blend_pattern(
    images: Images, *, pattern: NDArray[np.uint8] | None, alpha: float, seed: int
) -> Images:
    shape = images.shape[1], images.shape[2], images.shape[3]
    shown = noise_pattern(shape, seed) if pattern is None else fit_pattern(pattern, shape)
    return blend(images, shown, alpha=alpha)
