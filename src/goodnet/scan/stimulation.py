"""Channel stimulation: the label that images get when a single channel is raised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.repair.layers import default_layer
from goodnet.scan.case import Case
from goodnet.scan.outliers import above, far, spread, too_few
from goodnet.scan.result import ScanResult, Target
from goodnet.scan.scanner import Scanner

if TYPE_CHECKING:
    from goodnet.network import Network
    from goodnet.progress import Stage
    from goodnet.scan.subject import Subject

_RULE = (
    "labels are named whose share lies above the median by so many robust standard deviations "
    "(3.5, or more where the classes are many) that of normal shares one would in 5 % of networks"
)


@dataclass(frozen=True)
class ChannelStimulation(Scanner):
    """Raise one channel of the features to its maximum on clean images; which label is predicted?

    The score of a label is the largest share of clean images, over the channels, that get it then
    and did not before. The order of the labels is what it tells, so the verdict is at most
    "suspicious".

    Attributes:
        layer: The layer whose channels are raised; None for the last pooling layer or convolution.

    References:
        The idea is that of Liu et al., ABS: Scanning Neural Networks for Back-doors by Artificial
        Brain Stimulation, CCS 2019. Departures: one value for each channel, no larger than on
        clean images, where they sweep beyond it; no trigger is sought for the channels found; the
        threshold is ours.
    """

    name: ClassVar[str] = "stimulation"
    summary: ClassVar[str] = "find the label that images get when one channel is raised"
    paper: ClassVar[str] = "the idea of Liu et al., CCS 2019"

    def _usual_layer(self, network: Network) -> str | None:
        try:
            layer = default_layer(network)
            return layer if network.cut(layer).values == 1 else None
        except InvalidInput:
            return None

    def _scan(self, case: Case, generator: torch.Generator, stage: Stage) -> ScanResult:  # noqa: ARG002
        subject = case.subject
        images, truth = case.everything.images, case.everything.truth
        scores = _largest_shares(subject, images, truth, stage).cpu().numpy()
        notes = too_few(subject.classes)
        if not subject.layer:
            notes = (*notes, "no layer before the logits could be raised; name one")
        # No share is known better than its standard error on so many images.
        wide = max(spread(scores), 0.5 / math.sqrt(len(images)))
        threshold = float(np.median(scores)) + far(subject.classes) * wide
        labels = [] if notes else above(scores, threshold)
        return ScanResult(
            self.name,
            self.options,
            "inconclusive" if notes else "suspicious" if labels else "no_finding",
            None,
            _RULE,
            scores,
            threshold=threshold,
            targets=tuple(Target(label, float(scores[label])) for label in labels),
            notes=notes,
        )


def _largest_shares(subject: Subject, images: Tensor, truth: Tensor, stage: Stage) -> Tensor:
    """For each label the largest share of images that a channel leads to it, shape (classes,)."""
    features, plain = subject.all_features(images), subject.all_logits(images).argmax(1)
    positions = [axis for axis in range(features.ndim) if axis != 1]
    highest = features.amax(positions)
    labels = torch.arange(subject.classes, device=subject.device)[:, None]
    judged = ((labels != truth) & (labels != plain)).sum(1).clamp_min(1)

    def part(channels: Tensor) -> Tensor:
        raised = features.repeat(len(channels), *[1] * features.ndim)
        for place, channel in enumerate(channels):
            raised[place, :, channel] = highest[channel]
        with torch.inference_mode():
            answers = subject.tail(raised.flatten(0, 1)).argmax(1).view(len(channels), -1)
        won = ((answers != truth) & (answers != plain)).float()
        counts = torch.zeros(len(channels), subject.classes, device=subject.device)
        counts.scatter_add_(1, answers, won)
        advance(len(channels))
        return (counts / judged).amax(0)

    channels = torch.arange(len(highest), device=subject.device)
    with stage(len(channels), "raising channels") as advance:
        parts = subject.each(part, torch.split(channels, max(1, subject.batch // len(images))))
    return torch.stack(parts).amax(0)
