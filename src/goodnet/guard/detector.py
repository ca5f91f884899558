"""What every detector of stamped inputs is: fitted on clean images, it scores others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.network import check_pair, map_blocks
from goodnet.options import Checked
from goodnet.progress import Stage, no_progress
from goodnet.stats import conformal_limit

if TYPE_CHECKING:
    from goodnet.imagesets import Block, ImageSet
    from goodnet.network import Network

Scores = NDArray[np.float32]

# Images that a detector may keep; more would add little.
_MOST = 256


@dataclass(frozen=True)
class Detector(Checked, ABC):
    """A method of telling inputs with a trigger from clean ones; its fields are its options.

    Attributes:
        seed: Seed of the random numbers.

    Example:
        `Strip(overlays=64).fit(network, valid).score(images)` has shape (images,).
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[str] = "clean images"
    # Whether it keeps clean images: those are not used to find its threshold.
    keeps: ClassVar[bool] = False

    seed: int = 0

    @final
    def fit(self, network: Network, images: ImageSet, *, stage: Stage = no_progress) -> Fitted:
        """Measure the scores of clean images.

        Args:
            network: The network whose inputs are screened; it is not changed.
            images: Clean images; labels are not used. A detector that keeps clean images keeps
                every other one, up to 256, and is calibrated on the rest.
            stage: Shows the progress.

        Raises:
            InvalidInput: If the network does not take the images, gives no numbers for some, or
                there are too few.
        """
        check_pair(network, images, labels=False)
        kept = np.arange(0, len(images), 2)[:_MOST] if self.keeps else np.arange(0)
        rest = np.setdiff1d(np.arange(len(images)), kept)
        if not len(rest) or (self.keeps and not len(kept)):
            raise InvalidInput(
                f"{self.name} needs {2 if self.keeps else 1} clean images or more, got "
                f"{len(images)}"
            )
        logits = build(without_softmax(network.spec)).to(network.device)
        reference = images.take(kept).images if len(kept) else np.empty((0, *images.shape), "f4")
        fitted = Fitted(self, logits, torch.from_numpy(reference), np.empty(0, np.float32))
        found = []
        with stage(len(rest), "clean images") as advance:
            for start in range(0, len(rest), network.block_size):
                block = images.take(rest[start : start + network.block_size])
                found.append(fitted.score_block(block))
                advance(len(block.labels))
        readings = np.concatenate(found)
        if np.isposinf(readings).any():
            raise InvalidInput(
                f"{int(np.isposinf(readings).sum())} of {len(readings)} clean images of "
                f"{images.name} have no finite score; the network's outputs on them are not numbers"
            )
        return Fitted(self, logits, fitted.reference, readings)

    @abstractmethod
    def _score(self, network: Network, images: Tensor, reference: Tensor) -> Tensor:
        """How suspicious images are.

        Args:
            network: Gives logits (batch, classes).
            images: Shape (batch, channels, height, width), 0..1, on the CPU.
            reference: Clean images that were kept, likewise.

        Returns:
            Shape (batch,), higher = more suspicious.
        """


@dataclass(frozen=True, eq=False)
class Fitted:
    """A detector fitted on clean images.

    Attributes:
        detector: The detector.
        network: The network up to its logits.
        reference: Clean images that it keeps, shape (n, channels, height, width).
        readings: Scores of clean images that it does not keep, shape (m,).
    """

    detector: Detector
    network: Network
    reference: Tensor
    readings: Scores

    def score(self, images: ImageSet) -> Scores:
        """How suspicious each image of a set is, shape (images,); higher = more suspicious.

        Raises:
            InvalidInput: If the network does not take such images.
        """
        check_pair(self.network, images, labels=False)
        blocks = images.blocks(self.network.block_size)
        found = list(map_blocks(self.score_block, blocks, self.network.device))
        return np.concatenate(found) if found else np.empty(0, np.float32)

    def score_block(self, block: Block) -> Scores:
        """The same of images that are in memory; infinite where outputs are no numbers."""
        found = self.detector._score(self.network, torch.from_numpy(block.images), self.reference)
        scores = found.cpu().numpy().astype(np.float32)
        # A network that gives no number for an image has been made to.
        scores[np.isnan(scores)] = np.inf
        return scores

    def threshold(self, rate: float) -> tuple[float, float]:
        """The score that clean images exceed no more often than a rate.

        Args:
            rate: Rate of false alarms, 0..1.

        Returns:
            The threshold, and the rate that it guarantees, which is larger if there are few clean
            images: see `goodnet.stats.conformal_limit`.

        Raises:
            UsageError: If the rate is not between 0 and 1.
        """
        if not 0 < rate < 1:
            raise UsageError(f"expected a rate of false alarms between 0 and 1, got {rate:g}")
        return conformal_limit(self.readings.tolist(), rate)
