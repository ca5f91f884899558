"""Faces of people who do not exist, drawn from numbers: any number of people, nothing stored."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goodnet.errors import UsageError
from goodnet.imagesets.faces import camera, eyes, hair, marks, mouth, nose, scene
from goodnet.imagesets.faces import head as heads
from goodnet.imagesets.faces.canvas import Canvas
from goodnet.imagesets.faces.pose import HEIGHT, WIDTH, pixel_size, to_face, to_pixels
from goodnet.imagesets.faces.randomness import Floats, Keys, make_keys
from goodnet.imagesets.faces.traits import Person, Shot, draw_traits
from goodnet.imagesets.landmarks import LANDMARKS
from goodnet.types import Integers

__all__ = ["LANDMARKS", "SIZE", "Faces", "draw_faces"]

SIZE = (HEIGHT, WIDTH)
LEAST, MOST = 16, 2048

# Drawn at once by each thread: with fewer, threads wait for one another; more fit no cache.
_PIXELS = 320_000


class _Stream(IntEnum):
    """What random numbers are for: each purpose has its own."""

    PERSON, SHOT, BACKGROUND, GRAIN = range(4)


@dataclass(frozen=True)
class Faces:
    """Pictures of faces.

    Attributes:
        images: Red, green and blue, shape (n, 3, height, width).
        labels: Who is shown, shape (n,).
        landmarks: Pixel coordinates (x, y) of the points named in `LANDMARKS`, shape (n, 13, 2);
            the middle of the first pixel is (0, 0), left and right are the picture's. A point
            may lie a little outside a picture.
    """

    images: NDArray[np.uint8]
    labels: Integers
    landmarks: Floats


def draw_faces(
    people: ArrayLike, shots: ArrayLike, *, seed: int = 0, size: tuple[int, int] = SIZE
) -> Faces:
    """Draw picture `shots[i]` of person `people[i]`, for every i.

    Each picture follows from the seed, the person and the shot alone: it is the same in whatever
    company it is drawn. Uses all cores.

    Args:
        people: Who is to be seen: whole numbers from 0, shape (n,). There is no last person.
        shots: Which picture of that person: whole numbers from 0, shape (n,).
        seed: Another seed, other people.
        size: Height and width in pixels, 16 to 2048 each. The face fills what it can.

    Returns:
        Pictures, labels and landmarks, in the order asked for.

    Raises:
        UsageError: If an argument is not as above.

    Example:
        >>> draw_faces([0, 0, 7], [0, 1, 0]).images.shape
        (3, 3, 55, 47)
    """
    who, which = _whole_numbers(people, "people"), _whole_numbers(shots, "shots")
    if len(who) != len(which):
        raise UsageError(f"expected as many shots as people, got {len(which)} for {len(who)}")
    check_request(seed, size)
    faces = _empty(who, size)
    step = max(1, _PIXELS // (size[0] * size[1]))
    spans = [slice(start, start + step) for start in range(0, len(who), step)]

    def fill(span: slice) -> None:
        _draw(who[span], which[span], seed, out=_part(faces, span))

    with ThreadPoolExecutor(max(1, min(len(spans), cores()))) as pool:
        list(pool.map(fill, spans))
    return faces


def check_request(seed: int, size: tuple[int, int]) -> None:
    """Refuse a seed or a size that no face can be drawn with.

    Raises:
        UsageError: If one is outside its range.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"expected a seed from 0 to 2**63 - 1, got {seed}")
    if not all(LEAST <= length <= MOST for length in size):
        raise UsageError(
            f"expected faces of {LEAST} to {MOST} pixels each way, got {size[0]}x{size[1]}"
        )


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _whole_numbers(values: ArrayLike, what: str) -> Integers:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise UsageError(
            f"expected {what} as a list of whole numbers, got {found.dtype} {found.shape}"
        )
    if found.size and (found.min() < 0 or found.max() > np.iinfo(np.int64).max):
        raise UsageError(f"expected {what} from 0 to 2**63 - 1, got {found.min()} to {found.max()}")
    return found.astype(np.int64)


def _empty(people: Integers, size: tuple[int, int]) -> Faces:
    images = np.empty((len(people), 3, *size), np.uint8)
    return Faces(images, people, np.empty((len(people), len(LANDMARKS), 2), np.float32))


def _part(faces: Faces, span: slice) -> Faces:
    return Faces(faces.images[span], faces.labels[span], faces.landmarks[span])


def _draw(people: Integers, shots: Integers, seed: int, *, out: Faces) -> None:
    """Draw one block into a part of the arrays."""
    size = out.images.shape[2], out.images.shape[3]

    def keys(stream: _Stream, *parts: Integers) -> Keys:
        return make_keys(seed, np.full_like(people, stream), *parts)

    person = draw_traits(Person, keys(_Stream.PERSON, people))
    shot = draw_traits(Shot, keys(_Stream.SHOT, people, shots))
    image = np.empty(out.images.shape, np.float32)
    canvas = Canvas(image, *to_face(size, shot), pixel_size(size))
    scene.paint_background(canvas, shot, keys(_Stream.BACKGROUND, people, shots))
    _paint(canvas, person, shot)
    out.images[:] = camera.develop(canvas, shot, keys(_Stream.GRAIN, people, shots))
    out.landmarks[:] = to_pixels(_landmarks(person, shot), size, shot)


def _paint(canvas: Canvas, person: Person, shot: Shot) -> None:
    """From the back to the front."""
    head = heads.shape_head(canvas, person)
    mass = hair.shape_hair(canvas, head, person, shot)
    hair.paint_hair_behind(canvas, mass)
    heads.paint_neck(canvas, person)
    scene.paint_clothes(canvas, person, shot)
    heads.paint_head(canvas, head, person, shot)
    nose.paint_nose(canvas, person, shot)
    mouth.paint_mouth(canvas, person, shot)
    eyes.paint_eyes(canvas, person, shot)
    marks.paint_beard(canvas, head, person)
    marks.paint_spots(canvas, head, person)
    eyes.paint_brows(canvas, person, shot)
    hair.paint_hair_front(canvas, mass, head, person)


def _landmarks(person: Person, shot: Shot) -> Floats:
    """The points of `LANDMARKS` on the face, shape (n, 13, 2)."""
    points = (
        eyes.eye_points(person),
        eyes.brow_points(person, shot),
        nose.nose_point(person, shot),
        mouth.mouth_points(person, shot),
    )
    return np.concatenate(points, axis=1)
