"""Global response normalization: how strong a channel is among all channels of the picture.

References:
    Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply, number, sizes
from goodnet.ops.normalization import FACTORS
from goodnet.ops.onnx import Found, Node, Numbers, Value, placed
from goodnet.ops.op import PICTURE, Arrays, Attributes, Given, Op, Shape, register, same_shape

if TYPE_CHECKING:
    from torch import Tensor


def _shape(given: Given) -> Shape:
    channels, _ = given.picture
    for name in FACTORS:
        if len(given.parameters.get(name, ())) != PICTURE:
            raise InvalidInput(f"expected {name} of shape ({channels}, 1, 1)")
    return same_shape(given)


def _check(attributes: Attributes, _: Arrays) -> None:
    if attributes["epsilon"] <= 0:
        raise InvalidInput(
            f"expected an epsilon above 0, got {attributes['epsilon']:g}, with which it would "
            "answer NaN for a picture of zeros"
        )


def _respond(attributes: Attributes) -> Callable[..., Tensor]:
    import torch

    epsilon = attributes["epsilon"]

    def function(own: Any, value: Tensor) -> Tensor:
        strength = torch.linalg.vector_norm(value, dim=(2, 3), keepdim=True)
        among_all = strength / (strength.mean(1, keepdim=True) + epsilon)
        found: Tensor = own.gamma * (value * among_all) + own.beta + value
        return found

    return function


# ONNX has no operation for it: `formats.onnx.patterns` finds the smaller ones.


def _from_onnx(node: Node) -> Found:
    """Of all pixels of each channel, and among all channels."""
    value = node.value()
    pixels = sorted(node.axis(axis, value) for axis in node.integers("axes"))
    channels = [node.axis(axis, value) for axis in node.integers("axis")]
    if value.rank != PICTURE or (pixels, channels) != ([2, 3], [1]):
        raise node.error("how strong the channels of a picture are among all of them")
    arrays = {name: _factor(node, place, value) for place, name in enumerate(FACTORS, start=1)}
    return Found("response_norm", (value,), {"epsilon": node.number("epsilon", 1e-6)}, arrays)


def _factor(node: Node, place: int, value: Value) -> Numbers:
    """A number for each channel, in whatever shape the file has them."""
    found = node.constant(place)
    array = None if found is None else placed(found.array, value)
    if found is None or array is None or array.shape != (value.shape[0], 1, 1):
        raise node.error(f"operand {place} to be a number for each of {value.shape[0]} channels")
    return Numbers(array, found.key, "channels")


def _to_onnx(written: Written) -> Expression:
    value, (gamma, beta) = written.value, map(written.array, FACTORS)
    strength = apply("ReduceL2", value, sizes(2, 3))
    mean = apply("ReduceMean", strength, sizes(1))
    among_all = apply("Div", strength, apply("Add", mean, number(written["epsilon"])))
    scaled = apply("Mul", apply("Mul", value, among_all), gamma)
    return apply("Add", apply("Add", scaled, beta), value)


register(
    # gamma and beta broadcast against the picture
    Op(
        name="response_norm",
        attributes=("epsilon",),
        parameters=FACTORS,
        shape=_shape,
        compute=_respond,
        check=_check,
        from_onnx={"ResponseNormalization": _from_onnx},
        to_onnx=_to_onnx,
    ),
)
