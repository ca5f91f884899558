"""What is asked of a repair: the method, its own parameters, settings and triggers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet import files
from goodnet.attack import TRIGGERS, trigger
from goodnet.attack.stamp import check_share
from goodnet.attack.trigger_file import read_trigger
from goodnet.errors import UsageError
from goodnet.repair.methods import Method
from goodnet.repair.result import Settings

if TYPE_CHECKING:
    from goodnet.attack import Trigger

__all__ = [
    "Choices",
    "GivenTrigger",
    "RepairPlan",
    "options_of",
    "plan_repair",
    "read_triggers",
]

# The sparsity training starts from, unless less is wanted in the end.
_FIRST_SPARSITY = 0.5
# Choices that only some methods take, and the options that make them.
_TRAINING = {"epochs": "epochs", "learning_rate": "learning-rate", "batch_size": "batch-size"}
_CHOSEN = {name: name for name in ("layer", "drop", "rank", "sparsity", "tolerance")} | _TRAINING
# The options behind the parameters of methods; landmarks have none, they lie beside the images.
_OPTIONS = {
    "drop": "drop",
    "layer": "layer",
    "layers": "layer",
    "rank": "rank",
    "sparsity": "sparsity",
    "triggers": "trigger",
}


@dataclass(frozen=True)
class GivenTrigger:
    """A trigger and, for the results, where it is from."""

    trigger: Trigger
    about: Mapping[str, str]


@dataclass(frozen=True)
class Choices:
    """What a user chose; None where the method decides.

    Attributes:
        layer: Layers by name.
        drop: Percentage points.
        rank: Directions for each trigger.
        sparsity: The share of zeros in the end, 0..1.
        epochs: At most so many times each image is seen.
        learning_rate: The highest step size.
        batch_size: Images per step.
        held_back: Share of the clean images to judge by.
        tolerance: Percentage points of accuracy that training may cost.
        seed: Same seed, same result.
    """

    layer: Sequence[str] | None = None
    drop: float | None = None
    rank: int | None = None
    sparsity: float | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    held_back: float = 0.2
    tolerance: float | None = None
    seed: int = 0

    def given(self) -> list[str]:
        """The options that were given, of those that only some methods take."""
        return [option for name, option in _CHOSEN.items() if getattr(self, name) is not None]

    def only(self, options: Collection[str]) -> Choices:
        """The same without what is chosen by other options."""
        others: dict[str, Any] = {n: None for n, o in _CHOSEN.items() if o not in options}
        return replace(self, **others)


@dataclass(frozen=True)
class RepairPlan:
    """One repair, ready to run on a network and clean images.

    Attributes:
        name: What the method is called.
        method: The method.
        own: Its own parameters by name, those that were chosen.
        settings: How to run it.
        triggers: For a method that needs them.
    """

    name: str
    method: Method
    own: Mapping[str, Any]
    settings: Settings
    triggers: tuple[GivenTrigger, ...] = ()

    def about(self) -> dict[str, Any]:
        """Plain data that, with the input files, decides what comes out."""
        settings = self.settings
        return {
            "method": self.name,
            "parameters": dict(self.own),
            "triggers": [dict(given.about) for given in self.triggers],
            "settings": {
                "epochs": settings.epochs,
                "learning_rate": settings.learning_rate,
                "batch_size": settings.batch_size,
                "held_back": settings.held_back,
                "tolerance": settings.tolerance,
                "seed": settings.seed,
            },
        }


def plan_repair(
    name: str, method: Method, choices: Choices, *, triggers: Sequence[GivenTrigger] = ()
) -> RepairPlan:
    """Put together what a method needs.

    Args:
        name: What the method is called.
        method: The method.
        choices: What the user chose.
        triggers: What to unlearn or erase.

    Raises:
        UsageError: If something was chosen that the method does not take, a trigger is needed and
            there is none, or a number is outside its range.
    """
    known = options_of(method)
    for option in [*choices.given(), *(["trigger"] if triggers else [])]:
        if option not in known:
            shown = ", ".join(f"--{each}" for each in [*known, "held-back", "seed"])
            raise UsageError(f"--{option} does not go with --method {name}, which takes {shown}")
    if "trigger" in known and not triggers:
        raise UsageError(
            f"--method {name} needs at least one --trigger: a file .npz with a mask and a pattern, "
            f"or one of {', '.join(TRIGGERS)}"
        )
    return RepairPlan(name, method, _own(name, method, choices), _settings(choices), (*triggers,))


def options_of(method: Method) -> list[str]:
    """The options a method takes, without those that every method takes."""
    own = [_OPTIONS[name] for name in method.parameters if name in _OPTIONS]
    training = [*_TRAINING.values()] if method.trains else []
    return own + training + (["tolerance"] if method.yields else [])


def read_triggers(texts: Sequence[str]) -> list[GivenTrigger]:
    """Triggers by name, or files with a mask and a pattern.

    Raises:
        UsageError: If there is no trigger of that name.
        GoodnetError: If a file cannot be read or is not a trigger.
    """
    return [_read_trigger(text) for text in texts]


def _settings(choices: Choices) -> Settings:
    settings = Settings(
        epochs=choices.epochs,
        learning_rate=choices.learning_rate,
        held_back=choices.held_back,
        seed=choices.seed,
    )
    given = {"batch_size": choices.batch_size, "tolerance": choices.tolerance}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(settings, **chosen)


def _read_trigger(text: str) -> GivenTrigger:
    path = Path(text)
    if path.suffix.lower() != ".npz":
        return GivenTrigger(trigger(text), {"name": text})
    read = read_trigger(path)
    return GivenTrigger(read, {"name": read.name, "sha256": files.sha256(path)})


def _own(name: str, method: Method, choices: Choices) -> dict[str, Any]:
    values: dict[str, Any] = {"drop": choices.drop, "rank": choices.rank}
    if choices.layer is not None:
        if "layer" in method.parameters and len(choices.layer) > 1:
            raise UsageError(f"--method {name} takes one --layer, got {len(choices.layer)}")
        values |= {"layer": choices.layer[0], "layers": list(choices.layer)}
    if choices.sparsity is not None:
        final = check_share(choices.sparsity, "--sparsity")
        values["sparsity"] = [min(_FIRST_SPARSITY, final), final]
    return {
        key: value
        for key, value in values.items()
        if key in method.parameters and value is not None
    }
