"""The scale trap: does the network want pixels as they are, or divided by 255?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.imagesets.scale import RAW, Scale

if TYPE_CHECKING:
    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.pixels import PixelRange

__all__ = ["Answer", "ScaleChoice", "find_scale", "usual_scales"]

# From scaled images (n, channels, height, width) to class indices (n,).
Answer = Callable[[NDArray[np.float32]], NDArray[np.int64]]

_SIGNIFICANT = 0.01
_BLOCK_BYTES = 64 * 2**20
_USUAL: Mapping[PixelRange, tuple[Scale, ...]] = MappingProxyType(
    {
        "0..255": (RAW, Scale(Fraction(1, 255))),
        "0..1": (RAW, Scale(Fraction(255))),
        "-1..1": (RAW,),
    }
)


def usual_scales(range: PixelRange) -> tuple[Scale, ...]:  # noqa: A002
    """What networks usually multiply pixels of this range by; first by nothing at all.

    Example:
        >>> [str(scale) for scale in usual_scales("0..255")]
        ['raw', '1/255']
    """
    return _USUAL[range]


@dataclass(frozen=True)
class ScaleChoice:
    """The scale that works, and what was measured to find it.

    Attributes:
        scale: What the pixels are multiplied by.
        range: Of the pixels before that.
        accuracies: For each scale tried, as text: images answered right, images tried.
    """

    scale: Scale
    range: PixelRange
    accuracies: Mapping[str, tuple[int, int]]

    def sentence(self) -> str:
        """One line for the user: what is done, and the evidence."""
        factor = self.scale.factor
        how = f"divided by {1 / factor}" if factor < 1 else f"multiplied by {factor}"
        if self.scale == RAW:
            how = "fed as they are"
        return f"pixels {self.range} are {how} ({_evidence(self.accuracies, str(self.scale))})"


def find_scale(answer: Answer, images: ImageSet, *, count: int = 512) -> ScaleChoice:
    """Find the scale of the pixels at which a network recognises clean, labelled images.

    A scale works if the network is right more often than by always giving the most common label
    of the sample (one-sided exact binomial test, p < 0.01). Of those that work the most accurate
    is taken; where two are equally good, the pixels stay as they are.

    Args:
        answer: The network's class for each image of a scaled batch.
        images: The clean labelled set; a scale it already carries is ignored.
        count: How many images to try, spread evenly over the set.

    Returns:
        The scale and the accuracy of every scale tried.

    Raises:
        InvalidInput: If no scale works, or the sample is too small or too uniform to tell.
    """
    candidates = usual_scales(images.range)
    if not images.labelled:
        raise InvalidInput(
            f"{images.name}: without labels the scale of the pixels cannot be found; "
            f"pass {_flags(candidates)}"
        )
    right = dict.fromkeys(candidates, 0)
    seen: list[NDArray[np.int64]] = []
    size = max(1, _BLOCK_BYTES // (4 * math.prod(images.shape)))
    for block in images.scaled(RAW).sample_blocks(count, size):
        seen.append(block.labels)
        for scale in candidates:
            answers = np.asarray(answer(scale.apply(block.images))).reshape(block.labels.shape)
            right[scale] += int(np.count_nonzero(answers == block.labels))
    return _choose(right, np.concatenate(seen), images)


def _choose(right: dict[Scale, int], labels: NDArray[np.int64], images: ImageSet) -> ScaleChoice:
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
    return ScaleChoice(best, images.range, accuracies)


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
