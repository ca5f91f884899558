"""Confidence of a prediction: the baseline for every other detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.guard.detector import Detector

if TYPE_CHECKING:
    from torch import Tensor

    from goodnet.network import Network


@dataclass(frozen=True)
class Confidence(Detector):
    """Suspect predictions of high confidence, as triggers often cause.

    References:
        Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks, ICLR 2017. There low confidence is suspicious, here high
        confidence; log-odds give the same order and distinguish values that round to 1.
    """

    name = "confidence"
    summary = "suspect predictions of high confidence"
    paper = "after Hendrycks, Gimpel, ICLR 2017, reversed"

    def _score(self, network: Network, images: Tensor, reference: Tensor) -> Tensor:
        del reference
        return log_odds(network.outputs(images.numpy()))


def log_odds(logits: Tensor) -> Tensor:
    """Logarithm of the odds of the answer: p / (1 - p) for the largest of a softmax.

    Args:
        logits: Shape (batch, classes), of two classes or more.

    Returns:
        Shape (batch,), float64.

    Example:
        >>> import torch
        >>> log_odds(torch.tensor([[3.0, 1.0], [0.0, 0.0]])).tolist()
        [2.0, 0.0]
    """
    best, *_ = logits.double().sort(1, descending=True)
    return best[:, 0] - best[:, 1:].logsumexp(1)
