"""Transposed convolutions, which make pictures larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops import attributes as kinds
from goodnet.ops.activations import activated, active, fused_function, read_activation
from goodnet.ops.expression import Expression, Parameter, Written, apply
from goodnet.ops.keras import Applied, Part, Reading, Step
from goodnet.ops.kernels import read_bias, read_windows, weight_of
from goodnet.ops.layouts import to_file
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import Attributes, Cost, Given, Made, Op, Shape, product, register
from goodnet.ops.padding import onnx_border, pad

if TYPE_CHECKING:
    from torch import Tensor


def _transposed_shape(given: Given) -> Shape:
    channels, size = given.picture
    out, into, *kernel = weight_of(given, 4)
    if channels != into:
        raise InvalidInput(f"a weight for {into} channels does not fit {channels} channels")
    found = []
    for axis, length in enumerate(size):
        reach = ((kernel[axis] or 1) - 1) * given["dilation"][axis] + 1
        grown = None if length is None else (length - 1) * given["strides"][axis] + reach
        found.append(None if grown is None else grown - sum(_cropped(given, axis, reach)))
    if any(length is not None and length < 1 for length in found):
        raise InvalidInput(f"nothing is left of a picture of shape {given.value}")
    return (out, *found)


def _transposed_cost(given: Given, shape: Shape) -> Cost:
    """Of the whole, before its border is cut off."""
    (_, size), weight = given.picture, given.parameters["weight"]
    whole: list[int | None] = [shape[0]]
    for axis, length in enumerate(size):
        reach = ((weight[2 + axis] or 1) - 1) * given["dilation"][axis] + 1
        grown = None if length is None else (length - 1) * given["strides"][axis] + reach
        whole.append(grown)
    steps = (product(size) or 0) * (product(weight) or 0)
    return Cost(product(tuple(whole)) or 0, steps)


def _cropped(attributes: Attributes | Given, axis: int, reach: int) -> tuple[int, int]:
    """What goes from both ends of a whole transposed convolution, as in Keras; below 0, comes."""
    stride, more = attributes["strides"][axis], attributes["output_padding"]
    if attributes["padding"] == "valid":
        return 0, -(max(reach, stride) - reach if more is None else more[axis])
    total = stride + reach - 2 if more is None else reach + reach % 2 - 2 + more[axis]
    left = min(-(-total // 2), reach - 1)
    return reach - 1 - left, reach - 1 - (total - left)


def _transpose(attributes: Attributes) -> Callable[..., Tensor]:
    import torch

    strides, dilation = attributes["strides"], attributes["dilation"]
    activation = fused_function(attributes["activation"])

    def function(own: Any, value: Tensor) -> Tensor:
        # Rows of the weight make channels here, as in a convolution; PyTorch has them second.
        weight = own.weight.transpose(0, 1)
        whole = torch.conv_transpose2d(value, weight, None, strides, dilation=dilation)
        reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
        (top, bottom), (left, right) = (_cropped(attributes, axis, reach[axis]) for axis in (0, 1))
        whole = pad(whole, (-top, -bottom, -left, -right))
        return activation(whole if own.bias is None else whole + own.bias[:, None, None])

    return function


def _read_transposed(applied: Applied) -> Reading:
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    shape = (*fields.pair("kernel_size"), filters, channels)
    windows = read_windows(applied)
    if fields.get("output_padding") is not None:
        more = fields.integers("output_padding")
        more = more * 2 if len(more) == 1 else more
        if len(more) != 2 or any(x < 0 for x in more):
            raise fields.error("output_padding", "one or two whole numbers of 0 or more")
        windows["output_padding"] = more
    kernel = applied.weight("weight", shape, "kernel", layout="hwoi")
    return applied.read_as(
        "conv2d_transpose",
        [kernel, *read_bias(applied, filters)],
        activation=read_activation(applied),
        **{"output_padding": None, **windows},
    )


def _transposed_to_keras(part: Part) -> list[Step]:
    weight = part.arrays["weight"]
    config = {
        "filters": weight.shape[0],
        "kernel_size": list(weight.shape[2:]),
        "strides": list(part["strides"]),
        "dilation_rate": list(part["dilation"]),
        "padding": part["padding"],
        "output_padding": part["output_padding"],
        "use_bias": "bias" in part.arrays,
    }
    weights = (("kernel", to_file(weight, "hwoi")), *part.named("bias"))
    return activated(part, Step("Conv2DTranspose", config, weights))


def _transposed_from_onnx(node: Node) -> Found:
    """The whole of it, of which the border is cut off."""
    value, more = node.picture(), node.integers("output_padding", (0, 0))
    node.must_be(group=1, output_shape=())
    strides, dilation = node.pair("strides"), node.pair("dilations")
    border = onnx_border(node)
    if border == "same" or len(more) != 2 or min(more) < 0:
        raise node.error(f"a border of known size, and two numbers of more, got {more}")
    arrays = {name: x for name, x in (("weight", node.numbers(1, "iohw")),) if x is not None}
    attributes = {
        "strides": strides,
        "dilation": dilation,
        "padding": "valid",
        "output_padding": more,
        "activation": None,
    }
    arrays |= node.arrays(bias=2)
    then = None if border == "valid" else lambda x: Found("crop2d", (x,), {"padding": border})
    return Found("conv2d_transpose", (value,), attributes, arrays, then=then)


def _transposed_to_onnx(written: Written) -> Expression:
    """What is cut off below zero comes, at the end alone."""
    weight, dilation = written.arrays["weight"], tuple(written["dilation"])
    kernel = weight.shape[2:]
    cropped = [
        _cropped(written.layer.attributes, axis, (kernel[axis] - 1) * dilation[axis] + 1)
        for axis in (0, 1)
    ]
    found = apply(
        "ConvTranspose",
        written.value,
        Parameter("weight", np.ascontiguousarray(weight.transpose(1, 0, 2, 3))),
        written.array("bias"),
        kernel_shape=kernel,
        strides=tuple(written["strides"]),
        dilations=dilation,
        pads=(*(start for start, _ in cropped), *(max(end, 0) for _, end in cropped)),
        output_padding=tuple(max(-end, 0) for _, end in cropped),
    )
    return active(written, found)


register(
    # padding: "valid" or "same"; output_padding: two numbers, or None for what Keras takes
    Op(
        name="conv2d_transpose",
        attributes=("strides", "dilation", "padding", "output_padding", "activation"),
        parameters=("weight", "bias"),
        shape=_transposed_shape,
        cost=_transposed_cost,
        compute=_transpose,
        channels=Made(),
        from_keras={"Conv2DTranspose": _read_transposed},
        to_keras=_transposed_to_keras,
        from_onnx={"ConvTranspose": _transposed_from_onnx},
        to_onnx=_transposed_to_onnx,
        checks={"padding": kinds.BORDER},
    ),
)
