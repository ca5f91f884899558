"""The numbers at the top of a report, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.effect import Attack, worst_attack
from goodnet.report.measured import clean_shares
from goodnet.report.views.words import amount, name

if TYPE_CHECKING:
    from goodnet.report.facts import Run, Trial
    from goodnet.types import Proportion

__all__ = ["KeyFigure", "key_figures"]


@dataclass(frozen=True)
class KeyFigure:
    """One of the numbers at the top.

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
    if run.shown is None:
        return ()
    trial = run.trials[run.shown]
    baseline = run.baseline or run.baselines.get(trial.model)
    attack = worst_attack(baseline, trial.repaired, trial.guarded)
    return (*_clean_figures(run, trial), *_poisoned_figures(attack), *_alarms(trial))


def _clean_figures(run: Run, trial: Trial) -> tuple[KeyFigure, ...]:
    before, after, where = clean_shares(run, trial)
    if before is None or after is None:
        return ()
    hint = f"of {amount(after.total)} {where}; high is good"
    return (KeyFigure("Clean accuracy", before, after, hint, ("B", "B'")),)


def _poisoned_figures(attack: Attack | None) -> tuple[KeyFigure, ...]:
    if attack is None:
        return ()
    of = f"of {amount(attack.after.total)} {_set_in_short(attack)}"
    success = KeyFigure(
        "Attack success (ASR)", attack.before, attack.after, f"{of}; low is good", ("B", "B'")
    )
    if attack.detected is None:
        return (success,)
    detected = KeyFigure("Detected by G", None, attack.detected, f"{of}; high is good", ("", "G"))
    return success, detected


def _alarms(trial: Trial) -> tuple[KeyFigure, ...]:
    alarms = trial.guarded.false_alarms if trial.guarded else None
    if alarms is None:
        return ()
    hint = f"of {amount(alarms.total)} clean images; low is good"
    return (KeyFigure("False alarms of G", None, alarms, hint, ("", "G")),)


def _set_in_short(attack: Attack) -> str:
    if attack.sets == 1:
        return "poisoned images"
    return f"images of {name(attack.name, 40)}, the worst of {attack.sets} sets"
