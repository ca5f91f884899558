"""The gradient of every class's margin by the pixels, at once.

Where the logits are linear in the features, as many backward passes an image as there are features
give the gradients of all classes, however many there are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.scan.subject import Subject

__all__ = ["margin_gradients", "roughen"]

# Cells of the coarse pattern that roughens an image, along its shorter side.
_COARSE = 3


def margin_gradients(subject: Subject, images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of (logit of a class - largest logit), averaged over images, for all classes.

    Images of a class are left out of its own average.

    Args:
        subject: The network.
        images: Pixels 0..1, shape (images, channels, height, width).
        labels: Their classes, shape (images,).

    Returns:
        Shape (classes, channels, height, width).
    """
    jacobians, weight = _jacobians(subject, images)
    top = subject.all_logits(images).argmax(1)
    total = torch.zeros_like(jacobians[0])
    leading = torch.zeros_like(jacobians[0, 0])
    for jacobian, best in zip(jacobians, top, strict=True):
        total += jacobian
        leading += weight[best] @ jacobian
    gradients = weight @ total - leading
    counts = torch.full((subject.classes, 1), float(len(images)), device=images.device)
    for jacobian, best, label in zip(jacobians, top, labels, strict=True):
        if 0 <= label < subject.classes:
            gradients[label] -= (weight[label] - weight[best]) @ jacobian
            counts[label] -= 1
    return (gradients / counts.clamp_min(1)).view(subject.classes, *subject.shape)


def roughen(images: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Add to each image a coarse random pattern; pixels stay in 0..1.

    The gradient at clean images does not see a trigger that lies far away, that at rough ones does.

    Args:
        images: Shape (images, channels, height, width).
        size: Root mean square of the pattern.
        generator: Of the patterns.
    """
    if not size:
        return images
    channels, height, width = images.shape[1:]
    shorter = min(height, width)
    grid = [max(1, round(_COARSE * side / shorter)) for side in (height, width)]
    noise = torch.randn(len(images), channels, *grid, generator=generator).to(images.device)
    pattern = F.interpolate(noise, size=(height, width), mode="bilinear", align_corners=False)
    scale = size / pattern.square().mean((1, 2, 3), keepdim=True).sqrt()
    return (images + scale * pattern).clamp(0, 1)


def _jacobians(subject: Subject, images: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives by the pixels of what the logits are linear in, and the factors.

    Returns:
        Shapes (images, outputs, pixels) and (classes, outputs).
    """
    weight, function = subject.weight, subject.features
    if weight is None or subject.classes <= weight.shape[1]:
        weight, function = torch.eye(subject.classes, device=subject.device), subject.logits
    outputs = weight.shape[1]

    def rows(job: tuple[int, int]) -> Tensor:
        image, first = job
        count = min(subject.batch, outputs - first)
        pixels = images[image].expand(count, -1, -1, -1).clone().requires_grad_()
        values = subject.quickly(function, pixels)[:, first : first + count]
        (found,) = torch.autograd.grad(values.diagonal().sum(), pixels)
        return found.flatten(1)

    jobs = [(i, first) for i in range(len(images)) for first in range(0, outputs, subject.batch)]
    return torch.cat(subject.each(rows, jobs)).view(len(images), outputs, -1), weight
