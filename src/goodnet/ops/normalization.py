"""Layers that normalise by statistics that are stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Operand, Written, apply
from goodnet.ops.keras import HWC, Applied, Part, Reading, Step, Weight
from goodnet.ops.layouts import channels_last, full_rank, to_spec
from goodnet.ops.onnx import Found, Node
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
from goodnet.ops.torch import Call, Operation, Rule

if TYPE_CHECKING:
    from torch import Tensor

NORMALIZE_EPSILON = 1e-7
_STATISTICS = ("mean", "variance")
FACTORS = ("gamma", "beta")
_ROWS = (*FACTORS, *_STATISTICS)


# Batch normalisation: numbers for each channel of a vector or picture.


def _batch_norm_shape(given: Given) -> Shape:
    shape = given.value
    if len(shape) not in (VECTOR, PICTURE):
        raise InvalidInput(f"expected a vector or a picture, got the shape {shape}")
    given.check_vectors(_ROWS, shape[0])
    return shape


def _check_variance(attributes: Attributes, arrays: Arrays) -> None:
    """What is divided by is the root of the variance and a little more, in single precision."""
    variance = np.asarray(arrays["variance"], np.float32)
    with np.errstate(over="ignore"):  # what is too large is infinite then, and divides, too
        bad = int((variance + np.float32(attributes["epsilon"]) <= 0).sum())
    if bad:
        raise InvalidInput(
            f"{bad} of its {variance.size} variances are zero or negative even with epsilon "
            f"({attributes['epsilon']:g}) added, so it would answer NaN or infinity; a network "
            "with such numbers cannot be judged"
        )


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
    if len(axis) != 1 or applied.rank not in (VECTOR, PICTURE) or axis_of(applied, axis[0]) != 1:
        raise fields.error("axis", "the axis of the channels of a vector or picture")
    if fields.flag("renorm", default=False):
        raise fields.error("renorm", "false")
    length = applied.shape[0]
    if length is None:
        raise InvalidInput(f"layer {applied.name!r} needs a known number of channels")
    statistics = [
        applied.weight(name, (length,), f"moving_{name}", trained=False) for name in _STATISTICS
    ]
    weights = [*read_factors(applied, (length,)), *statistics]
    return applied.read_as("batch_norm", weights, epsilon=read_epsilon(applied))


def read_factors(applied: Applied, shape: tuple[int, ...], layout: str = "as-is") -> list[Weight]:
    """Its scale and offset, those that it has."""
    settings = zip(("scale", "center"), FACTORS, strict=True)
    return [
        applied.weight(name, shape, layout=layout)
        for setting, name in settings
        if applied.fields.flag(setting, default=True)
    ]


def read_epsilon(applied: Applied) -> float:
    """What is added to the variance."""
    return applied.fields.number("epsilon", default=1e-3)


def factor_config(part: Part) -> dict[str, Any]:
    """How Keras says which of scale and offset there are."""
    return {
        "epsilon": part["epsilon"],
        "scale": "gamma" in part.arrays,
        "center": "beta" in part.arrays,
    }


def _batch_norm_to_keras(part: Part) -> list[Step]:
    statistics = ((f"moving_{name}", part.arrays[name]) for name in _STATISTICS)
    config = {"axis": -1, **factor_config(part)}
    return [Step("BatchNormalization", config, (*part.named(*FACTORS), *statistics))]


def _of_batch_norm(call: Call) -> Operation | None:
    if call.module.running_mean is None or len(call.reads) == 2:
        return None
    names = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}
    return call.with_parameters(call.operation("batch_norm", epsilon=call.module.eps), **names)


# Normalisation: a mean and variance that are stored, or written in the configuration.


def _normalize(attributes: Attributes) -> Callable[..., Tensor]:
    def function(own: Any, value: Tensor) -> Tensor:
        mean: Tensor = own.mean
        deviation: Tensor = own.variance.sqrt().clamp(min=NORMALIZE_EPSILON)
        return mean + value * deviation if attributes["invert"] else (value - mean) / deviation

    return function


def _check_stored(attributes: Attributes, arrays: Arrays) -> None:
    del attributes
    bad = int((np.asarray(arrays["variance"]) < 0).sum())
    if bad:
        raise InvalidInput(
            f"{bad} of its {np.size(arrays['variance'])} variances are negative, so it would "
            "answer NaN; a network with such numbers cannot be judged"
        )


def _read_normalization(applied: Applied) -> Reading:
    fields = applied.fields
    layer = applied.layer("normalize", invert=fields.flag("invert", default=False))
    shape, layout = kept_axes(applied)
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


def axis_of(applied: Applied, axis: int) -> int:
    """An axis of the file, as values are laid out here."""
    return applied.axes.to_spec(axis, applied.rank)


def kept_axes(applied: Applied) -> tuple[tuple[int, ...], str]:
    """Shape in the file of an array over the axes that a layer names, and its layout."""
    given = applied.fields.config.get("axis", -1) not in (None, [])
    axes = (applied.fields.integers("axis") or (-1,)) if given else ()
    kept = sorted({axis_of(applied, axis) for axis in axes})
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
        with np.errstate(over="ignore"):  # what is too large is infinite then, and refused
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
    statistics = {name: full_rank(part.arrays[name], len(part.shape)) for name in _STATISTICS}
    axis = 0 if len(part.shape) == PICTURE else len(part.shape) - 1
    if all(array.size == array.shape[axis] for array in statistics.values()):
        return [_normalization(part, statistics, part.shape[axis] or 1)]
    known = tuple(size for size in part.shape if size is not None)
    if len(known) < len(part.shape):
        raise InvalidInput(
            f"layer {part.layer.name!r} normalizes each pixel by itself, so the size of the image "
            f"must be known, got {part.shape}"
        )
    full = {name: channels_last(np.broadcast_to(x, known)) for name, x in statistics.items()}
    back = Step("Reshape", {"target_shape": list(HWC.shape_to_file(known))})
    return [Step("Flatten"), _normalization(part, full, math.prod(known)), back]


def _normalization(part: Part, statistics: Arrays, size: int) -> Step:
    numbers = {
        name: np.broadcast_to(array.ravel(), (size,)).tolist() for name, array in statistics.items()
    }
    # Keras before 2.10 does not know the option.
    invert = {"invert": True} if part["invert"] else {}
    return Step("Normalization", {"axis": -1, **numbers, **invert})


# ONNX, reading.


def _batch_norm_from_onnx(node: Node) -> Found:
    node.must_be(training_mode=0, is_test=1, spatial=1)
    value = node.value() if node.value().rank == VECTOR else node.picture()
    arrays = node.arrays(gamma=1, beta=2, mean=3, variance=4)
    return Found("batch_norm", (value,), {"epsilon": node.number("epsilon", 1e-5)}, arrays)


# ONNX, writing.


def _batch_norm_to_onnx(written: Written) -> Expression:
    size = len(written.arrays["mean"])
    factors = [
        written.array(name) or np.full(size, float(name == "gamma"), np.float32) for name in FACTORS
    ]
    statistics = map(written.array, _STATISTICS)
    epsilon = float(written["epsilon"])
    return apply("BatchNormalization", written.value, *factors, *statistics, epsilon=epsilon)


def _normalize_to_onnx(written: Written) -> Expression:
    variance = np.asarray(written.arrays["variance"], np.float32)
    deviation = np.maximum(np.sqrt(variance), np.float32(NORMALIZE_EPSILON))
    mean: Operand = written.array("mean")
    if written["invert"]:
        return apply("Add", apply("Mul", written.value, deviation), mean)
    less = apply("Sub", written.value, mean)
    return less if (deviation == 1).all() else apply("Div", less, deviation)


_BATCH_NORMS: dict[str, Rule] = dict.fromkeys(("nn.BatchNorm1d", "nn.BatchNorm2d"), _of_batch_norm)

register(
    Op(
        name="batch_norm",
        attributes=("epsilon",),
        parameters=("gamma", "beta"),
        buffers=_STATISTICS,
        shape=_batch_norm_shape,
        compute=_batch_norm,
        check=_check_variance,
        channels=Kept(_shifts_to_zero, rows=_ROWS, scale=FACTORS, shift=("mean", "beta")),
        from_keras={f"BatchNormalization{end}": _read_batch_norm for end in ("", "V1", "V2")},
        to_keras=_batch_norm_to_keras,
        from_torch=_BATCH_NORMS,
        from_onnx={"BatchNormalization": _batch_norm_from_onnx},
        to_onnx=_batch_norm_to_onnx,
    ),
    # mean and variance broadcast against a value without its batch axis
    Op(
        name="normalize",
        attributes=("invert",),
        buffers=_STATISTICS,
        shape=same_shape,
        compute=_normalize,
        check=_check_stored,
        channels=Kept(lambda *_: False, broadcast=_STATISTICS),
        from_keras={"Normalization": _read_normalization},
        to_keras=_normalize_to_keras,
        to_onnx=_normalize_to_onnx,
    ),
)
