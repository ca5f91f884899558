"""What a run found, in one sentence that the intervals bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.compared import judge_comparison
from goodnet.report.cured import judge_cure
from goodnet.report.effect import TAGS, Attack, Verdict, worst_attack
from goodnet.report.measured import clean_shares, targets
from goodnet.report.scanned import judge_scan
from goodnet.report.views.words import (
    amount,
    name,
    network,
    percent,
    points,
    rate,
    unbroken,
    widest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.report.facts import Run, Trial

__all__ = ["Verdict", "judge"]

_SUBJECTS = {
    "prune": "Pruning",
    "fine-tune": "Fine-tuning",
    "fine-prune": "Fine-pruning",
    "sparsify": "Sparsifying",
    "unlearn": "Unlearning",
    "erase": "Erasing",
}
_WIDE = 0.2  # an interval wider than this is worth a warning


def judge(run: Run) -> Verdict:
    """Put what was measured into words that the intervals bear.

    A network is never called free of backdoors: only the attacks that were given are spoken of.
    """
    if run.scan:
        return judge_cure(run, run.scan) if run.trials else judge_scan(run.scan, run.notes)
    if run.command == "compare":
        return judge_comparison(run)
    trial = run.trials[run.shown] if run.shown is not None else None
    if trial is None:
        return _nothing_made(run)
    attack = worst_attack(run.baseline, trial.repaired, trial.guarded)
    if attack is None:
        return _not_measured(run, trial)
    finding, evidence = map(network, _SENTENCES[attack.effect](run, trial, attack))
    sure = network(_sure(run, attack))
    return Verdict(attack.effect, TAGS[attack.effect], finding, evidence, sure)


def _subject(run: Run) -> str:
    return _SUBJECTS.get(run.method) or f"The repair {name(run.method, 40)}"


def _at(run: Run, trial: Trial) -> str:
    return f"at {unbroken(trial.name)}, " if run.command == "prune" else ""


def _target(run: Run, attack: Attack) -> str:
    label = targets(run).get(attack.name)
    return "the attacker's target" if label is None else f"the attacker's target (label {label})"


def _guarded(attack: Attack) -> str:
    return f"; G recognises {rate(attack.detected)} of them" if attack.detected else ""


def _stays(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:
    return (
        f"{_subject(run)} does not remove this backdoor",
        f"{_at(run, trial)}B' still answers {_target(run, attack)} on {rate(attack.after)} of "
        f"{attack.where}{_guarded(attack)}.",
    )


def _weakened(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:
    return (
        f"{_subject(run)} weakens this backdoor but does not remove it",
        f"{_at(run, trial)}B' answers {_target(run, attack)} on {rate(attack.after)} of "
        f"{attack.where}, B on {rate(attack.before)}{_guarded(attack)}.",
    )


def _little(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:
    return (
        f"After {_lower(_subject(run))}, this trigger rarely works",
        f"{_at(run, trial)}B' answers {_target(run, attack)} on {rate(attack.after)} of "
        f"{attack.where}, B on {rate(attack.before)}{_price(run, trial)}.",
    )


def _absent(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:  # noqa: ARG001
    return (
        "The poisoned images do not show a backdoor",
        f"B itself answers {_target(run, attack)} on only {rate(attack.before)} of {attack.where}.",
    )


def _unclear(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:  # noqa: ARG001
    return (
        "There is too little to tell whether these images fool the network",
        f"B answers {_target(run, attack)} on {rate(attack.before)} of {attack.where}, "
        f"B' on {rate(attack.after)}.",
    )


def _lower(subject: str) -> str:
    return subject[:1].lower() + subject[1:]


_SENTENCES: dict[str, Callable[[Run, Trial, Attack], tuple[str, str]]] = {
    "absent": _absent,
    "unclear": _unclear,
    "stays": _stays,
    "weakened": _weakened,
    "little": _little,
}


def _price(run: Run, trial: Trial) -> str:
    before, after, _ = clean_shares(run, trial)
    if before is None or after is None:
        return ""
    if after.high < before.low:
        return f", at the price of {points(before, after)} of clean accuracy"
    # The intervals overlap: still the two numbers say more than a word for them.
    return f"; clean accuracy is {percent(after)}, that of B {percent(before)}"


def _sure(run: Run, attack: Attack) -> str:
    clean = clean_shares(run, run.trials[run.shown or 0])[1]
    also = f" and {amount(clean.total)} clean" if clean else ""
    counted = (
        f"Counted on {amount(attack.after.total)} poisoned{also} images; in brackets the 95 % "
        "interval of each number. "
    )
    wide = widest(attack.before, attack.after)
    warning = (
        f"With so few images an interval is up to {100 * wide:.0f} points wide: read it, not the "
        "value. "
        if wide > _WIDE
        else ""
    )
    return f"{counted}{warning}Triggers other than those given were not looked for."


def _nothing_made(run: Run) -> Verdict:
    asked = ", ".join(trial.name for trial in run.trials)
    return Verdict(
        "unknown",
        TAGS["unknown"],
        "No network was made",
        f"clean accuracy never falls as far as was allowed ({asked}).",
        "Ask for a smaller drop X.",
    )


def _not_measured(run: Run, trial: Trial) -> Verdict:
    before, after, where = clean_shares(run, trial)
    kept = (
        f"; {_at(run, trial)}B' answers {rate(after)} of {where.partition(',')[0]} correctly, "
        f"B {rate(before)}"
        if after
        else ""
    )
    return Verdict(
        "unknown",
        TAGS["unknown"],
        "Whether a backdoor is gone is not known",
        network(f"no poisoned images were given{kept}."),
        "A network that keeps its clean accuracy may keep its backdoor too. "
        "Give poisoned images with --backdoor NAME=IMAGES to measure it.",
    )
