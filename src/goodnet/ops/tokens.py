"""What is learned beside the image in a sequence: steps in front of it, and numbers for each place.

References:
    Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020: the class token and the position
    embeddings of a vision transformer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply, sizes
from goodnet.ops.keras import Part, Step
from goodnet.ops.onnx import Constant, Found, Node, Numbers, Value, repeated
from goodnet.ops.op import Array, Attributes, Given, Op, Shape, register

if TYPE_CHECKING:
    from torch import Tensor

_SEQUENCE = 2  # axes of a sequence (steps, features)


def _sequence(given: Given, name: str) -> tuple[int | None, int | None]:
    """Steps and features of the value that is read, whose features an array has, too."""
    shape, array = given.value, given.parameters[name]
    if len(shape) != _SEQUENCE or len(array) != _SEQUENCE or shape[1] not in (None, array[1]):
        raise InvalidInput(f"expected a value (steps, {array[-1:]}), got the shape {shape}")
    return shape[0], shape[1]


def _longer(given: Given) -> Shape:
    steps, features = _sequence(given, "tokens")
    more = given.parameters["tokens"][0]
    return (None if steps is None or more is None else steps + more, features)


def _as_long(given: Given) -> Shape:
    steps, features = _sequence(given, "offset")
    if steps not in (None, given.parameters["offset"][0]):
        raise InvalidInput(f"expected {given.parameters['offset'][0]} steps, got {steps}")
    return (steps, features)


def _prepend(_: Attributes) -> Callable[..., Tensor]:
    import torch

    def function(own: Any, value: Tensor) -> Tensor:
        return torch.cat([own.tokens.expand(len(value), -1, -1), value], 1)

    return function


def _shift(_: Attributes) -> Callable[..., Tensor]:
    def function(own: Any, value: Tensor) -> Tensor:
        found: Tensor = value + own.offset
        return found

    return function


def _prepend_to_keras(part: Part) -> list[Step]:
    """A border of zeros on one side of the sequence as a picture, and the tokens added there."""
    tokens, (steps, features) = part.arrays["tokens"], part.shape
    before = (part.inputs[0][0] or 0, features or 0)
    offset = np.zeros((steps or 0, features or 0), np.float32)
    offset[: len(tokens)] = tokens
    return [
        Step("Reshape", {"target_shape": [*before, 1]}),
        Step("ZeroPadding2D", {"padding": [[len(tokens), 0], [0, 0]]}),
        *_shifted(offset),
    ]


def _shift_to_keras(part: Part) -> list[Step]:
    return _shifted(part.arrays["offset"])


def _shifted(offset: Array) -> list[Step]:
    """A normalization of the flattened value by minus the numbers and a variance of one."""
    size = math.prod(offset.shape)
    numbers = {"mean": (-offset).ravel().tolist(), "variance": [1.0] * size}
    back = Step("Reshape", {"target_shape": list(offset.shape)})
    return [Step("Flatten"), Step("Normalization", {"axis": -1, **numbers}), back]


# ONNX, reading.


def prepended_from_onnx(node: Node) -> Found:
    """Tokens that all images share, and a sequence behind them."""
    *before, value = node.operands
    if not isinstance(value, Value) or value.rank != _SEQUENCE:
        raise node.error("constants in front of a sequence (steps, features), or values alone")
    tokens = [repeated(x, value) for x in before if isinstance(x, Constant)]
    found = [x for x in tokens if x is not None and x.array.shape[1:] == value.shape[1:]]
    if len(found) < len(before) or node.axis(node.integer("axis", 1), value) != 1:
        raise node.error("tokens with the features of the sequence, the same for all images")
    joined = Numbers(np.concatenate([x.array for x in found]), found[0].key * (len(found) == 1))
    return Found("prepend", (value,), {}, {"tokens": joined})


def shifted_from_onnx(node: Node) -> Found | None:
    """A sequence and numbers for each place; None if it is another sum."""
    value, constant = node.operands if isinstance(node.operands[0], Value) else node.operands[::-1]
    if not isinstance(value, Value) or not isinstance(constant, Constant):
        return None
    offset = repeated(constant, value)
    if offset is None or value.rank != _SEQUENCE or offset.array.shape != value.shape:
        return None
    return Found("shift", (value,), {}, {"offset": offset})


# ONNX, writing.


def _prepend_to_onnx(written: Written) -> Expression:
    """The tokens as often as there are images, and the value behind them."""
    tokens = written.arrays["tokens"]
    images = apply("Shape", written.value, start=0, end=1)
    shape = apply("Concat", images, sizes(*tokens.shape), axis=0)
    return apply("Concat", apply("Expand", written.array("tokens"), shape), written.value, axis=1)


def _shift_to_onnx(written: Written) -> Expression:
    return apply("Add", written.value, written.array("offset"))


register(
    # tokens, (steps, features), in front of a sequence
    Op(
        name="prepend",
        parameters=("tokens",),
        shape=_longer,
        compute=_prepend,
        to_keras=_prepend_to_keras,
        to_onnx=_prepend_to_onnx,
    ),
    # offset, (steps, features), added to a sequence
    Op(
        name="shift",
        parameters=("offset",),
        shape=_as_long,
        compute=_shift,
        to_keras=_shift_to_keras,
        to_onnx=_shift_to_onnx,
    ),
)
