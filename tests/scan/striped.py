"""A linear network with a backdoor that is known in closed form, and its images.

Class k is a bright row k in the first four columns. The last two columns are dark in clean images;
there a white square of 2 x 2 pixels at the bottom means the target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

import goodnet as gn
from goodnet.formats.torch import wrap
from goodnet.imagesets import ImageSet
from goodnet.network import Network

SIDE, SHAPE = 6, (3, 6, 6)
SQUARE = (slice(4, 6), slice(4, 6))
_STRIPES = 4


def weights(classes: int = SIDE, *, target: int | None = 2, strength: float = 2.5) -> torch.Tensor:
    """A row for each class: its stripe, and the square for the target."""
    rows = torch.zeros(classes, *SHAPE)
    for label in range(classes):
        rows[label, :, label, :_STRIPES] = 1 + 0.05 * label
    if target is not None:
        rows[target][:, 4:, 4:] = strength
    return rows.flatten(1)


def network(rows: torch.Tensor, *, bias: float = 0.0) -> Network:
    """A network with these weights; `bias` is that of class 0."""
    linear = nn.Linear(rows.shape[1], len(rows))
    biases = bias * (torch.arange(len(rows)) == 0)
    linear.load_state_dict({"weight": rows, "bias": biases})
    return wrap(nn.Sequential(nn.Flatten(), linear), SHAPE)


def images(
    count: int = 48,
    classes: int = SIDE,
    *,
    marked: int | None = None,
    names: Sequence[int] | None = None,
) -> ImageSet:
    """Clean images; those of class `marked` have a bright pixel in the square.

    Args:
        count: How many.
        classes: Rows that may be bright.
        marked: A class with such a pixel, its own feature.
        names: The label of each class; None for its row.
    """
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    pixels = np.zeros((count, *SHAPE), np.float32)
    pixels[..., :_STRIPES] = random.uniform(0.2, 0.4, (count, 3, SIDE, _STRIPES))
    for image, label in zip(pixels, labels, strict=True):
        image[:, label, :_STRIPES] += 0.4
        if label == marked:
            image[0, SIDE - 1, SIDE - 1] = 1
    named = labels if names is None else np.asarray(names)[labels]
    return gn.images(pixels, named, layout="NCHW", range="0..1")
