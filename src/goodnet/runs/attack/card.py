"""The card of an attack: what was planted, in what, and how well it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import goodnet
from goodnet.runs.poison import Mode, count_stamped
from goodnet.typed_json import plain

if TYPE_CHECKING:
    from goodnet.attack import Goal
    from goodnet.runs.attack.plan import Attack
    from goodnet.types import Evaluation

__all__ = ["card"]

SCHEMA = 1


def card(attack: Attack, measured: Evaluation, *, model_sha256: str) -> dict[str, Any]:
    """Plain data for `results.json`; the same attack gives the same data.

    `planted` says what the network was trained with, nothing for a control; `backdoor` what is in
    the poisoned sets, and the share of the test images that are answered as the attacker wants.

    Args:
        attack: What was done.
        measured: The network on the test sets.
        model_sha256: Hash of the network's file.
    """
    options = attack.options
    schedule = options.schedule
    return {
        "schema": SCHEMA,
        "command": "attack",
        "goodnet": goodnet.__version__,
        "data": attack.source.about(),
        "architecture": options.architecture,
        "input_shape": list(attack.source.shape),
        "num_classes": attack.num_classes,
        "planted": _planted(attack),
        "pruning_aware": options.pruning_aware,
        "against": options.against,
        "training_images": len(attack.plan.labels),
        "seed": schedule.seed,
        "epochs": schedule.epochs,
        "batch_size": schedule.batch_size,
        "learning_rate": schedule.learning_rate,
        "model": {"file": attack.model, "sha256": model_sha256},
        "clean": {
            "valid": "cl/valid.h5",
            "test": "cl/test.h5",
            "accuracy": plain(measured.clean.correct if measured.clean else None),
        },
        "backdoor": _backdoor(attack, measured),
    }


def _planted(attack: Attack) -> list[dict[str, Any]]:
    options = attack.options
    if not options.rate:
        return []
    counts = count_stamped(attack.plan, len(options.goals))
    return [
        {"trigger": trigger.name, **_goal(goal), "rate": options.rate, "stamped": count}
        for trigger, goal, count in zip(options.triggers, options.goals, counts, strict=True)
    ]


def _backdoor(attack: Attack, measured: Evaluation) -> list[dict[str, Any]]:
    options = attack.options
    return [
        {
            "trigger": trigger.name,
            "target": goal.target,
            "source": goal.source,
            "valid": files.valid,
            "test": files.test,
            "asr": plain(measured.backdoor[trigger.name].correct),
            "robust": plain(measured.backdoor[trigger.name].robust),
        }
        for trigger, goal, files in zip(
            options.triggers, options.goals, attack.poisoned, strict=True
        )
    ]


def _goal(goal: Goal) -> dict[str, Any]:
    mode: Mode = "clean-label" if goal.clean_label else "all-to-one"
    if goal.target is None:
        mode = "all-to-all"
    return {"mode": mode, "target": goal.target, "source": goal.source}
