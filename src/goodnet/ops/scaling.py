"""Layers that scale and shift: normalisation, rescaling, and PReLU's learned slopes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.keras import HWC, Applied, Option, Part, Reading, Step, Weight, reading, writing
from goodnet.ops.layouts import to_file, to_spec
from goodnet.ops.op import (
    PICTURE,
    VECTOR,
    Array,
    Arrays,
    Attributes,
    Channels,
    Given,
    Kept,
    Layer,
    Op,
    Shape,
    register,
    same_shape,
)
from goodnet.ops.torch import Call, Operation, Parameter, Rule

if TYPE_CHECKING:
    from torch import Tensor

_NORMALIZE_EPSILON = 1e-7
_STATISTICS = ("mean", "variance")
_FACTORS = ("scale", "offset")
_ROWS = ("gamma", "beta", *_STATISTICS)


# Batch normalisation: numbers for each channel of a vector or picture.


def _batch_norm_shape(given: Given) -> Shape:
    shape = given.value
    if len(shape) not in (VECTOR, PICTURE):
        raise InvalidInput(f"expected a vector or a picture, got the shape {shape}")
    given.check_vectors(_ROWS, shape[0])
    return shape


def _batch_norm(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    def function(own: Any, value: Tensor) -> Tensor:
        statistics, factors = (own.mean, own.variance), (own.gamma, own.beta)
        return F.batch_norm(value, *statistics, *factors, own.training, 0.01, attributes["epsilon"])

    return function


def _shifts_to_zero(layer: Layer, channels: Channels, arrays: Arrays) -> bool:
    """Whether zeros come out as zeros, but for rounding."""
    if not arrays:
        return False
    numbers = {
        name: arrays[name][channels] if name in arrays else np.full(channels.size, name == "gamma")
        for name in _ROWS
    }
    deviation = np.sqrt(numbers["variance"] + layer.attributes["epsilon"])
    return not np.any(numbers["beta"] - numbers["gamma"] * numbers["mean"] / deviation)


def _read_batch_norm(applied: Applied) -> Reading:
    fields = applied.fields
    axis = fields.integers("axis") or (-1,)
    if len(axis) != 1 or applied.rank not in (VECTOR, PICTURE) or _axis(applied, axis[0]) != 1:
        raise fields.error("axis", "the axis of the channels of a vector or picture")
    if fields.flag("renorm", default=False):
        raise fields.error("renorm", "false")
    length = applied.shape[0]
    if length is None:
        raise InvalidInput(f"layer {applied.name!r} needs a known number of channels")
    weights = [applied.weight("gamma", (length,))] if fields.flag("scale", default=True) else []
    if fields.flag("center", default=True):
        weights.append(applied.weight("beta", (length,)))
    weights += [
        applied.weight(name, (length,), f"moving_{name}", trained=False) for name in _STATISTICS
    ]
    return applied.read_as("batch_norm", weights, epsilon=fields.number("epsilon", default=1e-3))


def _batch_norm_to_keras(part: Part) -> list[Step]:
    config = {
        "axis": -1,
        "epsilon": part["epsilon"],
        "scale": "gamma" in part.arrays,
        "center": "beta" in part.arrays,
    }
    statistics = ((f"moving_{name}", part.arrays[name]) for name in _STATISTICS)
    return [Step("BatchNormalization", config, (*part.named("gamma", "beta"), *statistics))]


def _of_batch_norm(call: Call) -> Operation | None:
    if call.module.running_mean is None or len(call.reads) == 2:
        return None
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    return call.with_parameters(call.operation("batch_norm", epsilon=call.module.eps), **names)


# Normalisation: a mean and variance that are stored, or written in the configuration.


def _normalize(attributes: Attributes) -> Callable[..., Tensor]:
    def function(own: Any, value: Tensor) -> Tensor:
        mean: Tensor = own.mean
        deviation: Tensor = own.variance.sqrt().clamp(min=_NORMALIZE_EPSILON)
        return mean + value * deviation if attributes["invert"] else (value - mean) / deviation

    return function


def _read_normalization(applied: Applied) -> Reading:
    fields = applied.fields
    layer = applied.layer("normalize", invert=fields.flag("invert", default=False))
    shape, layout = _kept(applied)
    if fields.get("mean") is None:
        weights = [
            applied.weight(name, shape, layout=layout, trained=False) for name in _STATISTICS
        ]
        return Reading((layer,), (*weights, Weight(None, ("count",), (), trained=False)))
    constants = {
        f"{applied.name}/{name}": to_spec(_constant(applied, name, shape), layout)
        for name in _STATISTICS
    }
    return Reading((layer,), constants=constants)


def _axis(applied: Applied, axis: int) -> int:
    return applied.axes.to_spec(axis, applied.rank)


def _kept(applied: Applied) -> tuple[tuple[int, ...], str]:
    """Shape in the file of a Normalization's statistics, and its layout."""
    given = applied.fields.config.get("axis", -1) not in (None, [])
    axes = (applied.fields.integers("axis") or (-1,)) if given else ()
    kept = sorted({_axis(applied, axis) for axis in axes})
    sizes = [applied.shape[a - 1] for a in kept]
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes):
        raise applied.fields.error("axis", "axes of known size")
    if applied.rank == PICTURE and kept == [1]:
        return known, "channels"
    if len(kept) == applied.rank == PICTURE and applied.axes.is_hwc(PICTURE):
        return (*known[1:], known[0]), "hwc"
    if not kept or kept == list(range(applied.rank - len(kept) + 1, applied.rank + 1)):
        return known, "as-is"
    raise applied.fields.error("axis", "the channels, or all axes")


