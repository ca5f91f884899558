"""What a user sets of training."""

from __future__ import annotations

from dataclasses import dataclass

from goodnet.errors import UsageError
from goodnet.options import Checked
from goodnet.training.schedule import Schedule

__all__ = ["TrainingConfig"]


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
