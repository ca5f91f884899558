"""Where the clean images of an attack come from: people to draw, or images to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets import ImageSet, check_fits
from goodnet.imagesets.faces import LANDMARKS
from goodnet.imagesets.landmarks import find_landmarks
from goodnet.runs.attack.data import Labelled, Split
from goodnet.runs.faces import FacesRequest, face_blocks
from goodnet.runs.poison import block_size

if TYPE_CHECKING:
    from goodnet.attack import Landmarks
    from goodnet.imagesets.pixels import Shape
    from goodnet.progress import ProgressCallback
    from goodnet.types import Integers

__all__ = ["FaceSource", "StoredSource", "face_source", "image_source"]

# One in so many images of a class is set aside to validate with, and one to test with.
_SET_ASIDE = 10


@dataclass(frozen=True, eq=False)
class StoredSource:
    """Images from a file or folder, made by `image_source`.

    Attributes:
        images: The set to train on, and to validate and test with what is set aside of it.
        test: A set to test with instead.
        seed: Of what is set aside.
    """

    images: ImageSet
    test: ImageSet | None
    seed: int

    @property
    def count(self) -> int:
        """See `ImageSource`."""
        return len(self.images) + (len(self.test) if self.test else 0)

    @property
    def shape(self) -> Shape:
        """See `ImageSource`."""
        return self.images.shape

    @property
    def image_bytes(self) -> int:
        """See `ImageSource`."""
        sets = [each for each in (self.images, self.test) if each is not None]
        return math.prod(self.shape) * max(_stored_as(each).itemsize for each in sets)

    @property
    def labels(self) -> Split[Integers]:
        """See `ImageSource`."""
        train, valid, test = self._rows
        own, other = self.images.labels, (self.test or self.images).labels
        return Split(own[train], own[valid], other[test])

    @cached_property
    def landmarks(self) -> Landmarks | None:
        """See `ImageSource`."""
        found = find_landmarks(self.images)
        return None if found is None else found[:1]

    def about(self) -> dict[str, Any]:
        """See `ImageSource`."""
        return {"images": _about(self.images), "test": _about(self.test) if self.test else None}

    def load(self, advance: ProgressCallback) -> Split[Labelled]:
        """See `ImageSource`."""
        train, valid, test = self._rows
        if self.test is None:
            return Split(*_read(self.images, (train, valid, test), advance))
        own = _read(self.images, (train, valid), advance)
        return Split(*own, *_read(self.test, (test,), advance))

    @cached_property
    def _rows(self) -> tuple[Integers, Integers, Integers]:
        """Which images are in each part, ascending."""
        if self.test is None:
            train, valid, test = _set_aside(self.images, 2, seed=self.seed)
        else:
            train, valid = _set_aside(self.images, 1, seed=self.seed)
            test = np.arange(len(self.test))
        return train, valid, test


def image_source(images: ImageSet, test: ImageSet | None = None, *, seed: int) -> StoredSource:
    """Images from files.

    Args:
        images: One in ten of each class is set aside to validate with, and if there is no test
            set one more to test with: at least one of a class, but none of a class that would
            have nothing left.
        test: A set to test with.
        seed: Of what is set aside.

    Raises:
        InvalidInput: If a set is poisoned already, has no labels or too few images of every class,
            or the two do not go together.
    """
    for given in (images, test):
        if given is not None and given.source_labels is not None:
            raise InvalidInput(f"expected clean images, {given.name} is poisoned already")
    if images.labels.min() < 0:
        raise InvalidInput(f"expected images with labels to train on, {images.name} has none")
    if test is not None:
        check_fits(test, shape=images.shape, num_classes=int(images.labels.max()) + 1)
        if test.class_names != images.class_names:
            raise InvalidInput(
                f"expected the same classes in both sets, {images.name} has "
                f"{images.class_names or 'numbers'} and {test.name} {test.class_names or 'numbers'}"
            )
    source = StoredSource(images, test, seed)
    if not source.labels.valid.size:
        raise InvalidInput(
            f"expected {3 if test is None else 2} images of a class or more, of which one to "
            f"validate with{' and one to test with' * (test is None)}, {images.name} has fewer"
        )
    return source


def _about(images: ImageSet) -> dict[str, Any]:
    return {"name": images.path.name, "sha256": images.sha256, "images": len(images)}


def _stored_as(images: ImageSet) -> np.dtype[Any]:
    """Bytes stay bytes, all else becomes floats."""
    stay = images.table.dtype == np.uint8 and images.range == "0..255"
    return np.dtype(np.uint8 if stay else np.float32)


def _read(images: ImageSet, parts: Sequence[Integers], advance: ProgressCallback) -> list[Labelled]:
    """Bring the images at some ascending rows, for each part, into memory: one pass in all."""
    pixels = [np.empty((len(rows), *images.shape), _stored_as(images)) for rows in parts]
    for block in images.blocks(block_size(images.shape)):
        stop = block.start + len(block.labels)
        bytes_ = block.images * np.float32(255)
        for rows, out in zip(parts, pixels, strict=True):
            first, last = np.searchsorted(rows, (block.start, stop))
            out[first:last] = bytes_[rows[first:last] - block.start]
        advance(len(block.labels))
    marks = find_landmarks(images)
    return [
        Labelled(out, images.labels[rows], None if marks is None else marks[rows])
        for rows, out in zip(parts, pixels, strict=True)
    ]


def _set_aside(images: ImageSet, parts: int, *, seed: int) -> list[Integers]:
    """The rows that stay, then those set aside for each part, all ascending and by class."""
    order = np.random.default_rng(seed).permutation(len(images))
    order = order[np.argsort(images.labels[order], kind="stable")]
    counts = np.unique(images.labels, return_counts=True)[1]
    place = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = np.where(counts > parts, np.maximum(1, np.rint(counts / _SET_ASIDE)), 0)
    part = np.minimum(parts, place // np.repeat(np.maximum(share, 1), counts)).astype(int)
    part[np.repeat(share == 0, counts)] = parts
    return [np.sort(order[part == number]) for number in (parts, *range(parts))]


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