def _constant(applied: Applied, name: str, shape: tuple[int, ...]) -> Array:
    value = applied.fields.get(name)
    try:
        numbers = np.asarray(value, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise applied.fields.error(name, "finite numbers")
        if numbers.size == math.prod(shape):
            return numbers.reshape(shape)
        return np.broadcast_to(numbers, shape)
    except (TypeError, ValueError) as error:
        raise applied.fields.error(name, f"numbers of shape {shape}") from error


def _normalize_to_keras(part: Part) -> list[Step]:
    """Statistics per channel where they suffice, else per number of the flattened value."""
    statistics = {name: _full_rank(part.arrays[name], part) for name in _STATISTICS}
    axis = 0 if len(part.shape) == PICTURE else len(part.shape) - 1
    if all(array.size == array.shape[axis] for array in statistics.values()):
        return [_normalization(part, statistics, part.shape[axis] or 1)]
    known = tuple(size for size in part.shape if size is not None)
    if len(known) < len(part.shape):
        raise InvalidInput(
            f"layer {part.layer.name!r} normalizes each pixel by itself, so the size of the image "
            f"must be known, got {part.shape}"
        )
    full = {name: _channels_last(np.broadcast_to(x, known)) for name, x in statistics.items()}
    back = Step("Reshape", {"target_shape": list(HWC.shape_to_file(known))})
    return [Step("Flatten"), _normalization(part, full, math.prod(known)), back]


def _normalization(part: Part, statistics: Arrays, size: int) -> Step:
    numbers = {
        name: np.broadcast_to(array.ravel(), (size,)).tolist() for name, array in statistics.items()
    }
    # Keras before 2.10 does not know the option.
    invert = {"invert": True} if part["invert"] else {}
    return Step("Normalization", {"axis": -1, **numbers, **invert})


def _full_rank(array: Array, part: Part) -> Array:
    rank = len(part.shape)
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def _channels_last(array: Array) -> Array:
    return to_file(array, "hwc") if array.ndim == PICTURE else array


# Rescaling: value * scale + offset, with numbers or one number per channel.


def _rescale(_: Attributes) -> Callable[..., Tensor]:
    return lambda own, value: value * own.scale + own.offset


def _factors(attributes: Attributes) -> Arrays:
    numbers = {name: np.asarray(attributes[name], dtype=np.float32) for name in _FACTORS}
    return {name: x.reshape(-1, 1, 1) if x.ndim else x for name, x in numbers.items()}


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
    if not applied.axes.is_hwc(applied.rank) or len(value) not in (1, applied.shape[0]):
        raise applied.fields.error(name, "one number, or one for each channel of a picture")
    return value if len(value) > 1 else value[0]


_RESCALING = {
    name: Option(
        name,
        partial(_factor, name=name, default=default),
        lambda x: np.asarray(x, dtype=float).tolist(),
    )
    for name, default in (("scale", 1.0), ("offset", 0.0))
}


def rescaled(call: Call, op: str) -> Operation | None:
    """Arithmetic of a value with a constant, for all of it or for each channel."""
    place = 0 if call.is_value(0) else 1
    if op not in _WITH_A_CONSTANT or not call.is_value(place):
        return None
    value = call.args[place]
    constant = _number(call, call.args[1 - place], call.values.shape(value))
    if constant is None or (op == "divide" and place == 1):
        return None
    with np.errstate(divide="ignore"):
        scale, offset = _WITH_A_CONSTANT[op](constant)
    if op == "subtract" and place == 1:
        scale, offset = -scale, -offset
    return Operation("rescale", (value,), {"scale": _plain(scale), "offset": _plain(offset)})


_WITH_A_CONSTANT: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "add": lambda c: (np.ones_like(c), c),
    "subtract": lambda c: (np.ones_like(c), -c),
    "multiply": lambda c: (c, np.zeros_like(c)),
    "divide": lambda c: (1 / c, np.zeros_like(c)),
}


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
    alpha = _channels_last(_full_rank(part.arrays["alpha"], part))
    shared = [axis for axis, size in enumerate(alpha.shape, start=1) if size == 1]
    return [Step("PReLU", {"shared_axes": shared or None}, (("alpha", alpha),))]


