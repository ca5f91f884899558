"""What a cure found and what is left, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from goodnet.report.effect import TAGS, Verdict, worst_attack
from goodnet.report.measured import clean_shares
from goodnet.report.scanned import BLIND, judge_scan
from goodnet.report.views.words import network, rate, series

if TYPE_CHECKING:
    from goodnet.report.facts import Run, Scan
    from goodnet.results import Left

__all__ = ["judge_cure"]


def judge_cure(run: Run, scan: Scan) -> Verdict:
    """Put a cure into words.

    Args:
        run: The cure.
        scan: What it found.
    """
    if not scan.targets:
        found = judge_scan(scan, run.notes)
        changed = "B' is B, to the last bit. "
        return Verdict(found.effect, found.tag, found.finding, found.evidence, changed + found.sure)
    trial = run.trials[run.shown or 0]
    attack = worst_attack(run.baseline, trial.repaired, trial.guarded)
    works = attack.effect in ("stays", "weakened") if attack else False
    kept = works or len(run.left) < len(scan.targets) or any(one.stays for one in run.left)
    effect: Literal["kept", "removed"] = "kept" if kept else "removed"
    labels = series([str(target.label) for target in scan.targets])
    which = f"label {labels}" if len(scan.targets) == 1 else f"the labels {labels}"
    done = "found, but not taken out" if kept else "found and taken out"
    measured = (
        f"B' answers the attacker's target on {rate(attack.after)} of {attack.where}, B on "
        f"{rate(attack.before)}"
        if attack
        else _recovered(run.left)
    )
    evidence = f"{measured}{_price(run)}."
    sure = (
        "Counted on poisoned images that nothing was chosen on. "
        if attack
        else "The attacker's own trigger is not at hand: what is counted are triggers that a scan "
        "found, on a B' made without those that look alike. "
    )
    if any(not one.again.total for one in run.left):
        sure += "There was no time to search B' for triggers that come back. "
    return Verdict(
        effect,
        TAGS[effect],
        f"A backdoor for {which} was {done}",
        network(evidence),
        network(sure) + BLIND,
    )


def _recovered(left: tuple[Left, ...]) -> str:
    if not left:
        return "no layer tells its triggers from clean images"
    worst = max(left, key=lambda one: one.after.value or 0.0)
    return (
        f"the trigger that was found works on {rate(worst.after)} of clean images with B', on "
        f"{rate(worst.before)} with B"
    )


def _price(run: Run) -> str:
    before, after, _ = clean_shares(run, run.trials[run.shown or 0])
    if before is None or after is None:
        return ""
    return f"; of clean images B' answers {rate(after)} right, B {rate(before)}"
