"""What a network does to images before its first layer; images are 0..1 everywhere else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from goodnet.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.imagesets import PixelRange

ChannelOrder = Literal["RGB", "BGR"]

# Bounded: a number such as 1e999999999 would take for ever to turn into a fraction.
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,12})?"
_SCALE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:/([0-9]{1,9}))?")
_FORMULA = re.compile(
    rf"(?:x(?:(?P<op>[*/])(?P<by>{_NUMBER}))?|(?P<top>{_NUMBER})(?:/(?P<bottom>{_NUMBER}))?)"
    rf"(?P<offset>[+-]{_NUMBER})?"
)


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

    @classmethod
    def parse(cls, text: str) -> Preprocessing:
        """Read it as a user writes it, of a pixel x from 0 to 255, however it is stored.

        Args:
            text: Parts with commas between: first a name of `PRESETS` or a formula such as
                "x/127.5-1" or "1/255", then perhaps "mean=" and "std=" with one number or one for
                each channel in the network's order, and "order=BGR".

        Raises:
            UsageError: If it is none of these.

        Example:
            >>> Preprocessing.parse("x/127.5-1").ends
            (-1.0, 1.0)
        """
        first, *others = re.sub(r"[\s\[\]()]", "", text).split(",")
        made = PRESETS.get(_ALIASES.get(first, first)) or _formula(first.lower())
        try:
            found = replace(made, **dict(_assigned(others))) if made else None
        except (InvalidInput, ValueError) as error:
            raise UsageError(f"--preprocess {text}: {error}") from error
        if found is None:
            raise UsageError(
                f"--preprocess is one of {', '.join(PRESETS)}, or another formula of a pixel x "
                "from 0 to 255, perhaps with mean=, std= and order=BGR behind it, as in "
                f"x/255,mean=0.5,0.4,0.3,std=0.2,order=BGR; got {text!r}"
            )
        return found

    @property
    def text(self) -> str:
        """The same as a user writes it.

        Example:
            >>> Preprocessing(mean=(1, 2, 3), std=4, order="BGR").text
            'x/255,mean=1,2,3,std=4,order=BGR'
        """
        for name, preset in PRESETS.items():
            if self == preset:
                return name
            if replace(self, order=preset.order) == preset:
                return f"{name},order={self.order}"
        factor = Fraction(self.factor).limit_denominator(10**6) / 255
        scaled = f"x*{float(factor):.9g}" if factor > 1 else f"x/{float(1 / factor):.9g}"
        parts = ["x" if factor == 1 else scaled]
        for name, given, usual in (("mean", self.mean, 0), ("std", self.std, 1)):
            if given != usual:
                numbers = given if isinstance(given, tuple) else (given,)
                parts.append(f"{name}={','.join(f'{each:.9g}' for each in numbers)}")
        if self.order != "RGB":
            parts.append(f"order={self.order}")
        return ",".join(parts)

    @property
    def reversed(self) -> Preprocessing:
        """The same of images with their channels in the opposite order."""
        return replace(self, order="RGB" if self.order == "BGR" else "BGR")

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

# What networks usually take, by how it is written of a pixel x from 0 to 255: as it is, 0..1, -1..1
# (MobileNet, Xception), centred, the statistics of ImageNet (torchvision) and of MNIST, and the
# means of ImageNet in BGR (VGG and ResNet of Caffe and of Keras).
PRESETS: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "x": Preprocessing(255),
        "x/255": IDENTITY,
        "x/127.5-1": Preprocessing(2, mean=1),
        "x/255-0.5": Preprocessing(mean=0.5),
        "imagenet": Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        "mnist": Preprocessing(mean=0.1307, std=0.3081),
        "caffe": Preprocessing(255, mean=(103.939, 116.779, 123.68), order="BGR"),
    }
)


# What Keras calls them.
_ALIASES = {"tf": "x/127.5-1", "torch": "imagenet"}


def _formula(text: str) -> Preprocessing | None:
    """A factor and an offset; None for what is no formula."""
    found = _FORMULA.fullmatch("x" if text == "raw" else text)
    if found is None:
        return None
    part, offset = found.groupdict("1"), found["offset"] or "0"
    by, top, bottom = (Fraction(part[name]) for name in ("by", "top", "bottom"))
    if not by or not top or not bottom:
        return None
    factor = top / bottom * (1 / by if part["op"] == "/" else by)
    return Preprocessing(255 * factor, mean=0 - float(offset))


def _assigned(parts: list[str]) -> Iterator[tuple[str, Any]]:
    """Fields and their values; a part that is a number alone belongs to the field before it."""
    groups: list[list[str]] = []
    for part in parts:
        name, separator, value = part.partition("=")
        if separator:
            groups.append([name, value])
        elif groups:
            groups[-1].append(part)
        else:
            raise ValueError(f"expected mean=, std= or order=, got {part!r}")
    for name, *values in groups:
        if name == "order":
            yield name, ",".join(values)
        elif name in ("mean", "std"):
            numbers = tuple(float(each) for each in values)
            yield name, numbers if len(numbers) > 1 else numbers[0]
        else:
            raise ValueError(f"expected mean=, std= or order=, got {name!r}")


@dataclass(frozen=True)
class Scale:
    """What pixels are multiplied by, as they are stored, before a network sees them."""

    factor: Fraction

    @classmethod
    def parse(cls, text: str) -> Scale:
        """Read a scale as the user writes it.

        Args:
            text: "raw" (the same as "1"), a fraction such as "1/255", or a number.

        Raises:
            UsageError: If it is none of these, or not above 0.

        Example:
            >>> str(Scale.parse("1/255")), str(Scale.parse("1"))
            ('1/255', 'raw')
        """
        parts = _SCALE.fullmatch("1" if text == "raw" else text)
        top, bottom = (Fraction(part or 1) for part in parts.groups()) if parts else (0, 0)
        if not top or not bottom:
            raise UsageError(
                f"--scale is raw, a fraction such as 1/255, or a number above 0, got {text!r}"
            )
        return cls(Fraction(top / bottom))

    @classmethod
    def of(cls, preprocessing: Preprocessing, stored: PixelRange) -> Scale | None:
        """The scale of pixels in the range they are stored; None where more is done to them.

        Example:
            >>> str(Scale.of(Preprocessing(), "0..255"))
            '1/255'
        """
        found = cls(Fraction(preprocessing.factor) / _WIDTHS[stored])
        return found if found.preprocessing(stored) == preprocessing else None

    def preprocessing(self, stored: PixelRange) -> Preprocessing:
        """What makes the same of images 0..1 as this scale of pixels in the range they are stored.

        Example:
            >>> Scale.parse("1/255").preprocessing("0..255") == Preprocessing()
            True
        """
        factor = self.factor * _WIDTHS[stored]
        return Preprocessing(factor, mean=float(factor / 2) if stored.startswith("-") else 0)

    def __str__(self) -> str:
        return "raw" if self.factor == 1 else str(self.factor)


RAW = Scale(Fraction(1))
_WIDTHS: Mapping[PixelRange, int] = MappingProxyType(
    {"0..255": 255, "0..1": 1, "-1..1": 2, "-0.5..0.5": 1}
)
_USUAL: Mapping[PixelRange, tuple[Scale, ...]] = MappingProxyType(
    {
        "0..255": (RAW, Scale(Fraction(1, 255))),
        "0..1": (RAW, Scale(Fraction(255))),
        "-1..1": (RAW,),
        "-0.5..0.5": (RAW,),
    }
)


def usual_scales(stored: PixelRange) -> tuple[Scale, ...]:
    """What networks usually multiply pixels of this range by; first by nothing at all.

    Example:
        >>> [str(scale) for scale in usual_scales("0..255")]
        ['raw', '1/255']
    """
    return _USUAL[stored]
