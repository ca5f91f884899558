"""What is around the head: a background and clothes, new in every picture."""

from __future__ import annotations

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas
from goodnet.imagesets.faces.randomness import Floats, Keys, normals
from goodnet.imagesets.faces.traits import Person, Shot

_BLOBS = 5
_THIRD = 2 * np.pi / 3


def paint_background(canvas: Canvas, shot: Shot, keys: Keys) -> None:
    """Cover everything with a colour, large soft blobs and one slanted edge."""
    colour = _colour(shot.back_hue, shot.back_bright, shot.back_vivid)
    side = canvas.inside(canvas.u + shot.back_angle * canvas.v - shot.back_edge, soft=2.0)
    flat = colour + (side * shot.back_step)[:, None]
    np.clip(flat + _blobs(canvas.u.shape[1:], keys), 4, 250, out=canvas.image)


def paint_clothes(canvas: Canvas, person: Person, shot: Shot) -> None:
    """Shoulders, and a collar that leaves the throat free."""
    u, v = np.abs(canvas.u), canvas.v
    neck = person.neck_width * person.head_width
    slope = np.where(u < neck, 0.9 * (neck - u), 0.22 * (u - neck))
    mask = canvas.inside(v - slope - shot.collar)
    colour = _colour(shot.clothes_hue, shot.clothes_bright, shot.clothes_vivid)
    canvas.paint(mask, colour)


def _colour(hue: Floats, bright: Floats, vivid: Floats) -> Floats:
    """Red, green and blue, (n, 3, 1, 1), of a hue in radians."""
    channels = [bright * (1 + np.maximum(vivid, 0) * np.cos(hue - i * _THIRD)) for i in range(3)]
    return np.stack(channels, axis=1)


def _blobs(shape: tuple[int, ...], keys: Keys) -> Floats:
    """Smooth random fields, (n, 3, h, w), from a few cosines each way."""
    waves = np.arange(_BLOBS)
    rows, columns = (
        np.cos(np.pi * np.outer((np.arange(length) + 0.5) / length, waves)).astype(np.float32)
        for length in shape
    )
    strength = normals(keys, 3 * _BLOBS**2).reshape(-1, 3, _BLOBS, _BLOBS)
    strength = strength * (16 / (1 + np.add.outer(waves, waves))).astype(np.float32)
    # Mostly grey: what is behind a face is rarely a rainbow.
    strength = 0.35 * strength + strength[:, :1]
    blobs: Floats = rows @ strength @ columns.T
    return blobs
