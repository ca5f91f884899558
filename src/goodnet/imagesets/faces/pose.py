"""Where a point of the face comes to lie in the picture, and back.

The head turns as a dome would: what is near the middle moves furthest, the outline stays.
"""

from __future__ import annotations

import numpy as np

from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Shot

HEIGHT, WIDTH = 55, 47
_REACH_X, _REACH_Y = 19.0, 24.0
# Each round brings the point closer by a factor of three or more.
_ROUNDS = 12


def pixel_size(size: tuple[int, int]) -> float:
    """The side of a pixel of a crop of this height and width, in units of the face."""
    return max(HEIGHT / size[0], WIDTH / size[1])


def to_face(size: tuple[int, int], shot: Shot) -> tuple[Floats, Floats]:
    """The point of the face that each pixel shows: `u` and `v`, each of shape (n, h, w)."""
    pixel = pixel_size(size)
    rows, columns = (_centred(length) * np.float32(pixel) for length in size)
    x, y = columns[None, None, :] - shot.shift_x, rows[None, :, None] - shot.shift_y
    cosine, sine = np.cos(shot.roll) / shot.zoom, np.sin(shot.roll) / shot.zoom
    across, down = x * cosine + y * sine, y * cosine - x * sine
    depth = _depth(across, down)
    return across - shot.yaw * depth, down - shot.pitch * depth


def to_pixels(points: Floats, size: tuple[int, int], shot: Shot) -> Floats:
    """Pixel coordinates (x, y) of points (u, v) of the face, shapes (n, k, 2).

    The middle of the first pixel is (0, 0).
    """
    turn = np.concatenate([shot.yaw, shot.pitch], axis=2)
    turned = points
    for _ in range(_ROUNDS):
        turned = points + turn * _depth(turned[..., :1], turned[..., 1:])
    cosine, sine = np.cos(shot.roll) * shot.zoom, np.sin(shot.roll) * shot.zoom
    x, y = turned[..., :1], turned[..., 1:]
    moved = np.concatenate(
        [x * cosine - y * sine + shot.shift_x, x * sine + y * cosine + shot.shift_y], axis=2
    )
    middle = np.array([size[1] - 1, size[0] - 1], np.float32) / 2
    pixels: Floats = (moved / pixel_size(size) + middle).astype(np.float32)
    return pixels


def _centred(length: int) -> Floats:
    centred: Floats = np.arange(length, dtype=np.float32) - np.float32((length - 1) / 2)
    return centred


def _depth(x: Floats, y: Floats) -> Floats:
    """How far a point of the head stands out, 1 in the middle of the face, 0 at the outline."""
    return np.maximum(1 - (x / _REACH_X) ** 2 - (y / _REACH_Y) ** 2, 0)
