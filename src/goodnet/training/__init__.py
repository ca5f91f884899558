"""Training a network that is given as a plain description; used to attack and to repair."""

from goodnet.training.config import TrainingConfig
from goodnet.training.examples import Examples
from goodnet.training.fit import Diverged, Watch, fit
from goodnet.training.frozen import Frozen, silent_numbers
from goodnet.training.recipe import PLAIN, Inside, Recipe, cross_entropy, distillation, shifts
from goodnet.training.schedule import Schedule

__all__ = [
    "PLAIN",
    "Diverged",
    "Examples",
    "Frozen",
    "Inside",
    "Recipe",
    "Schedule",
    "TrainingConfig",
    "Watch",
    "cross_entropy",
    "distillation",
    "fit",
    "shifts",
    "silent_numbers",
]
