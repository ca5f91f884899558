"""What one step of training asks of a network, what it shows it, and how it is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

# From logits (n, classes), labels (n,) and the images they are of: the loss, summed over images.
Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
# From the values of layers, each (n, ...), and labels (n,): a loss, summed over images.
Inside = Callable[[Sequence[Tensor], Tensor], Tensor]
# Other views of images (n, channels, height, width).
Augment = Callable[[Tensor, np.random.Generator], Tensor]


# From what leaves the gradient of a batch in the parameters and returns its loss, and those
# parameters, to that loss: where the gradient is taken that the optimiser descends.
Step = Callable[[Callable[[], float], Sequence[nn.Parameter]], float]


def cross_entropy(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
    """The usual loss of a classifier."""
    del images
    return F.cross_entropy(logits, labels, reduction="sum")


def once(gradient: Callable[[], float], parameters: Sequence[nn.Parameter]) -> float:
    """Take the gradient where the parameters are, as Adam does by itself."""
    del parameters
    return gradient()


@dataclass(frozen=True)
class Recipe:
    """What one step of training asks of a network, and what it shows it.

    Attributes:
        name: Tells this recipe from others; a checkpoint of another one is not used.
        objective: What is made small.
        augment: Applied to every batch; None to show the images as they are.
        layers: Whose values `inside` is a function of.
        inside: What is made small beside the objective; None for nothing.
        step: Where the gradient is taken; a sharpness-aware method takes it elsewhere and puts the
            parameters back.
    """

    name: str = "cross-entropy"
    objective: Objective = cross_entropy
    augment: Augment | None = None
    layers: tuple[str, ...] = ()
    inside: Inside | None = None
    step: Step = once


PLAIN = Recipe()


def distillation(teacher: Callable[[Tensor], Tensor], *, weight: float) -> Objective:
    """Answer the label, and beside it what a teacher answers to the same image.

    Args:
        teacher: Images to logits (n, classes).
        weight: Of the teacher, 0..1; the label has the rest.

    References:
        Hinton et al., Distilling the Knowledge in a Neural Network, 2015; temperature 1.
    """

    def objective(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(images).log_softmax(1)
        apart = F.kl_div(logits.log_softmax(1), wanted, reduction="sum", log_target=True)
        return (1 - weight) * F.cross_entropy(logits, labels, reduction="sum") + weight * apart

    return objective


def shifts(pixels: int) -> Augment:
    """Move each image by up to so many pixels each way, its edges repeated."""

    def augment(images: Tensor, random: np.random.Generator) -> Tensor:
        height, width = images.shape[2:]
        wide = F.pad(images, (pixels,) * 4, mode="replicate")
        corners = random.integers(0, 2 * pixels, (len(images), 2), endpoint=True)
        views = [
            image[:, top : top + height, left : left + width]
            for image, (top, left) in zip(wide, corners.tolist(), strict=True)
        ]
        return torch.stack(views)

    return augment
