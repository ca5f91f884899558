"""Whether a set of images and a network belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.imagesets.classes import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.imagesets.imageset import ImageSet
    from goodnet.types import Integers

__all__ = ["check_fits"]


def check_fits(
    images: ImageSet,
    *,
    shape: Sequence[int | None],
    num_classes: int,
    labels: bool = True,
    rejects: bool = False,
) -> None:
    """Make sure a network can be run on a set and its answers compared with the labels.

    Args:
        images: The set.
        shape: Of one image as the network wants it, (channels, height, width); None = any.
        num_classes: How many classes the network has.
        labels: Whether the labels will be used; False where only answers are asked for.
        rejects: Whether the last class is no class of images but that of a GoodNet.

    Raises:
        InvalidInput: If images have another shape, labels are not classes of the network, or it has
            not as many classes as there are folders that have no numbers.
    """
    if not _agree(images.shape, shape):
        raise InvalidInput(
            f"{images.name} holds images of {_show(images.shape)} (channels x height x width), "
            f"the network takes {_show(shape)}{_hint(images, shape)}"
        )
    if not labels:
        return
    if not images.labelled:
        raise InvalidInput(
            f"{images.name} has no labels, which are needed here; use an HDF5 or npz file with "
            "labels, or a folder with one sub-folder per class"
        )
    check_count(images, num_classes - rejects)
    _check_labels(images.labels, num_classes, f"the labels of {images.name}")
    if images.source_labels is not None:
        _check_labels(images.source_labels, num_classes, f"the source labels of {images.name}")


def _check_labels(labels: Integers, num_classes: int, what: str) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < num_classes:
        return
    row = int(np.flatnonzero((labels < 0) | (labels >= num_classes))[0])
    one_based = low == 1 and high == num_classes
    raise InvalidInput(
        f"the network has the classes 0..{num_classes - 1}, {what} go from {low} to {high}; "
        f"the first outside is {labels[row]} at image {row}"
        + ("; they seem to count from 1, subtract 1 from all" if one_based else "")
    )


def _hint(images: ImageSet, wanted: Sequence[int | None]) -> str:
    channels, height, width = images.shape
    other, shape = "NHWC", (width, channels, height)
    if images.layout == "NHWC":
        other, shape = "NCHW", (height, width, channels)
    if images.layout != "NHW" and _agree(shape, wanted):
        return f"; they would fit with --layout {other}"
    if _agree((channels, width, height), wanted):
        return "; height and width seem to be swapped"
    return ""


def _agree(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        want in (None, length) for length, want in zip(shape, wanted, strict=True)
    )


def _show(shape: Sequence[int | None]) -> str:
    return "x".join("any" if length is None else str(length) for length in shape)
