"""Synthetic people as the clean images of an attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import UsageError
from goodnet.imagesets.faces import LANDMARKS
from goodnet.runs.attack.data import Labelled, Split
from goodnet.runs.faces import FacesRequest, face_blocks

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Shape
    from goodnet.progress import ProgressCallback
    from goodnet.types import Integers

__all__ = ["FaceSource", "face_source"]


@dataclass(frozen=True)
class FaceSource:
    """Synthetic people, made by `face_source`.

    Attributes:
        request: All pictures: of each person first those to train on, then those held out.
        held_out: Pictures of each person to validate with, and as many to test with.
    """

    request: FacesRequest
    held_out: int

    @property
    def count(self) -> int:
        """See `ImageSource`."""
        return self.request.total

    @property
    def shape(self) -> Shape:
        """See `ImageSource`."""
        return (3, *self.request.size)

    @property
    def image_bytes(self) -> int:
        """See `ImageSource`."""
        return self.request.image_bytes

    @property
    def labels(self) -> Split[Integers]:
        """See `ImageSource`."""
        people = np.arange(self.count) % self.request.people
        return Split(*(people[rows] for rows in self._rows()))

    @property
    def landmarks(self) -> None:
        """See `ImageSource`: not known before they are drawn."""

    def about(self) -> dict[str, Any]:
        """See `ImageSource`."""
        per_person = self.request.per_person - 2 * self.held_out
        request = {"people": self.request.people, "per_person": per_person}
        return {"faces": {**request, "held_out": self.held_out, "seed": self.request.seed}}

    def load(self, advance: ProgressCallback) -> Split[Labelled]:
        """See `ImageSource`."""
        images = np.empty((self.count, *self.shape), np.uint8)
        labels = np.empty(self.count, np.int64)
        landmarks = np.empty((self.count, len(LANDMARKS), 2), np.float32)
        start = 0
        for faces in face_blocks(self.request):
            here = slice(start, start + len(faces.labels))
            images[here], labels[here] = faces.images, faces.labels
            landmarks[here] = faces.landmarks
            start = here.stop
            advance(len(faces.labels))
        drawn = Labelled(images, labels, landmarks)
        return Split(*(drawn.part(rows) for rows in self._rows()))

    def _rows(self) -> tuple[slice, slice, slice]:
        people, held = self.request.people, self.request.people * self.held_out
        first = people * self.request.per_person - 2 * held
        return slice(0, first), slice(first, first + held), slice(first + held, first + 2 * held)


def face_source(people: int, *, per_person: int, held_out: int, seed: int) -> FaceSource:
    """Synthetic people to recognise.

    Args:
        people: How many.
        per_person: Pictures of each to train on.
        held_out: Further pictures of each to validate with, and as many again to test with.
        seed: Another seed, other people.

    Raises:
        UsageError: If a number is outside its range.
    """
    if people < 2:
        raise UsageError(f"expected at least 2 people to tell apart, got {people}")
    for number, what in ((per_person, "train on"), (held_out, "hold out")):
        if number < 1:
            raise UsageError(f"expected at least 1 picture of each person to {what}, got {number}")
    return FaceSource(FacesRequest(people, per_person + 2 * held_out, seed=seed), held_out)
