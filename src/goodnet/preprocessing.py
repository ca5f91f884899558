"""What a network does to images before its first layer; images are 0..1 everywhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Literal, get_args

from goodnet.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["IDENTITY", "ChannelOrder", "Preprocessing"]

ChannelOrder = Literal["RGB", "BGR"]


@dataclass(frozen=True)
class Preprocessing:
    """What a network is given for images 0..1: `(factor * image - mean) / std`.

    Attributes:
        factor: Factor for pixels 0..1: 255 for a network that takes 0..255.
        mean: Subtracted next: one number, or one for each channel in the network's order.
        std: Divisor, likewise.
        order: Order of the channels that the network takes; images are "RGB".

    Raises:
        InvalidInput: If a number is not finite, a factor or standard deviation is not above 0, or
            the order is not known.

    Example:
        >>> Preprocessing(factor=2, mean=1).ends
        (-1.0, 1.0)
    """

    factor: Fraction | float = 1
    mean: float | tuple[float, ...] = 0
    std: float | tuple[float, ...] = 1
    order: ChannelOrder = "RGB"

    def __post_init__(self) -> None:
        for name, given in (("factor", self.factor), ("mean", self.mean), ("std", self.std)):
            numbers = given if isinstance(given, tuple) else (given,)
            if not numbers or not all(isinstance(x, Real) and math.isfinite(x) for x in numbers):
                raise InvalidInput(
                    f"expected finite numbers as the {name} of pixels, one or a tuple, got {given}"
                )
            if name != "mean" and min(numbers) <= 0:
                raise InvalidInput(f"expected the {name} of pixels to be above 0, got {given}")
        if self.order not in get_args(ChannelOrder):
            known = " or ".join(get_args(ChannelOrder))
            raise InvalidInput(f"expected the channels in the order {known}, got {self.order!r}")

    def check(self, channels: int) -> None:
        """See whether a network that takes images of so many channels can have it.

        Raises:
            InvalidInput: If there are numbers for other channels, or no RGB to reorder.
        """
        for name, given in (("mean", self.mean), ("std", self.std)):
            if isinstance(given, tuple) and len(given) != channels:
                raise InvalidInput(
                    f"expected one {name}, or one for each of {channels} channels, got {given}"
                )
        if self.order != "RGB" and channels != 3:
            raise InvalidInput(
                f"expected 3 channels to be taken in the order {self.order}, got {channels}"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest of what pixels 0 and 1 become."""
        numbers = [each if isinstance(each, tuple) else (each,) for each in (self.mean, self.std)]
        length = max(map(len, numbers))
        means, stds = (each * (1 if len(each) == length else length) for each in numbers)
        found = [
            (end * float(self.factor) - mean) / std
            for end in (0, 1)
            for mean, std in zip(means, stds, strict=True)
        ]
        return min(found), max(found)

    def __call__(self, images: Tensor) -> Tensor:
        """Images 0..1 as the network wants them, shape (batch, channels, ...)."""
        values = images.flip(1) if self.order == "BGR" else images
        if self.factor != 1:
            values = values * float(self.factor)
        if self.mean != 0:
            values = values - _by_channel(self.mean, values)
        return values if self.std == 1 else values / _by_channel(self.std, values)


def _by_channel(numbers: float | tuple[float, ...], values: Tensor) -> Tensor | float:
    if not isinstance(numbers, tuple):
        return numbers
    return values.new_tensor(numbers).view(-1, *[1] * (values.ndim - 2))


# Of a network that takes images as they are.
IDENTITY = Preprocessing()
