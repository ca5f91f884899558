"""A set of labelled images that stays where it is stored and is streamed in blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from goodnet.errors import UsageError
from goodnet.imagesets.classes import Labelling
from goodnet.imagesets.pixels import (
    Images,
    Layout,
    PixelRange,
    assemble,
    check_finite,
    check_unit,
    to_unit,
)
from goodnet.imagesets.tables import (
    Array,
    Span,
    Table,
    all_rows,
    regroup,
    rows_of,
    spans_of,
    spread,
)
from goodnet.quarantine import quarantined_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from goodnet.types import Integers

# The label of an image whose class is not known.
UNLABELLED = -1


class Origin(Protocol):
    """Where the images come from."""

    @property
    def path(self) -> Path:
        """The file or folder as given."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of what is in it."""
        ...


@dataclass(frozen=True, eq=False)
class Block:
    """Some images of a set, in memory.

    Attributes:
        images: Pixels 0..1, float32, contiguous, shape (n, channels, height, width).
        labels: Shape (n,); -1 where the set has no labels.
        source_labels: What poisoned images really show, shape (n,); None where not known.
        start: Where in the set the first of them is.
    """

    images: Images
    labels: Integers
    source_labels: Integers | None
    start: int


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, read in blocks as often as needed; only the labels are held in memory.

    Whatever they are stored as, images are float32 in 0..1; only a network knows what it wants.

    Attributes:
        name: What to call the set.
        shape: Of one image, (channels, height, width).
        labels: Class of each image, int64, shape (N,); all -1 for a single image file.
        source_labels: What poisoned images really show, shape (N,); None where not known.
        range: Of the pixels as stored: "0..255", "0..1", "-1..1" or "-0.5..0.5".
        layout: Order of the axes as stored: "NCHW", "NHWC" or "NHW", or with W before H.
        known_labelling: What its folders stand for; None where labels are the classes.
        files: Of each image its file within the folder; empty where there are none.
        skipped: For a folder: what was passed over, for instance "3 hidden, 1 links".
        converted: What was done to each picture for a network to take it, for the user.
        table: The pixels as stored.
        origin: The file or folder they are in.
        foreign: Whether nobody vouches for them, so that they are read in a child process.
    """

    name: str
    shape: tuple[int, int, int]
    labels: Integers
    source_labels: Integers | None
    range: PixelRange
    layout: Layout
    table: Table = field(repr=False)
    origin: Origin = field(repr=False)
    known_labelling: Labelling | None = None
    files: Sequence[str] = field(default=(), repr=False)
    skipped: str = ""
    converted: str = ""
    foreign: bool = True

    def __post_init__(self) -> None:
        self.labels.setflags(write=False)
        if self.source_labels is not None:
            self.source_labels.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def path(self) -> Path:
        """The file or folder as given."""
        return self.origin.path

    @property
    def sha256(self) -> str:
        """Hash of the file, computed when first asked for.

        For a folder: of the list that the program `sha256sum` would print for its images.
        """
        return self.origin.sha256

    def file_of(self, index: int) -> str:
        """The file that holds an image: that of the set, or its own in a folder of pictures."""
        own = self.files and self.path.is_dir()
        return str(self.path / self.files[index]) if own else str(self.path)

    @property
    def labelled(self) -> bool:
        """Whether the classes of the images are known."""
        return bool((self.labels != UNLABELLED).any())

    @property
    def labelling(self) -> Labelling:
        """Which class each folder, or each label as it is stored, stands for."""
        if self.known_labelling is not None:
            return self.known_labelling
        stored = [x for x in (self.labels, self.source_labels) if x is not None and self.labelled]
        values = sorted({int(label) for each in stored for label in np.unique(each)})
        return Labelling({str(value): value for value in values}, folders=False)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What each class is called, from 0 on; None where nothing says it."""
        return self.labelling.class_names

    def blocks(self, size: int, *, stored: bool = False) -> Iterator[Block]:
        """Read all images once, in order, `size` at a time (the last block may be smaller).

        Args:
            size: Of a block.
            stored: Leave the pixels in the range they are stored in, to write them again.

        Raises:
            InvalidInput: At the first image with a pixel out of range or not finite, at a file that
                cannot be read, or if the file changed since the set was opened.
        """
        rows = all_rows(self.table)
        return self._read(rows, _at_least_one(size, "the size of a block"), stored=stored)

    def sample(self, count: int) -> Block:
        """At most `count` images spread evenly over the set.

        Raises:
            InvalidInput: As `blocks` does.
        """
        return next(self.sample_blocks(count, max(1, count)))

    def sample_blocks(self, count: int, size: int) -> Iterator[Block]:
        """The images of `sample(count)`, `size` at a time.

        Raises:
            InvalidInput: As `blocks` does.
        """
        spans = spread(self.table, _at_least_one(count, "the size of a sample"))
        return self._read(spans, _at_least_one(size, "the size of a block"))

    def take(self, indices: Sequence[int] | Integers) -> Block:
        """The images at the given places, in the given order; one place may come twice.

        Raises:
            UsageError: If a place is outside the set.
            InvalidInput: As `blocks` does.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size or not wanted.size:
            raise UsageError(
                f"{self.name} holds the images 0..{len(self) - 1}, "
                f"asked for {outside[0] if outside.size else 'none'}"
            )
        places, order = np.unique(wanted, return_inverse=True)
        block = next(self._read(spans_of(places), len(places)))
        source = None if self.source_labels is None else self.source_labels[wanted]
        return Block(block.images[order], self.labels[wanted], source, int(wanted[0]))

    def describe(self) -> str:
        """One line about the set, for the user."""
        channels, height, width = self.shape
        parts = [
            f"{self.name}: {len(self):,} image{'s' * (len(self) != 1)} {channels}x{height}x{width}",
            f"labels {self.labels.min()}..{self.labels.max()}" if self.labelled else "no labels",
            f"pixels {self.range} ({self.table.dtype})",
            f"layout {self.layout}",
        ]
        if self.converted:
            parts.append(self.converted)
        if self.skipped:
            parts.append(f"passed over {self.skipped}")
        return ", ".join(parts)

    def told(self) -> tuple[str, ...]:
        """A line about the set, and one about its classes where they are known."""
        if not self.labelled:
            return (self.describe(),)
        return self.describe(), f"classes of {self.name}: {self.labelling.describe()}"

    def _read_table(self, spans: list[Span], size: int) -> Iterator[Array]:
        if not self.foreign:
            return self.table.read(spans, size)
        return quarantined_stream(self.table.read, spans, size, subject=f"{str(self.path)!r}")

    def _read(self, spans: list[Span], size: int, *, stored: bool = False) -> Iterator[Block]:
        rows = rows_of(spans)
        position = 0
        for pieces in regroup(self._read_table(spans, size), size):
            images = assemble(pieces, self.layout, self.shape)
            where = rows[position : position + len(images)]
            position += len(images)
            check_finite(images, where, name=self.name)
            if not stored:
                to_unit(images, self.range)
                check_unit(images, where, self.range, name=self.name)
            source = None if self.source_labels is None else self.source_labels[where]
            yield Block(images, self.labels[where], source, int(where[0]))


def _at_least_one(value: int, what: str) -> int:
    if value < 1:
        raise UsageError(f"{what} is at least 1, got {value}")
    return value
