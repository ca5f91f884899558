from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from goodnet.imagesets.faces import LANDMARKS, Faces, draw_faces
from goodnet.imagesets.faces.eyes import brow_points, eye_points
from goodnet.imagesets.faces.mouth import mouth_points
from goodnet.imagesets.faces.pose import to_face, to_pixels
from goodnet.imagesets.faces.randomness import make_keys
from goodnet.imagesets.faces.traits import Person, Shot, draw_traits

KEYS = make_keys(0, np.arange(400))


@pytest.fixture(scope="module")
def faces() -> Faces:
    people = np.arange(400)
    return draw_faces(people, people % 9)


def colour_at(faces: Faces, name: str, *, below: float = 0) -> NDArray[np.float64]:
    """The mean colour, over all faces, of the pixel at a landmark."""
    x, y = np.rint(faces.landmarks[:, LANDMARKS.index(name)]).astype(int).T
    rows, columns = (y + round(below)).clip(0, 54), x.clip(0, 46)
    colours: NDArray[np.float64] = faces.images[np.arange(len(x)), :, rows, columns].mean(0)
    return colours


@pytest.mark.parametrize("name", ["left_eye", "right_eye"])
def test_eyes_are_darker_than_the_cheeks_below(faces: Faces, name: str) -> None:
    assert (colour_at(faces, name) < 0.6 * colour_at(faces, name, below=6)).all()


@pytest.mark.parametrize(
    ("name", "share"), [("left_brow_peak", 0.85), ("right_brow_peak", 0.85), ("left_brow_inner", 1)]
)
def test_brows_are_darker_than_the_lids_below(faces: Faces, name: str, share: float) -> None:
    assert (colour_at(faces, name) < share * colour_at(faces, name, below=3)).all()


def test_lips_are_redder_than_the_skin(faces: Faces) -> None:
    lip, nose = colour_at(faces, "mouth_bottom", below=-1), colour_at(faces, "nose_tip")
    assert lip[0] / lip[1] > 1.1 * nose[0] / nose[1]


def test_left_and_right_are_those_of_the_picture(faces: Faces) -> None:
    x, y = (dict(zip(LANDMARKS, faces.landmarks[..., i].T, strict=True)) for i in (0, 1))
    for before, after in pairwise(name for name in LANDMARKS if "brow" in name):
        assert (x[before] < x[after]).all()
    assert (x["mouth_left"] < x["nose_tip"]).all()
    assert (x["nose_tip"] < x["mouth_right"]).all()
    for above, below in zip(
        ("left_brow_peak", "left_eye", "nose_tip", "mouth_top"),
        ("left_eye", "nose_tip", "mouth_top", "mouth_bottom"),
        strict=True,
    ):
        assert (y[above] < y[below]).all()


@pytest.mark.parametrize("size", [(55, 47), (220, 188), (32, 60)])
def test_a_landmark_is_at_the_pixel_that_shows_its_point(size: tuple[int, int]) -> None:
    person, shot = draw_traits(Person, KEYS), draw_traits(Shot, KEYS)
    points = eye_points(person)
    x, y = np.rint(to_pixels(points, size, shot)).astype(int).transpose(2, 0, 1)
    u, v = to_face(size, shot)
    images = np.arange(len(KEYS))[:, None]
    seen = np.stack([u[images, y, x], v[images, y, x]], axis=-1)
    pixel = max(55 / size[0], 47 / size[1])
    assert np.abs(seen - points).max() < pixel


def test_a_smile_lifts_the_corners_of_the_mouth_and_widens_it() -> None:
    person, shot = draw_traits(Person, KEYS), draw_traits(Shot, KEYS)
    sad, glad = (
        mouth_points(person, replace(shot, smile=np.full_like(shot.smile, smile)))
        for smile in (-0.4, 1.2)
    )
    assert (glad[:, :2, 1] < sad[:, :2, 1] - 1).all()
    assert (glad[:, 1, 0] > sad[:, 1, 0]).all()


def test_an_open_mouth_parts_the_lips_and_raised_brows_are_higher() -> None:
    person, shot = draw_traits(Person, KEYS), draw_traits(Shot, KEYS)
    still = replace(shot, mouth_open=0 * shot.mouth_open, brow_raise=0 * shot.brow_raise)
    moved = replace(shot, mouth_open=0 * shot.mouth_open + 2, brow_raise=0 * shot.brow_raise + 1)
    closed, opened = mouth_points(person, still), mouth_points(person, moved)
    assert (opened[:, 3, 1] - opened[:, 2, 1] > closed[:, 3, 1] - closed[:, 2, 1] + 3).all()
    assert (brow_points(person, moved)[..., 1] < brow_points(person, still)[..., 1]).all()
