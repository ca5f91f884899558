"""What a run found, in one sentence that the intervals bear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from goodnet.report.evidence import Attack, clean_shares, shown_trial, targets, worst_attack
from goodnet.report.scan_verdict import BLIND, TAGS, Verdict, judge_scan
from goodnet.report.words import (
    amount,
    name,
    network,
    percent,
    points,
    rate,
    rating,
    series,
    unbroken,
    widest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Run, Trial
    from goodnet.report.scan_verdict import VerdictEffect
    from goodnet.results import Left, Rates, ScanRecord

_CAVEAT = (
    "Best is by the defence effectiveness rating (DER) on the images given, chosen after seeing "
    "them: on new images expect a little less. Triggers other than those given were not looked for."
)
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
        if run.trials:
            return _judge_cure(run, run.scan)
        return judge_scan(run.scan, run.clean, run.notes, called=run.called)
    if run.command == "compare":
        return _judge_comparison(run)
    trial = shown_trial(run)
    if trial is None:
        asked = ", ".join(trial.name for trial in run.trials)
        evidence = f"clean accuracy never falls as far as was allowed ({asked})."
        return _verdict("unknown", "No network was made", evidence, "Ask for a smaller drop X.")
    attack = worst_attack(run, trial)
    if attack is None:
        return _not_measured(run, trial)
    found = _sentence(run, trial, attack)
    return _verdict(attack.effect, *found, _sure(run, trial, attack))


def _verdict(effect: VerdictEffect, finding: str, evidence: str, sure: str) -> Verdict:
    return Verdict(effect, TAGS[effect], network(finding), network(evidence), network(sure))


def _at(run: Run, trial: Trial) -> str:
    return f"at {unbroken(trial.name)}, " if run.command == "prune" else ""


def _sentence(run: Run, trial: Trial, attack: Attack) -> tuple[str, str]:
    """What was found, and the numbers it is by."""
    subject = _SUBJECTS.get(run.method) or f"The repair {name(run.method, 40)}"
    label = targets(run).get(attack.name)
    target = f"the attacker's target{'' if label is None else f' (label {run.called(label)})'}"
    before, after = rate(attack.before), f"{rate(attack.after)} of {attack.where}"
    guarded = f"; G recognises {rate(attack.detected)} of them" if attack.detected else ""
    at = _at(run, trial)
    answers = f"{at}B' answers {target} on {after}, B on {before}"
    found = {
        "stays": (
            f"{subject} does not remove this backdoor",
            f"{at}B' still answers {target} on {after}{guarded}.",
        ),
        "weakened": (
            f"{subject} weakens this backdoor but does not remove it",
            f"{answers}{guarded}.",
        ),
        "little": (
            f"After {subject[:1].lower()}{subject[1:]}, this trigger rarely works",
            f"{answers}{_price(run, trial)}.",
        ),
        "absent": (
            "The poisoned images do not show a backdoor",
            f"B itself answers {target} on only {before} of {attack.where}.",
        ),
        "unclear": (
            "There is too little to tell whether these images fool the network",
            f"B answers {target} on {before} of {attack.where}, B' on {rate(attack.after)}.",
        ),
    }
    return found[attack.effect]


def _price(run: Run, trial: Trial) -> str:
    before, after, _ = clean_shares(run, trial)
    if before is None or after is None:
        return ""
    if after.high < before.low:
        return f", at the price of {points(before, after)} of clean accuracy"
    # The intervals overlap: still the two numbers say more than a word for them.
    return f"; clean accuracy is {percent(after)}, that of B {percent(before)}"


def _sure(run: Run, trial: Trial, attack: Attack) -> str:
    clean = clean_shares(run, trial)[1]
    also = f" and {amount(clean.total)} clean" if clean else ""
    wide = 100 * widest(attack.before, attack.after)
    warning = f"With so few images an interval is up to {wide:.0f} points wide: read it, not the "
    return (
        f"Counted on {amount(attack.after.total)} poisoned{also} images; in brackets the 95 % "
        f"interval of each number. {f'{warning}value. ' if wide > 100 * _WIDE else ''}"
        "Triggers other than those given were not looked for."
    )


def _not_measured(run: Run, trial: Trial) -> Verdict:
    before, after, where = clean_shares(run, trial)
    images = where.partition(",")[0]
    kept = f"; {_at(run, trial)}B' answers {rate(after)} of {images} correctly, B {rate(before)}"
    return _verdict(
        "unknown",
        "Whether a backdoor is gone is not known",
        f"no poisoned images were given{kept if after else ''}.",
        "A network that keeps its clean accuracy may keep its backdoor too. "
        "Give poisoned images with --backdoor NAME=IMAGES to measure it.",
    )


def _judge_comparison(run: Run) -> Verdict:
    """Name the repair with the best mean rating, and what it left of the attack."""
    ratings = _mean_ratings(run.trials)
    best = max(ratings, key=ratings.__getitem__, default="")
    chosen = [trial for trial in run.trials if trial.name == best]
    attacks = [attack for trial in chosen if (attack := worst_attack(run, trial))]
    if not attacks:
        return _verdict(
            "unknown",
            "No repair can be called best",
            "nothing poisoned was measured.",
            "Give poisoned images with --backdoor NAME=IMAGES.",
        )
    worst = max(attacks, key=lambda attack: attack.after.value or 0.0)
    several = f", on the worst of {len(attacks)} networks" if len(attacks) > 1 else ""
    close = _close_to(best, run.trials)
    equal = f" By these intervals it cannot be told from {close}." if close else ""
    did = f"{name(best, 40)} did best (DER {rating(ratings[best])})"
    none = f"None of {len(ratings)} repairs removes the backdoor everywhere; {did}"
    return _verdict(
        worst.effect,
        none if worst.effect == "stays" else f"Of {len(ratings)} repairs, {did}",
        f"its B' answers the attacker's target on {rate(worst.after)} of {worst.where}{several}, "
        f"B on {rate(worst.before)}.",
        f"{_CAVEAT}{equal}",
    )


def _mean_ratings(trials: Sequence[Trial]) -> dict[str, float]:
    """By method, over the networks on which it worked; only methods that worked on all of them."""
    found: dict[str, list[float | None]] = {}
    for trial in trials:
        found.setdefault(trial.name, []).append(trial.rating)
    known = {name: [r for r in ratings if r is not None] for name, ratings in found.items()}
    everywhere = {name: r for name, r in known.items() if r and len(r) == len(found[name])}
    return {
        name: sum(r) / len(r)
        for name, r in (everywhere or {n: r for n, r in known.items() if r}).items()
    }


def _close_to(best: str, trials: Sequence[Trial]) -> str:
    """The other methods whose attack success and clean accuracy overlap the best one's."""
    of_best = {trial.model: trial for trial in trials if trial.name == best}
    others: dict[str, bool] = {}
    for trial in trials:
        if trial.name != best and trial.model in of_best:
            same = _overlap(trial.repaired, of_best[trial.model].repaired)
            others[trial.name] = others.get(trial.name, True) and same
    return ", ".join(name(other, 40) for other, same in others.items() if same)


