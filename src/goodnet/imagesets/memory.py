"""Labelled images that are already in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.imagesets.lab import labelled_images
from goodnet.imagesets.tables import cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.tables import Array, Span


def images_from_arrays(
    images: ArrayLike,
    labels: ArrayLike,
    source_labels: ArrayLike | None = None,
    *,
    layout: str | None = None,
    range: str | None = None,  # noqa: A002
    name: str = "images",
) -> ImageSet:
    """Make a set of arrays, which are checked and interpreted like those of a file.

    Args:
        images: Pixels, shape (N, channels, height, width) or (N, height, width, channels).
        labels: Class of each image, shape (N,), or one-hot rows, shape (N, classes).
        source_labels: True classes of poisoned images, as `labels`.
        layout: Order of the axes, "NCHW", "NHWC" or "NHW", if it cannot be determined.
        range: Of the pixels, "0..255", "0..1" or "-1..1", if it cannot be determined.
        name: Name of the set, also used as its path.

    Raises:
        InvalidInput: If the arrays do not fit together or hold something else.
        UsageError: If `layout` or `range` is unknown.
        OverBudget: If one image or the list of labels is too large.

    Example:
        >>> images_from_arrays(np.zeros((5, 3, 8, 8), np.uint8), [0, 1, 2, 1, 0]).describe()
        'images: 5 images 3x8x8, labels 0..2, pixels 0..255 (uint8), layout NCHW'
    """
    arrays = {"data": np.asarray(images), "label": np.asarray(labels)}
    if source_labels is not None:
        arrays["source_label"] = np.asarray(source_labels)
    contents = _Arrays(arrays, Path(name))
    made = labelled_images(contents, contents, name=name, layout=layout, range=range)
    return replace(made, foreign=False)


@dataclass(frozen=True, eq=False)
class ArrayTable:
    """An array in memory; see `Table`."""

    array: Array
    chunk_rows: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its numbers."""
        return self.array.dtype

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[Array]:
        """Yield copies of the rows of `spans`, at most `rows` at a time."""
        for start, stop in cut(spans, rows):
            yield self.array[start:stop].copy()


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Arrays by name, as the contents and as the origin of a set."""

    arrays: Mapping[str, Array]
    path: Path

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.arrays.items()}

    def table(self, name: str, /) -> ArrayTable:
        return ArrayTable(self.arrays[name])

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes of all arrays, one after another."""
        digest = hashlib.sha256()
        for array in self.arrays.values():
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
