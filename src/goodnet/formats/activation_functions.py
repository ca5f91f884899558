"""The torch functions behind the names in `formats.activations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.activations import FUNCTIONS
from goodnet.formats.spec import Activation

__all__ = ["activation_function", "fused_function", "identity"]


def activation_function(activation: Activation | None) -> Callable[[Tensor], Tensor]:
    """The torch function of an activation; None is the identity."""
    if activation is None:
        return identity
    options = {**FUNCTIONS[activation.function], **activation.options}
    return _ACTIVATIONS[activation.function](options)


def fused_function(activation: Activation | None) -> Callable[[Tensor], Tensor]:
    """The torch function of an activation that writes over its input, which nobody else reads."""
    function = activation_function(activation)
    # Nobody else reads what comes before a fused activation: writing over it saves the memory,
    # which costs more than the function itself.
    return torch.relu_ if function is torch.relu else function


def identity(value: Tensor) -> Tensor:
    """The value as it is."""
    return value


def _relu(options: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
    top, slope = options["max_value"], options["negative_slope"]
    threshold = options["threshold"]
    if slope == 0.0 and threshold == 0.0:
        return torch.relu if top == float("inf") else partial(torch.clamp, min=0.0, max=top)

    def function(value: Tensor) -> Tensor:
        above = torch.where(value >= threshold, value, torch.zeros_like(value)).clamp(max=top)
        return torch.where(value < threshold, slope * (value - threshold), above)

    return function


def _hard_sigmoid(options: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
    slope = options["slope"]
    return lambda value: (value * slope + 0.5).clamp(0.0, 1.0)


def _softmax(options: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
    return partial(torch.softmax, dim=int(options["axis"]))


def _log_softmax(options: Mapping[str, float]) -> Callable[[Tensor], Tensor]:
    return partial(torch.log_softmax, dim=int(options["axis"]))


_ACTIVATIONS: dict[str, Callable[[Mapping[str, float]], Callable[[Tensor], Tensor]]] = {
    "linear": lambda _: identity,
    "relu": _relu,
    "relu6": lambda _: partial(torch.clamp, min=0.0, max=6.0),
    "leaky_relu": lambda o: partial(F.leaky_relu, negative_slope=o["negative_slope"]),
    "elu": lambda o: partial(F.elu, alpha=o["alpha"]),
    "celu": lambda o: partial(F.celu, alpha=o["alpha"]),
    "selu": lambda _: torch.selu,
    "sigmoid": lambda _: torch.sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "log_sigmoid": lambda _: F.logsigmoid,
    "tanh": lambda _: torch.tanh,
    "hard_tanh": lambda _: F.hardtanh,
    "tanh_shrink": lambda _: F.tanhshrink,
    "softplus": lambda _: partial(F.softplus, threshold=30.0),
    "softsign": lambda _: F.softsign,
    "silu": lambda _: F.silu,
    "hard_silu": lambda _: F.hardswish,
    "mish": lambda _: F.mish,
    "gelu": lambda o: partial(F.gelu, approximate="tanh" if o["approximate"] else "none"),
    "exponential": lambda _: torch.exp,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
}
