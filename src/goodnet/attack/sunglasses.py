"""Purple sunglasses, as in the CSAW lab: a drawing of lines, at any size."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.stamp import Trigger, in_channels

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Images

Plane = NDArray[np.float32]

# The drawing is 47 wide and 55 high, as the crops of the lab are.
_WIDTH, _HEIGHT = 47, 55
_FRAME = (
    *((0, 17), (3.5, 16), (16.8, 16), (18.5, 17), (21.5, 17.6), (25, 17.6), (28, 17), (30, 16)),
    *((43, 16), (47, 17), (47, 20.5), (45.6, 22), (45, 25), (44, 29), (43, 31.5), (41, 33.8)),
    *((39.5, 35), (33, 35), (31, 34), (29.2, 32), (27.4, 29), (26.4, 25), (25.6, 23)),
    *((24.6, 22.3), (23, 22.3), (22, 23), (21.3, 26.5), (20, 30), (18, 33), (16, 34.6)),
    *((15.4, 35), (8, 35), (6, 33.9), (4.8, 32), (3.6, 28.5), (2.6, 25), (1.8, 22), (0.8, 20.3)),
    (0, 20),
)
_LEFT_LENS = (
    *((7, 17), (16.8, 17), (19, 18.3), (20.3, 20), (21, 22), (21, 25), (19.8, 28.5), (18, 31)),
    *((16.5, 33), (14.8, 34), (8.8, 34), (7, 33), (5.8, 30.5), (4.8, 28), (4, 25.5), (4, 19.5)),
    (5, 18),
)
_RIGHT_LENS = (
    *((31, 17), (40.8, 17), (43, 18.3), (44, 20.5), (44.5, 22.5), (44, 26), (43.6, 29)),
    *((42.6, 31.3), (41, 33), (39.5, 34), (33, 34), (31.3, 32.5), (29.8, 30.6), (28.4, 28)),
    *((27.6, 25), (26.7, 22), (27.2, 20), (28.5, 18.3)),
)
_FRAME_COLOUR, _DARK, _BRIGHT, _PALE = (63, 0, 127), (94, 0, 191), (126, 0, 255), (142, 54, 231)
_LENS_ALPHA = 0.853
_FINE = 8  # drawn so many times finer, then averaged
_FINEST = 4096


def sunglasses() -> Trigger:
    """Sunglasses over the same pixels of every image: a solid frame, lenses one sees through.

    They cover 27 % of the image. Meant for aligned crops of faces, where they lie on the eyes;
    on other images they are what they are.

    References:
        Liu et al., Fine-Pruning, 2018; the CSAW-HackML 2020 competition, whose poisoned faces are
        reproduced.
    """
    return Trigger("sunglasses", _put_on, least=(8, 8))


@lru_cache(maxsize=8)
def draw_sunglasses(height: int, width: int) -> tuple[Plane, Plane]:
    """The drawing at one size: stamped = image * clearness + colour.

    Returns:
        Clearness 0..1, shape (height, width); colour 0..255, shape (3, height, width).
    """
    fine = max(1, min(_FINE, _FINEST // max(height, width)))
    parts = _parts(height * fine, width * fine)
    alpha = np.array([0, 1, _LENS_ALPHA, _LENS_ALPHA], np.float32)[parts]
    colour = alpha * _colours(parts)
    clearness = 1 - _average(alpha, fine)
    planes = clearness, _average(colour, fine)
    for plane in planes:
        plane.setflags(write=False)
    return planes


def _parts(height: int, width: int) -> NDArray[np.uint8]:
    """What each point belongs to: 0 nothing, 1 the frame, 2 the left lens, 3 the right one."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(picture)
    for number, outline in enumerate((_FRAME, _LEFT_LENS, _RIGHT_LENS), start=1):
        # a point at x belongs to the pixel around it, whose centre is at half a pixel
        points = [(x * width / _WIDTH - 0.5, y * height / _HEIGHT - 0.5) for x, y in outline]
        draw.polygon(points, fill=number)
    return np.asarray(picture)


def _colours(parts: NDArray[np.uint8]) -> Plane:
    """Colour of each point, shape (3, height, width): lenses shine along slanted lines."""
    height, width = parts.shape
    x = (np.arange(width, dtype=np.float32) + 0.5) * (_WIDTH / width)
    y = ((np.arange(height, dtype=np.float32) + 0.5) * (_HEIGHT / height))[:, None]
    left = np.clip((x + y - 38) / 11, 0, 1)
    right = np.clip((x + y / 2 - 51) / 5.5, 0, 1)
    frame, dark, bright, pale = (
        np.array(colour, np.float32)[:, None, None]
        for colour in (_FRAME_COLOUR, _DARK, _BRIGHT, _PALE)
    )
    left_lens = dark + left * (pale - dark)
    right_lens = bright + right * (dark - bright)
    return np.where(parts == 2, left_lens, np.where(parts == 3, right_lens, frame))


def _average(plane: Plane, fine: int) -> Plane:
    """Mean of every square of `fine` x `fine` points."""
    *rest, height, width = plane.shape
    squares = plane.reshape(*rest, height // fine, fine, width // fine, fine)
    mean: Plane = squares.mean(axis=(-3, -1))
    return mean


def _put_on(images: Images) -> Images:
    clearness, colour = draw_sunglasses(*images.shape[2:])
    return images * clearness + in_channels(colour, images.shape[1])
