"""Where the triggers of a label take the features, and how far an image lies that way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from goodnet.scan.families import Stamp
    from goodnet.scan.subject import Subject

# How much of the mean variance is added to the covariance, which few images hardly determine.
_SHRINKAGE = 0.2
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Axis:
    """A direction in the features and how much of it a value holds.

    Attributes:
        direction: d, of length 1, shape (features,).
        reader: w, with w.d = 1, that clean images vary little along, shape (features,).
        mean: Of clean features, shape (features,).
    """

    direction: Tensor
    reader: Tensor
    mean: Tensor

    def read(self, features: Tensor) -> Tensor:
        """How far features lie along the direction, shape (images,)."""
        return (features.flatten(1) - self.mean) @ self.reader


def common_axis(
    subject: Subject, stamps: Sequence[Stamp], weights: Sequence[float], images: Tensor
) -> Axis:
    """The direction that several triggers of one label have most in common.

    Each trigger shifts the mean of the features; the direction is the first right singular vector
    of these shifts, brought to length 1 and weighted.

    Args:
        subject: The network.
        stamps: Triggers of one label.
        weights: How much each counts, such as its margin.
        images: Clean images, pixels 0..1.

    References:
        The reader is that of Belrose et al., LEACE, NeurIPS 2023: w = C^-1 d / (d.C^-1 d), C the
        covariance of clean features, here shrunk towards its mean variance.
    """
    clean = subject.all_features(images).flatten(1)
    mean = clean.mean(0)
    shifts = [
        subject.all_features(stamp.on(images)[0]).flatten(1).mean(0) - mean for stamp in stamps
    ]
    direction = common_direction(torch.stack(shifts), weights)
    return Axis(direction, readers(clean - mean, direction[:, None])[:, 0], mean)


def distances(
    clean: Tensor,
    truth: Tensor,
    shifts: Mapping[int, Tensor],
    weights: Mapping[int, Sequence[float]],
) -> dict[int, float]:
    """How far the triggers of each label take the features, in what clean images vary by that way.

    Args:
        clean: Features of clean images, shape (images, features).
        truth: Their classes, shape (images,).
        shifts: By label where its triggers take the mean, shape (triggers, features).
        weights: How much each trigger counts.

    Returns:
        By label the median over its triggers, read along the direction they have most in common,
        in standard deviations of images that are not of its class. Each fifth of the images is
        read by what the others give.
    """
    labels = list(shifts)
    directions = torch.stack([common_direction(shifts[k], weights[k]) for k in labels], 1)
    count = len(clean)
    fifth = torch.arange(count, device=clean.device) % _FOLDS
    read = clean.new_empty(count, len(labels))
    reach = []
    for fold in range(min(_FOLDS, count)):
        out = fifth == fold
        mean = clean[~out].mean(0)
        found = readers(clean[~out] - mean, directions)
        read[out] = (clean[out] - mean) @ found
        along = [(shifts[k] @ found[:, place]).median() for place, k in enumerate(labels)]
        reach.append(torch.stack(along))
    reached = torch.stack(reach).mean(0)
    spread = torch.stack([read[truth != k, place].std() for place, k in enumerate(labels)])
    ratio = reached / spread.clamp_min(1e-12)
    return dict(zip(labels, ratio.tolist(), strict=True))


def common_direction(shifts: Tensor, weights: Sequence[float]) -> Tensor:
    """What several shifts have most in common: of length 1, shape (features,).

    Args:
        shifts: Shape (triggers, features).
        weights: How much each counts.
    """
    counted = torch.tensor(weights, dtype=shifts.dtype, device=shifts.device)[:, None]
    rows = counted * F.normalize(shifts, dim=1)
    # Of a few long rows; their own products tell as much as they do.
    left = torch.linalg.eigh(rows @ rows.T)[1][:, -1]
    direction = F.normalize(left @ rows, dim=0)
    found: Tensor = direction * torch.sign((rows @ direction).sum())
    return found


def readers(centred: Tensor, directions: Tensor, *, products: Tensor | None = None) -> Tensor:
    """How much of each direction a value holds, told by what clean images vary along least.

    Args:
        centred: Features of clean images less their mean, shape (images, features).
        directions: Columns d of length 1, shape (features, directions).
        products: Of the images with each other, shape (images, images), where they are known.

    Returns:
        Columns w = C^-1 d / (d.C^-1 d), C the covariance shrunk towards its mean variance, solved
        among the images, of which there are fewer than features.
    """
    count, size = centred.shape
    variance = centred.square().mean(0).sum() / size
    ridge = (_SHRINKAGE * variance).clamp_min(1e-12)
    share = (1 - _SHRINKAGE) / count
    inner = centred @ centred.T if products is None else products
    inner = ridge * torch.eye(count, device=centred.device) + share * inner
    left = torch.linalg.solve(inner, centred @ directions)
    solved = (directions - share * (centred.T @ left)) / ridge
    found: Tensor = solved / (solved * directions).sum(0)
    return found
