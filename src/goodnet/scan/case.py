"""The network under scan with the images a scanner may look at, known to be usable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from goodnet.scan.invent import find_preprocessing, invent
from goodnet.scan.margins import margins
from goodnet.scan.result import RecoveredTrigger
from goodnet.scan.subject import Subject
from goodnet.stats import proportion

if TYPE_CHECKING:
    from goodnet.imagesets import Block, ImageSet
    from goodnet.network import Network
    from goodnet.scan.families import Stamp

# Most clean images that are held and looked at; the rest of a larger set would add little.
_MOST = 200
# So few cannot be parted; so small a share answered right means that the images do not fit.
_FEWEST, _LEAST_RIGHT = 4, 0.5
# A pixel counts as changed from here on, in units of the pixel range.
_SEEN = 1 / 255


@dataclass(frozen=True, eq=False)
class Shown:
    """Clean images a scanner may look at.

    Attributes:
        images: Pixels 0..1, shape (images, channels, height, width).
        truth: Their classes, shape (images,).
    """

    images: Tensor
    truth: Tensor

    def __len__(self) -> int:
        return len(self.truth)

    def others(self, labels: Tensor, order: Tensor, count: int) -> Tensor:
        """For each label the first images, in some order, that are not of its class.

        Args:
            labels: Shape (labels,).
            order: Which images come first, shape (images,).
            count: How many at most.

        Returns:
            Places of images, shape (labels, count); where there are too few of other classes those
            of the label's own follow.
        """
        own = self.truth[order][None] == labels[:, None]
        first = own.to(torch.int8).argsort(dim=1, stable=True)[:, :count]
        return order[first]

    def __getitem__(self, rows: Tensor | slice) -> Shown:
        return Shown(self.images[rows], self.truth[rows])


@dataclass(frozen=True, eq=False)
class Case:
    """A network under scan with its images, known to be usable.

    Attributes:
        subject: The network.
        search: Images to search on.
        judge: Others, never searched on; the same where there are too few to part.
        invented: Whether the images were made here, for want of clean ones.
        failure: Why nothing can be measured; "" where it can.
        notes: What a user should know, a sentence each.
    """

    subject: Subject
    search: Shown
    judge: Shown
    invented: bool = False
    failure: str = ""
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> tuple[int, int]:
        """Images to search on, and others to judge by."""
        return len(self.search), 0 if self.search is self.judge else len(self.judge)

    @property
    def everything(self) -> Shown:
        """All images."""
        if self.search is self.judge:
            return self.search
        pairs = (self.search, self.judge)
        return Shown(
            torch.cat([each.images for each in pairs]), torch.cat([each.truth for each in pairs])
        )

    def recovered(self, stamp: Stamp, label: int, *, family: str) -> RecoveredTrigger:
        """A trigger with what it does to images that were never searched on.

        Args:
            stamp: One trigger.
            label: What it leads to; images of this class are left out.
            family: How triggers look in the family it is of.
        """
        others = self.judge.truth != label
        images = self.judge.images[others] if others.any() else self.judge.images
        stamped = stamp.on(images)[0]
        values = margins(
            self.subject.all_logits(stamped), torch.tensor(label, device=images.device)
        )
        change = stamped - images
        return RecoveredTrigger(
            family=family,
            mask=None if stamp.mask is None else stamp.mask[0, 0].cpu().numpy(),
            added=stamp.added[0].cpu().numpy(),
            margin=float(values.mean()),
            success=proportion(int((values[: others.sum()] > 0).sum()), int(others.sum())),
            changed=float(change.square().mean().sqrt()),
            area=float((change.abs().amax(1) > _SEEN).float().mean()),
        )


def open_case(
    network: Network,
    images: ImageSet | None,
    *,
    layer: str | None,
    generator: torch.Generator,
) -> Case:
    """Look at a network and its clean images, and part them in two halves.

    Args:
        network: The suspect.
        images: Clean and labelled, known to fit; None to make them from the network.
        layer: The layer whose value are the features; None for what feeds the last linear layer.
        generator: Of all that is random.

    Raises:
        InvalidInput: If the network takes no images, or has no such layer.
    """
    if images is None:
        network = find_preprocessing(network)
    subject = Subject.of(network, layer=layer)
    shown = Shown(*invent(subject, generator)) if images is None else _read(subject, images)
    notes = (_invented(network),) if images is None else ()
    failure = _failure(subject, shown, labelled=images is not None)
    if len(shown) < _FEWEST:
        return Case(subject, shown, shown, images is None, failure, notes)
    order = torch.randperm(len(shown), generator=generator).to(subject.device)
    half = math.ceil(len(shown) / 2)
    search, judge = shown[order[:half]], shown[order[half:]]
    return Case(subject, search, judge, images is None, failure, notes)


def _read(subject: Subject, images: ImageSet) -> Shown:
    """At most so many images, spread evenly over the set, as pixels 0..1."""
    block = images.sample(_MOST)
    return Shown(pixels_of(subject, block), torch.from_numpy(block.labels).to(subject.device))


def pixels_of(subject: Subject, block: Block) -> Tensor:
    """Images of a set as pixels 0..1."""
    return torch.from_numpy(block.images).to(subject.device).clamp(0, 1)


def _invented(network: Network) -> str:
    low, high = network.preprocessing.ends
    return (
        "no clean images were given: some were made from the network itself, for pixels from "
        f"{low:g} to {high:g}; the result is less certain"
    )


def _failure(subject: Subject, shown: Shown, *, labelled: bool) -> str:
    """What makes a network with these images unusable; "" where nothing does."""
    logits = subject.all_logits(shown.images)
    if not torch.isfinite(logits).all():
        return "the network's outputs are not finite numbers on these images"
    if len(shown) > 1 and (logits == logits[:1]).all():
        return "the network gives the same outputs whatever the image"
    right = int((margins(logits, shown.truth.clamp_min(0)) > 0).sum())
    if labelled and right < _LEAST_RIGHT * len(shown):
        return (
            f"the network answers only {right} of {len(shown)} clean images as they are labelled; "
            "they are mislabelled, at the wrong scale or not what it was trained for"
        )
    return ""
