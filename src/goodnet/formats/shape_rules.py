"""For each operation, the shape it gives; `shapes.infer` adds the layer's name to an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from goodnet.errors import InvalidInput

__all__ = ["RULES", "Parameters", "Shape"]

Shape = tuple[int | None, ...]
Attributes = Mapping[str, Any]
Parameters = Mapping[str, Shape]
Rule = Callable[[Attributes, tuple[Shape, ...], Parameters], Shape]

_PICTURE = 3


def _one(inputs: tuple[Shape, ...]) -> Shape:
    if len(inputs) != 1:
        raise InvalidInput(f"expected one input, got {len(inputs)}")
    return inputs[0]


def _picture(inputs: tuple[Shape, ...]) -> tuple[int | None, int | None, int | None]:
    shape = _one(inputs)
    if len(shape) != _PICTURE:
        raise InvalidInput(f"expected a picture (channels, height, width), got the shape {shape}")
    channels, height, width = shape
    return channels, height, width


def _window(size: int | None, attributes: tuple[int, int, int], padding: str) -> int | None:
    """How often a window fits: attributes are (window, stride, dilation) along one axis."""
    window, stride, dilation = attributes
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    count = (size - (window - 1) * dilation - 1) // stride + 1
    if count < 1:
        raise InvalidInput(f"a window of {window} does not fit into {size} pixels")
    return count


def _windows(size: Shape, windows: Shape, attributes: Attributes) -> Shape:
    """How often windows fit along height and width."""
    padding = attributes["padding"]
    if not isinstance(padding, str):
        added = (padding[0] + padding[1], padding[2] + padding[3])
        size = tuple(x if x is None else x + more for x, more in zip(size, added, strict=True))
        padding = "valid"
    steps = zip(windows, attributes["strides"], attributes.get("dilation", (1, 1)), strict=True)
    return tuple(
        _window(length, (window or 1, stride, dilation), padding)
        for length, (window, stride, dilation) in zip(size, steps, strict=True)
    )


def _weight(parameters: Parameters, rank: int) -> Shape:
    shape = parameters.get("weight", ())
    if len(shape) != rank:
        raise InvalidInput(f"expected a weight of {rank} axes, got the shape {shape}")
    return shape


def _vectors(parameters: Parameters, names: Sequence[str], length: int | None) -> None:
    for name in names:
        if name in parameters and parameters[name] != (length,):
            raise InvalidInput(f"expected {name} of shape ({length},), got {parameters[name]}")


def _conv2d(attributes: Attributes, inputs: tuple[Shape, ...], parameters: Parameters) -> Shape:
    channels, *size = _picture(inputs)
    out, per_group, *kernel = _weight(parameters, 4)
    groups = attributes["groups"]
    if channels != groups * (per_group or 0) or (out or 0) % groups:
        raise InvalidInput(
            f"a weight of shape {parameters['weight']} in {groups} groups does not fit "
            f"{channels} channels"
        )
    _vectors(parameters, ("bias",), out)
    return (out, *_windows(tuple(size), tuple(kernel), attributes))


def _dense(_: Attributes, inputs: tuple[Shape, ...], parameters: Parameters) -> Shape:
    *rest, features = _one(inputs)
    out, into = _weight(parameters, 2)
    if features != into:
        raise InvalidInput(f"a weight for {into} features does not fit {features} features")
    _vectors(parameters, ("bias",), out)
    return (*rest, out)


def _batch_norm(_: Attributes, inputs: tuple[Shape, ...], parameters: Parameters) -> Shape:
    shape = _one(inputs)
    if len(shape) not in (1, _PICTURE):
        raise InvalidInput(f"expected a vector or a picture, got the shape {shape}")
    _vectors(parameters, ("gamma", "beta", "mean", "variance"), shape[0])
    return shape


def _same(_: Attributes, inputs: tuple[Shape, ...], parameters: Parameters) -> Shape:
    shape = _one(inputs)
    for name, array in parameters.items():
        if _broadcast(shape, array) != shape:
            raise InvalidInput(f"{name} of shape {array} does not fit a value of shape {shape}")
    return shape


def _activation(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    shape = _one(inputs)
    axis = attributes["activation"].options.get("axis", 1)
    if not 1 <= axis <= len(shape):
        raise InvalidInput(f"there is no axis {axis} in a value of shape {shape}")
    return shape


def _pool(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    channels, *size = _picture(inputs)
    return (channels, *_windows(tuple(size), tuple(attributes["pool"]), attributes))


def _global_pool(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    channels, *_size = _picture(inputs)
    return (channels, 1, 1) if attributes["keepdims"] else (channels,)


def _global_pool1d(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    shape = _one(inputs)
    if len(shape) != 2:
        raise InvalidInput(f"expected a value of shape (steps, features), got {shape}")
    return (1, shape[1]) if attributes["keepdims"] else (shape[1],)


def _product(shape: Shape) -> int | None:
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None


def _flatten(_: Attributes, inputs: tuple[Shape, ...], __: Parameters) -> Shape:
    return (_product(_one(inputs)),)


def _to_file(shape: Shape, order: str) -> Shape:
    return (*shape[1:], shape[0]) if len(shape) == _PICTURE and order == "hwc" else shape


def _from_file(shape: Shape, order: str) -> Shape:
    return (shape[2], *shape[:2]) if len(shape) == _PICTURE and order == "hwc" else shape


def _reshape(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    target = tuple(attributes["shape"])
    total = _product(_one(inputs))
    fixed = math.prod(size for size in target if size != -1)
    open_sizes = target.count(-1)
    fits = total is None or (total % fixed == 0 if open_sizes and fixed else total == fixed)
    if open_sizes > 1 or not fits:
        raise InvalidInput(f"a value of shape {inputs[0]} cannot be reshaped to {target}")
    rest = None if total is None or not fixed else total // fixed
    return _from_file(tuple(rest if size == -1 else size for size in target), attributes["order"])


def _permute(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    shape = _to_file(_one(inputs), attributes["order"])
    dims = tuple(attributes["dims"])
    if sorted(dims) != list(range(1, len(shape) + 1)):
        raise InvalidInput(f"the axes {dims} do not permute a value of shape {inputs[0]}")
    return _from_file(tuple(shape[dim - 1] for dim in dims), attributes["order"])


def _broadcast(left: Shape, right: Shape) -> Shape:
    """NumPy's rule on shapes; an open size fits any other."""
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    return tuple(_meet(a, b, shapes=(left, right)) for a, b in pairs)


