"""The smallest mask and pattern that lead images to a label, as Neural Cleanse looks for them.

x' = (1 - mask) x + mask * pattern, one mask and pattern a label, many labels at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from goodnet.scan.families import Stamp
from goodnet.scan.outliers import above
from goodnet.scan.result import Target

if TYPE_CHECKING:
    from goodnet.progress import ProgressCallback
    from goodnet.scan.case import Case, Shown
    from goodnet.scan.result import Floats
    from goodnet.scan.subject import Subject

# Of Adam, and of the price of a mask, as in the authors' code.
_RATE, _BETAS = 0.1, (0.5, 0.9)
_PRICE, _DEARER, _CHEAPER = 1e-3, 2.0, 2.0**-1.5
# Steps in a row that succeed, or fail, before the price changes.
_PATIENCE = 5
# Keeps the start away from where tanh has no slope.
_EDGE = 0.02


@dataclass(frozen=True)
class SearchOptions:
    """How masks are shrunk.

    Attributes:
        steps: Of Adam.
        images: To look at in each.
        success: Share of them that has to be answered with the label, 0..1.
    """

    steps: int
    images: int
    success: float


@dataclass(frozen=True, eq=False)
class Masks:
    """A mask and a pattern for each of some labels, on their way.

    Attributes:
        labels: Shape (labels,).
        free: What moves: mask, then pattern, each before its tanh, shape (labels, 1 + channels,
            height, width).
        price: Of a pixel of the mask, in units of cross entropy, shape (labels,).
        best: What moves as it was when the mask that succeeded was smallest, shaped as `free`.
        norms: L1 norm of that mask, in pixels, shape (labels,); infinite before a first success.
        entropy: Cross entropy at the last step, shape (labels,).
    """

    labels: Tensor
    free: Tensor
    price: Tensor
    best: Tensor
    norms: Tensor
    entropy: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor | slice) -> Masks:
        return Masks(*(getattr(self, part.name)[rows] for part in fields(self)))

    @classmethod
    def join(cls, parts: Sequence[Masks]) -> Masks:
        """All of them in one."""
        names = [part.name for part in fields(cls)]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    @property
    def stamp(self) -> Stamp:
        """The best of each label, or where there was no success the last."""
        return _stamp(self._chosen)

    @property
    def sizes(self) -> Tensor:
        """L1 norms of the masks of `stamp`, in pixels, shape (labels,)."""
        return _size(self._chosen)

    @property
    def _chosen(self) -> Tensor:
        found = torch.isfinite(self.norms)[:, None, None, None]
        return torch.where(found, self.best, self.free)


def begin(subject: Subject, generator: torch.Generator) -> Masks:
    """The same random mask and pattern for all labels."""
    channels, height, width = subject.shape
    random = torch.rand(1 + channels, height, width, generator=generator)
    free = torch.atanh((2 * random - 1) * (1 - _EDGE)).to(subject.device)
    count = subject.classes
    start = free.expand(count, -1, -1, -1)
    never = torch.full((count,), math.inf, device=subject.device)
    labels = torch.arange(count, device=subject.device)
    return Masks(labels, start, torch.zeros_like(never), start, never, never)


def shrink(
    case: Case,
    masks: Masks,
    options: SearchOptions,
    *,
    generator: torch.Generator,
    advance: ProgressCallback = lambda _done: None,
) -> Masks:
    """Take all masks so many steps on.

    Args:
        case: The network, and images to search on; each label sees those of other classes.
        masks: Where they are.
        options: Of the search.
        generator: Decides which images each step looks at.
        advance: Told of each label that is done.
    """
    subject, shown = case.subject, case.search
    orders = [
        torch.randperm(len(shown), generator=generator).to(subject.device)
        for _ in range(options.steps)
    ]

    def part(some: Masks) -> Masks:
        done = _descend(subject, some, shown, orders, options)
        advance(len(some))
        return done

    share = math.ceil(len(masks) / torch.get_num_threads())
    size = max(1, min(subject.batch // options.images, share))
    jobs = [masks[start : start + size] for start in range(0, len(masks), size)]
    return Masks.join(subject.each(part, jobs))


def targets(case: Case, masks: Masks, scores: Floats, threshold: float) -> tuple[Target, ...]:
    """The labels with a score above the threshold, with their triggers.

    Args:
        case: The network, and images to judge by that were never searched on.
        masks: Of all labels in their order.
        scores: Of all labels, shape (classes,).
        threshold: See `ScanResult`.
    """
    stamp = masks.stamp
    return tuple(
        Target(
            label,
            float(scores[label]),
            trigger=case.recovered(stamp[label : label + 1], label, family="mask and pattern"),
        )
        for label in above(scores, threshold)
    )


def _descend(
    subject: Subject, masks: Masks, shown: Shown, orders: Sequence[Tensor], options: SearchOptions
) -> Masks:
    labels, price, best = masks.labels, masks.price, masks.best
    norms, entropy = masks.norms, masks.entropy
    variable = masks.free.clone().requires_grad_()
    adam = torch.optim.Adam([variable], lr=_RATE, betas=_BETAS)
    good_for = bad_for = torch.zeros_like(price)
    for order in orders:
        images = shown.images[shown.others(labels, order, options.images)]
        stamped = _stamp(variable).on(images)
        logits = subject.logits(stamped.flatten(0, 1)).view(*images.shape[:2], -1)
        wanted = labels[:, None].expand(images.shape[:2])
        loss = F.cross_entropy(logits.transpose(1, 2), wanted, reduction="none").mean(1)
        size = _size(variable)
        (variable.grad,) = torch.autograd.grad((loss + price * size).sum(), variable)
        entropy, size = loss.detach(), size.detach()
        good = (logits.argmax(2) == wanted).double().mean(1) >= options.success
        better = good & (size < norms)
        best = torch.where(better[:, None, None, None], variable.detach(), best)
        norms = torch.where(better, size, norms)
        good_for = torch.where(good, good_for + 1, 0)
        bad_for = torch.where(good, 0, bad_for + 1)
        price = _new_price(price, good_for, bad_for)
        good_for, bad_for = good_for % _PATIENCE, bad_for % _PATIENCE
        adam.step()
    return Masks(labels, variable.detach(), price, best, norms, entropy)


def _new_price(price: Tensor, good_for: Tensor, bad_for: Tensor) -> Tensor:
    """Dearer where a label has long succeeded, cheaper where it has long failed."""
    dearer = torch.where(price > 0, _DEARER * price, _PRICE)
    price = torch.where(good_for == _PATIENCE, dearer, price)
    return torch.where(bad_for == _PATIENCE, _CHEAPER * price, price)


def _stamp(free: Tensor) -> Stamp:
    values = (torch.tanh(free) + 1) / 2
    mask = values[:, :1]
    return Stamp(mask, mask * values[:, 1:])


def _size(free: Tensor) -> Tensor:
    """The L1 norm of each mask, in pixels."""
    mask = (torch.tanh(free[:, 0]) + 1) / 2
    return mask.sum((1, 2))
