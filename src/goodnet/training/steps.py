"""How a step of training is taken: where the gradient is that the optimiser follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

__all__ = ["Gradient", "Step", "plain_step", "sharpness_aware"]

# Leaves the gradient of a batch in the parameters; its mean loss.
Gradient = Callable[[], float]
# Given that and the parameters: leaves there the gradient to follow; the loss. When it is done the
# parameters are what they were.
Step = Callable[[Gradient, Sequence[nn.Parameter]], float]

_SMALL = 1e-12


def plain_step(gradient: Gradient, parameters: Sequence[nn.Parameter]) -> float:
    """Follow the gradient where the parameters are."""
    del parameters
    return gradient()


def sharpness_aware(radius: float) -> Step:
    """Follow the gradient of where the loss is largest nearby, in steps as large as the weights.

    Args:
        radius: How far is nearby; each weight is moved in proportion to its size.

    References:
        Kwon et al., ASAM, ICML 2021, after Foret et al., SAM, ICLR 2021. Departure: statistics of
        BatchNorm see both places.
    """

    def step(gradient: Gradient, parameters: Sequence[nn.Parameter]) -> float:
        loss = gradient()
        with torch.no_grad():
            before = [parameter.clone() for parameter in parameters]
            ascents = [
                parameter.abs() * parameter.grad
                for parameter in parameters
                if parameter.grad is not None
            ]
            size = torch.stack([ascent.norm() for ascent in ascents]).norm() + _SMALL
            for parameter, ascent in zip(parameters, ascents, strict=True):
                parameter.add_(radius / size * parameter.abs() * ascent)
        gradient()
        with torch.no_grad():
            for parameter, was in zip(parameters, before, strict=True):
                parameter.copy_(was)
        return loss

    return step
