"""What every repair method returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from goodnet.notebook import html_table

if TYPE_CHECKING:
    from goodnet.network import Network
    from goodnet.results import EpochResult
    from goodnet.types import Proportion, PruneCurve

Result = TypeVar("Result", bound="RepairResult")


@dataclass(frozen=True)
class RepairResult:
    """A repaired network and a record of the repair.

    Attributes:
        method: The name of the method.
        network: B'. It has the layers of B, and those that a cure adds.
        before: Accuracy of B on the clean images held back.
        after: Accuracy of B' on them.
        epochs: Loss and accuracy of each epoch; empty for a method that does not train.
        chosen: The epoch B' is from, counted from 1; 0 if it was not trained.
        notes: What a user should know, a sentence each.
        details: What the method itself reports, plain data.
        seconds: How long it took.
        peak_memory: Peak memory of the process in bytes; None where the system does not report it.
        curve: Clean accuracy as channels were silenced, for a method that prunes.
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
    curve: PruneCurve | None = None

    def __str__(self) -> str:
        """One line: the method, and the accuracy before and after on the images held back."""
        return (
            f"{self.method}: {self.before} percent of {self.judged} before, {self.after} after; "
            f"{self.seconds:.1f} s"
        )

    def _repr_html_(self) -> str:
        header = (f"accuracy on {self.judged}", "percent, 95 % interval")
        rows = [("before", self.before), ("after", self.after)]
        return html_table(f"{self.method}, {self.seconds:.1f} s", header, rows, self.notes)

    @property
    def judged(self) -> str:
        """The images that `before` and `after` are of, in words: pruning holds none back."""
        return f"{self.before.total} clean images{'' if self.curve else ' held back'}"

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
