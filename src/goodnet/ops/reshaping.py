"""The numbers of a value in other places: flatten, reshape and permute.

The attribute `order` says how the file orders the axes of a picture, "hwc" or "chw": the layer acts
as if the value lay in that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.ops.expression import Expression, Operand, Written, apply, sizes
from goodnet.ops.keras import (
    Applied,
    Fields,
    Option,
    Part,
    Reading,
    Step,
    reading,
    setting,
    writing,
)
from goodnet.ops.layouts import Axes
from goodnet.ops.onnx import Constant, Found, Node, Value
from goodnet.ops.op import PICTURE, Attributes, Given, Mask, Moved, Op, Shape, product, register
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import Tensor


def _flatten_shape(given: Given) -> Shape:
    return (product(given.value),)


def _reshape_shape(given: Given) -> Shape:
    target, total = tuple(given["shape"]), product(given.value)
    fixed = math.prod(size for size in target if size != -1)
    open_sizes = target.count(-1)
    fits = total is None or (total % fixed == 0 if open_sizes and fixed else total == fixed)
    if open_sizes > 1 or not fits:
        raise InvalidInput(f"a value of shape {given.value} cannot be reshaped to {target}")
    rest = None if total is None or not fixed else total // fixed
    shape = tuple(rest if size == -1 else size for size in target)
    return Axes(given["order"]).shape_to_spec(shape)


def _permute_shape(given: Given) -> Shape:
    axes, dims = Axes(given["order"]), tuple(given["dims"])
    shape = axes.shape_to_file(given.value)
    if sorted(dims) != list(range(1, len(shape) + 1)):
        raise InvalidInput(f"the axes {dims} do not permute a value of shape {given.value}")
    return axes.shape_to_spec(tuple(shape[dim - 1] for dim in dims))


# From a value with its batch axis in the file's order, its attributes, and a way to permute axes.
_Arrange = Callable[[Any, Attributes, Callable[..., Any]], Any]


def _flat(value: Any, _: Attributes, __: Callable[..., Any]) -> Any:
    return value.reshape(value.shape[0], math.prod(value.shape[1:]))


def _reshaped(value: Any, attributes: Attributes, _: Callable[..., Any]) -> Any:
    return value.reshape(value.shape[0], *attributes["shape"])


def _permuted(value: Any, attributes: Attributes, permute: Callable[..., Any]) -> Any:
    return permute(value, (0, *attributes["dims"]))


def _arranged(
    arrange: _Arrange, value: Any, attributes: Attributes, permute: Callable[..., Any]
) -> Any:
    """Bring a value to the file's order, arrange its numbers, and bring a picture back."""
    hwc = attributes["order"] == "hwc"
    if hwc and value.ndim == PICTURE + 1:
        value = permute(value, (0, 2, 3, 1))
    value = arrange(value, attributes, permute)
    return permute(value, (0, 3, 1, 2)) if hwc and value.ndim == PICTURE + 1 else value


def _compute(arrange: _Arrange) -> Callable[[Attributes], Callable[[Tensor], Tensor]]:
    def compute(attributes: Attributes) -> Callable[[Tensor], Tensor]:
        import torch

        return lambda value: _arranged(arrange, value, attributes, torch.permute)

    return compute


def _places(arrange: _Arrange) -> Callable[[Mask, Attributes], Mask]:
    return lambda mask, attributes: _arranged(arrange, mask[None], attributes, np.transpose)[0]


def _resized(attributes: Attributes, shape: Shape) -> Attributes:
    return {"shape": Axes(attributes["order"]).shape_to_file(shape)}


def _read_order(applied: Applied) -> str:
    """With channels_first it puts the channels last before it flattens."""
    last = applied.fields.get("data_format", default="channels_last") == "channels_last"
    order = applied.axes.order
    if not last and applied.rank > 1 and (order == "hwc" or applied.rank != PICTURE):
        raise InvalidInput(
            f"layer {applied.name!r} (Flatten) is channels_first on a value that is not, which is "
            "not read"
        )
    return order if last else "hwc"


