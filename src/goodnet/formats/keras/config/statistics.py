"""Layers that scale and shift: normalisation, rescaling, and PReLU's learned slopes."""

from __future__ import annotations

import math

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.keras.config.reading import Applied, Reading, Weight
from goodnet.formats.layouts import to_spec
from goodnet.formats.spec import Array

__all__ = ["batch_normalization", "normalization", "prelu", "rescaling"]


def batch_normalization(applied: Applied) -> Reading:
    """BatchNormalization over the channels, with its stored statistics."""
    fields = applied.fields
    axis = fields.integers("axis") or (-1,)
    if len(axis) != 1 or applied.rank not in (1, 3) or _axis(applied, axis[0]) != 1:
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
        applied.weight("mean", (length,), "moving_mean", trained=False),
        applied.weight("variance", (length,), "moving_variance", trained=False),
    ]
    return applied.read_as("batch_norm", weights, epsilon=fields.number("epsilon", default=1e-3))


def prelu(applied: Applied) -> Reading:
    """PReLU: a learned slope below zero for each number, or shared along some axes."""
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


def normalization(applied: Applied) -> Reading:
    """Normalization with a mean and variance that are stored, or written in the configuration."""
    fields = applied.fields
    layer = applied.layer("normalize", invert=fields.flag("invert", default=False))
    shape, layout = _kept(applied)
    if fields.get("mean") is None:
        weights = [
            applied.weight(name, shape, layout=layout, trained=False)
            for name in ("mean", "variance")
        ]
        return Reading((layer,), (*weights, Weight(None, ("count",), (), trained=False)))
    constants = {
        f"{applied.name}/{name}": to_spec(_constant(applied, name, shape), layout)
        for name in ("mean", "variance")
    }
    return Reading((layer,), constants=constants)


def rescaling(applied: Applied) -> Reading:
    """Rescaling: value * scale + offset, with numbers or one number per channel."""
    return applied.read_as(
        "rescale",
        scale=_factor(applied, "scale", default=1.0),
        offset=_factor(applied, "offset", default=0.0),
    )


def _factor(applied: Applied, name: str, *, default: float) -> float | tuple[float, ...]:
    value = applied.fields.numbers(name, default=default)
    if isinstance(value, float):
        return value
    if not applied.axes.is_hwc(applied.rank) or len(value) not in (1, applied.shape[0]):
        raise applied.fields.error(name, "one number, or one for each channel of a picture")
    return value if len(value) > 1 else value[0]


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
    if applied.rank == 3 and kept == [1]:
        return known, "channels"
    if len(kept) == applied.rank == 3 and applied.axes.is_hwc(3):
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
