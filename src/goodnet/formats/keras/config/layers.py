"""The layers that are read: for each class of Keras, how to say it in the words of the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from goodnet.errors import InvalidInput
from goodnet.formats.keras.config import convolutions, pictures, statistics
from goodnet.formats.keras.config.activations import ACTIVATION_LAYERS, read_activation_layer
from goodnet.formats.keras.config.reading import Applied, Reading
from goodnet.formats.spec import Activation

__all__ = ["LAYERS", "ORDERED", "read_layer"]

Reader = Callable[[Applied], Reading]


def read_layer(applied: Applied) -> Reading:
    """Say one layer of the file in the words of the spec.

    Raises:
        InvalidInput: If the class is not one of `LAYERS`, or a setting is not sound.
    """
    reader = LAYERS.get(applied.kind)
    if reader is None:
        raise InvalidInput(
            f"layer {applied.name!r} is a {applied.kind}, which is not read; the layers that are "
            f"read: InputLayer, {', '.join(sorted(LAYERS))}"
        )
    return reader(applied)


def _activation(applied: Applied) -> Reading:
    return applied.read_as("activation", activation=applied.activation() or Activation("linear"))


def _activation_layer(applied: Applied) -> Reading:
    function = read_activation_layer(applied.kind, applied.fields, applied.axes, rank=applied.rank)
    return applied.read_as("activation", activation=function)


def _merge(op: str) -> Reader:
    return lambda applied: applied.read_as(op)


def _concatenate(applied: Applied) -> Reading:
    axis = applied.fields.integers("axis") or (-1,)
    ranks = {len(shape) for shape in applied.shapes}
    if len(axis) != 1 or len(ranks) != 1:
        raise applied.fields.error("axis", "one axis, of inputs with as many axes each")
    return applied.read_as("concatenate", axis=applied.axes.to_spec(axis[0], ranks.pop()))


def _identity(applied: Applied) -> Reading:
    return applied.read_as("identity")


_DROPOUTS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
)

# class of Keras -> its reader
LAYERS: Mapping[str, Reader] = MappingProxyType(
    {
        "Conv2D": convolutions.conv2d,
        "DepthwiseConv2D": convolutions.depthwise_conv2d,
        "SeparableConv2D": convolutions.separable_conv2d,
        "Dense": convolutions.dense,
        "BatchNormalization": statistics.batch_normalization,
        "BatchNormalizationV1": statistics.batch_normalization,
        "BatchNormalizationV2": statistics.batch_normalization,
        "Normalization": statistics.normalization,
        "Rescaling": statistics.rescaling,
        "PReLU": statistics.prelu,
        "Activation": _activation,
        **dict.fromkeys(ACTIVATION_LAYERS, _activation_layer),
        **dict.fromkeys(_DROPOUTS, _identity),
        "MaxPooling2D": pictures.pool2d("max_pool2d"),
        "AveragePooling2D": pictures.pool2d("avg_pool2d"),
        "GlobalMaxPooling2D": pictures.global_pool2d("global_max_pool2d"),
        "GlobalAveragePooling2D": pictures.global_pool2d("global_avg_pool2d"),
        "GlobalMaxPooling1D": pictures.global_pool1d("global_max_pool1d"),
        "GlobalAveragePooling1D": pictures.global_pool1d("global_avg_pool1d"),
        "Flatten": pictures.flatten,
        "Reshape": pictures.reshape,
        "Permute": pictures.permute,
        "ZeroPadding2D": pictures.border("zero_pad2d"),
        "Cropping2D": pictures.border("crop2d"),
        "UpSampling2D": pictures.upsampling2d,
        "Add": _merge("add"),
        "Subtract": _merge("subtract"),
        "Multiply": _merge("multiply"),
        "Average": _merge("average"),
        "Maximum": _merge("maximum"),
        "Minimum": _merge("minimum"),
        "Concatenate": _concatenate,
    }
)

# The classes whose `data_format` says how the file orders the axes of a picture.
ORDERED = frozenset(
    name for name in LAYERS if name.endswith("2D") and not name.startswith("SpatialDropout")
)
