"""Global response normalization: how strong a channel is among all channels of the picture.

References:
    Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.ops.normalization import FACTORS
from goodnet.ops.op import PICTURE, Arrays, Attributes, Given, Op, Shape, register, same_shape

if TYPE_CHECKING:
    from torch import Tensor


def _shape(given: Given) -> Shape:
    channels, _ = given.picture
    for name in FACTORS:
        if len(given.parameters.get(name, ())) != PICTURE:
            raise InvalidInput(f"expected {name} of shape ({channels}, 1, 1)")
    return same_shape(given)


def _check(attributes: Attributes, _: Arrays) -> None:
    if attributes["epsilon"] <= 0:
        raise InvalidInput(
            f"expected an epsilon above 0, got {attributes['epsilon']:g}, with which it would "
            "answer NaN for a picture of zeros"
        )


def _respond(attributes: Attributes) -> Callable[..., Tensor]:
    import torch

    epsilon = attributes["epsilon"]

    def function(own: Any, value: Tensor) -> Tensor:
        strength = torch.linalg.vector_norm(value, dim=(2, 3), keepdim=True)
        among_all = strength / (strength.mean(1, keepdim=True) + epsilon)
        found: Tensor = own.gamma * (value * among_all) + own.beta + value
        return found

    return function


register(
    # gamma and beta broadcast against the picture
    Op(
        name="response_norm",
        attributes=("epsilon",),
        parameters=FACTORS,
        shape=_shape,
        compute=_respond,
        check=_check,
    ),
)
