"""Layers that make channels of all they read, by a kernel: convolutions and dense layers.

A fused activation is their attribute `activation`: what the layer's name stands for is its value
after the activation, as in Keras. Kernels are (out, in / groups, height, width) for convolutions
and (out, in) for dense layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops import attributes as kinds
from goodnet.ops.activations import activated, active, fused_function, read_activation
from goodnet.ops.expression import Expression, Parameter, Written, apply
from goodnet.ops.keras import Applied, Part, Reading, Step, Weight
from goodnet.ops.layouts import to_file
from goodnet.ops.onnx import Found, Node, Numbers
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
from goodnet.ops.padding import (
    BORDER,
    onnx_border,
    pad,
    pad_sides,
    same_sides,
    windows_to_onnx,
)
from goodnet.ops.torch import Call, Operation, pair, sides

if TYPE_CHECKING:
    from torch import Tensor

_PIXELWISE = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}


def _weight(given: Given, rank: int) -> Shape:
    shape = given.parameters.get("weight", ())
    if len(shape) != rank:
        raise InvalidInput(f"expected a weight of {rank} axes, got the shape {shape}")
    given.check_vectors(("bias",), shape[0])
    return shape


def _conv_shape(given: Given) -> Shape:
    channels, size = given.picture
    out, per_group, *kernel = _weight(given, 4)
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


def _dense_cost(given: Given, shape: Shape) -> Cost:
    return Cost(steps=(product(shape) or 0) * (given.value[-1] or 0))


def _dense_shape(given: Given) -> Shape:
    *rest, features = given.value
    out, into = _weight(given, 2)
    if features != into:
        raise InvalidInput(f"a weight for {into} features does not fit {features} features")
    return (*rest, out)


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


def _transposed_shape(given: Given) -> Shape:
    channels, size = given.picture
    out, into, *kernel = _weight(given, 4)
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


def _multiply(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    activation = fused_function(attributes["activation"])
    return lambda own, value: activation(F.linear(value, own.weight, own.bias))


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
        [kernel, *_bias(applied, out)],
        groups=groups,
        activation=read_activation(applied),
        **_read_windows(applied),
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
    apart = {"groups": channels, "activation": None, **_read_windows(applied)}
    pointwise = {**_PIXELWISE, "activation": read_activation(applied)}
    return Reading(
        (
            Layer(first, "conv2d", applied.inputs, apart),
            Layer(applied.name, "conv2d", (first,), pointwise),
        ),
        (
            Weight(f"{first}/weight", ("depthwise_kernel",), shapes[0], "hwim"),
            applied.weight("weight", shapes[1], "pointwise_kernel", layout="hwio"),
            *_bias(applied, filters),
        ),
    )


def _read_transposed(applied: Applied) -> Reading:
    channels, fields = applied.channels(), applied.fields
    filters = fields.integer("filters")
    shape = (*fields.pair("kernel_size"), filters, channels)
    windows = _read_windows(applied)
    if fields.get("output_padding") is not None:
        more = fields.integers("output_padding")
        more = more * 2 if len(more) == 1 else more
        if len(more) != 2 or any(x < 0 for x in more):
            raise fields.error("output_padding", "one or two whole numbers of 0 or more")
        windows["output_padding"] = more
    kernel = applied.weight("weight", shape, "kernel", layout="hwoi")
    return applied.read_as(
        "conv2d_transpose",
        [kernel, *_bias(applied, filters)],
        activation=read_activation(applied),
        **{"output_padding": None, **windows},
    )


def _read_dense(applied: Applied) -> Reading:
    """On a picture it is a convolution over single pixels."""
    units, shape = applied.fields.integer("units"), applied.axes.shape_to_file(applied.shape)
    features = shape[-1] if shape else None
    if features is None:
        raise InvalidInput(
            f"layer {applied.name!r} (Dense) needs a known number of features, got the shape "
            f"{applied.shape}"
        )
    on_picture = applied.rank == PICTURE
    if on_picture and not applied.axes.is_hwc(applied.rank):
        raise InvalidInput(
            f"layer {applied.name!r} (Dense) acts on the width of a channels_first picture, which "
            "is not read"
        )
    layout = "io-1x1" if on_picture else "io"
    kernel = applied.weight("weight", (features, units), "kernel", layout=layout)
    return applied.read_as(
        "conv2d" if on_picture else "dense",
        [kernel, *_bias(applied, units)],
        activation=read_activation(applied),
        **(_PIXELWISE if on_picture else {}),
    )


def _bias(applied: Applied, length: int) -> list[Weight]:
    if not applied.fields.flag("use_bias", default=True):
        return []
    return [applied.weight("bias", (length,))]


def _read_windows(applied: Applied) -> dict[str, Any]:
    fields = applied.fields
    return {
        "strides": fields.pair("strides"),
        "dilation": fields.pair("dilation_rate"),
        "padding": BORDER.read(applied),
    }


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


def _depthwise(part: Part, config: dict[str, Any]) -> Step:
    out, _, height, width = part.arrays["weight"].shape
    multiplier = out // part["groups"]
    kernel = to_file(part.arrays["weight"], "hwim", (height, width, part["groups"], multiplier))
    weights = (("depthwise_kernel", kernel), *part.named("bias"))
    return Step("DepthwiseConv2D", {**config, "depth_multiplier": multiplier}, weights)


def _dense_to_keras(part: Part) -> list[Step]:
    weight = part.arrays["weight"]
    config = {"units": weight.shape[0], "use_bias": "bias" in part.arrays}
    weights = (("kernel", to_file(weight, "io")), *part.named("bias"))
    return activated(part, Step("Dense", config, weights))


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


def _of_linear(call: Call) -> Operation | None:
    if len(call.reads) > 2:
        return None
    found = call.operation("dense", activation=None)
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


def _gemm_from_onnx(node: Node) -> Found:
    node.must_be(alpha=1.0, beta=1.0, transA=0)
    value = node.value()
    weight = node.numbers(1, "as-is" if node.integer("transB", 0) else "io")
    bias = node.numbers(2)
    if value.rank > 2 or weight is None:
        raise node.error(f"vectors for each image, got a value of {value.shape}")
    arrays = {"weight": weight}
    if bias is not None:
        length = len(weight.array)
        if bias.array.size not in (1, length):
            raise node.error(f"a bias of {length} numbers, got the shape {bias.array.shape}")
        key = bias.key if bias.array.size == length else ""
        array = np.broadcast_to(bias.array.reshape(-1), (length,)).copy()
        arrays["bias"] = Numbers(array, key)
    return Found("dense", (value,), {"activation": None}, arrays)


def _matmul_from_onnx(node: Node) -> Found:
    """On a picture with the channels last it is a convolution over single pixels."""
    value, on_picture = node.value(), node.value().rank == PICTURE
    if on_picture and not value.axes.is_hwc(PICTURE):
        raise node.error("a vector, steps of vectors, or a picture with the channels last")
    weight = node.numbers(1, "io-1x1" if on_picture else "io")
    if weight is None:
        raise node.error("a matrix")
    attributes = {"activation": None, **(_PIXELWISE if on_picture else {})}
    return Found("conv2d" if on_picture else "dense", (value,), attributes, {"weight": weight})


# ONNX, writing.


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


def _dense_to_onnx(written: Written) -> Expression:
    if written.rank == 1:
        arrays = written.array("weight"), written.array("bias")
        return active(written, apply("Gemm", written.value, *arrays, transB=1))
    weight = Parameter("weight", to_file(written.arrays["weight"], "io"))
    found = apply("MatMul", written.value, weight)
    if "bias" in written.arrays:
        found = apply("Add", found, written.array("bias"))
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
    # Acts on the last axis of a value of one or two axes.
    Op(
        name="dense",
        attributes=("activation",),
        parameters=("weight", "bias"),
        shape=_dense_shape,
        cost=_dense_cost,
        compute=_multiply,
        channels=Made(),
        from_keras={"Dense": _read_dense},
        to_keras=_dense_to_keras,
        from_torch={"nn.Linear": _of_linear},
        from_onnx={"Gemm": _gemm_from_onnx, "MatMul": _matmul_from_onnx},
        to_onnx=_dense_to_onnx,
    ),
)
