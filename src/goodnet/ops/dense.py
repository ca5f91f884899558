"""Dense layers: products with a matrix, of vectors and of every step of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.activations import activated, active, fused_function, read_activation
from goodnet.ops.expression import Expression, Parameter, Written, apply
from goodnet.ops.keras import Applied, Part, Reading, Step
from goodnet.ops.kernels import PIXELWISE, read_bias, weight_of
from goodnet.ops.layouts import to_file
from goodnet.ops.onnx import Found, Node, Numbers
from goodnet.ops.op import PICTURE, Attributes, Cost, Given, Made, Op, Shape, product, register
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import Tensor


def _dense_shape(given: Given) -> Shape:
    *rest, features = given.value
    out, into = weight_of(given, 2)
    if features != into:
        raise InvalidInput(f"a weight for {into} features does not fit {features} features")
    return (*rest, out)


def _dense_cost(given: Given, shape: Shape) -> Cost:
    return Cost(steps=(product(shape) or 0) * (given.value[-1] or 0))


def _multiply(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    activation = fused_function(attributes["activation"])
    return lambda own, value: activation(F.linear(value, own.weight, own.bias))


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
        [kernel, *read_bias(applied, units)],
        activation=read_activation(applied),
        **(PIXELWISE if on_picture else {}),
    )


def _dense_to_keras(part: Part) -> list[Step]:
    weight = part.arrays["weight"]
    config = {"units": weight.shape[0], "use_bias": "bias" in part.arrays}
    weights = (("kernel", to_file(weight, "io")), *part.named("bias"))
    return activated(part, Step("Dense", config, weights))


def _of_linear(call: Call) -> Operation | None:
    if len(call.reads) > 2:
        return None
    found = call.operation("dense", activation=None)
    return call.with_parameters(found, weight="weight", bias="bias")


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
    attributes = {"activation": None, **(PIXELWISE if on_picture else {})}
    return Found("conv2d" if on_picture else "dense", (value,), attributes, {"weight": weight})


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