def _read_target(applied: Applied) -> tuple[int, ...]:
    shape = applied.fields.integers("target_shape")
    if any(size < 1 and size != -1 for size in shape):
        raise applied.fields.error("target_shape", "sizes of 1 or more, or -1 once")
    return shape


def _read_reshape(applied: Applied) -> Reading:
    """The operation, whose shape has the batch in front."""
    shape = applied.fields.integers("newshape") or applied.fields.integers("shape")
    sizes = shape[1:]
    if not sizes or (shape[0] != -1 and -1 not in sizes) or any(x < 1 and x != -1 for x in sizes):
        raise InvalidInput(f"a reshape of the whole batch to {shape} is not read")
    return applied.read_as("reshape", shape=sizes, order=applied.axes.order)


def _read_transpose(applied: Applied) -> Reading:
    axes = applied.fields.integers("axes") or applied.fields.integers("perm")
    if len(axes) != applied.rank + 1 or axes[0] != 0:
        raise InvalidInput(f"to transpose the axes to {axes} is not read: the batch stays in front")
    return applied.read_as("permute", dims=tuple(axes[1:]), order=applied.axes.order)


def _read_expand(applied: Applied) -> Reading:
    shape, (axis, *_) = _known(applied), applied.fields.integers("axis") or (0,)
    place = axis if axis >= 0 else len(shape) + 2 + axis
    if not 1 <= place <= len(shape) + 1:
        raise applied.fields.error("axis", "behind that of the batch")
    target = (*shape[: place - 1], 1, *shape[place - 1 :])
    return applied.read_as("reshape", shape=target, order=applied.axes.order)


def _read_squeeze(applied: Applied) -> Reading:
    shape = _known(applied)
    axes = [axis % (len(shape) + 1) for axis in applied.fields.integers("axis")]
    if not axes or any(axis < 1 or shape[axis - 1] != 1 for axis in axes):
        raise applied.fields.error("axis", "those of length 1, behind that of the batch")
    target = tuple(x for place, x in enumerate(shape, start=1) if place not in axes)
    return applied.read_as("reshape", shape=target, order=applied.axes.order)


def _known(applied: Applied) -> tuple[int, ...]:
    """The shape of what is read, in the file's order; one size may be open, -1."""
    shape = applied.axes.shape_to_file(applied.shape)
    return tuple(-1 if size is None else size for size in shape)


_FLATTEN = {"order": Option("", _read_order)}
_ORDER = {"order": Option("", lambda applied: applied.axes.order)}
_RESHAPE = {"shape": Option("target_shape", _read_target), **_ORDER}
_read_layer = reading("reshape", _RESHAPE)


def _read_either(applied: Applied) -> Reading:
    """The layer, or the operation of the same name."""
    is_operation = applied.fields.get("newshape") is not None
    return _read_reshape(applied) if is_operation else _read_layer(applied)


_PERMUTE = {"dims": setting("dims", Fields.integers), **_ORDER}


def _write(class_name: str, options: Mapping[str, Option]) -> Callable[[Part], list[Step]]:
    """Between permutations that bring pictures to the order "chw" and back, where it acts so."""

    def write(part: Part) -> list[Step]:
        steps = writing(class_name, options)(part)
        if part["order"] == "hwc":
            return steps
        before = [Step("Permute", {"dims": [3, 1, 2]})] if len(part.inputs[0]) == PICTURE else []
        after = [Step("Permute", {"dims": [2, 3, 1]})] if len(part.shape) == PICTURE else []
        return [*before, *steps, *after]

    return write


def _of_shape(call: Call) -> Operation | None:
    """The numbers of a value in their order, in another shape."""
    if not call.is_value(0):
        return None
    if len(call.gives) == 1:
        return call.operation("flatten", order="chw")
    return call.operation("reshape", shape=call.gives, order="chw")


def _of_permute(call: Call) -> Operation | None:
    given = call.args[1:]
    dims = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    rank = len(call.reads) + 1 if call.is_value(0) else 0
    if call.kwargs or not all(isinstance(dim, int) for dim in dims) or len(dims) != rank:
        return None
    return _permutation(call, [dim % rank for dim in dims])


