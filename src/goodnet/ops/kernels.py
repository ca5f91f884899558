"""What layers with a kernel have in common: their weight and bias, and the windows they look at.

Kernels are (out, in / groups, height, width) for convolutions and (out, in) for dense layers. A
fused activation is the attribute `activation` of such a layer: what its name stands for is its
value after the activation, as in Keras.
"""

from __future__ import annotations

from typing import Any

from goodnet.errors import InvalidInput
from goodnet.ops.keras import Applied, Weight
from goodnet.ops.op import Given, Shape
from goodnet.ops.padding import BORDER

# Of a convolution that takes every pixel for itself, as a dense layer does.
PIXELWISE = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}


def weight_of(given: Given, rank: int) -> Shape:
    """The shape of the weight, where it has so many axes and a bias fits it."""
    shape = given.parameters.get("weight", ())
    if len(shape) != rank:
        raise InvalidInput(f"expected a weight of {rank} axes, got the shape {shape}")
    given.check_vectors(("bias",), shape[0])
    return shape


def read_bias(applied: Applied, length: int) -> list[Weight]:
    """The bias of a Keras layer, if it has one."""
    if not applied.fields.flag("use_bias", default=True):
        return []
    return [applied.weight("bias", (length,))]


def read_windows(applied: Applied) -> dict[str, Any]:
    """Strides, dilation and border of a Keras layer."""
    fields = applied.fields
    return {
        "strides": fields.pair("strides"),
        "dilation": fields.pair("dilation_rate"),
        "padding": BORDER.read(applied),
    }
