"""Training a network that is given as a plain description; used to attack and to repair."""

from goodnet.training.config import TrainingConfig
from goodnet.training.examples import Examples
from goodnet.training.fit import Diverged, Watch, fit
from goodnet.training.frozen import Frozen, silent_numbers
from goodnet.training.recipe import (
    PLAIN,
    Inside,
    Recipe,
    Step,
    cross_entropy,
    distillation,
    once,
    shifts,
)
from goodnet.training.schedule import Schedule

__all__ = [
    "PLAIN",
    "Diverged",
    "Examples",
    "Frozen",
    "Inside",
    "Recipe",
    "Schedule",
    "Step",
    "TrainingConfig",
    "Watch",
    "cross_entropy",
    "distillation",
    "fit",
    "once",
    "shifts",
    "silent_numbers",
]
