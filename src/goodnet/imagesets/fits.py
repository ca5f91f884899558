"""Whether a set of images and a network belong together, and what brings them together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets.classes import check_count
from goodnet.imagesets.decode import Pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.tables import Array, Span, Table
    from goodnet.types import Integers

_GREY, _COLOUR = 1, 3
# Rec. 601, as Pillow computes it.
_LUMA = (19595, 38470, 7471)
_RESIZE = re.compile(r"resize(?:=([1-9][0-9]{0,4}))?")


@dataclass(frozen=True)
class Sizing:
    """How pictures of another size are brought to the size that a network takes.

    Attributes:
        crop: Their middle is cut out; else they are resized whole.
        side: What their shorter side is resized to before; None to leave it.
    """

    crop: bool = False
    side: int | None = None

    @classmethod
    def split(cls, text: str) -> tuple[Sizing | None, str]:
        """What the text of `--preprocess` says of the size, and what is left of the text.

        Example:
            >>> Sizing.split("resize=256,center-crop,x/255")
            (Sizing(crop=True, side=256), 'x/255')
            >>> Sizing.split("x/255")
            (None, 'x/255')
        """
        parts = text.split(",")
        resized = [found for part in parts if (found := _RESIZE.fullmatch(part))]
        crop = "center-crop" in parts
        if len(resized) > 1 or (crop and resized and not resized[0][1]):
            raise UsageError(
                f"--preprocess takes resize, or center-crop, or resize=N,center-crop; got {text!r}"
            )
        rest = [part for part in parts if not _RESIZE.fullmatch(part) and part != "center-crop"]
        if not resized and not crop:
            return None, text
        side = int(resized[0][1]) if resized and resized[0][1] else None
        return cls(crop or side is not None, side), ",".join(rest)

    def __call__(self, picture: Array, size: tuple[int, int]) -> Array:
        """One picture (height, width, channels) at a size (height, width).

        Raises:
            InvalidInput: If it is smaller than the part to cut out of it.
        """
        if not self.crop:
            return _resized(picture, size)
        if self.side is not None:
            height, width = picture.shape[:2]
            factor = self.side / min(height, width)
            picture = _resized(picture, (round(height * factor), round(width * factor)))
        top, left = ((have - want) // 2 for have, want in zip(picture.shape, size, strict=False))
        if top < 0 or left < 0:
            raise InvalidInput(
                f"cannot cut {size[1]}x{size[0]} pixels out of a picture of "
                f"{picture.shape[1]}x{picture.shape[0]}; pass --preprocess resize"
            )
        return picture[top : top + size[0], left : left + size[1]]


def fitted(
    images: ImageSet, shape: Sequence[int | None], *, sizing: Sizing | None = None
) -> ImageSet:
    """A set as a network takes it: grey or colour, and with `sizing` of the size it takes.

    Args:
        images: The set.
        shape: Of one image as the network wants it, (channels, height, width); None = any.
        sizing: How a size is changed; None to leave it.

    Returns:
        The set itself where there is nothing to do or nothing that can be done.
    """
    if len(shape) != len(images.shape):
        return images
    channels, height, width = (a or b for a, b in zip(shape, images.shape, strict=True))
    if {channels, images.shape[0]} != {_GREY, _COLOUR}:
        channels = images.shape[0]
    if sizing is None:
        height, width = images.shape[1:]
    elif isinstance(images.table, Pictures):
        pass  # they may be of several sizes
    elif (height, width) == images.shape[1:]:
        sizing = None
    if sizing is None and channels == images.shape[0]:
        return images
    said = [_COLOURS[channels]] if channels != images.shape[0] else []
    said += [f"brought to {height}x{width}"] if sizing else []
    turned = images.layout == "NWHC" and isinstance(images.table, Pictures)
    convert = _Conversion(channels, (width, height) if turned else (height, width), sizing)
    stored = (len(images), *convert.size, channels)
    return replace(
        images,
        shape=(channels, height, width),
        layout="NWHC" if turned else "NHWC",
        table=replace(images.table, convert=convert, shape=stored)
        if isinstance(images.table, Pictures)
        else _Converted(images.table, images.layout, convert, stored),
        converted=", ".join(said),
    )


_COLOURS = {_GREY: "colours taken as grey", _COLOUR: "grey taken as colours"}


@dataclass(frozen=True)
class _Conversion:
    """What is done to each picture (height, width, channels)."""

    channels: int
    size: tuple[int, int]
    sizing: Sizing | None

    def __call__(self, picture: Array) -> Array:
        if self.channels == _COLOUR and picture.shape[2] == _GREY:
            picture = picture.repeat(_COLOUR, 2)
        elif self.channels == _GREY and picture.shape[2] == _COLOUR:
            picture = _grey(picture)
        return picture if self.sizing is None else self.sizing(picture, self.size)


@dataclass(frozen=True, eq=False)
class _Converted:
    """A table of pictures, each of which is converted when it is read."""

    table: Table
    layout: str
    convert: _Conversion
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        known = self.table.dtype
        return known if known == np.uint8 or self.convert.sizing is None else np.dtype(np.float32)

    @property
    def chunk_rows(self) -> int:
        return self.table.chunk_rows

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[Array]:
        axes = [self.layout.index(axis) for axis in "NHWC" if axis in self.layout]
        for block in self.table.read(spans, rows):
            pictures = block.transpose(axes).reshape(len(block), *self._stored(block, axes))
            yield np.stack([self.convert(picture) for picture in pictures])

    def _stored(self, block: Array, axes: list[int]) -> tuple[int, ...]:
        height, width, *channels = (block.shape[axis] for axis in axes[1:])
        return height, width, channels[0] if channels else 1


def _grey(picture: Array) -> Array:
    if picture.dtype != np.uint8:
        mixed: Array = picture @ (np.array(_LUMA) / 2**16)
        return mixed.astype(picture.dtype)[..., None]
    total: Array = picture.astype(np.int64) @ np.array(_LUMA) + 2**15
    return (total >> 16).astype(np.uint8)[..., None]


def _resized(picture: Array, size: tuple[int, int]) -> Array:
    """Bilinear, with all pixels of the picture counting where it becomes smaller."""
    from PIL import Image

    kind = np.uint8 if picture.dtype == np.uint8 else np.float32
    planes = [np.ascontiguousarray(plane, dtype=kind) for plane in np.moveaxis(picture, 2, 0)]
    resized = [
        Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR) for plane in planes
    ]
    return np.stack([np.asarray(plane) for plane in resized], axis=2)


def check_fits(
    images: ImageSet,
    *,
    shape: Sequence[int | None],
    num_classes: int,
    labels: bool = True,
    rejects: bool = False,
) -> None:
    """Make sure a network can be run on a set and its answers compared with the labels.

    Args:
        images: The set.
        shape: Of one image as the network wants it, (channels, height, width); None = any.
        num_classes: How many classes the network has.
        labels: Whether the labels will be used; False where only answers are asked for.
        rejects: Whether the last class is no class of images but that of a GoodNet.

    Raises:
        InvalidInput: If images have another shape, labels are not classes of the network, or it has
            not as many classes as there are folders that have no numbers.
    """
    if not _agree(images.shape, shape):
        raise InvalidInput(
            f"{images.name} holds images of {_show(images.shape)} (channels x height x width), "
            f"the network takes {_show(shape)}{_hint(images, shape)}"
        )
    if not labels:
        return
    if not images.labelled:
        raise InvalidInput(
            f"{images.name} has no labels, which are needed here; use an HDF5 or npz file with "
            "labels, or a folder with one sub-folder per class"
        )
    check_count(images, num_classes - rejects)
    _check_labels(images.labels, num_classes, f"the labels of {images.name}")
    if images.source_labels is not None:
        _check_labels(images.source_labels, num_classes, f"the source labels of {images.name}")


def _check_labels(labels: Integers, num_classes: int, what: str) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < num_classes:
        return
    row = int(np.flatnonzero((labels < 0) | (labels >= num_classes))[0])
    one_based = low >= 1 and high == num_classes
    raise InvalidInput(
        f"the network has the classes 0..{num_classes - 1}, {what} go from {low} to {high}; "
        f"the first outside is {labels[row]} at image {row}"
        + ("; they seem to count from 1: pass --class-order from-1" if one_based else "")
    )


def _hint(images: ImageSet, wanted: Sequence[int | None]) -> str:
    channels, height, width = images.shape
    other, shape = "NHWC", (width, channels, height)
    if images.layout == "NHWC":
        other, shape = "NCHW", (height, width, channels)
    if images.layout not in ("NHW", "NWH") and _agree(shape, wanted):
        return f"; they would fit with --layout {other}"
    if _agree((channels, width, height), wanted):
        turned = images.layout.replace("HW", "WH")
        return f"; height and width seem to be swapped, they would fit with --layout {turned}"
    if len(wanted) == len(images.shape) and not _agree((height, width), wanted[1:]):
        return "; --preprocess resize or --preprocess center-crop brings them to that size"
    return ""


def _agree(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        want in (None, length) for length, want in zip(shape, wanted, strict=True)
    )


def _show(shape: Sequence[int | None]) -> str:
    return "x".join("any" if length is None else str(length) for length in shape)
