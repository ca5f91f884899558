"""Which repairs to compare on which networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodnet.errors import UsageError
from goodnet.repair import find_repair, repairs
from goodnet.runs.prune import DEFAULT_DROPS, check_drops
from goodnet.runs.repair import GivenTrigger, RepairPlan, names_of, plan_repair


@dataclass(frozen=True)
class Cell:
    """One repair of a comparison.

    Attributes:
        label: What it is called in the table, and its folder.
        plan: What to do.
    """

    label: str
    plan: RepairPlan


def plan_cells(
    names: Sequence[str] | None,
    values: Mapping[str, Any],
    *,
    drops: Sequence[float] | None = None,
    triggers: Sequence[GivenTrigger] = (),
) -> list[Cell]:
    """The repairs to compare.

    Args:
        names: Methods; None for all that need nothing that is not given.
        values: Options by name, for the methods that have them.
        drops: Percentage points, for pruning and fine-pruning: one repair for each. None for the
            usual ones of pruning, and fine-pruning's own.
        triggers: For the methods that need them.

    Raises:
        UsageError: If a method is not known or lacks triggers, a number is outside its range, or
            something is given that none of the methods takes.
    """
    methods = _methods(names, triggers)
    taken = {option for name in methods for option in names_of(find_repair(name))}
    given = [*values, *(["drop"] if drops else []), *(["triggers"] if triggers else [])]
    for option in given:
        if option not in taken:
            shown = {"triggers": "trigger"}.get(option, option).replace("_", "-")
            raise UsageError(f"--{shown} goes with none of the methods {', '.join(methods)}")
    return [
        cell
        for name in methods
        for cell in _cells(name, values, drops=drops and check_drops(drops), triggers=triggers)
    ]


def name_models(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each model: of the file, or of its folder too where files are called alike.

    Raises:
        UsageError: If that does not tell them apart.
    """
    # A file called "...h5" has the stem "..", which would name a folder elsewhere.
    names = [path.stem.lstrip(".") or "model" for path in paths]
    if len(set(names)) < len(names):
        names = [
            f"{path.resolve().parent.name}-{name}" for path, name in zip(paths, names, strict=True)
        ]
    if len(set(names)) < len(names):
        raise UsageError(
            "two of the models have the same name in folders of the same name, or are the same: "
            + ", ".join(map(str, paths))
        )
    return dict(zip(names, paths, strict=True))


def _methods(names: Sequence[str] | None, triggers: Sequence[GivenTrigger]) -> list[str]:
    if names is None:
        return [
            name for name, kind in repairs().items() if triggers or "triggers" not in names_of(kind)
        ]
    return [find_repair(name).name for name in dict.fromkeys(names)]


def _cells(
    name: str,
    values: Mapping[str, Any],
    *,
    drops: Sequence[float] | None,
    triggers: Sequence[GivenTrigger],
) -> Iterator[Cell]:
    kind = find_repair(name)
    if "drop" not in names_of(kind):
        yield Cell(name, plan_repair(kind, values, triggers=triggers))
        return
    usual: Sequence[float | None] = DEFAULT_DROPS if name == "prune" else (None,)
    for drop in drops or usual:
        chosen = {} if drop is None else {"drop": drop}
        label = name if drop is None else f"{name}-{drop:g}"
        yield Cell(label, plan_repair(kind, {**values, **chosen}))
