"""What the numbers of a run bear: what became of an attack, at what price, how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from goodnet.report.words import amount, name

if TYPE_CHECKING:
    from goodnet.report.facts import Run, Trial
    from goodnet.results import PruneDrop, Rates
    from goodnet.types import Proportion

Effect = Literal["absent", "unclear", "stays", "weakened", "little"]

_LITTLE, _MOST = 0.1, 0.5


def effect(before: Proportion, after: Proportion) -> Effect:
    """Name what happened to an attack, as far as two intervals bear it.

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
    if before.high <= _LITTLE:
        return "absent"
    if before.low <= _LITTLE:
        return "unclear"
    if after.low > _MOST or after.high >= before.low:
        return "stays"
    return "little" if after.high <= _LITTLE else "weakened"


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


def shown_trial(run: Run) -> Trial | None:
    """The trial that the first numbers are of."""
    return run.trials[run.shown] if run.shown is not None else None


def baseline_of(run: Run, trial: Trial) -> Rates | None:
    """B, of which the trial is."""
    return run.baseline or run.baselines.get(trial.model)


def networks_of(run: Run, trial: Trial) -> dict[str, Rates]:
    """B where there is one, B' and G, as far as they could be made."""
    networks = {"B": baseline_of(run, trial), "B'": trial.repaired, "G": trial.guarded}
    return {name: rates for name, rates in networks.items() if rates}


def drop_of(run: Run, trial: Trial | None) -> PruneDrop | None:
    """The allowed drop that a trial of a pruning is for."""
    drops = run.curve.drops if run.curve and trial else ()
    return next((drop for drop in drops if trial and f"X = {drop.drop:g}" == trial.name), None)


def worst_attack(run: Run, trial: Trial | None) -> Attack | None:
    """The poisoned set on which B' is fooled most; None where there is none."""
    before = baseline_of(run, trial) if trial else None
    if trial is None or before is None or trial.repaired is None:
        return None
    fooled, after = before.backdoor, trial.repaired.backdoor
    sets = {k: v.value for k, v in after.items() if v.value is not None and k in fooled}
    if not sets:
        return None
    key = max(sets, key=sets.__getitem__)
    detected = trial.guarded.detected.get(key) if trial.guarded else None
    return Attack(key, fooled[key], after[key], detected, len(sets))


def targets(run: Run) -> dict[str, int]:
    """The attacker's target of each poisoned set, as far as its pictures agree on one."""
    labels: dict[str, set[int]] = {}
    for picture in run.pictures:
        labels.setdefault(picture.set, set()).add(picture.label)
    return {key: found.pop() for key, found in labels.items() if len(found) == 1 and key != "clean"}


def clean_shares(run: Run, trial: Trial) -> tuple[Proportion | None, Proportion | None, str]:
    """Clean accuracy of B and of B' and the set it is of: test, or else validation."""
    baseline, repaired = baseline_of(run, trial), trial.repaired
    if baseline and baseline.test and repaired and repaired.test:
        return baseline.test, repaired.test, "clean test images"
    drop = drop_of(run, trial)
    if run.curve is None or drop is None or drop.channels_pruned is None:
        return None, None, ""
    accuracy = run.curve.accuracy
    return (
        accuracy[0],
        accuracy[drop.channels_pruned],
        "clean validation images, by which X was found",
    )


@dataclass(frozen=True)
class KeyFigure:
    """One of the numbers at the top of a report, with its interval.

    Attributes:
        label: What it is.
        before: Of B; None where there is no such number for B.
        after: Of B' or G.
        hint: On what it was counted, and which way is good.
        names: What before and after are of.
    """

    label: str
    before: Proportion | None
    after: Proportion
    hint: str
    names: tuple[str, str]


def key_figures(run: Run) -> tuple[KeyFigure, ...]:
    """Clean accuracy and attack success before and after, detection and false alarms of G."""
    trial = shown_trial(run)
    if trial is None:
        return ()
    figures = []
    before, after, where = clean_shares(run, trial)
    if before and after:
        hint = f"of {amount(after.total)} {where}; high is good"
        figures.append(KeyFigure("Clean accuracy", before, after, hint, ("B", "B'")))
    if attack := worst_attack(run, trial):
        sets = f"images of {name(attack.name, 40)}, the worst of {attack.sets} sets"
        of = f"of {amount(attack.after.total)} {'poisoned images' if attack.sets == 1 else sets}"
        rates = attack.before, attack.after, f"{of}; low is good"
        figures.append(KeyFigure("Attack success (ASR)", *rates, ("B", "B'")))
        if attack.detected:
            found = attack.detected, f"{of}; high is good"
            figures.append(KeyFigure("Detected by G", None, *found, ("", "G")))
    if trial.guarded and (alarms := trial.guarded.false_alarms):
        hint = f"of {amount(alarms.total)} clean images; low is good"
        figures.append(KeyFigure("False alarms of G", None, alarms, hint, ("", "G")))
    return tuple(figures)
