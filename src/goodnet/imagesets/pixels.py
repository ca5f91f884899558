"""What stored pixels mean: the order of their axes and the range of their values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, OverBudget, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.imagesets.tables import Array

Images = NDArray[np.float32]  # (images, channels, height, width)
Layout = Literal["NCHW", "NHWC", "NHW", "NCWH", "NWHC", "NWH"]
PixelRange = Literal["0..255", "0..1", "-1..1", "-0.5..0.5"]
Shape = tuple[int, int, int]  # channels, height, width

MAX_PIXELS = 16 * 10**6
# Types that say the range themselves.
RANGE_OF_TYPE: Mapping[np.dtype[Any], PixelRange] = MappingProxyType(
    {np.dtype(np.uint8): "0..255", np.dtype(np.bool_): "0..1"}
)
_CHANNELS = (1, 3, 4)
# Resizing a picture in floats overshoots its range by a little.
_SLACK = 1.002
_DARKEST_0_255 = 16
# Centred pixels come near both their ends; pixels -1..1 do not stop at just the half of theirs.
_FARTHEST_CENTRED = 0.45
# What a sharp resizing overshoots by at worst, as a share of the range.
_TOLERANCE = 0.2
_TURNED: Mapping[str, Layout] = MappingProxyType({"NCWH": "NCHW", "NWHC": "NHWC", "NWH": "NHW"})


def parse_layout(text: str | None) -> Layout | None:
    """The layout a user named.

    Raises:
        UsageError: If it is not one of NCHW, NHWC, NHW, or of these with W before H.
    """
    if text is None or text.upper() in get_args(Layout):
        return cast("Layout | None", text and text.upper())
    raise UsageError(f"--layout is one of {', '.join(get_args(Layout))}, got {text!r}")


def parse_range(text: str | None) -> PixelRange | None:
    """The pixel range a user named.

    Raises:
        UsageError: If it is not one of 0..255, 0..1, -1..1, -0.5..0.5.
    """
    if text is None or text in get_args(PixelRange):
        return cast("PixelRange | None", text)
    raise UsageError(f"--range is one of {', '.join(get_args(PixelRange))}, got {text!r}")


def find_layout(shape: tuple[int, ...], requested: Layout | None, *, name: str) -> Layout:
    """Tell the order of the axes from which of them is 1, 3 or 4 long, as channels are.

    Args:
        shape: Of the stored array, images first.
        requested: What the user said, if anything.
        name: Of the set, for messages.

    Returns:
        The layout; "NHW" for pictures without an axis of channels.

    Raises:
        InvalidInput: If the array is not one of pictures, or both readings are possible.
    """
    if requested is not None:
        if len(shape) != len(requested):
            raise InvalidInput(
                f"{name}: --layout {requested} needs an array with {len(requested)} axes, "
                f"got the shape {shape}"
            )
        return requested
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise InvalidInput(
            f"{name}: expected images with the axes N,C,H,W or N,H,W,C, got the shape {shape}"
        )
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first == last:
        which = (
            "both the second and the last axis" if first else "neither the second nor the last axis"
        )
        raise InvalidInput(
            f"{name}: cannot tell where the channels are: {which} is 1, 3 or 4 long; "
            f"pass --layout NCHW or --layout NHWC for the shape {shape}"
        )
    return "NCHW" if first else "NHWC"


def image_shape(shape: tuple[int, ...], layout: Layout, *, name: str) -> Shape:
    """Shape of one image, (channels, height, width).

    Raises:
        InvalidInput: If an axis is empty.
        OverBudget: If one image has more than 16 million pixels.
    """
    sizes = dict(zip(layout, shape, strict=True))
    channels, height, width = sizes.get("C", 1), sizes["H"], sizes["W"]
    if 0 in (channels, height, width):
        raise InvalidInput(f"{name}: expected images with pixels, got the shape {shape}")
    if height * width > MAX_PIXELS:
        raise OverBudget(
            f"{name}: an image may have at most {MAX_PIXELS:,} pixels, got {height} x {width}"
        )
    return channels, height, width


def find_range(sample: Array, *, name: str) -> PixelRange:
    """Tell the range of pixel values from a sample of them.

    Args:
        sample: Some images as stored.
        name: Of the set, for messages.

    Raises:
        InvalidInput: If the values fit no range, or more than one.
    """
    low, high = float(sample.min()), float(sample.max())
    floats = sample.dtype.kind == "f"
    if low >= 0 and _DARKEST_0_255 < high <= 255 * _SLACK:
        return "0..255"
    if floats and low >= 0 and 0 < high <= _SLACK:
        return "0..1"
    if floats and -_SLACK <= low < 0 and high <= _SLACK:
        centred = max(-low, high) <= _SLACK / 2 and min(-low, high) > _FARTHEST_CENTRED
        return "-0.5..0.5" if centred else "-1..1"
    if _in_no_range(low, high):
        raise InvalidInput(
            f"{name}: expected images in [0, 1] or 0..255, got {sample.dtype} values from {low:g} "
            f"to {high:g}{_conversion(sample, low, high)}"
        )
    raise InvalidInput(
        f"{name}: cannot tell the range of the pixels; pass --range 0..255, --range 0..1 or "
        f"--range -1..1 for {sample.dtype} values from {low:g} to {high:g}"
    )


def _in_no_range(low: float, high: float) -> bool:
    return low < -_SLACK or high > 255 * _SLACK or (low < 0 and high > _SLACK)


def _conversion(sample: Array, low: float, high: float) -> str:
    """What pixels that are in no range seem to be, and what to convert them to."""
    whole = sample.dtype.kind != "f" or bool((sample == np.floor(sample)).all())
    if whole and low >= 0:
        depths = ((10, 4), (12, 16), (16, 257))
        bits = next(
            (f"{bits}-bit pixels, divide them by {by}" for bits, by in depths if high < 2**bits),
            "no pixels, convert them",
        )
        return f"; these seem to be {bits} to get 0..255"
    if whole and low >= -128 and high <= 127:
        return "; these seem to be pixels less 128, add 128 to get 0..255"
    if low < 0:
        return (
            "; a mean seems to be taken from them: convert them back to 0..255 or 0..1 and leave "
            "mean and standard deviation to the network's preprocessing (--preprocess)"
        )
    return "; convert them to 0..255 or 0..1"


def check_asked_range(sample: Array, asked: PixelRange, *, name: str) -> None:
    """See whether pixels can be in the range that a user named.

    Args:
        sample: Some images as stored.
        asked: The range.
        name: Of the set, for messages.

    Raises:
        InvalidInput: If they are outside of it.
    """
    low, high = float(sample.min()), float(sample.max())
    least, most = _ends(asked, _TOLERANCE)
    if not np.isfinite([low, high]).all():
        return  # it is named when it is read
    centred = asked == "0..255" and low < 0 and high <= _DARKEST_0_255
    if least <= low and high <= most and not centred:
        return
    raise InvalidInput(
        f"{name}: --range {asked} is not the range of these pixels, {sample.dtype} values from "
        f"{low:g} to {high:g}{_conversion(sample, low, high) if _in_no_range(low, high) else ''}"
    )


def _ends(stored: PixelRange, beyond: float) -> tuple[float, float]:
    """The least and the largest pixel, with a share of the range beyond them."""
    low, high = (float(end) for end in stored.split(".."))
    return low - beyond * (high - low), high + beyond * (high - low)


def assemble(pieces: list[Array], layout: Layout, shape: Shape) -> Images:
    """Join runs of stored images into one contiguous float32 array (n, channels, height, width).

    A single run that is laid out like this already is returned as it is, without a copy.
    """
    if layout in _TURNED:
        first, second = layout.index("W"), layout.index("H")
        pieces = [piece.swapaxes(first, second) for piece in pieces]
        layout = _TURNED[layout]
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is refused
        if len(pieces) == 1 and layout != "NHWC":
            return np.ascontiguousarray(pieces[0].reshape(-1, *shape), dtype=np.float32)
        joined = np.empty((sum(map(len, pieces)), *shape), dtype=np.float32)
        start = 0
        for piece in pieces:
            _fill(joined[start : start + len(piece)], piece, layout)
            start += len(piece)
    return joined


def _fill(target: Images, piece: Array, layout: Layout) -> None:
    if layout != "NHWC":
        target[...] = piece.reshape(target.shape)
        return
    for channel in range(target.shape[1]):  # four times as fast as one transposed copy
        target[:, channel] = piece[..., channel]


def to_unit(images: Images, stored: PixelRange) -> None:
    """Bring pixels of a range to 0..1, in place.

    Bytes are divided, so that 255 times the result is the byte again, to the last bit.
    """
    if stored == "0..255":
        np.divide(images, np.float32(255), out=images)
    elif stored == "-1..1":
        np.add(images, np.float32(1), out=images)
        np.divide(images, np.float32(2), out=images)
    elif stored == "-0.5..0.5":
        np.add(images, np.float32(0.5), out=images)


def check_finite(images: Images, indices: NDArray[np.int64], *, name: str) -> None:
    """Refuse pixels that are NaN or infinite.

    Args:
        images: A block, shape (n, channels, height, width).
        indices: Where in the set each of its images is, shape (n,).
        name: Of the set, for messages.

    Raises:
        InvalidInput: Naming the first such image.
    """
    if np.isfinite(images).all():
        return
    bad = ~np.isfinite(images).all(axis=(1, 2, 3))
    raise InvalidInput(
        f"{name}: every pixel must be a finite number; there are NaN or infinite ones in image "
        f"{indices[np.flatnonzero(bad)[0]]}"
    )


def check_unit(
    images: Images, indices: NDArray[np.int64], stored: PixelRange, *, name: str
) -> None:
    """Refuse pixels far outside the range of their set.

    Args:
        images: A block brought to 0..1, shape (n, channels, height, width).
        indices: Where in the set each of its images is, shape (n,).
        stored: The range of the set.
        name: Of the set, for messages.

    Raises:
        InvalidInput: Naming the first such image.
    """
    if images.min() >= -_TOLERANCE and images.max() <= 1 + _TOLERANCE:
        return
    low, high = (end(images, axis=(1, 2, 3)) for end in (np.min, np.max))
    bad = int(np.flatnonzero((low < -_TOLERANCE) | (high > 1 + _TOLERANCE))[0])
    least, most = _ends(stored, 0)
    found = [float(end[bad]) * (most - least) + least for end in (low, high)]
    raise InvalidInput(
        f"{name}: the pixels of this set go from {stored}, those of image {indices[bad]} from "
        f"{found[0]:.4g} to {found[1]:.4g}; convert all to one range, or pass --range"
    )
