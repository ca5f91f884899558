"""What was measured on clean images, and what the attacker wants, as far as a run tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodnet.report.facts import Run, Tower, Trial
    from goodnet.types import Proportion

__all__ = ["clean_shares", "targets"]


def targets(run: Run) -> dict[str, int]:
    """The attacker's target of each poisoned set, as far as its pictures agree on one."""
    labels: dict[str, set[int]] = {}
    for picture in run.pictures:
        labels.setdefault(picture.set, set()).add(picture.label)
    return {key: found.pop() for key, found in labels.items() if len(found) == 1 and key != "clean"}


def clean_shares(run: Run, trial: Trial) -> tuple[Proportion | None, Proportion | None, str]:
    """Clean accuracy of B and of B' and the set it is of: test, or else validation."""
    baseline = run.baseline or run.baselines.get(trial.model)
    before, after = _clean(baseline), _clean(trial.repaired)
    if before and after:
        return before, after, "clean test images"
    curve = run.curve
    steps = {f"X = {drop.drop:g}": drop.steps for drop in curve.drops} if curve else {}
    step = steps.get(trial.name)
    if curve is None or step is None:
        return None, None, ""
    return curve.accuracy[0], curve.accuracy[step], "clean validation images, by which X was found"


def _clean(tower: Tower | None) -> Proportion | None:
    return tower.clean if tower else None
