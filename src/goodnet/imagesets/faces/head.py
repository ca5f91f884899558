"""Neck, ears and the head itself, with the light that falls on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, bump, hill, stretch
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person, Shot

# Where the head is widest; `chin` and `crown` count from here.
LEVEL = -2.0
_SKIN = ((248, 214, 192), (232, 186, 156), (206, 154, 118), (158, 108, 76), (104, 68, 50))
_BLUSH = np.array([1.0, 0.5, 0.5], np.float32)[:, None, None]
_RADIUS = 15.0


@dataclass(frozen=True)
class Head:
    """The outline of heads on a canvas.

    Attributes:
        square: 0 in the middle, 1 on the outline, more outside, shape (n, h, w).
        mask: 1 inside.
        across: From -1 to 1 over the width of the head at each height.
        down: From -1 at the crown to 1 at the chin.
    """

    square: Floats
    mask: Floats
    across: Floats
    down: Floats


def shape_head(canvas: Canvas, person: Person) -> Head:
    """An ellipse above; below, a jaw that narrows and may be square (a squircle)."""
    y = canvas.v - LEVEL
    low = y > 0
    down = y / np.where(low, person.chin, person.crown)
    below = np.clip(down, 0, 1.2)
    narrow = 1 - person.jaw_taper * below * below
    narrow += person.cheekbones * hill((below - 0.3) ** 2 * 9) * low
    across = canvas.u / (person.head_width * narrow)
    x2, y2 = across * across, np.minimum(down * down, 1.3)
    square = x2 + down * down - np.where(low, person.jaw_square, 0.4) * x2 * y2
    mask = canvas.inside((1 - np.sqrt(square)) * _RADIUS)
    return Head(square, mask, across, down)


def skin_colour(person: Person) -> Floats:
    """The colour of the skin in full light, shape (n, 3, 1, 1)."""
    colour = stretch(_SKIN, person.skin_tone**1.4)
    red = person.skin_red[:, None]
    return colour + red * np.array([7, -2, -9], np.float32)[:, None, None]


def paint_head(canvas: Canvas, head: Head, person: Person, shot: Shot) -> None:
    """Ears, then the head over them."""
    skin = skin_colour(person)
    _paint_ears(canvas, skin, person)
    shade = _light(head, shot)
    shade += _relief(canvas, person)
    canvas.paint(head.mask, skin * shade[:, None])
    _blush(canvas, head, person)


def paint_neck(canvas: Canvas, person: Person) -> None:
    """The throat, in the shadow of the chin."""
    width = person.neck_width * person.head_width
    below = canvas.inside(canvas.v - 8)
    mask = below * canvas.inside(width - np.abs(canvas.u))
    shadow = 0.62 + 0.12 * np.clip((canvas.v - LEVEL - person.chin) / 4, -1, 1)
    canvas.paint(mask, skin_colour(person) * shadow[:, None])


def _paint_ears(canvas: Canvas, skin: Floats, person: Person) -> None:
    x = (np.abs(canvas.u) - person.head_width * 0.99) / (2.3 * person.ear_size)
    y = (canvas.v - LEVEL - 1.5) / (4.2 * person.ear_size)
    square = x * x + y * y
    mask = canvas.inside((1 - square) * 1.6)
    canvas.paint(mask, skin * (0.66 + 0.2 * np.minimum(square, 1))[:, None])


def _light(head: Head, shot: Shot) -> Floats:
    """Brighter where the head faces the light, darker towards its outline."""
    facing = 0.46 * shot.light_x * head.across + 0.26 * shot.light_y * head.down
    light = 1.03 + (1 - 0.75 * shot.ambient) * facing
    light -= 0.34 * np.minimum(head.square, 1) ** 2
    return light


def _relief(canvas: Canvas, person: Person) -> Floats:
    """Eye sockets, cheeks, chin and the lines of age."""
    u, v = np.abs(canvas.u), canvas.v
    across = u - person.eye_gap
    level = v - person.eye_level
    relief = -person.eye_depth * bump(across / 5.6, (level + 1.4) / 4.8)
    relief += 0.10 * bump((u - 8.5) / 5, (v - 5) / 5)
    mouth = person.eye_level + person.nose_length + person.mouth_level
    relief -= 0.10 * bump(u / 5, (v - mouth - 3.6) / 2.0)
    relief += 0.08 * bump(u / 4, (v - mouth - 7.0) / 3.5)
    old = np.maximum(person.age - 0.35, 0)
    fold = u - 3.2 - 0.42 * (v - mouth + 6)
    relief -= 0.50 * old * bump(fold / 1.3, (v - mouth + 3.2) / 5)
    relief -= 0.42 * old * bump(across / 4.0, (level - 3.3) / 1.3)
    lines = np.maximum(np.sin(v * 1.9), 0) * bump(u / 10, (v + 13) / 5)
    relief -= 0.34 * old * lines
    return relief


def _blush(canvas: Canvas, head: Head, person: Person) -> None:
    spot = bump((np.abs(canvas.u) - 9) / 5.5, (canvas.v - 5.5) / 5)
    spot *= 0.34 * np.maximum(person.blush, 0)
    spot *= head.mask
    canvas.paint(spot, canvas.image * _BLUSH)
