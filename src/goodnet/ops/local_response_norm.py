"""Local response normalisation: every channel divided by how strong its neighbours are.

References:
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput
from goodnet.ops.attributes import NUMBER, WHOLE
from goodnet.ops.expression import Expression, Written, apply
from goodnet.ops.keras import Part, Step
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import PICTURE, Attributes, Cost, Given, Op, Shape, product, register
from goodnet.ops.torch import Call, Operation, as_module

if TYPE_CHECKING:
    from torch import Tensor

_OPTIONS = ("size", "alpha", "beta", "bias")


def _shape(given: Given) -> Shape:
    channels, _ = given.picture
    size, most = given["size"], 2 * (channels or 0)
    # Of an even number of neighbours, PyTorch and ONNX take the odd one from different sides.
    if not 1 <= size <= most or not size % 2:
        raise InvalidInput(f"expected an odd number of up to {most} channels, got a size of {size}")
    if given["alpha"] < 0 or given["bias"] <= 0:
        raise InvalidInput(
            f"expected an alpha of 0 or more and a bias above 0, got {given['alpha']:g} and "
            f"{given['bias']:g}, with which it could answer NaN"
        )
    return given.value


def _cost(given: Given, shape: Shape) -> Cost:
    numbers = product(shape) or 0
    return Cost(2 * numbers, numbers * given["size"])


def _compute(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F  # noqa: N812

    size, alpha, beta, bias = (attributes[key] for key in _OPTIONS)
    return partial(F.local_response_norm, size=size, alpha=alpha, beta=beta, k=bias)


def _to_keras(part: Part) -> list[Step]:
    raise InvalidInput(
        f"layer {part.layer.name!r} normalises over neighbouring channels, which no built-in Keras "
        "layer does; write the network as .safetensors, or use its `module`"
    )


def _of_module(call: Call) -> Operation | None:
    norm = call.module
    if len(call.reads) != PICTURE or norm.size % 2 == 0 or norm.k <= 0:
        return None
    numbers = {"alpha": float(norm.alpha), "beta": float(norm.beta), "bias": float(norm.k)}
    return call.operation("local_response_norm", size=norm.size, **numbers)


def _from_onnx(node: Node) -> Found:
    """Where it stands for a pattern of smaller operations, it reads their shapes and border."""
    value, size = node.picture(), node.integer("size", 0)
    channels, height, width = value.shape
    border = ((0, 0, size // 2, 0, 0), (0, 0, (size - 1) // 2, 0, 0))
    apart = len(node.operands) > 1
    fits = node.has_shape(1, 1, channels, height, width) and node.has_shape(3, *value.shape)
    if apart and (not fits or node.sizes(2) != (*border[0], *border[1]) or not size % 2):
        raise node.error("squares pooled over an odd number of neighbouring channels")
    return node.found(
        "local_response_norm",
        size=size,
        alpha=node.number("alpha", 1e-4),
        beta=node.number("beta", 0.75),
        bias=node.number("bias", 1.0),
    )


def _to_onnx(written: Written) -> Expression:
    numbers = {name: float(written[name]) for name in _OPTIONS[1:]}
    return apply("LRN", written.value, size=written["size"], **numbers)


register(
    # size: of how many channels, alpha: times the mean of their squares, plus bias, to beta
    Op(
        name="local_response_norm",
        attributes=_OPTIONS,
        shape=_shape,
        cost=_cost,
        compute=_compute,
        to_keras=_to_keras,
        from_torch=as_module(
            _of_module,
            "nn.LocalResponseNorm",
            "F.local_response_norm",
            options=("size", "alpha", "beta", "k"),
        ),
        from_onnx={"LRN": _from_onnx},
        to_onnx=_to_onnx,
        checks={"size": WHOLE, **dict.fromkeys(_OPTIONS[1:], NUMBER)},
    )
)
