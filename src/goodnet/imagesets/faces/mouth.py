"""The mouth: two lips, and what is between them when it opens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, bump, hill
from goodnet.imagesets.faces.head import skin_colour
from goodnet.imagesets.faces.nose import nose_level
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person, Shot

_LIPS, _TEETH, _INSIDE = (
    np.array(c, np.float32)[:, None, None] for c in ((176, 62, 66), (232, 224, 212), (58, 22, 22))
)


@dataclass(frozen=True)
class _Mouth:
    """The mouth as one expression shapes it; each of shape (n, 1, 1)."""

    level: Floats
    width: Floats
    curve: Floats  # how far the corners are above the middle
    gap: Floats  # half the distance between the lips
    upper: Floats
    lower: Floats


def mouth_level(person: Person) -> Floats:
    """Where the lips meet, in the middle, on the face."""
    return nose_level(person) + person.mouth_level


def mouth_points(person: Person, shot: Shot) -> Floats:
    """Left and right corner, middle of the upper and of the lower edge, shape (n, 4, 2)."""
    mouth = _shape(person, shot)
    corner = mouth.level - mouth.curve
    zero = np.zeros_like(corner)
    top = mouth.level - mouth.gap - mouth.upper * (1 - person.lip_bow)
    bottom = mouth.level + mouth.gap + mouth.lower
    points = ((-mouth.width, corner), (mouth.width, corner), (zero, top), (zero, bottom))
    return np.stack([np.concatenate(p, axis=2)[:, 0] for p in points], axis=1)


def paint_mouth(canvas: Canvas, person: Person, shot: Shot) -> None:
    """Lips, a dark line or a gap with teeth, and the corners."""
    canvas = canvas.window(-10.0, 3.5, 10.0, 21.5)
    mouth = _shape(person, shot)
    along = canvas.u / mouth.width
    square = along * along
    arc = np.maximum(1 - square, 0)
    y = canvas.v - mouth.level + mouth.curve * square
    bow = 1 - person.lip_bow * hill(square * 12)
    top, bottom = (mouth.upper * bow + mouth.gap) * arc, (mouth.lower + mouth.gap) * arc
    ends = np.clip(3.5 - 3.5 * np.abs(along), 0, 1)
    lips = canvas.inside(np.minimum(y + top, bottom - y), soft=1.2) * ends
    redness = 0.22 + 0.6 * (person.lip_red * (1 - 0.7 * person.build))[:, None]
    colour = skin_colour(person) * (0.86 * (1 - redness)) + _LIPS * redness
    light = 0.92 + 0.16 * np.clip(y, -1, 1)
    canvas.paint(0.9 * lips, colour * light[:, None])
    opening = mouth.gap * arc - np.abs(y)
    inside = canvas.inside(opening) * ends * np.minimum(2 * mouth.gap, 1)
    canvas.paint(inside, _INSIDE)
    teeth = canvas.inside(0.45 * mouth.gap - y) * inside
    canvas.paint(0.9 * teeth, _TEETH)
    line = canvas.inside(0.35 - np.abs(y), soft=1.1) * ends * np.maximum(1 - 2 * mouth.gap, 0)
    canvas.shade(1 - 0.55 * line)
    corners = bump((np.abs(along) - 1) * mouth.width / 1.2, (y - 0.1) / 1.2)
    canvas.shade(1 - 0.28 * corners)


def _shape(person: Person, shot: Shot) -> _Mouth:
    smile, gap = shot.smile, np.maximum(shot.mouth_open, 0)
    thin = 1 - 0.2 * np.maximum(smile, 0)
    return _Mouth(
        level=mouth_level(person) - 0.3 * smile,
        width=person.mouth_width * (1 + 0.16 * smile) - 0.25 * gap,
        curve=1.5 * smile,
        gap=0.9 * gap,
        upper=person.lip_upper * thin,
        lower=person.lip_lower * thin,
    )
