"""From painted colours to the bytes of a photograph: light, blur and noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from goodnet.imagesets.faces.canvas import Canvas
from goodnet.imagesets.faces.randomness import Floats, Keys, normals
from goodnet.imagesets.faces.traits import Shot

# Three times the widest blur, in units of the face.
_REACH = 2.0


def develop(canvas: Canvas, shot: Shot, keys: Keys) -> NDArray[np.uint8]:
    """Light the scene, blur it, add noise; bytes of shape (n, 3, h, w)."""
    image: Floats = canvas.image * _cast(shot)
    weights = _weights(shot, canvas.pixel)
    for axis in (2, 3):
        image = _blurred(image, weights, axis)
    height, width = image.shape[2:]
    grain = normals(keys, 3 * height * width).reshape(image.shape)
    image += grain * shot.noise[:, None]
    np.clip(image, 0, 255, out=image)
    return np.rint(image, out=image).astype(np.uint8)


def _cast(shot: Shot) -> Floats:
    """How bright each colour of the light is, (n, 3, 1, 1)."""
    channels = (1 + shot.warmth, 1 + shot.tint, 1 - shot.warmth)
    return np.stack([shot.gain * channel for channel in channels], axis=1)


def _weights(shot: Shot, pixel: float) -> list[Floats]:
    """A Gaussian at 0, 1, 2 pixels and so on, each (n, 1, 1, 1); all its weights sum to 1."""
    spread = shot.blur[:, None] / pixel
    half = [np.exp(-(step**2) / (2 * spread * spread)) for step in range(_radius(pixel) + 1)]
    total = half[0] + 2 * sum(half[1:])
    return [weight / total for weight in half]


def _radius(pixel: float) -> int:
    return math.ceil(_REACH / pixel)


def _blurred(image: Floats, weights: list[Floats], axis: int) -> Floats:
    """Blur along one axis; plain sums, for a matrix product would start threads of its own."""
    radius, length = len(weights) - 1, image.shape[axis]
    margin = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
    wide = np.pad(image, margin, mode="edge")
    blurred, both = weights[0] * image, np.empty_like(image)
    for step in range(1, radius + 1):
        before, after = (_part(wide, axis, radius + way, length) for way in (-step, step))
        np.add(before, after, out=both)
        both *= weights[step]
        blurred += both
    return blurred


def _part(image: Floats, axis: int, start: int, length: int) -> Floats:
    part: Floats = image[(slice(None),) * axis + (slice(start, start + length),)]
    return part
