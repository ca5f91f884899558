"""What is asked of a repair: the method with its options, and where its triggers are from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet import files
from goodnet.attack import TRIGGERS, trigger
from goodnet.attack.trigger_file import read_trigger
from goodnet.errors import UsageError
from goodnet.options import make, options_of, values_of

if TYPE_CHECKING:
    from goodnet.attack import Trigger
    from goodnet.repair import Repair

__all__ = ["GivenTrigger", "RepairPlan", "names_of", "plan_repair", "read_triggers"]

_TRIGGERS = "triggers"


@dataclass(frozen=True)
class GivenTrigger:
    """A trigger and, for the results, where it is from."""

    trigger: Trigger
    about: Mapping[str, str]


@dataclass(frozen=True)
class RepairPlan:
    """One repair, ready to run on a network and clean images.

    Attributes:
        method: The method with its options.
        triggers: What it takes out, where it has to be told.
    """

    method: Repair[Any]
    triggers: tuple[GivenTrigger, ...] = ()

    @property
    def name(self) -> str:
        """What the method is called."""
        return self.method.name

    def about(self) -> dict[str, Any]:
        """Plain data that, with the input files, decides what comes out."""
        options = {name: x for name, x in values_of(self.method).items() if name != _TRIGGERS}
        return {
            "method": self.name,
            "options": {n: list(x) if isinstance(x, tuple) else x for n, x in options.items()},
            "triggers": [dict(given.about) for given in self.triggers],
        }


def plan_repair(
    kind: type[Repair[Any]],
    values: Mapping[str, Any],
    *,
    triggers: Sequence[GivenTrigger] = (),
) -> RepairPlan:
    """Put together what a method needs.

    Args:
        kind: The method.
        values: Options by name; those that it does not have are passed over.
        triggers: For a method that has to be told.

    Raises:
        UsageError: If a trigger is needed and there is none, or an option is outside its range.
    """
    if _TRIGGERS not in names_of(kind):
        return RepairPlan(make(kind, values))
    if not triggers:
        raise UsageError(
            f"{kind.name} needs at least one --trigger: a file .npz with a mask and a pattern, "
            f"or one of {', '.join(TRIGGERS)}"
        )
    given = tuple(each.trigger for each in triggers)
    return RepairPlan(make(kind, {**values, _TRIGGERS: given}), (*triggers,))


def names_of(kind: type[Repair[Any]]) -> list[str]:
    """The options of a method."""
    return [option.name for option in options_of(kind)]


def read_triggers(texts: Sequence[str]) -> list[GivenTrigger]:
    """Triggers by name, or files with a mask and a pattern.

    Raises:
        UsageError: If there is no trigger of that name.
        GoodnetError: If a file cannot be read or is not a trigger.
    """
    return [_read_trigger(text) for text in texts]


def _read_trigger(text: str) -> GivenTrigger:
    path = Path(text)
    if path.suffix.lower() != ".npz":
        return GivenTrigger(trigger(text), {"name": text})
    read = read_trigger(path)
    return GivenTrigger(read, {"name": read.name, "sha256": files.sha256(path)})
