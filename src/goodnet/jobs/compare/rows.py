"""What a comparison says of each repair: one row, put together from what the repair left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goodnet.stats import proportion
from goodnet.types import Evaluation, Proportion

__all__ = ["Attacked", "Row", "defence_rating", "repaired_row", "untouched_row"]


@dataclass(frozen=True)
class Attacked:
    """What one poisoned set does after a repair.

    Attributes:
        success: Attack success rate of B'.
        robust: Share that B' answers right although poisoned; None where it is not known.
        detected: Share that G takes for backdoored.
        rating: See `defence_rating`.
    """

    success: Proportion
    robust: Proportion | None
    detected: Proportion | None
    rating: float | None


@dataclass(frozen=True)
class Row:
    """What one repair did to one network.

    Attributes:
        model: The name of the network.
        method: What the repair is called; "none" for B itself.
        accuracy: Of B' on the clean test set.
        false_alarms: Of G on it.
        backdoor: By poisoned set.
        seconds: How long it took.
        peak_memory: The most memory held while it ran, bytes.
        folder: Where B' and G are, within the run folder.
        reason: Why there is no B'.
    """

    model: str
    method: str
    accuracy: Proportion | None = None
    false_alarms: Proportion | None = None
    backdoor: Mapping[str, Attacked] = field(default_factory=dict)
    seconds: float | None = None
    peak_memory: int | None = None
    folder: str = ""
    reason: str = ""

    @property
    def rating(self) -> float | None:
        """The mean over the poisoned sets."""
        known = [attack.rating for attack in self.backdoor.values() if attack.rating is not None]
        return sum(known) / len(known) if known else None

    @property
    def order(self) -> tuple[bool, bool, float, float]:
        """Smaller is better: B itself, then what worked by rating and accuracy, then the rest."""
        accuracy = self.accuracy.value if self.accuracy else None
        return self.method != "none", bool(self.reason), -(self.rating or 0), -(accuracy or 0)


def defence_rating(
    *,
    accuracy: tuple[Proportion | None, Proportion | None],
    success: tuple[Proportion | None, Proportion | None],
) -> float | None:
    """DER, the defence effectiveness rating: 1 is a backdoor gone at no cost, 0.5 is no effect.

    `(max(0, drop of success) - max(0, drop of accuracy) + 1) / 2`.

    Args:
        accuracy: On clean images, before and after.
        success: Of the attack, before and after.

    Returns:
        The rating, 0..1; None where a share is not known.

    References:
        Zhu et al., Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization,
        ICCV 2023. There no poisoned image shows the target class; here all that are given count.
    """
    values = [share.value if share else None for share in (*accuracy, *success)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    lost, gained = known[0] - known[1], known[2] - known[3]
    return (max(0.0, gained) - max(0.0, lost) + 1) / 2


def untouched_row(name: str, baseline: Evaluation) -> Row:
    """B itself."""
    sets = {
        key: Attacked(found.correct, found.robust, None, None)
        for key, found in baseline.backdoor.items()
    }
    accuracy = baseline.clean.correct if baseline.clean else None
    return Row(name, "none", accuracy=accuracy, backdoor=sets)


def repaired_row(
    model: str,
    method: str,
    *,
    measured: Mapping[str, Any],
    cost: Mapping[str, Any],
    folder: str,
) -> Row:
    """A repair that worked.

    Args:
        model: The name of the network.
        method: What the repair is called.
        measured: That part of its results.
        cost: Its seconds and peak memory.
        folder: Where it is.
    """
    return Row(
        model,
        method,
        accuracy=_share(measured["repaired"]["test"]),
        false_alarms=_share(measured["goodnet"]["false_alarms"]),
        backdoor={key: _attacked(measured, key) for key in measured["repaired"]["backdoor"]},
        seconds=cost["seconds"],
        peak_memory=cost["peak_memory"],
        folder=folder,
    )


def _attacked(measured: Mapping[str, Any], key: str) -> Attacked:
    before, after, good = (measured[name] for name in ("baseline", "repaired", "goodnet"))
    success = proportion(after["backdoor"][key]["count"], after["backdoor"][key]["total"])
    return Attacked(
        success,
        robust=_share(after.get("robust", {}).get(key)),
        detected=_share(good["detected"].get(key)),
        rating=defence_rating(
            accuracy=(_share(before["test"]), _share(after["test"])),
            success=(_share(before["backdoor"][key]), success),
        ),
    )


def _share(found: Mapping[str, Any] | None) -> Proportion | None:
    return proportion(found["count"], found["total"]) if found else None
