"""The nose: mostly light and shadow."""

from __future__ import annotations

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, bump
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person, Shot

# The tip stands out further than the face: when the head turns it moves by so much more.
_OUT = 0.35


def nose_level(person: Person) -> Floats:
    """How low the tip of the nose is on the face."""
    return person.eye_level + person.nose_length


def nose_point(person: Person, shot: Shot) -> Floats:
    """The tip of the nose on the face, shape (n, 1, 2)."""
    return np.concatenate([_OUT * shot.yaw, nose_level(person)], axis=2)


def paint_nose(canvas: Canvas, person: Person, shot: Shot) -> None:
    """A ridge with a bright and a dark side, wings, nostrils and the shadow below."""
    canvas = canvas.window(-7.5, -5.0, 7.5, 15.0)
    tip, width = nose_level(person), person.nose_width
    y = canvas.v - tip
    # From 0 between the eyes to 1 at the tip.
    along = np.clip(1 + y / person.nose_length, 0, 1)
    x = (canvas.u - _OUT * shot.yaw * along) / (0.55 * width * (0.55 + 0.6 * along))
    fade = np.clip(2.2 - y, 0, 1) * np.minimum(3 * along, 1)
    ridge = np.maximum(1 - x * x * 0.9, 0)
    flank = np.maximum(1 - (np.abs(x) - 1.5) ** 2 * 1.2, 0)
    light = 0.13 * person.nose_ridge * ridge
    light -= flank * (0.11 * person.nose_ridge - 0.14 * shot.light_x * np.sign(x))
    light *= fade
    centre = canvas.u - _OUT * shot.yaw
    light += 0.14 * bump(centre / (0.7 * width), (y + 0.6) / 1.8)
    light -= 0.24 * bump(centre / (1.5 * width), (y - 2.2) / 1.8)
    side = np.abs(centre)
    light -= 0.26 * bump((side - 1.12 * width) / 1.0, (y - 0.2) / 1.9)
    light -= 0.55 * bump((side - 0.52 * width) / (0.42 * width), (y - 1.3) / 1.1)
    canvas.shade(1 + light)