def _of_prelu(call: Call) -> Operation:
    weight = call.module.weight
    shape = (weight.numel(), *[1] * (len(call.reads) - 1))
    parameters = {"alpha": Parameter(weight, f"{call.path}.weight", shape)}
    return Operation("prelu", (call.args[0],), {}, parameters)


_DIVISIONS = ("operator.truediv", "operator.itruediv", "torch.div", ".div", ".div_")
_BATCH_NORMS: dict[str, Rule] = dict.fromkeys(("nn.BatchNorm1d", "nn.BatchNorm2d"), _of_batch_norm)

register(
    Op(
        name="batch_norm",
        attributes=("epsilon",),
        parameters=("gamma", "beta"),
        buffers=_STATISTICS,
        shape=_batch_norm_shape,
        compute=_batch_norm,
        channels=Kept(_shifts_to_zero, rows=_ROWS, scale=("gamma", "beta"), shift=("mean", "beta")),
        from_keras={f"BatchNormalization{end}": _read_batch_norm for end in ("", "V1", "V2")},
        to_keras=_batch_norm_to_keras,
        from_torch=_BATCH_NORMS,
    ),
    # mean and variance broadcast against a value without its batch axis
    Op(
        name="normalize",
        attributes=("invert",),
        buffers=_STATISTICS,
        shape=same_shape,
        compute=_normalize,
        channels=Kept(lambda *_: False, broadcast=_STATISTICS),
        from_keras={"Normalization": _read_normalization},
        to_keras=_normalize_to_keras,
    ),
    # scale and offset: floats, or one per channel
    Op(
        name="rescale",
        attributes=_FACTORS,
        buffers=_FACTORS,
        shape=same_shape,
        compute=_rescale,
        constants=_factors,
        channels=Kept(_has_no_offset, without=_without),
        from_keras={"Rescaling": reading("rescale", _RESCALING)},
        to_keras=writing("Rescaling", _RESCALING),
        from_torch=dict.fromkeys(_DIVISIONS, _of_division),
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
    ),
)
