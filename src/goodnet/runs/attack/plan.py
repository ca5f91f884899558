"""What to plant in which network, and everything that can be wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from goodnet.attack import Goal, PoisonPlan, Trigger, plan_poison
from goodnet.attack.adaptive import Against
from goodnet.attack.architectures import make_architecture
from goodnet.attack.pruning_aware import put_back
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import silence
from goodnet.formats.build import build
from goodnet.runs.attack.data import ImageSource, Split, check_memory
from goodnet.runs.opening import to_device
from goodnet.training import Examples, Schedule

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.types import Integers


@dataclass(frozen=True)
class AttackOptions:
    """What to plant in which network.

    Attributes:
        triggers: One or more, each once.
        goals: One for each trigger.
        schedule: How to train; its seed is that of everything.
        architecture: One of `goodnet.attack.architectures`.
        rate: Share of the usable images that are stamped; 0 for a clean network as a control.
        pruning_aware: Let the backdoor survive the pruning of the last pooling layer.
        against: Hide the backdoor from "scan", or from it and "cure"; None to hide nothing.
        device: Where to compute, as PyTorch names it.
        suffix: Of the model's file, ".h5" or ".keras".
    """

    triggers: Sequence[Trigger]
    goals: Sequence[Goal]
    schedule: Schedule
    architecture: str
    rate: float = 0.1
    pruning_aware: bool = False
    against: Against | None = None
    device: str = "cpu"
    suffix: str = ".h5"


@dataclass(frozen=True, eq=False)
class Attack:
    """An attack that was checked and can be made; see `plan_attack`.

    Attributes:
        source: Where the clean images come from.
        options: What to plant.
        plan: Which of the images to train on bear which trigger.
        spec: The network, not trained yet.
        num_classes: How many it has.
    """

    source: ImageSource
    options: AttackOptions
    plan: PoisonPlan
    spec: NetworkSpec
    num_classes: int

    @property
    def model(self) -> str:
        """The file of the network in the folder."""
        return f"bd_net{self.options.suffix}"

    @property
    def poisoned(self) -> list[Split[str]]:
        """The files with images that bear each trigger; none of them is for training."""
        names = [f"_{t.name}" for t in self.options.triggers] if self._several else [""]
        return [Split("", f"bd/bd_valid{name}.h5", f"bd/bd_test{name}.h5") for name in names]

    @property
    def _several(self) -> bool:
        return len(self.options.triggers) > 1


def plan_attack(source: ImageSource, options: AttackOptions) -> Attack:
    """Check everything that can be wrong before the long work starts.

    Raises:
        UsageError: If an option is wrong in itself, or the options do not go together.
        InvalidInput: If the images, triggers, goals and network do not go together.
        OverBudget: If there are too many images for memory or classes for a network.
    """
    _check_options(options)
    check_memory(source, copies=2 if options.pruning_aware else 1)
    labels, seed = source.labels, options.schedule.seed
    classes = int(labels.train.max()) + 1
    plan = plan_poison(
        labels.train, options.goals, rate=options.rate, num_classes=classes, seed=seed
    )
    for part, truth in (("validate", labels.valid), ("test", labels.test)):
        _check_held_out(truth, options.goals, num_classes=classes, purpose=part)
    for trigger in options.triggers:
        trigger.stamp(np.zeros((1, *source.shape), np.float32), source.landmarks)
    spec = make_architecture(
        options.architecture, shape=source.shape, num_classes=classes, seed=seed
    )
    _check_network(spec, options)
    return Attack(source, options, plan, spec, classes)


def measured(goal: Goal) -> Goal:
    """The goal success is measured by: a clean-label backdoor, too, is to turn other classes."""
    return replace(goal, clean_label=False)


def _check_options(options: AttackOptions) -> None:
    names = [trigger.name for trigger in options.triggers]
    if len(set(names)) < len(names):
        raise UsageError(f"expected each trigger once, got {', '.join(names)}")
    if options.pruning_aware and not options.rate:
        raise UsageError("a pruning-aware attack needs a backdoor, nothing is to be planted")
    if options.against not in (None, *get_args(Against)):
        raise UsageError(f"an attack is against scan or cure, got {options.against!r}")
    if options.against and not options.rate:
        raise UsageError(f"an attack against {options.against} needs a backdoor to hide")
    if options.against == "cure" and any(goal.target is None for goal in options.goals):
        raise UsageError("an attack against cure needs a target: its images are held together")


def _check_held_out(
    truth: Integers, goals: Sequence[Goal], *, num_classes: int, purpose: str
) -> None:
    try:
        for goal in goals:
            plan_poison(truth, measured(goal), num_classes=num_classes)
    except InvalidInput as error:
        raise InvalidInput(f"too few images to {purpose} with: {error}") from error


def _check_network(spec: NetworkSpec, options: AttackOptions) -> None:
    network = to_device(build(spec), options.device)
    if not options.pruning_aware:
        return
    blank = Examples(np.zeros((1, *network.input_shape), np.uint8), np.zeros(1, np.int64))
    try:
        put_back(spec, spec, [blank], layer=silence.default_layer(spec), channels=[0])
    except InvalidInput as error:
        raise InvalidInput(
            f"the network {options.architecture!r} cannot be made pruning-aware, take deepid or "
            f"small: {error}"
        ) from error
