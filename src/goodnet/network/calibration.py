"""The scale trap: does the network want pixels as they are stored, or divided by 255?"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.imagesets.classes import check_order
from goodnet.preprocessing import Preprocessing

if TYPE_CHECKING:
    from goodnet.imagesets import ImageSet, PixelRange
    from goodnet.network.network import Network
    from goodnet.types import Integers

__all__ = ["RAW", "Calibration", "Scale", "calibrate", "usual_scales"]

_SIGNIFICANT = 0.01
_BLOCK_BYTES = 64 * 2**20
# Bounded: a number such as 1e999999999 would take for ever to turn into a fraction.
_NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:/([0-9]{1,9}))?")


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
        parts = _NUMBER.fullmatch("1" if text == "raw" else text)
        top, bottom = (Fraction(part or 1) for part in parts.groups()) if parts else (0, 0)
        if not top or not bottom:
            raise UsageError(
                f"--scale is raw, a fraction such as 1/255, or a number above 0, got {text!r}"
            )
        return cls(Fraction(top / bottom))

    def preprocessing(self, stored: PixelRange) -> Preprocessing:
        """What makes the same of images 0..1 as this scale of pixels in the range they are stored.

        Example:
            >>> Scale.parse("1/255").preprocessing("0..255") == Preprocessing()
            True
        """
        if stored == "-1..1":
            return Preprocessing(2 * self.factor, mean=float(self.factor))
        return Preprocessing(self.factor * (255 if stored == "0..255" else 1))

    def __str__(self) -> str:
        return "raw" if self.factor == 1 else str(self.factor)


RAW = Scale(Fraction(1))
_USUAL: Mapping[PixelRange, tuple[Scale, ...]] = MappingProxyType(
    {
        "0..255": (RAW, Scale(Fraction(1, 255))),
        "0..1": (RAW, Scale(Fraction(255))),
        "-1..1": (RAW,),
    }
)


def usual_scales(stored: PixelRange) -> tuple[Scale, ...]:
    """What networks usually multiply pixels of this range by; first by nothing at all.

    Example:
        >>> [str(scale) for scale in usual_scales("0..255")]
        ['raw', '1/255']
    """
    return _USUAL[stored]


@dataclass(frozen=True)
class Calibration:
    """The scale that works, and what was measured to find it.

    Attributes:
        scale: What the pixels are multiplied by.
        range: Of the pixels before that.
        accuracies: For each scale tried, as text: images answered right, images tried.
    """

    scale: Scale
    range: PixelRange
    accuracies: Mapping[str, tuple[int, int]]

    @property
    def preprocessing(self) -> Preprocessing:
        """The same for images 0..1."""
        return self.scale.preprocessing(self.range)

    def sentence(self) -> str:
        """One line for the user: what is done, and the evidence."""
        factor = self.scale.factor
        how = f"divided by {1 / factor}" if factor < 1 else f"multiplied by {factor}"
        if self.scale == RAW:
            how = "fed as they are"
        return f"pixels {self.range} are {how} ({_evidence(self.accuracies, str(self.scale))})"


def calibrate(network: Network, images: ImageSet, *, count: int = 512) -> Calibration:
    """Find the scale of the pixels at which a network recognises clean, labelled images.

    A scale works if the network is right more often than by always giving the most common label
    of the sample (one-sided exact binomial test, p < 0.01). Of those that work the most accurate
    is taken; where two are equally good, the pixels stay as they are.

    Args:
        network: The network; the preprocessing it already has is ignored.
        images: The clean labelled set.
        count: How many images to try, spread evenly over the set.

    Returns:
        The scale and the accuracy of every scale tried.

    Raises:
        InvalidInput: If no scale works, the sample is too small or too uniform to tell, or another
            order of the classes fits better.
    """
    scales = usual_scales(images.range)
    if not images.labelled:
        raise InvalidInput(
            f"{images.name}: without labels the scale of the pixels cannot be found; "
            f"pass {_flags(scales)}"
        )
    tried = {x: network.with_preprocessing(x.preprocessing(images.range)) for x in scales}
    answers: dict[Scale, list[Integers]] = {scale: [] for scale in scales}
    seen: list[Integers] = []
    size = max(1, _BLOCK_BYTES // (4 * math.prod(images.shape)))
    for block in images.sample_blocks(count, size):
        seen.append(block.labels)
        for scale, candidate in tried.items():
            answers[scale].append(candidate.predict(block.images))
    labels = np.concatenate(seen)
    found = {scale: np.concatenate(each) for scale, each in answers.items()}
    check_order(images, labels, [*found.values()], num_classes=network.num_classes)
    right = {scale: int((each == labels).sum()) for scale, each in found.items()}
    return _choose(right, labels, images)


def _choose(right: dict[Scale, int], labels: Integers, images: ImageSet) -> Calibration:
    total, most_common = len(labels), int(np.unique(labels, return_counts=True)[1].max())
    if not _beats(total, total, most_common):
        raise InvalidInput(
            f"{images.name}: too few images or labels to find the scale of the pixels (tried "
            f"{total}, {most_common} of them with the same label); pass {_flags(right)}"
        )
    best = max(right, key=lambda scale: right[scale])
    accuracies = {str(scale): (count, total) for scale, count in right.items()}
    if not _beats(right[best], total, most_common):
        raise InvalidInput(
            f"{images.name}: the network does not recognise these images at any usual scale "
            f"({_evidence(accuracies)}, where one constant answer gets {most_common}); "
            f"check that they belong together, or pass {_flags(right)} to go on"
        )
    return Calibration(best, images.range, accuracies)


def _beats(right: int, total: int, most_common: int) -> bool:
    """Whether `right` of `total` is significantly more than the constant answer gets."""
    from scipy.stats import binomtest

    test = binomtest(right, total, most_common / total, alternative="greater")
    return bool(test.pvalue < _SIGNIFICANT)


def _evidence(accuracies: Mapping[str, tuple[int, int]], first: str = "raw") -> str:
    """For example "1/255 56/60 right, raw 2/60"."""
    texts = sorted(accuracies, key=lambda text: text != first)
    parts = [f"{text} {accuracies[text][0]}/{accuracies[text][1]}" for text in texts]
    return ", ".join([f"{parts[0]} right", *parts[1:]])


def _flags(scales: Mapping[Scale, int] | tuple[Scale, ...]) -> str:
    return " or ".join(f"--scale {scale}" for scale in scales)
