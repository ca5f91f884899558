"""The clean images an attack starts from: to train on, to validate with, to test with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from goodnet.errors import OverBudget
from goodnet.formats.budgets import GIB, readable
from goodnet.imagesets.landmarks import LANDMARKS
from goodnet.imagesets.pixels import Shape
from goodnet.imagesets.rows import write_arrays
from goodnet.types import Integers

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.attack import Landmarks
    from goodnet.progress import ProgressCallback

# What the images of an attack may take in memory.
MEMORY_BYTES = 8 * GIB

T = TypeVar("T")


@dataclass(frozen=True)
class Split(Generic[T]):
    """Something for each part of the images."""

    train: T
    valid: T
    test: T


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images in memory.

    Attributes:
        images: Pixels 0..255, bytes or float32, shape (n, channels, height, width).
        labels: True classes, shape (n,).
        landmarks: Shape (n, 13, 2); None where not known.
    """

    images: NDArray[Any]
    labels: Integers
    landmarks: Landmarks | None

    def part(self, rows: slice) -> Labelled:
        """Some of the images, without a copy."""
        marks = None if self.landmarks is None else self.landmarks[rows]
        return Labelled(self.images[rows], self.labels[rows], marks)


class ImageSource(Protocol):
    """Where clean images come from; nothing is drawn or read before `load`."""

    @property
    def count(self) -> int:
        """Images in all."""
        ...

    @property
    def shape(self) -> Shape:
        """Of one image, (channels, height, width)."""
        ...

    @property
    def image_bytes(self) -> int:
        """What one image takes in memory."""
        ...

    @property
    def labels(self) -> Split[Integers]:
        """True classes of the images of each part."""
        ...

    @property
    def landmarks(self) -> Landmarks | None:
        """Those of the first image, shape (1, 13, 2), where images have their own."""
        ...

    def about(self) -> dict[str, Any]:
        """Plain data for the card."""
        ...

    def load(self, advance: ProgressCallback) -> Split[Labelled]:
        """Bring all images into memory; `advance` is told how many more there are."""
        ...


def check_memory(source: ImageSource, *, copies: int = 1) -> None:
    """Refuse more images than are held in memory.

    Raises:
        OverBudget: If they take more than 8 GiB.
    """
    needed = copies * source.count * source.image_bytes
    if needed > MEMORY_BYTES:
        raise OverBudget(
            f"{source.count:,} images of {source.image_bytes:,} bytes would take "
            f"{readable(needed)} of memory, at most {readable(MEMORY_BYTES)} are used; take fewer"
        )


def save_labelled(path: Path, data: Labelled) -> None:
    """Write images in the lab's layout, with their landmarks if they have any.

    Raises:
        OSError: If the system refuses.
    """
    arrays = {"data": data.images, "label": data.labels}
    if data.landmarks is not None:
        arrays["landmarks"] = data.landmarks
    write_arrays(path, arrays, names={"landmarks": LANDMARKS})
