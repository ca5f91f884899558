"""Several values as one: merged number by number, or joined along an axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply
from goodnet.ops.keras import HWC, Applied, Part, Reading, Step, reading, writing
from goodnet.ops.onnx import Found, Node, Value
from goodnet.ops.op import Attributes, Given, Joined, Merged, Op, Shape, broadcast, register
from goodnet.ops.scaling import onnx_arithmetic, read_arithmetic, rescaled
from goodnet.ops.tokens import prepended_from_onnx, shifted_from_onnx
from goodnet.ops.torch import Call, Operation, Rule, resolved

if TYPE_CHECKING:
    from torch import Tensor


def _check_several(given: Given) -> None:
    if len(given.inputs) < 2:
        raise InvalidInput(f"expected two or more inputs, got {len(given.inputs)}")
    if len({len(shape) for shape in given.inputs}) > 1:
        raise InvalidInput(f"expected inputs with the same number of axes, got {[*given.inputs]}")


def _merge_shape(given: Given) -> Shape:
    _check_several(given)
    return reduce(broadcast, given.inputs)


def _subtract_shape(given: Given) -> Shape:
    if len(given.inputs) != 2:
        raise InvalidInput(f"expected two inputs, got {len(given.inputs)}")
    return _merge_shape(given)


def _concatenate_shape(given: Given) -> Shape:
    _check_several(given)
    inputs, axis = given.inputs, given["axis"] - 1
    if not 0 <= axis < len(inputs[0]):
        raise InvalidInput(f"there is no axis {axis + 1} in a value of shape {inputs[0]}")
    rest = [shape[:axis] + shape[axis + 1 :] for shape in inputs]
    for other in rest[1:]:
        if any(a != b and None not in (a, b) for a, b in zip(rest[0], other, strict=True)):
            raise InvalidInput(f"the shapes {[*inputs]} differ outside axis {axis + 1}")
    total = [shape[axis] for shape in inputs]
    joined = None if None in total else sum(size or 0 for size in total)
    return (*inputs[0][:axis], joined, *inputs[0][axis + 1 :])


def _fold(operation: str) -> Callable[[Attributes], Callable[..., Tensor]]:
    def compute(_: Attributes) -> Callable[..., Tensor]:
        function = resolved(operation)
        return lambda *values: reduce(function, values)

    return compute


def _average(_: Attributes) -> Callable[..., Tensor]:
    return lambda first, *others: sum(others, first) / (1 + len(others))


def _concatenate(attributes: Attributes) -> Callable[..., Tensor]:
    import torch

    return lambda *values: torch.cat(values, dim=attributes["axis"])


def _read_concatenate(applied: Applied) -> Reading:
    axis = applied.fields.integers("axis") or (-1,)
    ranks = {len(shape) for shape in applied.shapes}
    if len(axis) != 1 or len(ranks) != 1:
        raise applied.fields.error("axis", "one axis, of inputs with as many axes each")
    return applied.read_as("concatenate", axis=applied.axes.to_spec(axis[0], ranks.pop()))


def _concatenate_to_keras(part: Part) -> list[Step]:
    return [Step("Concatenate", {"axis": HWC.to_file(part["axis"], len(part.shape))})]


def _arithmetic(op: str) -> Rule:
    def rule(call: Call) -> Operation | None:
        if call.kwargs or len(call.args) != 2:
            return None
        if call.is_value(0) and call.is_value(1):
            left, right = (call.values.shape(x) for x in call.args)
            return Operation(op, tuple(call.args)) if len(left) == len(right) else None
        return rescaled(call, op)

    return rule


def _of_concatenate(call: Call) -> Operation | None:
    values, given = call.args[0], call.bound(["dim"])
    if given is None or not isinstance(values, (list, tuple)):
        return None
    if not all(call.values.is_value(value) for value in values):
        return None
    axis = given.get("dim", 0) % (len(call.values.shape(values[0])) + 1)
    if len(values) == 1:
        return Operation("identity", tuple(values))
    return Operation("concatenate", tuple(values), {"axis": axis}) if axis else None


def _from_onnx(op: str) -> Callable[[Node], Found]:
    """Of values alone, or with a constant."""

    def rule(node: Node) -> Found:
        values = [x for x in node.operands if isinstance(x, Value)]
        if len(values) < len(node.operands):
            shifted = shifted_from_onnx(node) if op == "add" and len(node.operands) == 2 else None
            return shifted or onnx_arithmetic(node, op)
        if len(values) == 1:
            return node.found("identity")
        if len({(x.rank, x.axes) for x in values}) > 1:
            raise node.error("values with the same axes")
        return Found(op, tuple(values))

    return rule


def _concatenate_from_onnx(node: Node) -> Found:
    if not isinstance(node.operands[0], Value):
        return prepended_from_onnx(node)
    values = [node.value(place) for place in range(len(node.operands))]
    if len(values) == 1:
        return node.found("identity")
    if len({(x.rank, x.axes) for x in values}) > 1:
        raise node.error("values with the same axes")
    return Found(
        "concatenate", tuple(values), {"axis": node.axis(node.integer("axis", 1), values[0])}
    )


def _to_onnx(op: str) -> Callable[[Written], Expression]:
    """Of any number of values where the operation takes them, else of two and two."""

    def write(written: Written) -> Expression:
        first, second, *others = written.layer.inputs
        kind, *many = _ONNX[op]
        if many and others:
            return apply(many[0], first, second, *others)
        if op in _TAKE_MANY:
            return apply(kind, first, second, *others)
        return reduce(lambda a, b: apply(kind, a, b), others, apply(kind, first, second))

    return write


_TAKE_MANY = ("average", "maximum", "minimum")
_ONNX = {
    "add": ("Add", "Sum"),
    "subtract": ("Sub",),
    "multiply": ("Mul",),
    "average": ("Mean",),
    "maximum": ("Max",),
    "minimum": ("Min",),
}


def _spelled(name: str) -> tuple[str, ...]:
    return (f"operator.{name}", f"operator.i{name}", f"torch.{name}", f".{name}", f".{name}_")


# operation, the torch function of two values, class of Keras, how PyTorch says it
_MERGES = (
    ("add", "torch.add", "Add", _spelled("add")),
    ("subtract", "torch.sub", "Subtract", _spelled("sub")),
    ("multiply", "torch.mul", "Multiply", _spelled("mul")),
    ("average", "", "Average", ()),
    ("maximum", "torch.maximum", "Maximum", ("torch.maximum",)),
    ("minimum", "torch.minimum", "Minimum", ("torch.minimum",)),
)

# Functions of TensorFlow, as Keras 2 calls them in a file.
_TENSORFLOW = {
    "add": ("tf.math.add", "tf.__operators__.add", "tf.nn.bias_add"),
    "subtract": ("tf.math.subtract",),
    "multiply": ("tf.math.multiply",),
}


def _from_keras(op: str, keras: str) -> dict[str, Callable[[Applied], Reading]]:
    """As a layer of values and, where there is one, as an operation that takes constants, too."""
    names = _TENSORFLOW.get(op)
    if names is None:
        return {keras: reading(op)}
    return dict.fromkeys((keras, *names), read_arithmetic(op))


register(
    *(
        Op(
            name=op,
            shape=_subtract_shape if op == "subtract" else _merge_shape,
            compute=_fold(function) if function else _average,
            channels=Merged(absorbs=op == "multiply"),
            from_keras=_from_keras(op, keras),
            to_keras=writing(keras),
            from_torch=dict.fromkeys(names, _arithmetic(op)),
            from_onnx=dict.fromkeys(_ONNX[op], _from_onnx(op)),
            to_onnx=_to_onnx(op),
        )
        for op, function, keras, names in _MERGES
    ),
    # axis of the value as laid out here, 1 or more
    Op(
        name="concatenate",
        attributes=("axis",),
        shape=_concatenate_shape,
        compute=_concatenate,
        channels=Joined(),
        from_keras={"Concatenate": _read_concatenate},
        to_keras=_concatenate_to_keras,
        from_torch=dict.fromkeys(("torch.cat", "torch.concat"), _of_concatenate),
        from_onnx={"Concat": _concatenate_from_onnx},
        to_onnx=lambda written: apply("Concat", *written.layer.inputs, axis=written["axis"]),
    ),
)
