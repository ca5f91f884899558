"""Layers that normalise: by stored statistics, or by those of the value itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.keras import HWC, Applied, Option, Part, Reading, Step, Weight, reading
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
    Mixed,
    Op,
    Shape,
    register,
    same_shape,
)
from goodnet.ops.torch import Call, Operation, Rule

if TYPE_CHECKING:
    from torch import Tensor

_NORMALIZE_EPSILON = 1e-7
_UNIT_EPSILON = 1e-12
_STATISTICS = ("mean", "variance")
_FACTORS = ("gamma", "beta")
_ROWS = (*_FACTORS, *_STATISTICS)


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
    bad = int((variance + np.float32(attributes["epsilon"]) <= 0).sum())
    if bad:
        raise InvalidInput(
            f"{bad} of its {variance.size} variances are zero or negative even with epsilon "
            f"({attributes['epsilon']:g}) added, so it would answer NaN or infinity; a network "
            "with such numbers cannot be judged"
        )


def _check_no_less(attributes: Attributes, arrays: Arrays) -> None:
    """Where the variance is of the value itself, which may be 0."""
    del arrays
    if attributes["epsilon"] < 0:
        raise InvalidInput(
            f"expected an epsilon of 0 or more, got {attributes['epsilon']:g}, with which it "
            "would answer NaN"
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
    if len(axis) != 1 or applied.rank not in (VECTOR, PICTURE) or _axis(applied, axis[0]) != 1:
        raise fields.error("axis", "the axis of the channels of a vector or picture")
    if fields.flag("renorm", default=False):
        raise fields.error("renorm", "false")
    length = applied.shape[0]
    if length is None:
        raise InvalidInput(f"layer {applied.name!r} needs a known number of channels")
    statistics = [
        applied.weight(name, (length,), f"moving_{name}", trained=False) for name in _STATISTICS
    ]
    weights = [*_read_factors(applied, (length,)), *statistics]
    return applied.read_as("batch_norm", weights, epsilon=_read_epsilon(applied))


def _read_factors(applied: Applied, shape: tuple[int, ...], layout: str = "as-is") -> list[Weight]:
    """Its scale and offset, those that it has."""
    settings = zip(("scale", "center"), _FACTORS, strict=True)
    return [
        applied.weight(name, shape, layout=layout)
        for setting, name in settings
        if applied.fields.flag(setting, default=True)
    ]


def _read_epsilon(applied: Applied) -> float:
    return applied.fields.number("epsilon", default=1e-3)


def _factor_config(part: Part) -> dict[str, Any]:
    return {
        "epsilon": part["epsilon"],
        "scale": "gamma" in part.arrays,
        "center": "beta" in part.arrays,
    }


def _batch_norm_to_keras(part: Part) -> list[Step]:
    statistics = ((f"moving_{name}", part.arrays[name]) for name in _STATISTICS)
    config = {"axis": -1, **_factor_config(part)}
    return [Step("BatchNormalization", config, (*part.named(*_FACTORS), *statistics))]


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
    """Shape in the file of an array over the axes that a layer names, and its layout."""
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


# Normalisation of each image by itself: over groups of channels, or along some axes.


def _group_norm_shape(given: Given) -> Shape:
    channels, _ = given.picture
    given.check_vectors(_FACTORS, channels)
    if channels is None or channels % given["groups"]:
        raise InvalidInput(f"{channels} channels do not make {given['groups']} equal groups")
    return given.value


def _group_norm(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    groups, epsilon = attributes["groups"], attributes["epsilon"]
    return lambda own, value: F.group_norm(value, groups, own.gamma, own.beta, epsilon)


def _read_group_norm(applied: Applied) -> Reading:
    channels, fields = applied.channels(), applied.fields
    axis = fields.integers("axis") or (-1,)
    if len(axis) != 1 or _axis(applied, axis[0]) != 1:
        raise fields.error("axis", "the axis of the channels")
    groups = channels if fields.get("groups") == -1 else fields.integer("groups", default=32)
    return applied.read_as(
        "group_norm",
        _read_factors(applied, (channels,)),
        groups=groups,
        epsilon=_read_epsilon(applied),
    )


def _group_norm_to_keras(part: Part) -> list[Step]:
    config = {"groups": part["groups"], "axis": -1, **_factor_config(part)}
    return [Step("GroupNormalization", config, part.named(*_FACTORS))]


def _of_group_norm(call: Call) -> Operation | None:
    norm = call.module
    if len(call.reads) != PICTURE:
        return None
    found = call.operation("group_norm", groups=norm.num_groups, epsilon=norm.eps)
    return call.with_parameters(found, gamma="weight", beta="bias")


def _along_shape(given: Given) -> Shape:
    """Along the channels of a picture or all its axes, or along the last axes of another value."""
    if not _can_be_along(given["axes"], len(given.value)):
        raise InvalidInput(f"the axes {given['axes']} are not the channels or all of {given.value}")
    return same_shape(given)


def _can_be_along(axes: tuple[int, ...], rank: int) -> bool:
    if rank == PICTURE:
        return axes in ((1,), (1, 2, 3))
    return axes == tuple(range(rank - len(axes) + 1, rank + 1))


def _layer_norm(attributes: Attributes) -> Callable[..., Tensor]:
    from torch.nn import functional as F  # noqa: N812

    axes, epsilon = attributes["axes"], attributes["epsilon"]

    def function(own: Any, value: Tensor) -> Tensor:
        if axes != (1,) or value.ndim == VECTOR + 1:
            return F.layer_norm(value, value.shape[axes[0] :], own.gamma, own.beta, epsilon)
        gamma, beta = (None if x is None else x.flatten() for x in (own.gamma, own.beta))
        found = F.layer_norm(value.movedim(1, -1), value.shape[1:2], gamma, beta, epsilon)
        return found.movedim(-1, 1)

    return function


def _read_axes(applied: Applied) -> tuple[int, ...]:
    axes = applied.fields.integers("axis") or (-1,)
    return tuple(sorted({_axis(applied, axis) for axis in axes}))


def _read_layer_norm(applied: Applied) -> Reading:
    if applied.fields.flag("rms_scaling", default=False):
        raise applied.fields.error("rms_scaling", "false")
    shape, layout = _kept(applied)
    weights, axes = _read_factors(applied, shape, layout), _read_axes(applied)
    return applied.read_as("layer_norm", weights, axes=axes, epsilon=_read_epsilon(applied))


def _axes_to_file(part: Part) -> list[int]:
    axes = sorted(HWC.to_file(axis, len(part.shape)) for axis in part["axes"])
    if len(axes) > 1 and part.dialect == "h5":
        raise InvalidInput(
            f"layer {part.layer.name!r} normalizes along the axes {axes} together, which Keras 3 "
            "takes for the last one alone when it is in an .h5 file; write the network as .keras"
        )
    return axes


def _layer_norm_to_keras(part: Part) -> list[Step]:
    along_channels = part["axes"] == (1,)
    weights = tuple(
        (name, array.ravel() if along_channels else channels_last(array))
        for name, array in part.named(*_FACTORS)
    )
    config = {"axis": _axes_to_file(part), **_factor_config(part)}
    return [Step("LayerNormalization", config, weights)]


def _of_layer_norm(call: Call) -> Operation | None:
    rank, norm = len(call.reads), call.module
    axes = tuple(range(rank - len(norm.normalized_shape) + 1, rank + 1))
    if axes[0] < 1 or not _can_be_along(axes, rank):
        return None
    found = call.operation("layer_norm", axes=axes, epsilon=norm.eps)
    return call.with_parameters(found, gamma="weight", beta="bias")


def _unit_norm(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F  # noqa: N812

    return lambda value: F.normalize(value, dim=attributes["axes"], eps=_UNIT_EPSILON)


def _unit_norm_shape(given: Given) -> Shape:
    if not all(1 <= axis <= len(given.value) for axis in given["axes"]):
        raise InvalidInput(f"there are no axes {given['axes']} in a value of shape {given.value}")
    return given.value


_UNIT = {"axes": Option("axis", _read_axes)}


def _unit_norm_to_keras(part: Part) -> list[Step]:
    return [Step("UnitNormalization", {"axis": _axes_to_file(part)})]


# ONNX, reading.


def _batch_norm_from_onnx(node: Node) -> Found:
    node.must_be(training_mode=0, is_test=1, spatial=1)
    value = node.value() if node.value().rank == VECTOR else node.picture()
    arrays = node.arrays(gamma=1, beta=2, mean=3, variance=4)
    return Found("batch_norm", (value,), {"epsilon": node.number("epsilon", 1e-5)}, arrays)


def _instance_norm_from_onnx(node: Node) -> Found:
    """Of groups of numbers without factors, too, as exporters write a normalisation of groups."""
    plain = all(
        given is not None and (given.array == wanted).all()
        for given, wanted in zip(map(node.constant, (1, 2)), (1, 0), strict=True)
    )
    if node.value().rank == 2 and plain:
        return node.found("layer_norm", axes=(2,), epsilon=node.number("epsilon", 1e-5))
    value = node.picture()
    attributes = {"groups": value.shape[0] or 1, "epsilon": node.number("epsilon", 1e-5)}
    return Found("group_norm", (value,), attributes, node.arrays(gamma=1, beta=2))


def _group_norm_from_onnx(node: Node) -> Found:
    """Until version 20 there was a number for each group."""
    value, arrays = node.picture(), node.arrays(gamma=1, beta=2)
    if any(len(numbers.array) != value.shape[0] for numbers in arrays.values()):
        raise node.error("a scale and an offset for each channel")
    attributes = {
        "groups": max(1, node.integer("num_groups", 1)),
        "epsilon": node.number("epsilon", 1e-5),
    }
    return Found("group_norm", (value,), attributes, arrays)


def _layer_norm_from_onnx(node: Node) -> Found:
    value, count = node.value(), node.value().rank
    first = node.integer("axis", -1) % (count + 1)
    axes = tuple(sorted(node.axis(axis, value) for axis in range(max(first, 1), count + 1)))
    if not first or not _can_be_along(axes, count):
        raise node.error("to normalise the channels, or all of an image")
    layout = "as-is"
    if value.axes.is_hwc(count):
        layout = "channels" if axes == (1,) else "hwc"
    names = {"gamma": node.numbers(1, layout), "beta": node.numbers(2, layout)}
    arrays = {name: numbers for name, numbers in names.items() if numbers is not None}
    attributes = {"axes": axes, "epsilon": node.number("epsilon", 1e-5)}
    return Found("layer_norm", (value,), attributes, arrays)


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
        channels=Kept(_shifts_to_zero, rows=_ROWS, scale=_FACTORS, shift=("mean", "beta")),
        from_keras={f"BatchNormalization{end}": _read_batch_norm for end in ("", "V1", "V2")},
        to_keras=_batch_norm_to_keras,
        from_torch=_BATCH_NORMS,
        from_onnx={"BatchNormalization": _batch_norm_from_onnx},
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
    ),
    Op(
        name="group_norm",
        attributes=("groups", "epsilon"),
        parameters=_FACTORS,
        shape=_group_norm_shape,
        compute=_group_norm,
        check=_check_no_less,
        channels=Mixed(scale=_FACTORS),
        from_keras={"GroupNormalization": _read_group_norm},
        to_keras=_group_norm_to_keras,
        from_torch={"nn.GroupNorm": _of_group_norm},
        from_onnx={
            "GroupNormalization": _group_norm_from_onnx,
            "InstanceNormalization": _instance_norm_from_onnx,
        },
    ),
    # axes of the value as laid out here, 1 or more; gamma and beta broadcast against it
    Op(
        name="layer_norm",
        attributes=("axes", "epsilon"),
        parameters=_FACTORS,
        shape=_along_shape,
        compute=_layer_norm,
        check=_check_no_less,
        channels=Mixed(scale=_FACTORS),
        from_keras={"LayerNormalization": _read_layer_norm},
        to_keras=_layer_norm_to_keras,
        from_torch={"nn.LayerNorm": _of_layer_norm},
        from_onnx={"LayerNormalization": _layer_norm_from_onnx},
    ),
    Op(
        name="unit_norm",
        attributes=("axes",),
        shape=_unit_norm_shape,
        compute=_unit_norm,
        from_keras={"UnitNormalization": reading("unit_norm", _UNIT)},
        to_keras=_unit_norm_to_keras,
    ),
)
