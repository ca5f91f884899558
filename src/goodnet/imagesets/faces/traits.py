"""What makes a person, and what makes one picture of that person, as columns of numbers.

Lengths are in pixels of a crop 55 high and 47 wide, with the origin at its middle, x to the right
and y down; larger crops show the same face larger. Each trait is spread evenly between the two
numbers beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar, get_type_hints

import numpy as np

from goodnet.imagesets.faces.randomness import Floats, Keys, uniforms

Traits = TypeVar("Traits", "Person", "Shot")


@dataclass(frozen=True)
class Person:
    """What stays the same in all pictures of a person. Shares and tones run from 0 to 1."""

    # Head and jaw
    build: Annotated[Floats, 0.0, 1.0]  # from slight to heavy
    head_width: Annotated[Floats, 12.8, 16.2]  # half of it, at the cheeks
    chin: Annotated[Floats, 20.5, 25.0]  # from the level of the eyes
    crown: Annotated[Floats, 19.5, 22.0]
    jaw_taper: Annotated[Floats, 0.05, 0.34]
    jaw_square: Annotated[Floats, 0.0, 0.72]
    cheekbones: Annotated[Floats, -0.06, 0.10]
    ear_size: Annotated[Floats, 0.6, 1.25]
    neck_width: Annotated[Floats, 0.52, 0.80]
    # Skin
    skin_tone: Annotated[Floats, 0.0, 1.0]
    skin_red: Annotated[Floats, -1.0, 1.0]
    age: Annotated[Floats, 0.0, 1.0]
    blush: Annotated[Floats, -0.3, 1.0]
    # Hair
    hair_colour: Annotated[Floats, 0.0, 1.0]
    hair_top: Annotated[Floats, 2.0, 6.0]
    hair_side: Annotated[Floats, 0.3, 4.5]
    hair_length: Annotated[Floats, -4.0, 52.0]
    hairline: Annotated[Floats, -18.0, -10.5]
    hairline_curve: Annotated[Floats, -2.2, 2.2]
    parting: Annotated[Floats, -2.3, 2.3]
    hair_wave: Annotated[Floats, 0.0, 0.9]
    hair_waves: Annotated[Floats, 0.35, 1.0]
    hair_cover: Annotated[Floats, 0.86, 1.08]
    baldness: Annotated[Floats, 0.0, 1.0]
    # Brows
    brow_height: Annotated[Floats, 4.2, 6.8]  # above the eye
    brow_width: Annotated[Floats, 3.6, 5.2]
    brow_thickness: Annotated[Floats, 0.55, 1.8]
    brow_arch: Annotated[Floats, -0.1, 1.7]
    brow_slope: Annotated[Floats, -0.20, 0.20]
    brow_dark: Annotated[Floats, 0.5, 1.0]
    # Eyes
    eye_gap: Annotated[Floats, 5.7, 8.0]  # from the middle of the face to an eye
    eye_level: Annotated[Floats, -4.0, -1.8]
    eye_width: Annotated[Floats, 2.5, 3.9]
    eye_height: Annotated[Floats, 0.95, 1.9]
    eye_tilt: Annotated[Floats, -0.24, 0.24]
    eye_depth: Annotated[Floats, 0.15, 0.60]
    iris_colour: Annotated[Floats, 0.0, 1.0]
    lashes: Annotated[Floats, 0.3, 1.0]
    # Nose
    nose_length: Annotated[Floats, 8.2, 11.6]  # from the eyes down
    nose_width: Annotated[Floats, 1.9, 3.9]
    nose_ridge: Annotated[Floats, 0.3, 1.0]
    # Mouth
    mouth_level: Annotated[Floats, 4.0, 6.0]  # below the tip of the nose
    mouth_width: Annotated[Floats, 4.0, 6.6]  # half of it
    lip_upper: Annotated[Floats, 0.5, 1.7]
    lip_lower: Annotated[Floats, 0.7, 2.2]
    lip_bow: Annotated[Floats, 0.0, 0.55]
    lip_red: Annotated[Floats, 0.1, 1.0]
    # Beard and marks
    beard: Annotated[Floats, -0.9, 0.8]
    beard_width: Annotated[Floats, 3.0, 14.0]
    moustache: Annotated[Floats, -1.0, 0.8]
    freckles: Annotated[Floats, -2.2, 0.8]
    mole_size: Annotated[Floats, -1.4, 0.9]
    mole_x: Annotated[Floats, -10.0, 10.0]
    mole_y: Annotated[Floats, 3.0, 15.0]
    mole2_size: Annotated[Floats, -2.0, 0.9]
    mole2_x: Annotated[Floats, -9.0, 9.0]
    mole2_y: Annotated[Floats, -12.0, 14.0]
    phase: Annotated[Floats, 0.0, 6.2832]


@dataclass(frozen=True)
class Shot:
    """What changes from one picture of a person to the next."""

    # Pose and framing
    shift_x: Annotated[Floats, -2.5, 2.5]
    shift_y: Annotated[Floats, -2.3, 2.3]
    zoom: Annotated[Floats, 0.92, 1.06]
    roll: Annotated[Floats, -0.13, 0.13]  # radians
    yaw: Annotated[Floats, -3.0, 3.0]  # how far the tip of the face moves
    pitch: Annotated[Floats, -1.6, 1.6]
    # Expression
    smile: Annotated[Floats, -0.45, 1.25]
    mouth_open: Annotated[Floats, -1.6, 2.0]
    brow_raise: Annotated[Floats, -0.7, 0.9]
    eye_open: Annotated[Floats, 0.62, 1.12]
    gaze: Annotated[Floats, -0.7, 0.7]
    # Light
    light_x: Annotated[Floats, -1.0, 1.0]
    light_y: Annotated[Floats, -1.0, 0.4]
    gain: Annotated[Floats, 0.55, 1.14]
    ambient: Annotated[Floats, 0.0, 0.95]
    warmth: Annotated[Floats, -0.13, 0.16]
    tint: Annotated[Floats, -0.05, 0.05]
    # Surroundings
    back_hue: Annotated[Floats, 0.0, 6.2832]
    back_bright: Annotated[Floats, 8.0, 190.0]
    back_vivid: Annotated[Floats, -0.2, 0.34]
    back_edge: Annotated[Floats, -22.0, 22.0]
    back_angle: Annotated[Floats, -0.5, 0.5]
    back_step: Annotated[Floats, -60.0, 60.0]
    clothes_hue: Annotated[Floats, 0.0, 6.2832]
    clothes_bright: Annotated[Floats, 18.0, 190.0]
    clothes_vivid: Annotated[Floats, -0.2, 0.5]
    collar: Annotated[Floats, 21.5, 27.0]
    hair_move: Annotated[Floats, -0.6, 0.6]
    # Camera
    blur: Annotated[Floats, 0.25, 0.62]
    noise: Annotated[Floats, 1.0, 4.0]


def draw_traits(kind: type[Traits], keys: Keys) -> Traits:
    """Fill the traits of a person or a shot from one key for each, shape (n,).

    Each trait becomes a column of shape (n, 1, 1).
    """
    low, high = _ranges(kind)
    columns = low + (high - low) * uniforms(keys, len(low))
    return kind(*columns.T[:, :, None, None])


def _ranges(kind: type[Traits]) -> tuple[Floats, Floats]:
    """Where each trait of a person or a shot begins and ends."""
    hints = get_type_hints(kind, include_extras=True)
    bounds = np.array([hint.__metadata__ for hint in hints.values()], np.float32)
    return bounds[:, 0], bounds[:, 1]
