"""Layers that normalise each image by itself: over groups of channels, or along some axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Operand, Parameter, Written, apply, sizes
from goodnet.ops.keras import HWC, Applied, Option, Part, Reading, Step, reading
from goodnet.ops.layouts import channels_last
from goodnet.ops.normalization import (
    FACTORS,
    axis_of,
    factor_config,
    kept_axes,
    read_epsilon,
    read_factors,
)
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import (
    PICTURE,
    VECTOR,
    Arrays,
    Attributes,
    Given,
    Mixed,
    Op,
    Shape,
    register,
    same_shape,
)
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import Tensor

_UNIT_EPSILON = 1e-12


def _check_no_less(attributes: Attributes, arrays: Arrays) -> None:
    """Where the variance is of the value itself, which may be 0."""
    del arrays
    if attributes["epsilon"] < 0:
        raise InvalidInput(
            f"expected an epsilon of 0 or more, got {attributes['epsilon']:g}, with which it "
            "would answer NaN"
        )


def _group_norm_shape(given: Given) -> Shape:
    channels, _ = given.picture
    given.check_vectors(FACTORS, channels)
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
    if len(axis) != 1 or axis_of(applied, axis[0]) != 1:
        raise fields.error("axis", "the axis of the channels")
    groups = channels if fields.get("groups") == -1 else fields.integer("groups", default=32)
    return applied.read_as(
        "group_norm",
        read_factors(applied, (channels,)),
        groups=groups,
        epsilon=read_epsilon(applied),
    )


def _group_norm_to_keras(part: Part) -> list[Step]:
    config = {"groups": part["groups"], "axis": -1, **factor_config(part)}
    return [Step("GroupNormalization", config, part.named(*FACTORS))]


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
    along = tuple(given.value[axis - 1] for axis in given["axes"])
    if len(given.value) == PICTURE and given["axes"] == (1,):
        along = (*along, 1, 1)
    for name, array in given.parameters.items():
        if None not in along and array != along:
            raise InvalidInput(f"expected {name} of shape {along}, got {array}")
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
    return tuple(sorted({axis_of(applied, axis) for axis in axes}))


def _read_layer_norm(applied: Applied) -> Reading:
    if applied.fields.flag("rms_scaling", default=False):
        raise applied.fields.error("rms_scaling", "false")
    shape, layout = kept_axes(applied)
    weights, axes = read_factors(applied, shape, layout), _read_axes(applied)
    return applied.read_as("layer_norm", weights, axes=axes, epsilon=read_epsilon(applied))


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
        for name, array in part.named(*FACTORS)
    )
    config = {"axis": _axes_to_file(part), **factor_config(part)}
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


def _unit_norm_from_onnx(node: Node) -> Found:
    """Where a pattern of smaller operations stands for it, it reads the shape, too."""
    node.must_be(p=2)
    value = node.value()
    if not node.has_shape(1, *value.axes.shape_to_file(value.shape)):
        raise node.error("a length for each image")
    return node.found("unit_norm", axes=(node.axis(node.integer("axis", -1), value),))


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


# ONNX, writing.


def _group_norm_to_onnx(written: Written) -> Expression:
    """With a scale and an offset for each channel, as it is since version 21."""
    factors = _factors(written, written.known(written.shape[:1]))
    groups, epsilon = written["groups"], float(written["epsilon"])
    kind = "GroupNormalization"
    return apply(kind, written.value, *factors, num_groups=groups, epsilon=epsilon).since(21)


def _layer_norm_to_onnx(written: Written) -> Expression:
    """Along the last axes; for the channels of a picture they are brought there and back."""
    axes, rank, epsilon = written["axes"], written.rank, float(written["epsilon"])
    if axes == (1,) and rank == PICTURE:
        last = apply("Transpose", written.value, perm=(0, 2, 3, 1))
        factors = _factors(written, written.known(written.shape[:1]))
        found = apply("LayerNormalization", last, *factors, axis=-1, epsilon=epsilon)
        return apply("Transpose", found, perm=(0, 3, 1, 2))
    factors = _factors(written, written.known(written.shape[axes[0] - 1 :]))
    kind, axis = "LayerNormalization", axes[0] - rank - 1
    return apply(kind, written.value, *factors, axis=axis, epsilon=epsilon)


def _factors(written: Written, shape: tuple[int, ...]) -> list[Operand]:
    """Its scale and offset, which the operations always have."""
    found: list[Operand] = []
    for name in FACTORS:
        array = written.arrays.get(name, np.float32(name == "gamma"))
        fits = np.size(array) == np.prod(shape)
        full = np.reshape(array, shape) if fits else np.broadcast_to(array, shape)
        found.append(Parameter(name, np.asarray(full, np.float32)))
    return found


def _unit_norm_to_onnx(written: Written) -> Expression:
    """Along one axis, or along the last ones laid behind one another."""
    axes, rank = tuple(sorted(written["axes"])), written.rank
    if len(axes) == 1:
        return apply("LpNormalization", written.value, axis=axes[0])
    if axes != tuple(range(axes[0], rank + 1)):
        raise written.error("normalises along axes that ONNX has no operation for")
    shape = written.known(written.shape)
    flat = apply("Reshape", written.value, sizes(0, *shape[: axes[0] - 1], -1))
    found = apply("LpNormalization", flat, axis=axes[0])
    return apply("Reshape", found, sizes(0, *shape))


register(
    Op(
        name="group_norm",
        attributes=("groups", "epsilon"),
        parameters=FACTORS,
        shape=_group_norm_shape,
        compute=_group_norm,
        check=_check_no_less,
        channels=Mixed(scale=FACTORS),
        from_keras={"GroupNormalization": _read_group_norm},
        to_keras=_group_norm_to_keras,
        from_torch={"nn.GroupNorm": _of_group_norm},
        from_onnx={
            "GroupNormalization": _group_norm_from_onnx,
            "InstanceNormalization": _instance_norm_from_onnx,
        },
        to_onnx=_group_norm_to_onnx,
    ),
    # axes of the value as laid out here, 1 or more; gamma and beta broadcast against it
    Op(
        name="layer_norm",
        attributes=("axes", "epsilon"),
        parameters=FACTORS,
        shape=_along_shape,
        compute=_layer_norm,
        check=_check_no_less,
        channels=Mixed(scale=FACTORS),
        from_keras={"LayerNormalization": _read_layer_norm},
        to_keras=_layer_norm_to_keras,
        from_torch={"nn.LayerNorm": _of_layer_norm},
        from_onnx={"LayerNormalization": _layer_norm_from_onnx},
        to_onnx=_layer_norm_to_onnx,
    ),
    Op(
        name="unit_norm",
        attributes=("axes",),
        shape=_unit_norm_shape,
        compute=_unit_norm,
        from_keras={"UnitNormalization": reading("unit_norm", _UNIT)},
        to_keras=_unit_norm_to_keras,
        from_onnx={"LpNormalization": _unit_norm_from_onnx},
        to_onnx=_unit_norm_to_onnx,
    ),
)
