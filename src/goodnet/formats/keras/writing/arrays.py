"""The Keras layers that hold arrays: convolutions, dense layers, normalizations, slopes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.keras.writing.activations import activation_steps, plain_name
from goodnet.formats.keras.writing.steps import PICTURE, Part, Step, file_shape
from goodnet.formats.layouts import to_file

if TYPE_CHECKING:
    from goodnet.formats.spec import Array

__all__ = ["batch_norm", "conv2d", "dense", "normalize", "prelu"]


def conv2d(part: Part) -> list[Step]:
    """A convolution, or a depthwise one where each channel is a group of its own."""
    weight, padding, before = part.arrays["weight"], part["padding"], list[Step]()
    if not isinstance(padding, str):
        top, bottom, left, right = padding
        before = [Step("ZeroPadding2D", {"padding": [[top, bottom], [left, right]]})]
        padding = "valid"
    config = {
        "kernel_size": list(weight.shape[2:]),
        "strides": list(part["strides"]),
        "dilation_rate": list(part["dilation"]),
        "padding": padding,
        "use_bias": "bias" in part.arrays,
    }
    if part["groups"] > 1 and weight.shape[1] == 1:
        return [*before, *_activated(part, _depthwise(part, config))]
    config["filters"] = weight.shape[0]
    if part["groups"] > 1:
        config["groups"] = part["groups"]
    kernel = to_file(weight, "hwio", ())
    step = Step("Conv2D", config, (("kernel", kernel), *_named(part, "bias")))
    return [*before, *_activated(part, step)]


def _depthwise(part: Part, config: dict[str, Any]) -> Step:
    out, _, height, width = part.arrays["weight"].shape
    multiplier = out // part["groups"]
    kernel = to_file(part.arrays["weight"], "hwim", (height, width, part["groups"], multiplier))
    weights = (("depthwise_kernel", kernel), *_named(part, "bias"))
    return Step("DepthwiseConv2D", {**config, "depth_multiplier": multiplier}, weights)


def dense(part: Part) -> list[Step]:
    """A dense layer, on the last axis."""
    weight = part.arrays["weight"]
    config = {"units": weight.shape[0], "use_bias": "bias" in part.arrays}
    weights = (("kernel", to_file(weight, "io", ())), *_named(part, "bias"))
    return _activated(part, Step("Dense", config, weights))


def _named(part: Part, *names: str) -> tuple[tuple[str, Array], ...]:
    return tuple((name, part.arrays[name]) for name in names if name in part.arrays)


def _activated(part: Part, step: Step) -> list[Step]:
    """The step with its activation: fused where Keras has a plain name for it."""
    activation, rank = part["activation"], len(part.shape)
    name = plain_name(activation, rank, part.dialect)
    step = Step(step.class_name, {**step.config, "activation": name or "linear"}, step.weights)
    return [step] if name else [step, *activation_steps(activation, rank, part.dialect)]


def batch_norm(part: Part) -> list[Step]:
    """A batch normalization with the parameters it has."""
    config = {
        "axis": -1,
        "epsilon": part["epsilon"],
        "scale": "gamma" in part.arrays,
        "center": "beta" in part.arrays,
    }
    statistics = (
        ("moving_mean", part.arrays["mean"]),
        ("moving_variance", part.arrays["variance"]),
    )
    return [Step("BatchNormalization", config, (*_named(part, "gamma", "beta"), *statistics))]


def prelu(part: Part) -> list[Step]:
    """A PReLU, with the axes along which its slopes are the same."""
    alpha = _full_rank(part.arrays["alpha"], part)
    if alpha.ndim == PICTURE:
        alpha = to_file(alpha, "hwc", ())
    shared = [axis for axis, size in enumerate(alpha.shape, start=1) if size == 1]
    return [Step("PReLU", {"shared_axes": shared or None}, (("alpha", alpha),))]


def _full_rank(array: Array, part: Part) -> Array:
    rank = len(part.shape)
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def normalize(part: Part) -> list[Step]:
    """Statistics per channel where they suffice, else per number of the flattened value."""
    statistics = {name: _full_rank(part.arrays[name], part) for name in ("mean", "variance")}
    axis = 0 if len(part.shape) == PICTURE else len(part.shape) - 1
    if all(array.size == array.shape[axis] for array in statistics.values()):
        return [_normalization(part, statistics, (part.shape[axis] or 1,))]
    known = tuple(size for size in part.shape if size is not None)
    if len(known) < len(part.shape):
        raise InvalidInput(
            f"layer {part.layer.name!r} normalizes each pixel by itself, so the size of the image "
            f"must be known, got {part.shape}"
        )
    full = {name: np.broadcast_to(array, known) for name, array in statistics.items()}
    if len(known) == PICTURE:
        full = {name: to_file(array, "hwc", ()) for name, array in full.items()}
    back = Step("Reshape", {"target_shape": list(file_shape(known))})
    return [Step("Flatten"), _normalization(part, full, (math.prod(known),)), back]


def _normalization(part: Part, statistics: Mapping[str, Array], shape: tuple[int]) -> Step:
    numbers = {
        name: np.broadcast_to(array.ravel(), shape).tolist() for name, array in statistics.items()
    }
    # Keras before 2.10 does not know the option.
    invert = {"invert": True} if part["invert"] else {}
    return Step("Normalization", {"axis": -1, **numbers, **invert})
