"""The gradient of every class's margin by the pixels, at once.

Where the logits are linear in the features, as many backward passes an image as there are features
give the gradients of all classes, however many there are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.scan.subject import Subject

# Cells of the coarse pattern that roughens an image, along its shorter side.
_COARSE = 3


def margin_gradients(subject: Subject, images: Tensor, truth: Tensor, labels: Tensor) -> Tensor:
    """The gradient of (logit of a label - largest logit), averaged over images, for many labels.

    Images of a label's class are left out of its own average.

    Args:
        subject: The network.
        images: Pixels 0..1, shape (images, channels, height, width).
        truth: Their classes, shape (images,).
        labels: Those looked at, shape (labels,).

    Returns:
        Shape (labels, channels, height, width).
    """
    weight = subject.weight
    if weight is None or len(labels) <= weight.shape[1]:
        found = _one_by_one(subject, images, truth, labels)
    else:
        found = _through_features(subject, images, truth, labels, weight)
    counts = (truth[None] != labels[:, None]).sum(1, keepdim=True)
    return (found / counts.clamp_min(1)).view(len(labels), *subject.shape)


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


def _one_by_one(subject: Subject, images: Tensor, truth: Tensor, labels: Tensor) -> Tensor:
    """The sum of the gradients, one backward pass for each image and label."""

    def part(some: Tensor) -> Tensor:
        total = torch.zeros(len(some), math.prod(subject.shape), device=subject.device)
        for image, own in zip(images, truth, strict=True):
            pixels = image.expand(len(some), -1, -1, -1).clone().requires_grad_()
            logits = subject.logits(pixels)
            values = logits.gather(1, some[:, None])[:, 0] - logits.amax(1)
            (slopes,) = torch.autograd.grad((values * (some != own)).sum(), pixels)
            total += slopes.flatten(1)
        return total

    return torch.cat(subject.each(part, torch.split(labels, subject.batch)))


def _through_features(
    subject: Subject, images: Tensor, truth: Tensor, labels: Tensor, weight: Tensor
) -> Tensor:
    """The same where the logits are linear in the features: a pass for each image and feature."""
    leading = weight[subject.all_logits(images).argmax(1)]
    weight, features = weight[labels], weight.shape[1]

    def rows(job: tuple[int, int]) -> Tensor:
        image, first = job
        count = min(subject.batch, features - first)
        pixels = images[image].expand(count, -1, -1, -1).clone().requires_grad_()
        values = subject.features(pixels)[:, first : first + count]
        (found,) = torch.autograd.grad(values.diagonal().sum(), pixels)
        return found.flatten(1)

    jobs = [(i, first) for i in range(len(images)) for first in range(0, features, subject.batch)]
    jacobians = torch.cat(subject.each(rows, jobs)).view(len(images), features, -1)
    total = weight @ jacobians.sum(0) - torch.einsum("if,ifp->p", leading, jacobians)
    for jacobian, best, own in zip(jacobians, leading, truth, strict=True):
        place = (labels == own).nonzero()[:, 0]
        total[place] -= (weight[place] - best) @ jacobian
    return total
