"""Training a network that is given as a plain description; used to attack and to repair."""

from goodnet.training.config import TrainingConfig
from goodnet.training.examples import Examples
from goodnet.training.fit import Diverged, Watch, fit
from goodnet.training.frozen import Frozen, silent_numbers
from goodnet.training.recipe import PLAIN, Inside, Recipe, cross_entropy, distillation, shifts
from goodnet.training.schedule import Schedule
from goodnet.training.steps import Step, plain_step, sharpness_aware

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
    "plain_step",
    "sharpness_aware",
    "shifts",
    "silent_numbers",
]
