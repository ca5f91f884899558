"""For each operation of a spec, the built-in Keras layers that compute it, channels last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.keras.writing import arrays as write_arrays
from goodnet.formats.keras.writing.activations import activation_steps
from goodnet.formats.keras.writing.steps import PICTURE, Part, Step, file_shape, keras_axis

__all__ = ["keras_steps"]

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
