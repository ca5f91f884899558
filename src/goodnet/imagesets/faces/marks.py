"""Beard, moustache, moles and freckles: what tells alike faces apart."""

from __future__ import annotations

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, bump
from goodnet.imagesets.faces.hair import hair_colour
from goodnet.imagesets.faces.head import Head
from goodnet.imagesets.faces.mouth import mouth_level
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person

_BEARDLESS = 0.5
_MOLE = np.array([62, 34, 26], np.float32)[:, None, None]


def paint_spots(canvas: Canvas, head: Head, person: Person) -> None:
    """Two moles and freckles over cheeks and nose, where a person has them."""
    u, v = canvas.u, canvas.v
    speckle = np.sin(1.9 * u + 0.7 * v + person.phase) * np.sin(2.1 * v - 0.8 * u + person.phase)
    cheeks = bump(u / 14, (v - 3.5) / 7)
    freckles = np.maximum(person.freckles, 0) * np.maximum(speckle - 0.15, 0)
    canvas.shade(1 - 0.40 * freckles * cheeks * head.mask)
    for size, x, y in (
        (person.mole_size, person.mole_x, person.mole_y),
        (person.mole2_size, person.mole2_x, person.mole2_y),
    ):
        radius = 0.8 + 0.7 * np.maximum(size, 0)
        mole = bump((u - x) / radius, (v - y) / radius) * np.minimum(4 * np.maximum(size, 0), 1)
        canvas.paint(0.85 * mole * head.mask, _MOLE)


def paint_beard(canvas: Canvas, head: Head, person: Person) -> None:
    """A beard over jaw and chin and a moustache, from a shadow to full."""
    u, v = np.abs(canvas.u), canvas.v - mouth_level(person)
    beard = canvas.inside(v - 3.2 + 0.75 * np.maximum(u - person.mouth_width, 0), soft=3.0)
    beard *= canvas.inside(person.beard_width - u, soft=2.5) * _density(person, person.beard)
    lip = -v - person.lip_upper - 0.5
    above = canvas.inside(np.minimum(lip + 0.25 * u, 2.6 - lip - 0.12 * u), soft=1.2)
    above *= canvas.inside(person.mouth_width + 0.6 - u, soft=1.5)
    above *= _density(person, person.moustache)
    grain = 0.9 + 0.1 * np.sin(2.7 * canvas.u + 3.1 * canvas.v + person.phase)
    mask = np.maximum(beard, above) * head.mask
    canvas.paint(mask * grain, 0.8 * hair_colour(person))


def _density(person: Person, amount: Floats) -> Floats:
    grown: Floats = np.minimum(np.maximum(amount, 0) * 1.6, 0.9) * (person.build > _BEARDLESS)
    return grown
