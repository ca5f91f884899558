"""Write a data set of synthetic people to a file, block by block."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goodnet.errors import FileError, UsageError
from goodnet.files import atomic_path
from goodnet.imagesets.faces import LANDMARKS, SIZE, Faces, check_request, draw_faces
from goodnet.imagesets.rows import Column, outline

# Of one block: some ten times as much memory is in use while it is drawn.
_BLOCK_BYTES = 16 * 2**20
_LAST = 2**63


@dataclass(frozen=True)
class FacesRequest:
    """Which faces to draw.

    Every person is seen once before any is seen again: picture i shows person i % people, and
    the first pictures of a set are a set of all people.

    Attributes:
        people: How many persons, labelled from 0.
        per_person: Pictures of each.
        first_shot: Number of the first picture of each person: sets with other numbers hold
            other pictures of the same people.
        size: Height and width in pixels.
        seed: Another seed, other people.

    Raises:
        UsageError: If a number is outside its range.
    """

    people: int
    per_person: int
    first_shot: int = 0
    size: tuple[int, int] = SIZE
    seed: int = 0

    def __post_init__(self) -> None:
        for number, what in ((self.people, "person"), (self.per_person, "picture of each person")):
            if number < 1:
                raise UsageError(f"expected at least 1 {what}, got {number}")
        if self.first_shot < 0:
            raise UsageError(f"expected a first shot from 0, got {self.first_shot}")
        if max(self.total, self.first_shot + self.per_person) >= _LAST:
            raise UsageError(f"expected fewer than 2**63 faces, got {self.total}")
        check_request(self.seed, self.size)

    @property
    def total(self) -> int:
        """Pictures in all."""
        return self.people * self.per_person

    @property
    def image_bytes(self) -> int:
        """Size of one picture."""
        return 3 * math.prod(self.size)


def face_blocks(request: FacesRequest) -> Iterator[Faces]:
    """Draw a data set in its order, a block at a time."""
    step = max(1, _BLOCK_BYTES // request.image_bytes)
    for start in range(0, request.total, step):
        shot, person = np.divmod(np.arange(start, min(start + step, request.total)), request.people)
        yield draw_faces(person, shot + request.first_shot, seed=request.seed, size=request.size)


def write_faces(
    path: Path,
    request: FacesRequest,
    *,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write an HDF5 file in the lab's layout, with landmarks.

    Its data sets are `data` (N, 3, height, width) uint8, `label` (N,) int64 and `landmarks`
    (N, 13, 2) float32, pixel coordinates (x, y) with the names in the attribute `names`. The file
    appears whole or not at all.

    Args:
        path: Where to.
        request: Which faces.
        force: Replace a file that is already there.
        progress: Called with the number of faces written since the last call.

    Raises:
        UsageError: If the file exists and `force` is not given.
        FileError: If it cannot be written or there is no room for it.
    """
    with atomic_path(path, force=force) as temporary:
        _check_room(path, request)
        places = outline(temporary, _columns(request))
        with temporary.open("r+b") as file:
            start = 0
            for faces in face_blocks(request):
                places["data"].write(file, start, faces.images)
                places["label"].write(file, start, faces.labels)
                places["landmarks"].write(file, start, faces.landmarks)
                start += len(faces.labels)
                if progress:
                    progress(len(faces.labels))


def _check_room(path: Path, request: FacesRequest) -> None:
    needed = sum(column.nbytes for column in _columns(request).values())
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise FileError(
            f"no room for the faces: they take {needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are "
            f"free; ask for fewer or name another disk: {path}"
        )


def _columns(request: FacesRequest) -> dict[str, Column]:
    count, points = request.total, len(LANDMARKS)
    return {
        "data": Column((count, 3, *request.size), "u1"),
        "label": Column((count,), "<i8"),
        "landmarks": Column((count, points, 2), "<f4", LANDMARKS),
    }
