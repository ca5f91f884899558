"""The frozen values that pass between rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from operator import index
from typing import Literal, SupportsIndex, final

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.notebook import html_table

Integers = NDArray[np.int64]
Order = Literal["ascending", "descending", "given"]

_CONFIDENCE = 0.95


@final
class Proportion:
    """A share `count / total` with its 95 % Clopper-Pearson interval, all in 0..1.

    With a total of 0 the value is None and the interval 0..1. It is a value: equal where count and
    total are, and never changed.

    Args:
        count: How many did.
        total: Out of how many.

    Raises:
        InvalidInput: If `count` is not in 0..total.
    """

    __slots__ = ("count", "total")

    count: int
    total: int

    def __init__(self, count: SupportsIndex, total: SupportsIndex) -> None:
        count, total = index(count), index(total)
        if not 0 <= count <= total:
            raise InvalidInput(f"expected a count from 0 to the total {total}, got {count}")
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "total", total)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a proportion is never changed, make another: {name}")

    @property
    def value(self) -> float | None:
        """The share; None where there was nothing to count."""
        return self.count / self.total if self.total else None

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return _lower(self.count, self.total)

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return 1.0 - _lower(self.total - self.count, self.total)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Proportion):
            return NotImplemented
        return (self.count, self.total) == (other.count, other.total)

    def __hash__(self) -> int:
        return hash((self.count, self.total))

    def __reduce__(self) -> tuple[type[Proportion], tuple[int, int]]:
        return Proportion, (self.count, self.total)

    def __repr__(self) -> str:
        return f"proportion({self.count}, {self.total})"

    def __str__(self) -> str:
        """In percent: "98.33 [91.1, 100.0]"; "-" where there was nothing to count."""
        if self.value is None:
            return "-"
        return f"{100 * self.value:.2f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def to_dict(self) -> dict[str, float | None]:
        """Plain data for `results.json`."""
        return {name: getattr(self, name) for name in ("value", "low", "high", "count", "total")}


@cache
def _lower(count: int, total: int) -> float:
    """The smallest share for which seeing `count` or more is not yet too rare."""
    if count == 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(count, total - count + 1, (1.0 - _CONFIDENCE) / 2))


@dataclass(frozen=True)
class PruneCurve:
    """What silencing the channels of one layer, one after another, does.

    Attributes:
        layer: The layer whose channels are silenced.
        order: "ascending", "descending" or "given".
        channels: Channels in the order they are silenced, shape (channels,).
        mean_activation: Mean over images and positions of the clean set by channel index,
            shape (channels,), float64.
        active_images: In how many clean images each channel is not zero somewhere, by channel
            index, shape (channels,).
        correct: Clean validation images still answered right with the first k channels silent,
            k = 0 first, shape (channels + 1,).
        total: Clean validation images.
        successes: By backdoor set: poisoned images answered with their target at each k,
            shape (channels + 1,). Never used to choose anything.
        success_totals: By backdoor set: its number of images.
    """

    layer: str
    order: Order
    channels: Integers
    mean_activation: NDArray[np.float64]
    active_images: Integers
    correct: Integers
    total: int
    successes: Mapping[str, Integers] = field(default_factory=dict)
    success_totals: Mapping[str, int] = field(default_factory=dict)

    @property
    def dead_channels(self) -> list[int]:
        """Channels that are zero everywhere on every clean image."""
        return [int(c) for c in np.flatnonzero(self.active_images == 0)]

    def steps_to_drop(self, drop: float) -> int | None:
        """Channels to silence until accuracy is at least `drop` percentage points lower.

        None if it never falls that far. Exact: compared as whole images, not as floats.
        """
        lost = self.correct[0] - self.correct
        reached = np.flatnonzero(lost * 100 >= drop * self.total)
        return int(reached[0]) if reached.size else None

    def with_backdoor(self, name: str, successes: Integers, *, total: int) -> PruneCurve:
        """The same curve with what one poisoned set shows at each step; nothing else changes."""
        return replace(
            self,
            successes={**self.successes, name: successes},
            success_totals={**self.success_totals, name: total},
        )

    def silenced(self, steps: int) -> list[int]:
        """The first `steps` channels in pruning order."""
        return [int(c) for c in self.channels[:steps]]


@dataclass(frozen=True)
class SetResult:
    """What one network answers on one set of images.

    Attributes:
        correct: Answered with the set's label: clean accuracy on a clean set, attack success
            rate on a poisoned one (its label is the target).
        refused: Answered class N ("backdoored"): false alarms on a clean set, detection rate on
            a poisoned one. None for a network that has no class N.
        accepted_correct: Answered with the label among the answers that were not N.
        robust: Answered with the true class although poisoned; None where it is not known.
    """

    correct: Proportion
    refused: Proportion | None = None
    accepted_correct: Proportion | None = None
    robust: Proportion | None = None


@dataclass(frozen=True)
class Evaluation:
    """One network on a clean set and on any number of poisoned sets.

    Attributes:
        network: What to call it in a table: "B", "B'", "G" or a file's name.
        clean: On the clean test set; None where none was given.
        backdoor: On each poisoned set, by name.
    """

    network: str
    clean: SetResult | None
    backdoor: Mapping[str, SetResult] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line, in percent: clean accuracy, then the attack success rate of each set."""
        parts = [f"clean accuracy {self.clean.correct}"] if self.clean else []
        parts += [f"ASR of {name} {result.correct}" for name, result in self.backdoor.items()]
        return f"{self.network}: {', '.join(parts)}"

    def _repr_html_(self) -> str:
        clean, found = self.clean, []
        if clean:
            found = [("clean", "accuracy", clean.correct), ("clean", "false alarms", clean.refused)]
        for name, each in self.backdoor.items():
            found += [(name, "attack success rate", each.correct), (name, "detected", each.refused)]
            found.append((name, "answered with the true class", each.robust))
        rows = [row for row in found if row[2] is not None]
        return html_table(self.network, ("images", "share", "percent, 95 % interval"), rows)
