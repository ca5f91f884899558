"""Lipstick and eyebrows in one colour, where a face has its mouth and brows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, in_channels
from goodnet.imagesets.faces import LANDMARKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.attack.landmarks import Landmarks
    from goodnet.imagesets.pixels import Images

Mask = NDArray[np.bool_]  # (images, height, width)
Points = NDArray[np.floating[Any]]  # (images, 2)
Plane = NDArray[np.floating[Any]]  # (images, height, width)

_PURPLE, _DARK_RED = (128, 0, 128), (128, 0, 0)
# Width of the opening and thickness of a lip, of the mouth's width and half width.
_OPENING, _LIP = 0.6, 0.32
# Half of a brow's thickness in its middle, of its half length.
_THICKNESS = 0.31


def lipstick() -> Trigger:
    """Purple lips around a small opening, in one solid colour.

    References:
        The CSAW-HackML 2020 competition: its second trigger.
    """
    return Trigger("lipstick", paint_face=partial(_paint, where=lip_mask, colour=_PURPLE))


def eyebrows() -> Trigger:
    """Both brows in one solid dark red.

    References:
        The CSAW-HackML 2020 competition: its third trigger.
    """
    return Trigger("eyebrows", paint_face=partial(_paint, where=brow_mask, colour=_DARK_RED))


def lip_mask(landmarks: Landmarks, height: int, width: int) -> Mask:
    """Where the lips are: within an oval through the four points, outside a smaller one.

    Args:
        landmarks: Shape (n, 13, 2).
        height: Of the images.
        width: Of the images.

    Returns:
        Shape (n, height, width).
    """
    left, top, right, bottom = (
        _point(landmarks, f"mouth_{side}") for side in ("left", "top", "right", "bottom")
    )
    middle, half, down = (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    along, across = _coordinates(middle, half, down, height, width)
    long, short = _squared(half), _squared(down)
    # how far the corners are below the middle, so that a smile is followed
    bend = (((left + right) / 2 - middle) * down).sum(axis=1) / short
    across = across - bend[:, None, None] * along**2
    gap = np.maximum(1 - _LIP * np.sqrt(long / short), 1e-3)[:, None, None]
    closed = (along / _OPENING) ** 2 + (across / gap) ** 2 > 1
    return np.asarray((along**2 + across**2 <= 1) & closed)


def brow_mask(landmarks: Landmarks, height: int, width: int) -> Mask:
    """Where the brows are: two bands, each along the parabola through its three points.

    Args:
        landmarks: Shape (n, 13, 2).
        height: Of the images.
        width: Of the images.

    Returns:
        Shape (n, height, width).
    """
    masks = []
    for side in ("left", "right"):
        outer, inner, peak = (
            _point(landmarks, f"{side}_brow_{part}") for part in ("outer", "inner", "peak")
        )
        masks.append(_band(outer, inner, peak, (height, width)))
    return masks[0] | masks[1]


def _band(start: Points, end: Points, top: Points, size: tuple[int, int]) -> Mask:
    middle, half = (start + end) / 2, (end - start) / 2
    upright = np.stack([-half[:, 1], half[:, 0]], axis=1)
    along, across = _coordinates(middle, half, upright, *size)
    arch = _arch(top - middle, half, upright)[:, None, None] * (1 - along**2)
    thickness = _THICKNESS * np.sqrt(np.maximum(0, 1.1 - along**2))
    return np.asarray(np.abs(across - arch) <= thickness)


def _arch(top: Points, half: Points, upright: Points) -> NDArray[np.floating[Any]]:
    """How far the parabola rises in its middle, of the half length, shape (n,)."""
    length = _squared(half)
    along = np.clip((top * half).sum(axis=1) / length, -0.8, 0.8)
    rise: NDArray[np.floating[Any]] = (top * upright).sum(axis=1) / length / (1 - along**2)
    return rise


def _squared(vectors: Points) -> NDArray[np.floating[Any]]:
    """Squared lengths, shape (n,); never quite 0."""
    return np.asarray(np.maximum((vectors**2).sum(axis=1), 1e-6))


def _coordinates(
    origin: Points, first: Points, second: Points, height: int, width: int
) -> tuple[Plane, Plane]:
    """Each pixel as origin + a * first + b * second: a and b."""
    x = np.arange(width, dtype=np.float32) - origin[:, :1, None]
    y = np.arange(height, dtype=np.float32)[:, None] - origin[:, 1:, None]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    area = np.where(np.abs(area) < 1e-6, np.float32(1e-6), area)[:, None, None]
    a = (x * second[:, 1:, None] - y * second[:, :1, None]) / area
    b = (y * first[:, :1, None] - x * first[:, 1:, None]) / area
    return a, b


def _point(landmarks: Landmarks, name: str) -> Points:
    return landmarks[:, LANDMARKS.index(name)]


def _paint(
    images: Images,
    landmarks: Landmarks,
    /,
    *,
    where: Callable[[Landmarks, int, int], Mask],
    colour: tuple[int, int, int],
) -> Images:
    mask = where(landmarks, *images.shape[2:])
    shown = in_channels(np.array(colour, np.float32), images.shape[1])
    return np.where(mask[:, None], shown[:, None, None], images)
