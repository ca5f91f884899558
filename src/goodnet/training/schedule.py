"""How long and how fast a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from goodnet.errors import UsageError

__all__ = ["Schedule"]

_WARM_UP = 0.2


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        epochs: Times each image is seen.
        batch_size: Images per step.
        learning_rate: The highest step size of Adam. One cycle: it rises over the first fifth of
            all steps, then falls along a cosine to nothing.
        seed: Of the order in which images are seen.

    Raises:
        UsageError: If a number is outside its range.

    References:
        Smith & Topin, Super-Convergence, 2018. Departure: Adam's moments are not cycled.
    """

    epochs: int = 7
    batch_size: int = 64
    learning_rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for number, what in ((self.epochs, "epoch"), (self.batch_size, "image per batch")):
            if number < 1:
                raise UsageError(f"expected at least 1 {what}, got {number}")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"expected a learning rate above 0, got {self.learning_rate}")
        if self.seed < 0:
            raise UsageError(f"expected a seed from 0, got {self.seed}")

    def steps_per_epoch(self, images: int) -> int:
        """Steps it takes to see so many images once."""
        return math.ceil(images / self.batch_size)

    def rate(self, step: int, images: int) -> float:
        """The learning rate of a step, counted from 0."""
        done = (step + 1) / (self.epochs * self.steps_per_epoch(images))
        if done <= _WARM_UP:
            return self.learning_rate * done / _WARM_UP
        return (
            self.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
        )
