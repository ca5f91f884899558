"""What a comparison of repairs found: the best of them, by what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.effect import TAGS, Attack, Verdict, worst_attack
from goodnet.report.views.words import name, network, rate, rating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Run, Tower, Trial

__all__ = ["judge_comparison"]

_CAVEAT = (
    "Best is by the defence effectiveness rating (DER) on the images given, chosen after seeing "
    "them: on new images expect a little less. Triggers other than those given were not looked for."
)


def judge_comparison(run: Run) -> Verdict:
    """Name the repair with the best mean rating, and what it left of the attack."""
    ratings = _mean_ratings(run.trials)
    best = max(ratings, key=ratings.__getitem__, default="")
    chosen = [trial for trial in run.trials if trial.name == best]
    attacks = [attack for trial in chosen for attack in _attack(run, trial)]
    if not attacks:
        return Verdict(
            "unknown",
            TAGS["unknown"],
            "No repair can be called best",
            "nothing poisoned was measured.",
            "Give poisoned images with --backdoor NAME=IMAGES.",
        )
    worst = max(attacks, key=lambda attack: attack.after.value or 0.0)
    evidence = (
        f"its B' answers the attacker's target on {rate(worst.after)} of {worst.where}"
        f"{_of_networks(len(attacks))}, B on {rate(worst.before)}."
    )
    close = _close_to(best, run.trials)
    equal = f" By these intervals it cannot be told from {close}." if close else ""
    return Verdict(
        worst.effect,
        TAGS[worst.effect],
        _finding(worst, len(ratings), f"{name(best, 40)} did best (DER {rating(ratings[best])})"),
        network(evidence),
        f"{_CAVEAT}{equal}",
    )


def _of_networks(count: int) -> str:
    return f", on the worst of {count} networks" if count > 1 else ""


def _finding(worst: Attack, count: int, best: str) -> str:
    if worst.effect == "stays":
        return f"None of {count} repairs removes the backdoor everywhere; {best}"
    return f"Of {count} repairs, {best}"


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


def _attack(run: Run, trial: Trial) -> list[Attack]:
    attack = worst_attack(_baseline(run, trial), trial.repaired, trial.guarded)
    return [attack] if attack else []


def _baseline(run: Run, trial: Trial) -> Tower | None:
    return run.baseline or run.baselines.get(trial.model)


def _close_to(best: str, trials: Sequence[Trial]) -> str:
    """The other methods whose attack success and clean accuracy overlap the best one's."""
    of_best = {trial.model: trial for trial in trials if trial.name == best}
    others: dict[str, bool] = {}
    for trial in trials:
        if trial.name != best and trial.model in of_best:
            same = _overlap(trial.repaired, of_best[trial.model].repaired)
            others[trial.name] = others.get(trial.name, True) and same
    return ", ".join(name(other, 40) for other, same in others.items() if same)


def _overlap(one: Tower | None, other: Tower | None) -> bool:
    if one is None or other is None:
        return False
    pairs = [(one.success[key], other.success[key]) for key in one.success if key in other.success]
    if one.clean and other.clean:
        pairs.append((one.clean, other.clean))
    return all(a.low <= b.high and b.low <= a.high for a, b in pairs)
