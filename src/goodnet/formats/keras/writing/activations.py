"""How to say an activation in Keras: by a plain name where one means the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput
from goodnet.formats.activations import FUNCTIONS
from goodnet.formats.keras.writing.steps import Dialect, Step, keras_axis

if TYPE_CHECKING:
    from goodnet.formats.spec import Activation

__all__ = ["activation_steps", "plain_name"]

Options = Mapping[str, float]

# Keras 2 knows no such name, or means another slope by it.
_KERAS_3_ONLY = frozenset({"hard_sigmoid", "relu6"})
_SOFTMAX = frozenset({"softmax", "log_softmax"})


def plain_name(activation: Activation | None, rank: int, dialect: Dialect) -> str | None:
    """The string Keras takes as `activation=`, or None where a layer of its own is needed.

    Args:
        activation: None means the identity.
        rank: Axes of the value without the batch.
        dialect: Which Keras versions must understand it.
    """
    if activation is None:
        return "linear"
    name, options = activation.function, _options(activation)
    if name in _SOFTMAX:
        return name if keras_axis(int(options["axis"]), rank) == rank else None
    if name == "leaky_relu" or (dialect == "h5" and name in _KERAS_3_ONLY):
        return None
    return name if options == FUNCTIONS[name] else None


def activation_steps(activation: Activation | None, rank: int, dialect: Dialect) -> list[Step]:
    """The Keras layers that compute an activation; arguments as for `plain_name`.

    Raises:
        InvalidInput: If no built-in layer computes it.
    """
    name = plain_name(activation, rank, dialect)
    if activation is None or name is not None:
        return [Step("Activation", {"activation": name})]
    options = _options(activation)
    if activation.function == "softmax":
        return [Step("Softmax", {"axis": keras_axis(int(options["axis"]), rank)})]
    if activation.function not in _LAYERS:
        raise InvalidInput(
            f"no built-in Keras layer computes the activation {activation.function} with "
            f"{dict(options)}"
        )
    return _LAYERS[activation.function](options)


def _options(activation: Activation) -> Options:
    return {**FUNCTIONS[activation.function], **activation.options}


def _relu(*, top: float | None = None, slope: float = 0.0, threshold: float = 0.0) -> Step:
    top = None if top == float("inf") else top
    return Step("ReLU", {"max_value": top, "negative_slope": slope, "threshold": threshold})


def _scaled(scale: float, offset: float = 0.0) -> Step:
    return Step("Rescaling", {"scale": scale, "offset": offset})


_LAYERS: dict[str, Callable[[Options], list[Step]]] = {
    "relu": lambda o: [
        _relu(top=o["max_value"], slope=o["negative_slope"], threshold=o["threshold"])
    ],
    "relu6": lambda _: [_relu(top=6.0)],
    "leaky_relu": lambda o: [_relu(slope=o["negative_slope"])],
    "elu": lambda o: [Step("ELU", {"alpha": o["alpha"]})],
    # celu(x, a) = a * celu(x / a, 1)
    "celu": lambda o: [
        _scaled(1 / o["alpha"]),
        Step("Activation", {"activation": "celu"}),
        _scaled(o["alpha"]),
    ],
    "hard_sigmoid": lambda o: [_scaled(o["slope"], 0.5), _relu(top=1.0)],
}
