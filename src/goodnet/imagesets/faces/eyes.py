"""Eyes and brows: both sides at once, folded over the middle of the face."""

from __future__ import annotations

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, bump, hill, stretch
from goodnet.imagesets.faces.hair import hair_colour
from goodnet.imagesets.faces.head import skin_colour
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person, Shot

_IRIS = ((38, 24, 18), (66, 40, 24), (98, 74, 40), (88, 104, 66), (70, 112, 150), (124, 150, 164))
_WHITE, _DARK = (np.array(c, np.float32)[:, None, None] for c in ((226, 220, 214), (24, 17, 16)))
# Where along a brow its points are, from the nose outwards.
_ALONG = (-1.0, 0.15, 1.0)


def paint_eyes(canvas: Canvas, person: Person, shot: Shot) -> None:
    """White, iris and pupil between two lids; lashes, a crease and a glint."""
    canvas = canvas.window(-13.5, -9.5, 13.5, 2.5)
    x, y = _at_eye(canvas.u, canvas.v, person)
    across = x / person.eye_width
    arc = 1 - across * across
    height = person.eye_height * shot.eye_open
    upper, lower = y + height * arc, 0.72 * height * arc - y
    opening = canvas.inside(np.minimum(upper, lower), soft=1.1)
    canvas.paint(opening, _WHITE * (0.80 - 0.12 * across * across)[:, None])
    # Both eyes look to the same side: folded, that is towards the nose for one of them.
    gaze = x - shot.gaze * np.sign(canvas.u)
    radius = np.sqrt(gaze * gaze + (y + 0.25) ** 2)
    canvas.paint(opening * canvas.inside(1.75 - radius), stretch(_IRIS, person.iris_colour))
    canvas.paint(opening * canvas.inside(0.95 - radius), _DARK)
    glint = bump((gaze + 0.6) / 0.9, (y + 0.9) / 0.9) * opening
    canvas.paint(0.7 * glint, _WHITE)
    near = arc > -0.35
    line = np.abs(upper + 0.15)
    canvas.paint(canvas.inside(0.55 - line, soft=1.2) * near * person.lashes, _DARK)
    crease = canvas.inside(0.4 - np.abs(upper + 1.7), soft=1.4) * near
    crease += 0.7 * canvas.inside(0.3 - np.abs(lower + 0.2), soft=1.3) * near
    canvas.shade(1 - 0.30 * crease)


def eye_points(person: Person) -> Floats:
    """Centres of the left and the right eye of the picture, on the face, shape (n, 2, 2)."""
    return _both_sides([(person.eye_gap, person.eye_level)])


def paint_brows(canvas: Canvas, person: Person, shot: Shot) -> None:
    """An arched stroke over each eye, thinner towards the temple."""
    canvas = canvas.window(-15.0, -17.0, 15.0, -3.0)
    along = (np.abs(canvas.u) - person.eye_gap - 0.3) / person.brow_width
    middle = _brow_middle(along, person, shot)
    thick = person.brow_thickness * (1.05 - 0.35 * along)
    mask = canvas.inside(thick - np.abs(canvas.v - middle), soft=1.3)
    mask *= np.minimum(3 * hill(along * along * 0.72), 1)
    colour = 0.7 * hair_colour(person) + 0.12 * skin_colour(person)
    canvas.paint(mask * person.brow_dark, np.minimum(colour, 0.72 * skin_colour(person)))


def brow_points(person: Person, shot: Shot) -> Floats:
    """Three points along each brow from left to right, on the face, shape (n, 6, 2)."""
    places = [np.full_like(person.eye_gap, along) for along in _ALONG]
    return _both_sides(
        [
            (person.eye_gap + 0.3 + along * person.brow_width, _brow_middle(along, person, shot))
            for along in places
        ]
    )


def _at_eye(u: Floats, v: Floats, person: Person) -> tuple[Floats, Floats]:
    """Distance from the centre of an eye along it, outwards, and across it, downwards."""
    x, y = np.abs(u) - person.eye_gap, v - person.eye_level
    return x, y + person.eye_tilt * x


def _brow_middle(along: Floats, person: Person, shot: Shot) -> Floats:
    height = person.eye_level - person.brow_height - shot.brow_raise
    arch = person.brow_arch * (1 - (along - 0.15) ** 2)
    return height - arch + person.brow_slope * person.brow_width * along


def _both_sides(points: list[tuple[Floats, Floats]]) -> Floats:
    """Points of the right half from the middle outwards, mirrored: all from left to right."""
    right = np.stack([np.concatenate(p, axis=2)[:, 0] for p in points], axis=1)
    left = right[:, ::-1] * np.array([-1, 1], np.float32)
    return np.concatenate([left, right], axis=1)