def _meet(a: int | None, b: int | None, *, shapes: tuple[Shape, Shape]) -> int | None:
    if a == b or b == 1:
        return a
    if a == 1 or a is None:
        return b
    if b is None:
        return a
    raise InvalidInput(f"the shapes {shapes[0]} and {shapes[1]} do not fit together")


def _several(inputs: tuple[Shape, ...]) -> None:
    if len(inputs) < 2:
        raise InvalidInput(f"expected two or more inputs, got {len(inputs)}")
    if len({len(shape) for shape in inputs}) > 1:
        raise InvalidInput(f"expected inputs with the same number of axes, got {list(inputs)}")


def _merge(_: Attributes, inputs: tuple[Shape, ...], __: Parameters) -> Shape:
    _several(inputs)
    shape = inputs[0]
    for other in inputs[1:]:
        shape = _broadcast(shape, other)
    return shape


def _subtract(attributes: Attributes, inputs: tuple[Shape, ...], parameters: Parameters) -> Shape:
    if len(inputs) != 2:
        raise InvalidInput(f"expected two inputs, got {len(inputs)}")
    return _merge(attributes, inputs, parameters)


def _concatenate(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    _several(inputs)
    axis = attributes["axis"] - 1
    if not 0 <= axis < len(inputs[0]):
        raise InvalidInput(f"there is no axis {axis + 1} in a value of shape {inputs[0]}")
    rest = [shape[:axis] + shape[axis + 1 :] for shape in inputs]
    for other in rest[1:]:
        if any(a != b and None not in (a, b) for a, b in zip(rest[0], other, strict=True)):
            raise InvalidInput(f"the shapes {list(inputs)} differ outside axis {axis + 1}")
    total = [shape[axis] for shape in inputs]
    joined = None if None in total else sum(size or 0 for size in total)
    return (*inputs[0][:axis], joined, *inputs[0][axis + 1 :])


def _grow(sign: int) -> Rule:
    def rule(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
        channels, height, width = _picture(inputs)
        top, bottom, left, right = attributes["padding"]
        size = (
            None if height is None else height + sign * (top + bottom),
            None if width is None else width + sign * (left + right),
        )
        if any(length is not None and length < 1 for length in size):
            raise InvalidInput(f"nothing is left of a picture of shape {inputs[0]}")
        return (channels, *size)

    return rule


def _upsample(attributes: Attributes, inputs: tuple[Shape, ...], _: Parameters) -> Shape:
    channels, height, width = _picture(inputs)
    tall, wide = attributes["size"]
    return (
        channels,
        None if height is None else height * tall,
        None if width is None else width * wide,
    )


def _input(attributes: Attributes, _: tuple[Shape, ...], __: Parameters) -> Shape:
    return tuple(attributes["shape"])


def _opaque(attributes: Attributes, _: tuple[Shape, ...], __: Parameters) -> Shape:
    return tuple(attributes["shape"])


RULES: dict[str, Rule] = {
    "input": _input,
    "conv2d": _conv2d,
    "dense": _dense,
    "batch_norm": _batch_norm,
    "activation": _activation,
    "prelu": _same,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "global_max_pool2d": _global_pool,
    "global_avg_pool2d": _global_pool,
    "global_max_pool1d": _global_pool1d,
    "global_avg_pool1d": _global_pool1d,
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "add": _merge,
    "subtract": _subtract,
    "multiply": _merge,
    "average": _merge,
    "maximum": _merge,
    "minimum": _merge,
    "concatenate": _concatenate,
    "identity": _same,
    "zero_pad2d": _grow(1),
    "crop2d": _grow(-1),
    "upsample2d": _upsample,
    "rescale": _same,
    "normalize": _same,
    "opaque": _opaque,
}
