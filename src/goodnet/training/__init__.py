"""Training a network that is given as a plain description; used to attack and to repair."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from goodnet.training.config import Frozen, Schedule, TrainingConfig, silent_numbers
from goodnet.training.examples import Examples

if TYPE_CHECKING:
    from goodnet.training.loop import Diverged, Watch, fit
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


def __getattr__(name: str) -> Any:
    # Options of methods are listed without what computes: torch takes seconds to import.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "loop" if name in ("Diverged", "Watch", "fit") else "recipe"
    return getattr(import_module(f"{__name__}.{home}"), name)
