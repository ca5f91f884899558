"""Layers that pool, pad, crop, enlarge or rearrange."""

from __future__ import annotations

from collections.abc import Callable

from goodnet.errors import InvalidInput
from goodnet.formats.keras.config.reading import Applied, Reading

__all__ = [
    "border",
    "flatten",
    "global_pool1d",
    "global_pool2d",
    "permute",
    "pool2d",
    "reshape",
    "upsampling2d",
]

_BORDERS = ("valid", "same")
_INTERPOLATIONS = ("nearest", "bilinear")


def pool2d(op: str) -> Callable[[Applied], Reading]:
    """MaxPooling2D and AveragePooling2D."""

    def read(applied: Applied) -> Reading:
        applied.channels()
        pool = applied.fields.pair("pool_size", default=(2, 2))
        return applied.read_as(
            op,
            pool=pool,
            strides=applied.fields.pair("strides", default=pool),
            padding=applied.fields.choice("padding", _BORDERS, default="valid"),
        )

    return read


def global_pool2d(op: str) -> Callable[[Applied], Reading]:
    """GlobalMaxPooling2D and GlobalAveragePooling2D."""

    def read(applied: Applied) -> Reading:
        applied.channels()
        return applied.read_as(op, keepdims=applied.fields.flag("keepdims", default=False))

    return read


def global_pool1d(op: str) -> Callable[[Applied], Reading]:
    """GlobalMaxPooling1D and GlobalAveragePooling1D over (steps, features)."""

    def read(applied: Applied) -> Reading:
        if applied.fields.get("data_format", default="channels_last") != "channels_last":
            raise applied.fields.error("data_format", "'channels_last'")
        return applied.read_as(op, keepdims=applied.fields.flag("keepdims", default=False))

    return read


def flatten(applied: Applied) -> Reading:
    """Flatten; with channels_first it puts the channels last before it flattens."""
    last = applied.fields.get("data_format", default="channels_last") == "channels_last"
    order = applied.axes.order
    if not last and applied.rank > 1 and (order == "hwc" or applied.rank != 3):
        raise InvalidInput(
            f"layer {applied.name!r} (Flatten) is channels_first on a value that is not, which is "
            "not read"
        )
    return applied.read_as("flatten", order=order if last else "hwc")


def reshape(applied: Applied) -> Reading:
    """Reshape, in the file's order of axes."""
    shape = applied.fields.integers("target_shape")
    if any(size < 1 and size != -1 for size in shape):
        raise applied.fields.error("target_shape", "sizes of 1 or more, or -1 once")
    return applied.read_as("reshape", shape=shape, order=applied.axes.order)


def permute(applied: Applied) -> Reading:
    """Permute, in the file's order of axes."""
    dims = applied.fields.integers("dims")
    return applied.read_as("permute", dims=dims, order=applied.axes.order)


def border(op: str) -> Callable[[Applied], Reading]:
    """ZeroPadding2D and Cropping2D: one number, one for each axis, or one for each side."""
    key = "padding" if op == "zero_pad2d" else "cropping"

    def read(applied: Applied) -> Reading:
        applied.channels()
        return applied.read_as(op, padding=_sides(applied, key))

    return read


def upsampling2d(applied: Applied) -> Reading:
    """UpSampling2D by whole factors."""
    applied.channels()
    return applied.read_as(
        "upsample2d",
        size=applied.fields.pair("size", default=(2, 2)),
        interpolation=applied.fields.choice("interpolation", _INTERPOLATIONS, default="nearest"),
    )


def _sides(applied: Applied, key: str) -> tuple[int, ...]:
    value = applied.fields.get(key, default=1 if key == "padding" else 0)
    pairs = value if isinstance(value, list) and len(value) == 2 else [value, value]
    sides = [side for pair in pairs for side in (pair if isinstance(pair, list) else [pair, pair])]
    if len(sides) != 4 or not all(type(side) is int and 0 <= side < 2**31 for side in sides):
        raise applied.fields.error(key, "whole numbers of 0 or more: one, two, or two pairs")
    return tuple(sides)
