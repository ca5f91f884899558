"""What training is told beside the images: how long, how fast, and which numbers stay."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import UsageError
from goodnet.formats.silence import silence
from goodnet.options import Checked

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec


_WARM_UP = 0.2
_MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """How a repair trains; options that are None are chosen by the number of images.

    Attributes:
        epochs: Maximum number of training epochs; None for the method's own choice.
        lr: Highest learning rate; None for the method's own choice.
        batch_size: Images per training step.
        held_back: Share of the clean images to hold back for validation, 0..1.
        tolerance: Accuracy on the images held back that training may cost, in percentage points;
            above it a gentler training is tried, if the method has one.
        seed: Seed of the random numbers.

    Raises:
        UsageError: If a number is outside its range.
    """

    epochs: int | None = None
    lr: float | None = None
    batch_size: int = 64
    held_back: float = 0.2
    tolerance: float = 3.0
    seed: int = 0

    def _check(self) -> None:
        if not 0 < self.held_back < 1:
            raise UsageError(
                f"expected a share of images to hold back between 0 and 1, got {self.held_back}"
            )
        if not 0 <= self.tolerance < 100:
            raise UsageError(
                f"expected a tolerance from 0 to 100 percentage points, got {self.tolerance:g}"
            )
        # Said here, not after the images were read.
        self.schedule(epochs=1, lr=1.0)

    def schedule(self, *, epochs: int, lr: float) -> Schedule:
        """A schedule: as is said here, or else so long and so fast."""
        chosen = epochs if self.epochs is None else self.epochs
        rate = lr if self.lr is None else self.lr
        return Schedule(chosen, self.batch_size, rate, self.seed)


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
        if self.epochs > _MOST_EPOCHS:
            raise UsageError(f"expected at most {_MOST_EPOCHS:,} epochs, got {self.epochs:,}")
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


# By array: true where the number stays as it is. Arrays that are not named are trained.
Frozen = Mapping[str, NDArray[np.bool_]]


def silent_numbers(spec: NetworkSpec, layer: str, channels: Iterable[int]) -> Frozen:
    """The numbers that silence channels of a layer: held at zero, the channels stay silent.

    Raises:
        InvalidInput: If there is no such layer or channel.
    """
    ones = spec.with_arrays({key: np.ones_like(array) for key, array in spec.arrays.items()})
    changed = silence(ones, layer, channels)
    return {key: np.equal(array, 0) for key, array in changed.items()}
