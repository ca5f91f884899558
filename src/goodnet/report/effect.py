"""What a repair did to an attack, told from two intervals and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from goodnet.report.views.words import name

if TYPE_CHECKING:
    from goodnet.report.facts import Tower
    from goodnet.results import Verdict as Finding
    from goodnet.types import Proportion

__all__ = ["TAGS", "Attack", "Effect", "Verdict", "effect", "worst_attack"]

Effect = Literal["absent", "unclear", "stays", "weakened", "little"]

TAGS = {
    "absent": "No backdoor shown",
    "unclear": "Too little to tell",
    "stays": "Backdoor stays",
    "weakened": "Backdoor weakened",
    "little": "Attack rarely succeeds",
    "unknown": "Not known",
    "no_finding": "No backdoor found",
    "suspicious": "Suspicious",
    "backdoored": "Backdoor found",
    "inconclusive": "Inconclusive",
    "removed": "Backdoor taken out",
    "kept": "Backdoor not taken out",
}

LITTLE = 0.1
MOST = 0.5


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees.

    Attributes:
        effect: What became of the attack; "unknown" where nothing poisoned was given. Of a scan:
            its verdict. Of a cure that found something: whether it is taken out.
        tag: The same in two or three words.
        finding: What was found, the first half of a sentence.
        evidence: Its second half: the numbers.
        sure: How sure that is, and what it does not say.
    """

    effect: Effect | Finding | Literal["unknown", "removed", "kept"]
    tag: str
    finding: str
    evidence: str
    sure: str

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{self.finding}: {self.evidence}"


@dataclass(frozen=True)
class Attack:
    """One poisoned set: how often B and B' answer the target, and how often G answers N.

    Attributes:
        name: Of the set.
        before: Attack success rate of B.
        after: Of B'.
        detected: Detection rate of G; None where not known.
        sets: How many sets there are.
    """

    name: str
    before: Proportion
    after: Proportion
    detected: Proportion | None
    sets: int

    @property
    def where(self) -> str:
        """The set, in words that follow "of"."""
        if self.sets == 1:
            return "poisoned images"
        return f"images poisoned with {name(self.name)} (the worst of {self.sets} sets)"

    @property
    def effect(self) -> Effect:
        """What became of it."""
        return effect(self.before, self.after)


def effect(before: Proportion, after: Proportion) -> Effect:
    """Name what happened, as far as the intervals bear it.

    "Surely" is by the whole 95 % interval. "absent": B itself surely answers the target on at most
    1 image in 10; "unclear": that cannot be ruled out. "stays": B' surely answers it on most, or
    not surely less often than B. "little": surely less often than B, and on at most 1 in 10.
    "weakened": surely less often than B, but none of these.

    Example:
        >>> from goodnet.stats import proportion
        >>> effect(proportion(100, 100), proportion(1, 100))
        'little'
        >>> effect(proportion(100, 100), proportion(77, 100))
        'stays'
    """
    if before.high <= LITTLE:
        return "absent"
    if before.low <= LITTLE:
        return "unclear"
    if after.low > MOST or after.high >= before.low:
        return "stays"
    return "little" if after.high <= LITTLE else "weakened"


def worst_attack(
    baseline: Tower | None, repaired: Tower | None, good: Tower | None
) -> Attack | None:
    """The poisoned set on which B' is fooled most; None where there is none."""
    if baseline is None or repaired is None:
        return None
    sets = {
        key: share
        for key, share in repaired.success.items()
        if share.value is not None and key in baseline.success
    }
    if not sets:
        return None
    key = max(sets, key=lambda key: sets[key].value or 0.0)
    detected = good.detected.get(key) if good else None
    return Attack(key, baseline.success[key], sets[key], detected, len(sets))