def _of_transpose(call: Call) -> Operation | None:
    if call.kwargs or not call.is_value(0) or not all(isinstance(x, int) for x in call.args[1:]):
        return None
    order = [*range(len(call.reads) + 1)]
    first, second = (place % len(order) for place in call.args[1:])
    order[first], order[second] = order[second], order[first]
    return _permutation(call, order)


def _permutation(call: Call, order: Sequence[int]) -> Operation | None:
    return call.operation("permute", dims=tuple(order[1:]), order="chw") if order[0] == 0 else None


# ONNX, reading.


def _flatten_from_onnx(node: Node) -> Found:
    value = node.value()
    if node.integer("axis", 1) not in (1, -value.rank):
        raise node.error("to flatten each image")
    return _reshaped_to(value, (product(value.shape) or -1,))


def _reshape_from_onnx(node: Node) -> Found:
    value = node.value()
    target = node.operands[1] if len(node.operands) > 1 else None
    if not isinstance(target, Constant) or target.array.ndim != 1 or not len(target.array):
        raise node.error("a shape that does not depend on the images")
    if len(target.array) > budgets.MAX_RANK:
        raise node.error(f"at most {budgets.MAX_RANK} axes, got {len(target.array):,}")
    shape = value.axes.shape_to_file(value.shape)
    keeps = not node.integer("allowzero", 0)
    found = {
        _sizes(each.astype(int).tolist(), shape, keeps_zeros=keeps)
        for each in (target.array, target.array if target.other is None else target.other)
    }
    rest = found.pop()
    if found or rest is None:
        raise node.error(f"a row for each image, got the shape {target.array.tolist()!r:.80}")
    return _reshaped_to(value, rest)


