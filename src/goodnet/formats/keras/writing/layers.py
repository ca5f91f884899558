"""For each operation of a spec, the built-in Keras layers that compute it, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.keras.writing import layers as write_arrays
from goodnet.formats.keras.writing.activations import activation_steps, plain_name
from goodnet.formats.keras.writing.steps import PICTURE, Part, Step, file_shape, keras_axis
from goodnet.formats.layouts import to_file

if TYPE_CHECKING:
    from goodnet.formats.spec import Array

__all__ = ["batch_norm", "conv2d", "dense", "keras_steps", "normalize", "prelu"]


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


_TO_HWC, _TO_CHW = [2, 3, 1], [3, 1, 2]  # `dims` of a Permute


def keras_steps(part: Part) -> list[Step]:
    """The Keras layers, one after another, that compute one layer of a spec.

    Raises:
        InvalidInput: If built-in layers cannot say it.
    """
    if part.layer.op not in _STEPS:
        raise InvalidInput(
            f"layer {part.layer.name!r} is a part of a PyTorch module that no built-in Keras layer "
            "computes; write the network as .safetensors, or use its `module`"
        )
    return _STEPS[part.layer.op](part)


def _input(part: Part) -> list[Step]:
    shape = [None, *file_shape(part.shape)]
    return [
        Step("InputLayer", {"batch_input_shape" if part.dialect == "h5" else "batch_shape": shape})
    ]


def _pool(class_name: str) -> Callable[[Part], list[Step]]:
    def steps(part: Part) -> list[Step]:
        if not isinstance(part["padding"], str):
            raise InvalidInput(
                f"layer {part.layer.name!r} pools over a border that no built-in Keras layer gives "
                "it; write the network as .safetensors, or use its `module`"
            )
        config = {
            "pool_size": list(part["pool"]),
            "strides": list(part["strides"]),
            "padding": part["padding"],
        }
        return [Step(class_name, config)]

    return steps


def _global_pool(class_name: str) -> Callable[[Part], list[Step]]:
    # Keras before 2.6 does not know the option.
    return lambda part: [Step(class_name, {"keepdims": True} if part["keepdims"] else {})]


def _in_order(part: Part, step: Step) -> list[Step]:
    """The step between permutations that bring pictures to the order "chw" and back."""
    if part["order"] == "hwc":
        return [step]
    before = [Step("Permute", {"dims": _TO_CHW})] if len(part.inputs[0]) == PICTURE else []
    after = [Step("Permute", {"dims": _TO_HWC})] if len(part.shape) == PICTURE else []
    return [*before, step, *after]


def _flatten(part: Part) -> list[Step]:
    return _in_order(part, Step("Flatten"))


def _reshape(part: Part) -> list[Step]:
    return _in_order(part, Step("Reshape", {"target_shape": list(part["shape"])}))


def _permute(part: Part) -> list[Step]:
    return _in_order(part, Step("Permute", {"dims": list(part["dims"])}))


def _concatenate(part: Part) -> list[Step]:
    return [Step("Concatenate", {"axis": keras_axis(part["axis"], len(part.shape))})]


def _pads(class_name: str, option: str) -> Callable[[Part], list[Step]]:
    def steps(part: Part) -> list[Step]:
        top, bottom, left, right = part["padding"]
        return [Step(class_name, {option: [[top, bottom], [left, right]]})]

    return steps


def _upsample(part: Part) -> list[Step]:
    return [
        Step(
            "UpSampling2D",
            {"size": list(part["size"]), "interpolation": part["interpolation"]},
        )
    ]


def _rescale(part: Part) -> list[Step]:
    config = {name: np.asarray(part[name], dtype=float).tolist() for name in ("scale", "offset")}
    return [Step("Rescaling", config)]


def _plain(class_name: str, **config: str) -> Callable[[Part], list[Step]]:
    return lambda _: [Step(class_name, config)]


def _activation(part: Part) -> list[Step]:
    return activation_steps(part["activation"], len(part.shape), part.dialect)


_STEPS: dict[str, Callable[[Part], list[Step]]] = {
    "input": _input,
    "conv2d": write_arrays.conv2d,
    "dense": write_arrays.dense,
    "batch_norm": write_arrays.batch_norm,
    "activation": _activation,
    "prelu": write_arrays.prelu,
    "max_pool2d": _pool("MaxPooling2D"),
    "avg_pool2d": _pool("AveragePooling2D"),
    "global_max_pool2d": _global_pool("GlobalMaxPooling2D"),
    "global_avg_pool2d": _global_pool("GlobalAveragePooling2D"),
    "global_max_pool1d": _global_pool("GlobalMaxPooling1D"),
    "global_avg_pool1d": _global_pool("GlobalAveragePooling1D"),
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "add": _plain("Add"),
    "subtract": _plain("Subtract"),
    "multiply": _plain("Multiply"),
    "average": _plain("Average"),
    "maximum": _plain("Maximum"),
    "minimum": _plain("Minimum"),
    "concatenate": _concatenate,
    "identity": _plain("Activation", activation="linear"),
    "zero_pad2d": _pads("ZeroPadding2D", "padding"),
    "crop2d": _pads("Cropping2D", "cropping"),
    "upsample2d": _upsample,
    "rescale": _rescale,
    "normalize": write_arrays.normalize,
}
