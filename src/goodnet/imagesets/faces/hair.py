"""Hair: one mass around the head, with an opening for the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodnet.imagesets.faces.canvas import Canvas, stretch
from goodnet.imagesets.faces.head import LEVEL, Head
from goodnet.imagesets.faces.randomness import Floats
from goodnet.imagesets.faces.traits import Person, Shot

_COLOURS = (
    (226, 222, 214),
    (150, 146, 142),
    (70, 66, 66),
    (24, 20, 20),
    (44, 29, 22),
    (74, 46, 30),
    (100, 50, 32),
    (106, 76, 52),
    (148, 114, 78),
    (206, 174, 122),
)
_BALD, _SHAVED = 0.07, 0.16
_RADIUS = 15.0


@dataclass(frozen=True)
class Hair:
    """The hair on a canvas: where it is, shape (n, h, w), and its colours, (n, 3, h, w)."""

    mask: Floats
    colour: Floats


def hair_colour(person: Person) -> Floats:
    """The colour of hair in full light, shape (n, 3, 1, 1)."""
    colour = stretch(_COLOURS, person.hair_colour)
    # Dark skin goes with dark hair, or grey in old age.
    fair = np.where(person.hair_colour < 0.2, 1, np.clip(1.9 - 2 * person.skin_tone, 0.2, 1))
    return colour * fair[:, None].astype(np.float32)


def shape_hair(canvas: Canvas, head: Head, person: Person, shot: Shot) -> Hair:
    """A dome over the head that hangs down at the sides as far as the hair is long."""
    y = canvas.v - LEVEL
    wave = person.hair_wave * np.sin(canvas.v * person.hair_waves + person.phase)
    # Hair that ends above the ears is cut there, whatever its exact length.
    length = person.hair_length - 26 * person.build
    length = np.where(length < 4, 1 + 0.15 * length, length)
    fall = np.clip((length + 3 - y) / 9, 0, 1)
    width = person.head_width - 1 + (person.hair_side + shot.hair_move + 1) * fall + wave * fall
    across = canvas.u / width
    top = np.minimum(y, 0) / (person.crown + person.hair_top)
    square = across * across + top * top * (1 - 0.35 * np.minimum(across * across, 1))
    mask = canvas.inside((1 - np.sqrt(square)) * _RADIUS)
    mask *= canvas.inside(length + wave - y, soft=2.5)
    stubble = np.where(person.baldness > _BALD, 0.35, 0) * head.mask
    mask *= np.where(person.baldness > _SHAVED, 1, stubble).astype(np.float32)
    return Hair(mask, hair_colour(person) * _sheen(canvas, across, top, person, shot)[:, None])


def paint_hair_behind(canvas: Canvas, hair: Hair) -> None:
    """What is seen behind neck and ears, in shadow."""
    canvas.paint(hair.mask, hair.colour * np.float32(0.62))


def paint_hair_front(canvas: Canvas, hair: Hair, head: Head, person: Person) -> None:
    """Everything but the opening for the face; a shadow falls from its edge on the brow."""
    u, v = canvas.u, canvas.v
    line = person.hairline + 0.035 * person.hairline_curve * u * u + 0.16 * person.parting * u
    line += 0.9 * person.hair_wave * np.sin(u * (person.hair_waves + 0.5) + person.phase)
    below = v - line
    shadow = canvas.inside(2.2 - below, soft=2.5) * hair.mask
    shadow *= head.mask
    canvas.shade(1 - 0.22 * shadow)
    sides = (person.hair_cover - np.abs(head.across)) * person.head_width
    opening = canvas.inside(below, soft=1.6) * canvas.inside(sides, soft=1.8)
    canvas.paint(hair.mask * (1 - opening), hair.colour)


def _sheen(canvas: Canvas, across: Floats, top: Floats, person: Person, shot: Shot) -> Floats:
    """Strands, a band of light on the crown, darkness towards the edges."""
    strands = np.sin(7.0 * across + 1.3 * np.sin(0.45 * canvas.v + person.phase) + person.phase)
    strands *= np.sin(17.0 * across - 0.21 * canvas.v + 1.7 * person.phase)
    light = 1 + 0.13 * strands - 0.30 * across * across
    light += 0.28 * np.maximum(1 - (top + 0.72) ** 2 * 14, 0)
    light += (0.30 - 0.12 * shot.ambient) * shot.light_x * across
    return light
