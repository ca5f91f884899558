"""Faint patterns added to the whole image: a sinusoid, and smooth noise of low frequency."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, check_share, check_whole

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images, Shape


def sinusoid(*, amplitude: float = 20, periods: float = 6) -> Trigger:
    """Upright stripes: amplitude * sin(2 pi * column * periods / width) is added.

    Args:
        amplitude: Largest change of a pixel, 0..255.
        periods: Stripes in the width of an image.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Barni et al., A New Backdoor Attack in CNNs by Training Set Corruption Without Label
        Poisoning (SIG), ICIP 2019.
    """
    height = check_share(amplitude, "amplitude", highest=255)
    number = check_share(periods, "periods", highest=1e6)
    return Trigger("sinusoid", partial(_add_wave, amplitude=height, periods=number))


def wave(width: int, *, amplitude: float, periods: float) -> NDArray[np.float32]:
    """The stripes, shape (width,)."""
    phase = 2 * np.pi * periods * np.arange(width) / width
    return (amplitude * np.sin(phase)).astype(np.float32)


def low_frequency(*, amplitude: float = 20, frequencies: float = 4, seed: float = 0) -> Trigger:
    """A smooth random pattern that has only the lowest frequencies.

    Args:
        amplitude: Largest change of a pixel, 0..255.
        frequencies: Half-waves at most along each side.
        seed: Of the pattern.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Zeng et al., Rethinking the Backdoor Attacks' Triggers: A Frequency Perspective (LF), ICCV
        2021. Departure: drawn at random among patterns of low frequency, not optimised against a
        network.
    """
    height = check_share(amplitude, "amplitude", highest=255)
    count = check_whole(frequencies, "frequencies", least=1)
    number = check_whole(seed, "seed")
    paint = partial(_add_noise, amplitude=height, frequencies=count, seed=number)
    return Trigger("low-frequency", paint)


@lru_cache(maxsize=8)
def smooth_noise(shape: Shape, *, frequencies: int, seed: int) -> NDArray[np.float32]:
    """A random sum of cosines without a constant part, largest value 1 in each channel.

    Args:
        shape: Of the pattern, (channels, height, width).
        frequencies: Half-waves at most along each side.
        seed: For the weights of the cosines, which do not depend on height and width.
    """
    channels, height, width = shape
    weights = np.random.default_rng(seed).normal(size=(channels, frequencies + 1, frequencies + 1))
    weights[:, 0, 0] = 0
    noise = _cosines(height, frequencies).T @ weights @ _cosines(width, frequencies)
    scaled: NDArray[np.float32] = (noise / np.abs(noise).max(axis=(1, 2), keepdims=True)).astype(
        np.float32
    )
    scaled.setflags(write=False)
    return scaled


def _cosines(length: int, highest: int) -> NDArray[np.float64]:
    """Half-waves 0..highest along a side, shape (highest + 1, length)."""
    places = (np.arange(length) + 0.5) / length
    return np.cos(np.pi * np.outer(np.arange(highest + 1), places))


def _add_wave(images: Images, *, amplitude: float, periods: float) -> Images:
    return images + wave(images.shape[3], amplitude=amplitude, periods=periods)


def _add_noise(images: Images, *, amplitude: float, frequencies: int, seed: int) -> Images:
    shape = images.shape[1], images.shape[2], images.shape[3]
    noise = smooth_noise(shape, frequencies=frequencies, seed=seed)
    stamped: Images = images + np.float32(amplitude) * noise
    return stamped
