"""Decode image files to RGB, trusting nothing about them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from goodnet.errors import GoodnetError, InvalidInput, OverBudget
from goodnet.formats.budgets import MIB
from goodnet.formats.safe_file import open_regular
from goodnet.imagesets.pixels import MAX_PIXELS
from goodnet.imagesets.tables import Span, cut, rows_at_once
from goodnet.quarantine import renew_time

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

# By content, never by suffix. Of the many parsers of Pillow only these four are let near the file.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")

_FILE_BYTES = 64 * MIB
# Pictures that take no time to decode before it is known whether all are used.
_FEW = 1000
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


class PictureSource(Protocol):
    """Image files in an order."""

    def decode(self, row: int, /) -> NDArray[np.uint8]:
        """Pixels of a file by its place, shape (height, width, 3)."""
        ...


@dataclass(frozen=True, eq=False)
class DecodedPictures:
    """Pictures in memory, shape (height, width, 3) each."""

    pixels: Sequence[NDArray[np.uint8]] = field(repr=False)

    def decode(self, row: int) -> NDArray[np.uint8]:
        """Pixels of a picture by its place."""
        return self.pixels[row]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Image files as a table; they are decoded when they are read.

    Attributes:
        names: Of the files, for messages.
        shape: (files, height, width, channels).
        source: The files.
        convert: What is done to each; with it they may be of several sizes.
    """

    names: Sequence[str] = field(repr=False)
    shape: tuple[int, ...]
    source: PictureSource
    convert: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    dtype: np.dtype[Any] = field(default=np.dtype(np.uint8))
    chunk_rows: int = 1

    def read(self, spans: Sequence[Span], rows: int) -> Iterator[NDArray[Any]]:
        """Decode the files of `spans`, at most `rows` at a time."""
        for start, stop in cut(spans, rows_at_once(self, rows)):
            yield np.stack([self._picture(row) for row in range(start, stop)])

    def _picture(self, row: int) -> NDArray[Any]:
        renew_time()
        pixels = self.source.decode(row)
        if self.convert is not None:
            return self.convert(pixels)
        if pixels.shape != self.shape[1:]:
            raise InvalidInput(
                f"expected all images to have the same size as {self.names[0]!r}, "
                f"{_size_text(self.shape[1:])}; {self.names[row]!r} has "
                f"{_size_text(pixels.shape)}; --preprocess resize brings all to one size"
            )
        return pixels


def decoded(pictures: Pictures, *, most: int) -> DecodedPictures | None:
    """A few pictures in memory; None if they take more than `most` bytes, or one cannot be read.

    What is wrong with one is said when it is used.
    """
    # if all are as large as the first
    if len(pictures.names) > _FEW or math.prod(pictures.shape) > most:
        return None
    found, left = [], most
    try:
        for row in range(len(pictures.names)):
            found.append(pictures.source.decode(row))
            left -= found[-1].nbytes
            if left < 0:
                return None
    except GoodnetError:
        return None
    return DecodedPictures(found)


def _size_text(shape: tuple[int, ...]) -> str:
    """For example "47x55 pixels", of an image (height, width, channels)."""
    return f"{shape[1]}x{shape[0]} pixels"


def decode_image(path: Path, *, shown: str) -> NDArray[np.uint8]:
    """Decode a PNG, JPEG, BMP or WebP file.

    Turned upright as its EXIF data says. Grey, palette and CMYK pictures become RGB, transparency
    is dropped, of an animation the first picture is taken.

    Args:
        path: The file.
        shown: What to call it in messages.

    Returns:
        Pixels, shape (height, width, 3).

    Raises:
        FileError: If it cannot be opened.
        InvalidInput: If it is not an image of these kinds, is damaged, or has 16 bits per value.
        OverBudget: If it has more than 64 MiB or 16 million pixels.
    """
    with open_regular(path, what="picture", limit=_FILE_BYTES) as file:
        return decode_stream(file, shown=shown)


def decode_stream(file: BinaryIO, *, shown: str) -> NDArray[np.uint8]:
    """Decode an open image file; see `decode_image`.

    Raises:
        InvalidInput: If it is not an image of these kinds, is damaged, or has 16 bits per value.
        OverBudget: If it has more than 16 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("error", kind)
        try:
            with Image.open(file, formats=FORMATS) as image:
                _check(image, shown)
                return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
        except GoodnetError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise OverBudget(_too_large(shown)) from error
        except UnidentifiedImageError as error:
            raise InvalidInput(
                "expected a PNG, JPEG, BMP or WebP image, got something else or only a part of "
                f"one: {shown}"
            ) from error
        except Exception as error:  # on hostile bytes a decoder may raise anything
            raise InvalidInput(
                f"the image is damaged ({' '.join(str(error).split())}): {shown}"
            ) from error


def _check(image: Image, shown: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise OverBudget(_too_large(shown))
    if image.mode not in _MODES:
        raise InvalidInput(
            f"expected 8 bits per value, got an image of the mode {image.mode}; convert {shown}"
        )


def _to_rgb(image: Image) -> Image:
    if image.mode in ("P", "PA"):  # a palette with transparency goes there only by way of RGBA
        image = image.convert("RGBA")
    return image.convert("RGB")


def _too_large(shown: str) -> str:
    return f"an image may have at most {MAX_PIXELS:,} pixels, more in {shown}"
