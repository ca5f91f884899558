"""Convolutions of pictures, among them depthwise and separable ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.ops.activations import activated, active, fused_function, read_activation
from goodnet.ops.expression import Expression, Written, apply
from goodnet.ops.keras import Applied, Part, Reading, Step, Weight
from goodnet.ops.kernels import PIXELWISE, read_bias, read_windows, weight_of
from goodnet.ops.layouts import to_file
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import (
    PICTURE,
    Attributes,
    Cost,
    Given,
    Layer,
    Made,
    Op,
    Shape,
    product,
    register,
)
from goodnet.ops.padding import onnx_border, pad_sides, same_sides, windows_to_onnx
from goodnet.ops.torch import Call, Operation, pair, sides

if TYPE_CHECKING:
    from torch import Tensor


def _conv_shape(given: Given) -> Shape:
    channels, size = given.picture
    out, per_group, *kernel = weight_of(given, 4)
    groups = given["groups"]
    if channels != groups * (per_group or 0) or (out or 0) % groups:
        raise InvalidInput(
            f"a weight of shape {given.parameters['weight']} in {groups} groups does not fit "
            f"{channels} channels"
        )
    return (out, *given.windows(size, tuple(kernel)))


def _conv_cost(given: Given, shape: Shape) -> Cost:
    weight = given.parameters["weight"]
    steps = (product(shape[1:]) or 0) * (product(weight) or 0)
    return Cost(product(given.bordered(weight[2:])) or 0, steps)


def _convolve(attributes: Attributes) -> Callable[..., Tensor]:
    import torch

    strides, dilation = attributes["strides"], attributes["dilation"]
    padding, groups = attributes["padding"], attributes["groups"]
    activation = fused_function(attributes["activation"])

    def function(own: Any, value: Tensor) -> Tensor:
        pads = (0, 0, 0, 0)
        if padding == "same":
            pads = same_sides(value, own.weight.shape[2:], strides, dilation)
        elif padding != "valid":
            pads = padding
        value, left = pad_sides(value, pads)
        return activation(
            torch.conv2d(value, own.weight, own.bias, strides, left, dilation, groups)
        )

    return function


def _read_conv2d(applied: Applied) -> Reading:
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    groups = fields.integer("groups", default=1)
    if channels % groups or filters % groups:
        raise fields.error("groups", f"a divisor of {channels} channels and {filters} filters")
    shape = (*fields.pair("kernel_size"), channels // groups, filters)
    kernel = applied.weight("weight", shape, "kernel", layout="hwio")
    return _read_kernel(applied, kernel, filters, groups=groups)


def _read_depthwise(applied: Applied) -> Reading:
    """Every channel has kernels of its own."""
    channels = applied.channels()
    multiplier = applied.fields.integer("depth_multiplier", default=1)
    shape = (*applied.fields.pair("kernel_size"), channels, multiplier)
    kernel = applied.weight("weight", shape, "kernel", "depthwise_kernel", layout="hwim")
    return _read_kernel(applied, kernel, channels * multiplier, groups=channels)


def _read_kernel(applied: Applied, kernel: Weight, out: int, *, groups: int) -> Reading:
    return applied.read_as(
        "conv2d",
        [kernel, *read_bias(applied, out)],
        groups=groups,
        activation=read_activation(applied),
        **read_windows(applied),
    )


def _read_separable(applied: Applied) -> Reading:
    """A depthwise convolution, then one over single pixels."""
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    multiplier = fields.integer("depth_multiplier", default=1)
    first = f"{applied.name}/depthwise"
    shapes = (
        (*fields.pair("kernel_size"), channels, multiplier),
        (1, 1, channels * multiplier, filters),
    )
    apart = {"groups": channels, "activation": None, **read_windows(applied)}
    pointwise = {**PIXELWISE, "activation": read_activation(applied)}
    return Reading(
        (
            Layer(first, "conv2d", applied.inputs, apart),
            Layer(applied.name, "conv2d", (first,), pointwise),
        ),
        (
            Weight(f"{first}/weight", ("depthwise_kernel",), shapes[0], "hwim"),
            applied.weight("weight", shapes[1], "pointwise_kernel", layout="hwio"),
            *read_bias(applied, filters),
        ),
    )


def _conv_to_keras(part: Part) -> list[Step]:
    """A convolution, or a depthwise one where each channel is a group of its own."""
    weight, padding, before = part.arrays["weight"], part["padding"], list[Step]()
    if not isinstance(padding, str):
        top, bottom, left, right = padding
        before = [Step("ZeroPadding2D", {"padding": [[top, bottom], [left, right]]})]
        padding = "valid"
    config = {
        "kernel_size": list(weight.shape[2:]),
        "strides": list(part["strides"]),
        "dilation_rate": list(part["dilation"]),
        "padding": padding,
        "use_bias": "bias" in part.arrays,
    }
    if part["groups"] > 1 and weight.shape[1] == 1:
        return [*before, *activated(part, _depthwise(part, config))]
    config["filters"] = weight.shape[0]
    if part["groups"] > 1:
        config["groups"] = part["groups"]
    kernel = ("kernel", to_file(weight, "hwio"))
    return [*before, *activated(part, Step("Conv2D", config, (kernel, *part.named("bias"))))]


def _depthwise(part: Part, config: dict[str, Any]) -> Step:
    out, _, height, width = part.arrays["weight"].shape
    multiplier = out // part["groups"]
    kernel = to_file(part.arrays["weight"], "hwim", (height, width, part["groups"], multiplier))
    weights = (("depthwise_kernel", kernel), *part.named("bias"))
    return Step("DepthwiseConv2D", {**config, "depth_multiplier": multiplier}, weights)


def _of_conv2d(call: Call) -> Operation | None:
    conv = call.module
    if conv.padding_mode != "zeros" or len(call.reads) != PICTURE:
        return None
    found = call.operation(
        "conv2d",
        strides=pair(conv.stride),
        dilation=pair(conv.dilation),
        groups=conv.groups,
        padding=conv.padding if isinstance(conv.padding, str) else sides(pair(conv.padding)),
        activation=None,
    )
    return call.with_parameters(found, weight="weight", bias="bias")


def _conv_from_onnx(node: Node) -> Found:
    value, arrays = node.picture(), node.arrays(weight=1, bias=2)
    return Found(
        "conv2d",
        (value,),
        {
            "strides": node.pair("strides"),
            "dilation": node.pair("dilations"),
            "groups": max(1, node.integer("group", 1)),
            "padding": onnx_border(node),
            "activation": None,
        },
        arrays,
    )


def _conv_to_onnx(written: Written) -> Expression:
    weight = written.arrays["weight"]
    found = apply(
        "Conv",
        written.value,
        written.array("weight"),
        written.array("bias"),
        group=written["groups"],
        **windows_to_onnx(written, weight.shape[2:]),
    )
    return active(written, found)


register(
    Op(
        name="conv2d",
        attributes=("strides", "dilation", "groups", "padding", "activation"),
        parameters=("weight", "bias"),
        shape=_conv_shape,
        cost=_conv_cost,
        compute=_convolve,
        channels=Made(),
        from_keras={
            "Conv2D": _read_conv2d,
            "DepthwiseConv2D": _read_depthwise,
            "SeparableConv2D": _read_separable,
        },
        to_keras=_conv_to_keras,
        from_torch={"nn.Conv2d": _of_conv2d},
        from_onnx={"Conv": _conv_from_onnx},
        to_onnx=_conv_to_onnx,
    ),
)
