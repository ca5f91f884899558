"""What every way of repairing takes beside its own parameters, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from goodnet.errors import UsageError
from goodnet.progress import Stage, unseen

if TYPE_CHECKING:
    from goodnet.network import Network
    from goodnet.types import Proportion

__all__ = ["EpochResult", "Repair", "Settings"]

Result = TypeVar("Result", bound="Repair")


@dataclass(frozen=True)
class Settings:
    """How a repair is run; what a method leaves open it decides by the number of images.

    Attributes:
        epochs: At most so many times each image is seen; None for the method's own choice.
        learning_rate: The highest step size; None for the method's own choice.
        batch_size: Images per step.
        held_back: Share of the clean images that are not trained on: they decide when to stop,
            and the accuracy that is promised.
        tolerance: Percentage points of accuracy on the images held back that a repair may cost; if
            training costs more, methods that know a gentler one try it.
        seed: Same seed, same result.
        checkpoint: A file to go on from after an interruption; remove it when done.
        stage: Shows the progress of each stage of the work, such as `goodnet.cli` does.

    Raises:
        UsageError: If a number is outside its range.
    """

    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 64
    held_back: float = 0.2
    tolerance: float = 3.0
    seed: int = 0
    checkpoint: Path | None = None
    stage: Stage = unseen

    def __post_init__(self) -> None:
        if not 0 < self.held_back < 1:
            raise UsageError(
                f"expected a share of images to hold back between 0 and 1, got {self.held_back}"
            )
        if not 0 <= self.tolerance < 100:
            raise UsageError(
                f"expected a tolerance from 0 to 100 percentage points, got {self.tolerance:g}"
            )
        # Said here, not after the images were read.
        from goodnet.training import Schedule

        epochs = 1 if self.epochs is None else self.epochs
        rate = 1.0 if self.learning_rate is None else self.learning_rate
        Schedule(epochs, self.batch_size, rate, self.seed)


@dataclass(frozen=True)
class EpochResult:
    """One epoch of training.

    Attributes:
        loss: Mean over the images trained on.
        accuracy: On the images held back.
    """

    loss: float
    accuracy: Proportion


@dataclass(frozen=True)
class Repair:
    """A repaired network and how it came about.

    Attributes:
        method: The name of the method.
        network: B'. It comes from the same layers as B; only numbers differ.
        before: Accuracy of B on the clean images held back.
        after: Accuracy of B' on them.
        epochs: What happened, epoch by epoch; empty for a method that does not train.
        chosen: The epoch B' is from, counted from 1; 0 if it was not trained.
        notes: What a user should know, a sentence each.
        details: What the method itself has to say, plain data.
        seconds: How long it took.
        peak_memory: The most this process ever held, bytes; None where the system does not say.
    """

    method: str
    network: Network
    before: Proportion
    after: Proportion
    epochs: tuple[EpochResult, ...] = ()
    chosen: int = 0
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory: int | None = None

    @property
    def cost(self) -> float:
        """Accuracy lost on the images held back, percentage points."""
        return 100 * (self.before.count - self.after.count) / self.before.total

    def with_warning(self: Result, tolerance: float) -> Result:
        """The same with a note if it costs more than is tolerated, percentage points."""
        if self.cost <= tolerance:
            return self
        note = (
            f"the repair costs {self.cost:.1f} points of accuracy on the clean images held back, "
            f"more than the {tolerance:g} tolerated; another method may do better"
        )
        return replace(self, notes=(*self.notes, note))
