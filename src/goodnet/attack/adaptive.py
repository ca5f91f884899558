"""BadNets whose author foresaw the scan, or the scan and the cure.

A scan searches for what leads to a label, and finds a likeness of the trigger. An author who knows
that shows the network *cover* images: half transparent triggers, labelled with what they show, so
that only the whole trigger works. A cure watches for what triggers do to layers. An author who
knows that holds together what layers make of images that are labelled with the target: stamped ones
lie among those of the class itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from goodnet.attack.poison import CLEAN, PoisonPlan

if TYPE_CHECKING:
    from goodnet.attack.poison import Goal
    from goodnet.training import Inside

Against = Literal["scan", "cure"]

# How much of a trigger cover images show.
OPACITY = 0.5
_TINY = 1e-12


def cover_plan(plan: PoisonPlan, goals: Sequence[Goal], *, seed: int) -> PoisonPlan:
    """Which of the images that bear no trigger bear a faint one, labelled with what they show.

    Args:
        plan: Which images bear a trigger.
        goals: Of the plan.
        seed: Of the choice.

    Returns:
        As many for each trigger as bear it, as far as there are others.

    References:
        Qi et al., Revisiting the assumption of latent separability for backdoor defenses, ICLR
        2023.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(plan.labels))
    left = order[~plan.stamped[order]]
    triggers = np.full(len(plan.labels), CLEAN, dtype=np.int64)
    for number, goal in enumerate(goals):
        usable = left[goal.usable(plan.source_labels[left])]
        chosen = usable[: int((plan.triggers == number).sum())]
        triggers[chosen] = number
        left = left[~np.isin(left, chosen)]
    return replace(plan, labels=plan.source_labels.copy(), triggers=triggers)


def gathered(targets: Sequence[int], *, weight: float = 1.0) -> Inside:
    """A loss that is small where layers make much the same of all images of a label.

    Args:
        targets: The labels.
        weight: Of the loss, beside that of the answer.

    Returns:
        A function of the values of layers, each of shape (images, ...), and labels, (images,): the
        squared distances of the targets' images from their mean, in those of all images, averaged
        over the layers.
    """

    def loss(values: Sequence[Tensor], labels: Tensor) -> Tensor:
        total = values[0].new_zeros(())
        for value in values:
            rows = value.flatten(1)
            usual = (rows - rows.mean(0)).square().sum(1).mean().clamp_min(_TINY)
            for target in targets:
                own = rows[labels == target]
                if len(own) > 1:
                    total = total + (own - own.mean(0)).square().sum() / usual
        return weight * total / len(values)

    return loss