def _overlap(one: Rates | None, other: Rates | None) -> bool:
    if one is None or other is None:
        return False
    pairs = [(share, other.backdoor[k]) for k, share in one.backdoor.items() if k in other.backdoor]
    if one.test and other.test:
        pairs.append((one.test, other.test))
    return all(a.low <= b.high and b.low <= a.high for a, b in pairs)


def _judge_cure(run: Run, scan: ScanRecord) -> Verdict:
    """Say what a cure found, and what is left of it."""
    if not scan.targets:
        found = judge_scan(scan, run.clean, run.notes, called=run.called)
        return replace(found, sure=f"B' is B, to the last bit. {found.sure}")
    trial = run.trials[run.shown or 0]
    attack = worst_attack(run, trial)
    works = attack.effect in ("stays", "weakened") if attack else False
    kept = works or len(run.left) < len(scan.targets) or any(one.stays for one in run.left)
    done = "found, but not taken out" if kept else "found and taken out"
    labels = series([run.called(target.label) for target in scan.targets])
    which = f"label {labels}" if len(scan.targets) == 1 else f"the labels {labels}"
    measured, sure = (
        _recovered(run.left),
        (
            "The attacker's own trigger is not at hand: what is counted are triggers that a scan "
            "found, on a B' made without those that look alike. "
        ),
    )
    if attack:
        measured = (
            f"B' answers the attacker's target on {rate(attack.after)} of {attack.where}, B on "
            f"{rate(attack.before)}"
        )
        sure = "Counted on poisoned images that nothing was chosen on. "
    if any(not one.again.total for one in run.left):
        sure += "There was no time to search B' for triggers that come back. "
    before, after, _ = clean_shares(run, trial)
    price = f"; of clean images B' answers {rate(after)} right, B {rate(before)}" if after else ""
    return _verdict(
        "kept" if kept else "removed",
        f"A backdoor for {which} was {done}",
        f"{measured}{price}.",
        f"{sure}{BLIND}",
    )


def _recovered(left: Sequence[Left]) -> str:
    if not left:
        return "no layer tells its triggers from clean images"
    worst = max(left, key=lambda one: one.after.value or 0.0)
    return (
        f"the trigger that was found works on {rate(worst.after)} of clean images with B', on "
        f"{rate(worst.before)} with B"
    )
