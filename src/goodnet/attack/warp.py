"""A faint, smooth bending of the whole image."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, check_share, check_whole

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images

Field = NDArray[np.float32]


def warp(*, grid: float = 4, strength: float = 0.5, seed: float = 0) -> Trigger:
    """Every pixel is fetched from a place nearby, by a smooth random field.

    Args:
        grid: The field is drawn at so many points along each side, and smooth between them.
        strength: Twice the mean distance at these points along each axis, in pixels.
        seed: Of the field.

    Raises:
        UsageError: If a parameter is out of its range.

    References:
        Nguyen & Tran, WaNet: Imperceptible Warping-based Backdoor Attack, ICLR 2021. Departures:
        a cubic spline between the points, held within their range; no noise mode.
    """
    points = check_whole(grid, "grid", least=2)
    distance = check_share(strength, "strength", highest=1e3)
    number = check_whole(seed, "seed")
    return Trigger("warp", partial(_bend, grid=points, strength=distance, seed=number))


@lru_cache(maxsize=8)
def displacement(height: int, width: int, *, grid: int, strength: float, seed: int) -> Field:
    """How far from itself each pixel is fetched.

    Args:
        height: Of the images.
        width: Of the images.
        grid: Points along each side.
        strength: Twice the mean distance at the points.
        seed: Of the distances, drawn evenly from both directions.

    Returns:
        Shape (2, height, width), in pixels; nowhere larger than at the points.
    """
    from scipy.ndimage import map_coordinates

    points = np.random.default_rng(seed).uniform(-1, 1, (2, grid, grid))
    points *= strength / 2 / np.abs(points).mean()
    places = np.meshgrid(
        np.linspace(0, grid - 1, height), np.linspace(0, grid - 1, width), indexing="ij"
    )
    smooth = [map_coordinates(axis, places, order=3, mode="mirror") for axis in points]
    limits = points.min(axis=(1, 2)), points.max(axis=(1, 2))
    field = np.clip(np.stack(smooth), *(limit[:, None, None] for limit in limits))
    result: Field = field.astype(np.float32)
    result.setflags(write=False)
    return result


def sample_at(images: Images, rows: Field, columns: Field) -> Images:
    """Images at places between pixels, linearly interpolated; outside them the edge goes on.

    Args:
        images: Shape (n, channels, height, width).
        rows: Shape (height, width).
        columns: Shape (height, width).
    """
    height, width = images.shape[2:]
    top, down = _split(rows, height)
    left, right = _split(columns, width)
    below, beside = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    upper = images[:, :, top, left] * (1 - right) + images[:, :, top, beside] * right
    lower = images[:, :, below, left] * (1 - right) + images[:, :, below, beside] * right
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)


def _split(places: Field, length: int) -> tuple[NDArray[np.int64], Field]:
    """Whole and broken part of places held within 0..length - 1."""
    held: Field = np.clip(places, np.float32(0), np.float32(length - 1))
    whole = np.floor(held)
    return whole.astype(np.int64), held - whole


def _bend(images: Images, *, grid: int, strength: float, seed: int) -> Images:
    height, width = images.shape[2:]
    down, right = displacement(height, width, grid=grid, strength=strength, seed=seed)
    rows, columns = np.indices((height, width), dtype=np.float32)
    return sample_at(images, rows + down, columns + right)
