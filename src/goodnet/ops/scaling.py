"""Layers that scale and shift: arithmetic with constants, learned scales and slopes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply
from goodnet.ops.keras import Applied, Option, Part, Reading, Step, Value, reading, writing
from goodnet.ops.layouts import channels_last, full_rank, to_spec
from goodnet.ops.onnx import Constant, Found, Node, Numbers, placed
from goodnet.ops.onnx import Value as OnnxValue
from goodnet.ops.op import (
    PICTURE,
    Array,
    Arrays,
    Attributes,
    Channels,
    Given,
    Kept,
    Layer,
    Op,
    Shape,
    broadcast,
    register,
    same_shape,
)
from goodnet.ops.torch import Call, Operation, Parameter

if TYPE_CHECKING:
    from torch import Tensor

_FACTORS = ("scale", "offset")


# Rescaling: value * scale + offset, with numbers or one number per channel.


def _rescale(_: Attributes) -> Callable[..., Tensor]:
    def function(own: Any, value: Tensor) -> Tensor:
        scale, offset = own.scale, own.offset
        if value.ndim <= PICTURE:  # numbers for features, which are last
            scale, offset = (x.flatten() if x.ndim else x for x in (scale, offset))
        found: Tensor = value * scale + offset
        return found

    return function


def _factors(attributes: Attributes) -> Arrays:
    numbers = {name: np.asarray(attributes[name], dtype=np.float32) for name in _FACTORS}
    return {name: x.reshape(-1, 1, 1) if x.ndim else x for name, x in numbers.items()}


def _rescaled_shape(given: Given) -> Shape:
    """One number, or one for each channel of a picture or feature of another value."""
    shape = same_shape(given)
    features = shape[0 if len(shape) == PICTURE else -1]
    for name in _FACTORS:
        count = np.size(given[name])
        if count > 1 and features not in (None, count):
            raise InvalidInput(f"{count} numbers as {name} do not fit a value of shape {shape}")
    return shape


def _has_no_offset(layer: Layer, channels: Channels, _: Arrays) -> bool:
    offset = np.atleast_1d(np.asarray(layer.attributes["offset"], dtype=float))
    return not np.any(offset if offset.size == 1 else offset[channels])


def _without(attributes: Attributes, channels: Channels) -> Attributes:
    """Factors per channel without some; one factor for all stays."""
    found = {}
    for name in _FACTORS:
        array = np.asarray(attributes[name], dtype=float)
        gone = array.size > 1
        found[name] = tuple(np.delete(array, channels).tolist()) if gone else attributes[name]
    return found


def _factor(applied: Applied, name: str, *, default: float) -> float | tuple[float, ...]:
    value = applied.fields.numbers(name, default=default)
    if isinstance(value, float):
        return value
    last_in_file = applied.axes.shape_to_file(applied.shape)[-1:]
    channels_first = applied.rank == PICTURE and not applied.axes.is_hwc(PICTURE)
    if channels_first or len(value) not in (1, *last_in_file):
        raise applied.fields.error(name, "one number, or one for each channel, which are last")
    return value if len(value) > 1 else value[0]


_RESCALING = {
    name: Option(
        name,
        partial(_factor, name=name, default=default),
        lambda x: np.asarray(x, dtype=float).tolist(),
    )
    for name, default in (("scale", 1.0), ("offset", 0.0))
}


# How a value with a constant, in this order or the other, is a scale and an offset.
_WITH_A_CONSTANT: dict[tuple[str, bool], Callable[[Array], tuple[Array, Array]]] = {
    ("add", False): lambda c: (np.ones_like(c), c),
    ("add", True): lambda c: (np.ones_like(c), c),
    ("subtract", False): lambda c: (np.ones_like(c), -c),
    ("subtract", True): lambda c: (-np.ones_like(c), c),
    ("multiply", False): lambda c: (c, np.zeros_like(c)),
    ("multiply", True): lambda c: (c, np.zeros_like(c)),
    ("divide", False): lambda c: (1 / c, np.zeros_like(c)),
}


def _combined(op: str, constant: Array, *, first: bool) -> dict[str, Any] | None:
    """Scale and offset that do what an operation with a constant does; None where none do."""
    made = _WITH_A_CONSTANT.get((op, first))
    if made is None:
        return None
    with np.errstate(divide="ignore"):
        scale, offset = made(constant)
    return {"scale": _plain(scale), "offset": _plain(offset)}


def rescaled(call: Call, op: str) -> Operation | None:
    """Arithmetic of a value with a constant, for all of it or for each channel."""
    place = 0 if call.is_value(0) else 1
    if not call.is_value(place):
        return None
    value = call.args[place]
    constant = _number(call, call.args[1 - place], call.values.shape(value))
    made = None if constant is None else _combined(op, constant, first=place == 1)
    return None if made is None else Operation("rescale", (value,), made)


def read_arithmetic(op: str) -> Callable[[Applied], Reading]:
    """How an operation of Keras is read that takes values, or a value and a constant."""

    def read(applied: Applied) -> Reading:
        named = [applied.fields.get(name) for name in ("y", "bias")]
        operands = (*applied.operands, *(x for x in named if x is not None))
        found = [operand for operand in operands if isinstance(operand, Value)]
        if len(found) == len(operands) and op != "divide":
            return applied.read_as(op)
        if len(found) != 1 or len(operands) != 2 or applied.options:
            raise InvalidInput(f"expected a value and a constant to {op}, or values")
        (value,), first = found, operands[1] is found[0]
        constant = _placed(applied, operands[0 if first else 1], value.shape)
        return _read_constant(applied, op, constant, value=value, first=first)

    return read


def _placed(applied: Applied, constant: Any, shape: Shape) -> Array:
    """A constant as it broadcasts against a value laid out as here, with as many axes."""
    try:
        array = np.asarray(constant, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    rank = len(shape)
    if array.ndim > rank and array.shape[: array.ndim - rank] == (1,) * (array.ndim - rank):
        array = array.reshape(array.shape[-rank:])
    if not np.isfinite(array).all() or not array.size or array.ndim > rank:
        raise InvalidInput(f"expected a constant of finite numbers, got {constant!r:.80}")
    array = full_rank(array, rank)
    return to_spec(array, "hwc") if applied.axes.is_hwc(rank) else array


def _read_constant(
    applied: Applied, op: str, constant: Array, *, value: Value, first: bool
) -> Reading:
    """One number or one for each channel rescales; others are a mean that is taken away."""
    if broadcast(value.shape, constant.shape) != value.shape:
        raise InvalidInput(f"a constant of {constant.shape} does not fit values of {value.shape}")
    inputs, per_channel = (value.layer,), len(constant) == constant.size
    if constant.size == 1 or (per_channel and len(value.shape) == PICTURE):
        numbers = constant.reshape(() if constant.size == 1 else (-1,))
        made = _combined(op, numbers, first=first)
        if made is not None and np.isfinite([np.sum(x) for x in made.values()]).all():
            return Reading((Layer(applied.name, "rescale", inputs, made),))
    elif op in ("add", "subtract") and (op, first) != ("subtract", True):
        mean = constant.astype(np.float32) * (1 if op == "subtract" else -1)
        key = f"{applied.name}/"
        return Reading(
            (Layer(applied.name, "normalize", inputs, {"invert": False}),),
            constants={f"{key}mean": mean, f"{key}variance": np.ones_like(mean)},
        )
    raise InvalidInput(f"to {op} such a constant is not read: {constant.ravel()[:4].tolist()}")


def _read_negative(applied: Applied) -> Reading:
    return applied.read_as("rescale", scale=-1.0, offset=0.0)


def _plain(constant: Array) -> float | tuple[float, ...]:
    return tuple(constant.tolist()) if np.ndim(constant) else float(constant)


def _number(call: Call, argument: Any, shape: tuple[int, ...]) -> Array | None:
    """A number, or one for each channel, in double precision."""
    if isinstance(argument, (int, float)):
        return np.array(argument, dtype=np.float64)
    buffer = call.values.buffer(argument)
    if buffer is None:
        return None
    found: Array = buffer.detach().cpu().double().numpy()
    if found.size == 1:
        return found.reshape(())
    axes = (1,) * (len(shape) + 1 - found.ndim) + found.shape
    per_channel = axes == (1, shape[0], *[1] * (len(shape) - 1))
    return found.ravel() if per_channel else None


def _of_division(call: Call) -> Operation | None:
    one_value = len(call.args) == 2 and not call.kwargs and not all(map(call.is_value, (0, 1)))
    return rescaled(call, "divide") if one_value else None


def onnx_arithmetic(node: Node, op: str) -> Found:
    """Arithmetic of a value with a constant, as `_read_constant` has it."""
    if len(node.operands) != 2:
        raise node.error("a value and a constant, or values")
    first = isinstance(node.operands[1], OnnxValue)
    value, given = node.value(int(first)), node.operands[int(not first)]
    constant = None
    if isinstance(given, Constant) and given.other is None:
        constant = placed(given.array.astype(np.float64), value)
    if constant is None or broadcast(value.shape, constant.shape) != value.shape:
        raise node.error("a value and a constant that fits it, or values")
    per_channel = constant.shape[0 if value.rank == PICTURE else -1] == constant.size
    if constant.size == 1 or per_channel:
        numbers = constant.reshape(() if constant.size == 1 else (-1,))
        made = _combined(op, numbers, first=first)
        if made is not None and np.isfinite([np.sum(x) for x in made.values()]).all():
            return Found("rescale", (value,), made)
    elif op in ("add", "subtract") and (op, first) != ("subtract", True):
        mean = constant.astype(np.float32) * (1 if op == "subtract" else -1)
        return _normalized(value, mean, np.ones_like(mean), invert=False)
    elif (constant > 0).all() and (op == "multiply" or (op, first) == ("divide", False)):
        deviation = constant.astype(np.float32)
        mean, invert = np.zeros_like(deviation), op == "multiply"
        return _normalized(value, mean, deviation**2, invert=invert)
    raise node.error(f"another constant to {op}, got {constant.ravel()[:4].tolist()}")


def _normalized(value: OnnxValue, mean: Array, variance: Array, *, invert: bool) -> Found:
    arrays = {"mean": Numbers(mean), "variance": Numbers(variance)}
    return Found("normalize", (value,), {"invert": invert}, arrays)


def _prelu_from_onnx(node: Node) -> Found:
    value, given = node.value(), node.constant(1)
    slopes = None if given is None else placed(given.array.astype(np.float32), value)
    if given is None or slopes is None:
        raise node.error("slopes that fit the value")
    key = given.key if value.axes.order == "chw" else ""
    return Found("prelu", (value,), {}, {"alpha": Numbers(slopes, key)})


def _negative_from_onnx(node: Node) -> Found:
    return node.found("rescale", scale=-1.0, offset=0.0)


def _rescale_to_onnx(written: Written) -> Expression:
    """Less what changes nothing."""
    factors = _factors(written.layer.attributes)
    scale, offset = (factors[name] for name in _FACTORS)
    if written.rank != PICTURE:
        scale, offset = (x.reshape(-1) if x.ndim else x for x in (scale, offset))
    found: Expression | str = written.value
    if (scale != 1).any():
        found = apply("Mul", found, scale)
    if (offset != 0).any():
        found = apply("Add", found, offset)
    return apply("Identity", found) if isinstance(found, str) else found


def _prelu_to_onnx(written: Written) -> Expression:
    return apply("PRelu", written.value, written.array("alpha"))


# What networks of `keras.applications` bring along: a learned scale for each channel, and the sum
# of a value and another one on a scale.


def _read_layer_scale(applied: Applied) -> Reading:
    """A depthwise convolution over single pixels."""
    channels = applied.channels()
    size = applied.fields.integer("projection_dim")
    if size != channels or applied.axes.order != "hwc":
        raise applied.fields.error("projection_dim", f"the {channels} channels, which are last")
    return applied.read_as(
        "conv2d",
        [applied.weight("weight", (channels,), "gamma", "variable", layout="scales")],
        strides=(1, 1),
        dilation=(1, 1),
        groups=channels,
        padding="valid",
        activation=None,
    )


def _read_scaled_sum(applied: Applied) -> Reading:
    if len(applied.inputs) != 2:
        raise InvalidInput(f"expected two inputs, got {len(applied.inputs)}")
    first, second = applied.inputs
    name, scale = f"{applied.name}/scale", applied.fields.number("scale", default=1.0)
    rescale = Layer(name, "rescale", (second,), {"scale": scale, "offset": 0.0})
    return Reading((rescale, Layer(applied.name, "add", (first, name))))


# PReLU: a learned slope below zero for each number, or shared along some axes.


def _prelu(_: Attributes) -> Callable[..., Tensor]:
    return lambda own, value: value.clamp(min=0) + own.alpha * value.clamp(max=0)


def _read_prelu(applied: Applied) -> Reading:
    shared = applied.fields.integers("shared_axes")
    shape = applied.axes.shape_to_file(applied.shape)
    sizes = tuple(1 if axis in shared else size for axis, size in enumerate(shape, start=1))
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes):
        raise InvalidInput(
            f"layer {applied.name!r} (PReLU) needs a known size, got {applied.shape}"
        )
    layout = "hwc" if applied.axes.is_hwc(applied.rank) else "as-is"
    return applied.read_as("prelu", [applied.weight("alpha", known, layout=layout)])


def _prelu_to_keras(part: Part) -> list[Step]:
    """A PReLU, with the axes along which its slopes are the same."""
    alpha = channels_last(full_rank(part.arrays["alpha"], len(part.shape)))
    shared = [axis for axis, size in enumerate(alpha.shape, start=1) if size == 1]
    return [Step("PReLU", {"shared_axes": shared or None}, (("alpha", alpha),))]


def _of_prelu(call: Call) -> Operation:
    weight = call.module.weight
    shape = (weight.numel(), *[1] * (len(call.reads) - 1))
    parameters = {"alpha": Parameter(weight, f"{call.path}.weight", shape)}
    return Operation("prelu", (call.args[0],), {}, parameters)


_KERAS_DIVISIONS = ("Divide", "TrueDivide", "tf.math.divide", "tf.math.truediv")
_DIVISIONS = ("operator.truediv", "operator.itruediv", "torch.div", ".div", ".div_")

register(
    # scale and offset: floats, or one per channel
    Op(
        name="rescale",
        attributes=_FACTORS,
        buffers=_FACTORS,
        shape=_rescaled_shape,
        compute=_rescale,
        constants=_factors,
        channels=Kept(_has_no_offset, without=_without),
        from_keras={
            "Rescaling": reading("rescale", _RESCALING),
            "Negative": _read_negative,
            "tf.math.negative": _read_negative,
            "LayerScale": _read_layer_scale,
            "CustomScaleLayer": _read_scaled_sum,
            **dict.fromkeys(_KERAS_DIVISIONS, read_arithmetic("divide")),
        },
        to_keras=writing("Rescaling", _RESCALING),
        from_torch=dict.fromkeys(_DIVISIONS, _of_division),
        from_onnx={"Div": partial(onnx_arithmetic, op="divide"), "Neg": _negative_from_onnx},
        to_onnx=_rescale_to_onnx,
    ),
    # alpha broadcasts against a value without its batch axis
    Op(
        name="prelu",
        parameters=("alpha",),
        shape=same_shape,
        compute=_prelu,
        channels=Kept(broadcast=("alpha",)),
        from_keras={"PReLU": _read_prelu},
        to_keras=_prelu_to_keras,
        from_torch={"nn.PReLU": _of_prelu},
        from_onnx={"PRelu": _prelu_from_onnx},
        to_onnx=_prelu_to_onnx,
    ),
)
