from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from goodnet.errors import UsageError
from goodnet.imagesets.faces import LANDMARKS, Faces, draw, draw_faces
from goodnet.imagesets.faces.canvas import Canvas

PEOPLE = np.array([0, 5, 5, 99_999, 2**40])
SHOTS = np.array([0, 0, 1, 8, 123_456])


def same(one: Faces, other: Faces) -> bool:
    pairs = ((one.images, other.images), (one.landmarks, other.landmarks))
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("size", [(55, 47), (16, 16), (40, 64), (110, 94)])
def test_faces_have_the_size_asked_for(size: tuple[int, int]) -> None:
    faces = draw_faces(PEOPLE, SHOTS, size=size)
    assert faces.images.shape == (5, 3, *size)
    assert faces.images.dtype == np.uint8
    assert faces.labels.tolist() == PEOPLE.tolist()
    assert faces.landmarks.shape == (5, len(LANDMARKS), 2)
    assert faces.landmarks.dtype == np.float32
    assert faces.images.std(axis=(2, 3)).min() > 5


def test_a_larger_crop_shows_the_same_face() -> None:
    small, large = draw_faces(PEOPLE, SHOTS), draw_faces(PEOPLE, SHOTS, size=(110, 94))
    shrunk = large.images.reshape(5, 3, 55, 2, 47, 2).mean((3, 5))
    assert np.abs(shrunk - small.images).mean() < 8
    np.testing.assert_allclose(large.landmarks, 2 * small.landmarks + 0.5, atol=1e-3)


@pytest.mark.parametrize("size", [(55, 47), (24, 31)])
def test_a_face_is_the_same_in_any_company(size: tuple[int, int]) -> None:
    people, shots = np.arange(40) // 2, np.arange(40) % 7
    together = draw_faces(people, shots, size=size)
    order = np.random.default_rng(0).permutation(40)
    shuffled = draw_faces(people[order], shots[order], size=size)
    assert same(shuffled, Faces(together.images[order], people[order], together.landmarks[order]))
    for i in (0, 7, 39):
        alone = draw_faces(people[i : i + 1], shots[i : i + 1], size=size)
        assert same(alone, draw._part(together, slice(i, i + 1)))


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    people = np.arange(30)
    before = draw_faces(people, people)
    monkeypatch.setattr(draw, "_PIXELS", 4 * 55 * 47)
    assert same(draw_faces(people, people), before)
    monkeypatch.setattr(draw, "cores", lambda: 1)
    assert same(draw_faces(people, people), before)


def test_nothing_is_cut_off_by_painting_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    people = np.arange(600)
    before = draw_faces(people, people)
    monkeypatch.setattr(Canvas, "window", lambda self, *_box: self)
    assert same(draw_faces(people, people), before)


def test_other_seeds_are_other_people_and_other_shots_other_pictures() -> None:
    first = draw_faces([3, 3], [0, 1])
    assert not np.array_equal(first.images[0], first.images[1])
    assert not same(draw_faces([3, 3], [0, 1], seed=1), first)
    assert same(draw_faces([3, 3], [0, 1], seed=0), first)


def test_pictures_of_one_person_are_closer_than_pictures_of_two() -> None:
    people, shots = np.repeat(np.arange(40), 8), np.tile(np.arange(8), 40)
    pixels = draw_faces(people, shots).images[:, :, 8:48, 8:39].astype(float)
    pixels -= pixels.mean((2, 3), keepdims=True)
    pixels /= np.sqrt((pixels**2).sum((1, 2, 3), keepdims=True))
    likeness = np.einsum("nchw,mchw->nm", pixels, pixels)
    alike = people[:, None] == people
    others = ~np.eye(len(people), dtype=bool)
    assert likeness[alike & others].mean() > likeness[~alike].mean() + 0.15


def test_no_faces_is_an_empty_set() -> None:
    assert draw_faces([], []).images.shape == (0, 3, 55, 47)


@pytest.mark.parametrize(
    ("people", "shots", "options", "message"),
    [
        ([0, 1], [0], {}, "expected as many shots as people, got 1 for 2"),
        ([0.5], [0], {}, "expected people as a list of whole numbers, got float64"),
        ([0], [[0]], {}, r"expected shots as a list of whole numbers, got int64 \(1, 1\)"),
        ([-1], [0], {}, r"expected people from 0 to .*, got -1 to -1"),
        ([0], [2**63], {}, "expected shots from 0 to"),
        ([0], [0], {"seed": -1}, "expected a seed from 0 to .*, got -1"),
        ([0], [0], {"seed": 2**63}, "expected a seed from 0 to"),
        ([0], [0], {"size": (15, 47)}, "expected faces of 16 to 2048 pixels .* got 15x47"),
        ([0], [0], {"size": (55, 2049)}, "expected faces of 16 to 2048 .* got 55x2049"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    people: Any, shots: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        draw_faces(people, shots, **options)
