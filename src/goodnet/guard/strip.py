"""STRIP: a prediction that stays the same whatever is blended in is due to a trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from goodnet.errors import UsageError
from goodnet.guard.detector import Detector

if TYPE_CHECKING:
    from goodnet.network import Network


@dataclass(frozen=True)
class Strip(Detector):
    """Blend clean images into an input and measure the entropy of the predictions.

    Attributes:
        overlays: Number of clean images blended into each input, at least 1.
        weight: Weight of the clean image in the blend, between 0 and 1.

    Raises:
        UsageError: If an option is out of range.

    References:
        Gao et al., STRIP: A Defence Against Trojan Attacks on Deep Neural Networks, ACSAC 2019.
        There the two images are added and clipped; here they are blended, so that no pixel is lost.
    """

    name = "strip"
    summary = "suspect predictions that do not vary when clean images are blended in"
    paper = "Gao et al., ACSAC 2019"
    keeps = True

    overlays: int = 64
    weight: float = 0.5

    def _check(self) -> None:
        if self.overlays < 1:
            raise UsageError(f"strip needs overlays of at least 1, got {self.overlays}")
        if not 0 < self.weight < 1:
            raise UsageError(f"strip needs weight between 0 and 1, got {self.weight:g}")

    def _score(self, network: Network, images: Tensor, reference: Tensor) -> Tensor:
        """Minus the mean entropy of the predictions, in nats."""
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(reference), generator=generator)[: self.overlays]
        overlays = self.weight * reference[chosen]
        found = [
            entropy(network.outputs(((1 - self.weight) * image + overlays).numpy())).mean()
            for image in images
        ]
        return -torch.stack(found)


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the answers, in nats.

    Args:
        logits: Shape (batch, classes).

    Returns:
        Shape (batch,), float64, 0 for a certain answer.
    """
    logs = logits.double().log_softmax(1)
    return -(logs.exp() * logs).sum(1)
