"""What a graph computes from constants and sizes alone: shapes, scales, unpacked weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.formats.onnx.model import Tensor
from goodnet.ops.onnx import BATCHES, Constant, Node
from goodnet.ops.op import Array

# Numbers of an array that is computed from constants: they are sizes and the like.
_FOLDED = 2**20
# Operations that keep the numbers of what they read.
_SAME_NUMBERS = ("Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Tile", "Unsqueeze")
# What NumPy raises where arguments do not fit together, and where one is left out.
_NOT_COMPUTED = (ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError)

Arguments = Sequence[Array]
_Fold = Callable[[Node, Arguments], list[Array]]


def folded(node: Node, arguments: Callable[[int], Arguments], folder: Path) -> list[Constant]:
    """What an operation gives.

    Args:
        node: The operation.
        arguments: What it reads, for a batch of one of the sizes in `BATCHES`.
        folder: Where arrays lie that the file does not have itself.

    Raises:
        InvalidInput: If it is not computed, or not from these arguments.
    """
    if node.kind == "Constant":
        return [Constant(_constant(node, folder))]
    function = _FOLD.get(node.kind)
    if function is None:
        raise InvalidInput(
            f"the operation {node.kind} (of {node.name!r}) is not computed from constants"
        )
    try:
        with np.errstate(all="ignore"):
            results = [function(node, arguments(batch)) for batch in BATCHES]
    except _NOT_COMPUTED as error:
        raise InvalidInput(
            f"operation {node.name!r} ({node.kind}) cannot be computed: {error!s:.200}"
        ) from error
    return [
        _as_in_the_file(Constant(one, other=None if np.array_equal(one, two) else two), node)
        for one, two in zip(*results, strict=True)
    ]


def _as_in_the_file(found: Constant, node: Node) -> Constant:
    """With the name of the array in the file, if it has the same numbers for each image."""
    first = node.operands[0] if node.kind in _SAME_NUMBERS else None
    if not isinstance(first, Constant) or not first.key:
        return found
    rows = found.array if found.other is None else found.array[:1]
    same = np.array_equal(rows.ravel(), first.array.ravel())
    return Constant(found.array, first.key if same else "", found.other)


def _constant(node: Node, folder: Path) -> Array:
    ((_, value), *more) = node.attributes.items() or ((None, None),)
    if more or isinstance(value, str) or value is None:
        raise InvalidInput(f"operation {node.name!r} (Constant) has no numbers")
    return value.array(folder) if isinstance(value, Tensor) else np.asarray(value)


def _limited(size: int) -> None:
    if size > _FOLDED:
        raise InvalidInput(f"{size:,} numbers are computed from constants; at most {_FOLDED:,} are")


def _axes(node: Node, arguments: Arguments, place: int = 1) -> tuple[int, ...]:
    """Axes as an attribute, or as an operand in later versions."""
    if len(arguments) > place and arguments[place] is not None:
        return tuple(arguments[place].reshape(-1).astype(int).tolist())
    return node.integers("axes")


def _shape(node: Node, x: Arguments) -> list[Array]:
    if node.kind == "Size":
        return [np.asarray(np.prod(x[0]))]
    return [x[0][slice(node.integer("start", 0), node.attributes.get("end"))]]


def _slice(node: Node, x: Arguments) -> list[Array]:
    starts, ends = (x[1], x[2]) if len(x) > 2 else (node.integers("starts"), node.integers("ends"))
    axes = x[3] if len(x) > 3 and x[3] is not None else node.integers("axes", range(len(starts)))
    steps = x[4] if len(x) > 4 and x[4] is not None else [1] * len(starts)
    found = [slice(None)] * x[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        found[axis] = slice(int(start), int(end), int(step))
    return [x[0][tuple(found)]]


def _unsqueeze(node: Node, x: Arguments) -> list[Array]:
    return [np.expand_dims(x[0], _axes(node, x))]


def _squeeze(node: Node, x: Arguments) -> list[Array]:
    return [np.squeeze(x[0], _axes(node, x) or None)]


def _expand(_: Node, x: Arguments) -> list[Array]:
    shape = np.broadcast_shapes(x[0].shape, tuple(x[1].tolist()))
    _limited(math.prod(shape))
    return [np.broadcast_to(x[0], shape)]


def _tile(_: Node, x: Arguments) -> list[Array]:
    _limited(x[0].size * math.prod(x[1].tolist()))
    return [np.tile(x[0], tuple(x[1].tolist()))]


def _full(node: Node, x: Arguments) -> list[Array]:
    _limited(math.prod(x[0].tolist()))
    value = node.attributes.get("value")
    fill = value.array(Path()) if isinstance(value, Tensor) else np.zeros(1, np.float32)
    return [np.full(tuple(x[0].tolist()), fill.ravel()[0])]


def _range(_: Node, x: Arguments) -> list[Array]:
    start, limit, step = (each.item() for each in x)
    _limited(int(max(0, (limit - start) / (step or 1))))
    return [np.arange(start, limit, step).astype(x[0].dtype)]


def _concat(node: Node, x: Arguments) -> list[Array]:
    _limited(sum(each.size for each in x))
    return [np.concatenate(x, node.integer("axis", 0))]


def _divide(_: Node, x: Arguments) -> list[Array]:
    whole = np.issubdtype(x[0].dtype, np.integer)
    return [x[0] // x[1] if whole else x[0] / x[1]]


def _reshape(node: Node, x: Arguments) -> list[Array]:
    sizes = x[1].tolist()
    if not node.integer("allowzero", 0):
        sizes = [size or x[0].shape[place] for place, size in enumerate(sizes)]
    return [x[0].reshape(tuple(sizes))]


def _flatten(node: Node, x: Arguments) -> list[Array]:
    axis = node.integer("axis", 1)
    return [x[0].reshape(math.prod(x[0].shape[:axis]), -1)]


def _gather(node: Node, x: Arguments) -> list[Array]:
    axis = node.integer("axis", 0)
    _limited(x[0].size // max(1, x[0].shape[axis]) * x[1].size)
    return [np.take(x[0], x[1], axis=axis)]


def _split(node: Node, x: Arguments) -> list[Array]:
    axis, count = node.integer("axis", 0), max(1, node.integer("num_outputs", 1))
    sizes = x[1].tolist() if len(x) > 1 and x[1] is not None else node.integers("split")
    if max(len(sizes), count) > budgets.MAX_MEMBERS:
        raise ValueError(f"at most {budgets.MAX_MEMBERS:,} parts are read")
    sizes = sizes or [-(-x[0].shape[axis] // count)] * count
    return np.split(x[0], np.cumsum(sizes)[:-1].tolist(), axis=axis)


def _transpose(node: Node, x: Arguments) -> list[Array]:
    return [x[0].transpose(node.integers("perm", range(x[0].ndim)[::-1]))]


_CASTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


def _cast(node: Node, x: Arguments) -> list[Array]:
    kind = _CASTS.get(node.integer("to", 1))
    if kind is None:
        raise ValueError("a cast to a type that is not read")
    return [x[0].astype(kind)]


def _dequantize(node: Node, x: Arguments) -> list[Array]:
    """Quantised weights as floats."""
    zero = x[2] if len(x) > 2 and x[2] is not None else np.zeros_like(x[1], x[0].dtype)
    axis = node.integer("axis", 1)
    shape = [-1 if place == axis % x[0].ndim else 1 for place in range(x[0].ndim)]
    scale, zero = (each.reshape(shape) if each.size > 1 else each for each in (x[1], zero))
    return [(x[0].astype(np.float32) - zero.astype(np.float32)) * scale]


def _elementwise(function: Callable[..., Any]) -> _Fold:
    def fold(_: Node, x: Arguments) -> list[Array]:
        size = math.prod(np.broadcast_shapes(*(each.shape for each in x)))
        if size > max(each.size for each in x):
            _limited(size)
        return [np.asarray(function(*x))]

    return fold


def _folding(function: Callable[..., Any]) -> _Fold:
    """Of any number of arguments, two by two."""
    return lambda _, x: [np.asarray(reduce(function, x))]


def _reduction(function: Callable[..., Any]) -> _Fold:
    def fold(node: Node, x: Arguments) -> list[Array]:
        axes = _axes(node, x) or (() if node.integer("noop_with_empty_axes", 0) else None)
        return [np.asarray(function(x[0], axis=axes, keepdims=bool(node.integer("keepdims", 1))))]

    return fold


_NUMBER_BY_NUMBER: Mapping[str, Callable[..., Any]] = {
    "Identity": lambda x: x, "Neg": np.negative, "Abs": np.abs, "Sqrt": np.sqrt, "Exp": np.exp,
    "Log": np.log, "Floor": np.floor, "Ceil": np.ceil, "Sign": np.sign,
    "Reciprocal": np.reciprocal, "IsNaN": np.isnan, "Not": np.logical_not, "Add": np.add,
    "Sub": np.subtract, "Mul": np.multiply, "Pow": np.power, "Mod": np.mod, "Equal": np.equal,
    "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "And": np.logical_and, "Or": np.logical_or,
    "Where": np.where,
}  # fmt: skip
_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "Sum": np.sum, "Prod": np.prod, "Mean": np.mean, "Max": np.max, "Min": np.min,
}  # fmt: skip
_FOLD: Mapping[str, _Fold] = {
    "Shape": _shape, "Size": _shape, "Slice": _slice, "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze, "Expand": _expand, "Tile": _tile, "ConstantOfShape": _full,
    "Range": _range, "Concat": _concat, "Div": _divide, "Reshape": _reshape,
    "Flatten": _flatten, "Transpose": _transpose, "Cast": _cast, "Gather": _gather,
    "Split": _split, "DequantizeLinear": _dequantize,
    "Sum": _folding(np.add), "Min": _folding(np.minimum), "Max": _folding(np.maximum),
    **{name: _elementwise(function) for name, function in _NUMBER_BY_NUMBER.items()},
    **{f"Reduce{name}": _reduction(function) for name, function in _REDUCTIONS.items()},
}  # fmt: skip
