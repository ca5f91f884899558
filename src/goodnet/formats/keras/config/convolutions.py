"""Layers with a kernel: convolutions and dense layers."""

from __future__ import annotations

from typing import Any

from goodnet.errors import InvalidInput
from goodnet.formats.keras.config.reading import Applied, Reading, Weight
from goodnet.formats.spec import Layer

__all__ = ["conv2d", "dense", "depthwise_conv2d", "separable_conv2d"]

_BORDERS = ("valid", "same")


def conv2d(applied: Applied) -> Reading:
    """Conv2D, with groups, strides and dilation."""
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    groups = fields.integer("groups", default=1)
    if channels % groups or filters % groups:
        raise fields.error("groups", f"a divisor of {channels} channels and {filters} filters")
    kernel = (*fields.pair("kernel_size"), channels // groups, filters)
    return applied.read_as(
        "conv2d",
        [applied.weight("weight", kernel, "kernel", layout="hwio"), *_bias(applied, filters)],
        groups=groups,
        activation=applied.activation(),
        **_windows(applied),
    )


def depthwise_conv2d(applied: Applied) -> Reading:
    """DepthwiseConv2D: every channel has kernels of its own."""
    channels = applied.channels()
    multiplier = applied.fields.integer("depth_multiplier", default=1)
    shape = (*applied.fields.pair("kernel_size"), channels, multiplier)
    kernel = applied.weight("weight", shape, "kernel", "depthwise_kernel", layout="hwim")
    return applied.read_as(
        "conv2d",
        [kernel, *_bias(applied, channels * multiplier)],
        groups=channels,
        activation=applied.activation(),
        **_windows(applied),
    )


def separable_conv2d(applied: Applied) -> Reading:
    """SeparableConv2D: a depthwise convolution, then one over single pixels."""
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    multiplier = fields.integer("depth_multiplier", default=1)
    first = f"{applied.name}/depthwise"
    shapes = (
        (*fields.pair("kernel_size"), channels, multiplier),
        (1, 1, channels * multiplier, filters),
    )
    depthwise = Layer(
        first,
        "conv2d",
        applied.inputs,
        {"groups": channels, "activation": None, **_windows(applied)},
    )
    pointwise = Layer(
        applied.name,
        "conv2d",
        (first,),
        {**_PIXELWISE, "activation": applied.activation()},
    )
    return Reading(
        (depthwise, pointwise),
        (
            Weight(f"{first}/weight", ("depthwise_kernel",), shapes[0], "hwim"),
            applied.weight("weight", shapes[1], "pointwise_kernel", layout="hwio"),
            *_bias(applied, filters),
        ),
    )


def dense(applied: Applied) -> Reading:
    """Dense; on a picture it is a convolution over single pixels."""
    units, shape = applied.fields.integer("units"), applied.axes.shape_to_file(applied.shape)
    features = shape[-1] if shape else None
    if features is None:
        raise InvalidInput(
            f"layer {applied.name!r} (Dense) needs a known number of features, got the shape "
            f"{applied.shape}"
        )
    if applied.rank == 3 and not applied.axes.is_hwc(applied.rank):
        raise InvalidInput(
            f"layer {applied.name!r} (Dense) acts on the width of a channels_first picture, which "
            "is not read"
        )
    picture = applied.rank == 3
    kernel = applied.weight(
        "weight", (features, units), "kernel", layout="io-1x1" if picture else "io"
    )
    weights = [kernel, *_bias(applied, units)]
    if picture:
        return applied.read_as("conv2d", weights, activation=applied.activation(), **_PIXELWISE)
    return applied.read_as("dense", weights, activation=applied.activation())


_PIXELWISE = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}


def _bias(applied: Applied, length: int) -> list[Weight]:
    if not applied.fields.flag("use_bias", default=True):
        return []
    return [applied.weight("bias", (length,))]


def _windows(applied: Applied) -> dict[str, Any]:
    fields = applied.fields
    return {
        "strides": fields.pair("strides"),
        "dilation": fields.pair("dilation_rate"),
        "padding": fields.choice("padding", _BORDERS, default="valid"),
    }