def _sizes(
    target: Sequence[int], shape: Shape, *, keeps_zeros: bool
) -> tuple[int | None, ...] | None:
    """A shape without the batch, where it has a row for each image; else None."""
    batch, *rest = target
    sizes: list[int | None] = list(rest)
    if keeps_zeros:
        sizes = [
            shape[at] if size == 0 and at < len(shape) else size for at, size in enumerate(sizes)
        ]
    total = product(shape)
    fixed = math.prod(size for size in sizes if size not in (-1, None))
    if total is not None and sizes.count(-1) == 1 and fixed and total % fixed == 0:
        sizes = [total // fixed if size == -1 else size for size in sizes]
    fits = -1 not in sizes and product(tuple(sizes)) == total
    return tuple(sizes) if batch >= -1 and fits else None


def _squeeze_from_onnx(node: Node) -> Found:
    value = node.value()
    shape = value.axes.shape_to_file(value.shape)
    axes = [axis % (len(shape) + 1) for axis in node.sizes(1) or node.integers("axes")]
    if not axes or any(axis < 1 or shape[axis - 1] != 1 for axis in axes):
        raise node.error(f"axes of length 1 behind that of the batch, got {axes}")
    return _reshaped_to(value, tuple(x for at, x in enumerate(shape, start=1) if at not in axes))


def _unsqueeze_from_onnx(node: Node) -> Found:
    value = node.value()
    axes = node.sizes(1) or node.integers("axes")
    shape = list(value.axes.shape_to_file(value.shape))
    for axis in sorted(axis % (len(shape) + 1 + len(axes)) for axis in axes):
        if axis < 1:
            raise node.error("axes behind that of the batch")
        shape.insert(axis - 1, 1)
    return _reshaped_to(value, tuple(shape))


def _reshaped_to(value: Value, shape: tuple[int | None, ...]) -> Found:
    """A shape in the file's order."""
    if shape == value.axes.shape_to_file(value.shape):
        return Found("identity", (value,))
    if len(shape) == 1:
        return Found("flatten", (value,), {"order": value.axes.order})
    known = tuple(-1 if size is None else size for size in shape)
    return Found("reshape", (value,), {"shape": known, "order": value.axes.order})


def _transpose_from_onnx(node: Node) -> Found:
    """To have the channels last or first is a matter of how the graph counts axes."""
    value = node.value()
    axes = node.integers("perm", range(value.rank + 1)[::-1])
    dims = axes[1:]
    if axes[:1] != (0,) or len(dims) != value.rank:
        raise node.error("the batch to stay in front")
    turned = {"chw": (2, 3, 1), "hwc": (3, 1, 2)}
    if value.rank == PICTURE and dims == turned[value.axes.order]:
        return Found("identity", (value,), axes=Axes("chw" if value.axes.order == "hwc" else "hwc"))
    return node.found("permute", dims=dims, order=value.axes.order)


# ONNX, writing.


def _to_onnx(arrange: Callable[[Written, Operand], Expression]) -> Callable[[Written], Expression]:
    """Between transpositions that bring pictures to the order "hwc" and back, where it acts so."""

    def write(written: Written) -> Expression:
        before, after = (
            written["order"] == "hwc" and len(shape) == PICTURE
            for shape in (written.inputs[0], written.shape)
        )
        value = apply("Transpose", written.value, perm=(0, 2, 3, 1)) if before else written.value
        found = arrange(written, value)
        return apply("Transpose", found, perm=(0, 3, 1, 2)) if after else found

    return write


def _reshape_to_onnx(written: Written, value: Operand) -> Expression:
    """The batch stays as it is, 0."""
    return apply("Reshape", value, sizes(0, *written["shape"]))


def _permute_to_onnx(written: Written, value: Operand) -> Expression:
    return apply("Transpose", value, perm=(0, *written["dims"]))


_SHAPES = ("flatten", "reshape", "squeeze", "unsqueeze")
_OF_SHAPE = (
    *("nn.Flatten", "nn.Unflatten", ".view"),
    *(f"torch.{name}" for name in _SHAPES),
    *(f".{name}" for name in _SHAPES),
)

register(
    Op(
        name="flatten",
        attributes=("order",),
        shape=_flatten_shape,
        compute=_compute(_flat),
        channels=Moved(_places(_flat)),
        from_keras={"Flatten": reading("flatten", _FLATTEN)},
        to_keras=_write("Flatten", _FLATTEN),
        from_torch=dict.fromkeys(_OF_SHAPE, _of_shape),
        from_onnx={"Flatten": _flatten_from_onnx},
        to_onnx=_to_onnx(lambda _, value: apply("Flatten", value)),
    ),
    # shape without the batch axis, in the file's order, -1 once
    Op(
        name="reshape",
        attributes=("shape", "order"),
        shape=_reshape_shape,
        compute=_compute(_reshaped),
        channels=Moved(_places(_reshaped), _resized),
        from_keras={
            "Reshape": _read_either,
            **dict.fromkeys(("ExpandDims", "tf.expand_dims"), _read_expand),
            **dict.fromkeys(("Squeeze", "tf.squeeze"), _read_squeeze),
            "tf.reshape": _read_reshape,
        },
        to_keras=_write("Reshape", _RESHAPE),
        from_onnx={
            "Reshape": _reshape_from_onnx,
            "Squeeze": _squeeze_from_onnx,
            "Unsqueeze": _unsqueeze_from_onnx,
        },
        to_onnx=_to_onnx(_reshape_to_onnx),
    ),
    # dims counted from 1 as Keras does, in the file's order
    Op(
        name="permute",
        attributes=("dims", "order"),
        shape=_permute_shape,
        compute=_compute(_permuted),
        channels=Moved(_places(_permuted)),
        from_keras={
            "Permute": reading("permute", _PERMUTE),
            **dict.fromkeys(("Transpose", "tf.transpose"), _read_transpose),
        },
        to_keras=_write("Permute", _PERMUTE),
        from_torch={
            **dict.fromkeys(("torch.permute", ".permute"), _of_permute),
            **dict.fromkeys(("torch.transpose", ".transpose"), _of_transpose),
        },
        from_onnx={"Transpose": _transpose_from_onnx},
        to_onnx=_to_onnx(_permute_to_onnx),
    ),
)
