"""Keras' activation functions, as names or as layers, in the words of the spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from goodnet.formats.activations import FUNCTIONS
from goodnet.formats.keras.config.fields import Fields
from goodnet.formats.spec import Activation

if TYPE_CHECKING:
    from goodnet.formats.keras.config.axes import Axes

__all__ = ["ACTIVATION_LAYERS", "read_activation", "read_activation_layer"]

ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "ELU", "Softmax")

_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax"}
_OLD_HARD_SIGMOID_SLOPE = 0.2


def read_activation(
    fields: Fields, axes: Axes, *, rank: int, keras_major: int
) -> Activation | None:
    """The `activation` setting of a layer.

    Args:
        fields: The layer's settings.
        axes: How the file orders the axes of a picture.
        rank: Axes of the value it is applied to, without the batch.
        keras_major: Version of Keras that wrote the file: some functions changed.

    Returns:
        The function; None for the identity.

    Raises:
        InvalidInput: If it is not one of the known functions.
    """
    value = fields.get("activation", default="linear")
    if isinstance(value, dict) and value.get("class_name") in ACTIVATION_LAYERS:
        inner = value.get("config")
        settings = Fields(fields.name, inner if isinstance(inner, dict) else {})
        return read_activation_layer(value["class_name"], settings, axes, rank=rank)
    name = _ALIASES.get(value, value) if isinstance(value, str) else ""
    if name not in FUNCTIONS:
        raise fields.error("activation", f"one of {', '.join(sorted(FUNCTIONS))}")
    if name == "linear":
        return None
    if name in ("softmax", "log_softmax"):
        return _activation(name, {"axis": axes.to_spec(-1, rank)})
    if name == "hard_sigmoid" and keras_major < 3:
        return _activation(name, {"slope": _OLD_HARD_SIGMOID_SLOPE})
    return Activation(name)


def read_activation_layer(kind: str, fields: Fields, axes: Axes, *, rank: int) -> Activation:
    """The function of one of the layers in `ACTIVATION_LAYERS`.

    Raises:
        InvalidInput: If a setting is not sound.
    """
    if kind == "Softmax":
        axis = fields.integers("axis") or (-1,)
        if len(axis) != 1:
            raise fields.error("axis", "one axis")
        return _activation("softmax", {"axis": axes.to_spec(axis[0], rank)})
    if kind == "LeakyReLU":
        slope = fields.number("negative_slope", "alpha", default=0.3)
        return _activation("leaky_relu", {"negative_slope": slope})
    if kind == "ELU":
        return _activation("elu", {"alpha": fields.number("alpha", default=1.0)})
    return _activation(
        "relu",
        {
            "max_value": fields.number("max_value", default=float("inf")),
            "negative_slope": fields.number("negative_slope", default=0.0),
            "threshold": fields.number("threshold", default=0.0),
        },
    )


def _activation(function: str, options: Mapping[str, float]) -> Activation:
    """Leave out what is the default anyway, so that equal functions compare equal."""
    defaults = FUNCTIONS[function]
    changed = {key: float(v) for key, v in options.items() if float(v) != defaults[key]}
    return Activation(function, changed)
