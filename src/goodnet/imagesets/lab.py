"""The lab's layout: an array of pixels, one of labels, and perhaps one of true classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.imagesets.imageset import ImageSet
from goodnet.imagesets.labels import read_labels
from goodnet.imagesets.pixels import (
    RANGE_OF_TYPE,
    assemble,
    check_asked_range,
    check_finite,
    find_layout,
    find_range,
    image_shape,
    parse_layout,
    parse_range,
)
from goodnet.imagesets.tables import rows_at_once, rows_of, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.imagesets.imageset import Origin
    from goodnet.imagesets.pixels import Layout, PixelRange, Shape
    from goodnet.imagesets.tables import Array, Table
    from goodnet.types import Integers

# What pixels, labels and true classes may be called.
_NAMES = (
    ("data", "label", "source_label"),
    ("images", "labels", "source_labels"),
    ("x", "y", "source_y"),
)
_LISTED = 6
_RANGE_SAMPLE, _RANGE_PLACES = 64, 4


class Contents(Protocol):
    """The arrays of a file."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each array by its name."""
        ...

    def table(self, name: str, /) -> Table:
        """One array, checked."""
        ...


def labelled_images(
    contents: Contents,
    origin: Origin,
    *,
    name: str,
    layout: str | None = None,
    range: str | None = None,  # noqa: A002
) -> ImageSet:
    """Make a set of the arrays `data`, `label` and, if there is one, `source_label`.

    The names `images` and `labels`, or `x` and `y`, are understood as well.

    Args:
        contents: The arrays of the file.
        origin: The file.
        name: What to call the set.
        layout: What the user says about the order of the axes, if anything.
        range: What the user says about the values of the pixels, if anything.

    Returns:
        The set. A few images have been read to tell the range of their pixels.

    Raises:
        UsageError: If `layout` or `range` is not one that is known.
        InvalidInput: If arrays are missing, differ in length, are empty, or hold something else.
        OverBudget: If one image or the list of labels is too large.
    """
    asked_layout, asked_range = parse_layout(layout), parse_range(range)
    pixel_name, label_name, source_name = _find_names(contents.shapes, name)
    pixels = contents.table(pixel_name)
    if pixels.dtype.kind not in "biuf":
        raise InvalidInput(f"{name}: expected numbers as pixels, got {pixels.dtype} values")
    _check_lengths(contents.shapes, (pixel_name, label_name, source_name), name)
    found_layout = find_layout(pixels.shape, asked_layout, name=name)
    shape = image_shape(pixels.shape, found_layout, name=name)
    return ImageSet(
        name=name,
        shape=shape,
        labels=_labels(contents, label_name, name),
        source_labels=_labels(contents, source_name, name) if source_name else None,
        range=_range(pixels, asked_range, found_layout, shape, name=name),
        layout=found_layout,
        table=pixels,
        origin=origin,
    )


def _find_names(shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[str, str, str | None]:
    for pixels, labels, source in _NAMES:
        if pixels in shapes and labels in shapes:
            return pixels, labels, source if source in shapes else None
    raise InvalidInput(
        f"{name}: expected an array `data` of images and an array `label` of classes (or images "
        f"and labels, x and y); the file holds {_listing(shapes)}"
    )


def _listing(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """For example "'a' (60, 3), 'b/c' (60,) and 7 more"."""
    shown = [f"{key!r} {shape}" for key, shape in list(shapes.items())[:_LISTED]]
    more = f" and {len(shapes) - _LISTED} more" if len(shapes) > _LISTED else ""
    return (", ".join(shown) or "no arrays at all") + more


def _check_lengths(
    shapes: Mapping[str, tuple[int, ...]], names: tuple[str | None, ...], name: str
) -> None:
    lengths = {key: shapes[key][:1] or (0,) for key in names if key}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key!r} has {length:,}" for key, (length,) in lengths.items())
        raise InvalidInput(f"{name}: expected as many labels as images, but {counts}")
    if (0,) in lengths.values():
        raise InvalidInput(f"{name}: expected at least one image, the file holds none")


def _labels(contents: Contents, key: str, name: str) -> Integers:
    return read_labels(contents.table(key), name=f"{name}: {key!r}")


def _range(
    pixels: Table, asked: PixelRange | None, layout: Layout, shape: Shape, *, name: str
) -> PixelRange:
    """The range of the pixels, from some of them."""
    if asked is None and (known := RANGE_OF_TYPE.get(pixels.dtype)):
        return known
    count = rows_at_once(pixels, _RANGE_SAMPLE)
    spans = spread(pixels, count, places=_RANGE_PLACES)
    runs: list[Array] = list(pixels.read(spans, count))
    if asked is not None:
        check_asked_range(np.concatenate(runs), asked, name=name)
        return asked
    check_finite(assemble(runs, layout, shape), rows_of(spans), name=name)
    return find_range(np.concatenate(runs), name=name)
