"""Which repairs to compare on which networks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput, UsageError
from goodnet.jobs.prune.run import DEFAULT_DROPS, check_drops
from goodnet.jobs.repair.plan import Choices, GivenTrigger, RepairPlan, options_of, plan_repair
from goodnet.repair.layers import silence_channels
from goodnet.repair.methods import METHODS, Method
from goodnet.repair.prune import prune_curve
from goodnet.repair.result import Repair, Settings
from goodnet.repair.tune import finish
from goodnet.stats import proportion

if TYPE_CHECKING:
    from goodnet.images import ImageSet
    from goodnet.network import Network

__all__ = ["COMPARED", "Cell", "name_models", "plan_cells", "prune_to_drop"]


@dataclass(frozen=True)
class Cell:
    """One repair of a comparison.

    Attributes:
        label: What it is called in the table, and its folder.
        plan: What to do.
    """

    label: str
    plan: RepairPlan


def prune_to_drop(
    network: Network, images: ImageSet, *, drop: float = 10.0, settings: Settings | None = None
) -> Repair:
    """Prune as `goodnet prune` does, in the form of the other methods.

    Args:
        network: B.
        images: Clean, labelled and already scaled; all of them are used.
        drop: How far accuracy is to fall, percentage points.
        settings: Of these the stage.

    Raises:
        InvalidInput: If accuracy never falls so far.
    """
    since = time.perf_counter()
    with (settings or Settings()).stage(2 * len(images), "pruning") as advance:
        curve = prune_curve(network, images, progress=advance)
    steps = curve.steps_to_drop(drop)
    if steps is None:
        raise InvalidInput(
            f"accuracy never falls by {drop:g} points, not even with all {len(curve.channels)} "
            f"channels of {curve.layer!r} silent"
        )
    channels = curve.silenced(steps)
    before, after = (proportion(int(curve.correct[k]), curve.total) for k in (0, steps))
    found = Repair("", silence_channels(network, curve.layer, channels), before=before, after=after)
    return finish(
        found, "prune", since=since, layer=curve.layer, drop=drop, channels_pruned=channels
    )


COMPARED: Mapping[str, Method] = {
    "prune": Method(
        prune_to_drop,
        "prune channels that clean images hardly use",
        "Liu, Dolan-Gavitt, Garg, RAID 2018",
        trains=False,
        yields=False,
    ),
    **METHODS,
}


def plan_cells(
    names: Sequence[str] | None,
    choices: Choices,
    *,
    drops: Sequence[float] | None = None,
    triggers: Sequence[GivenTrigger] = (),
) -> list[Cell]:
    """The repairs to compare.

    Args:
        names: Methods; None for all that need nothing that is not given.
        choices: For the methods that take them.
        drops: Percentage points, for pruning and fine-pruning: one repair for each. None for the
            usual ones of pruning, and fine-pruning's own.
        triggers: For the methods that need them.

    Raises:
        UsageError: If a method is not known or lacks triggers, a number is outside its range, or
            something is given that none of the methods takes.
    """
    methods = _methods(names, triggers)
    taken = {option for name in methods for option in options_of(COMPARED[name])}
    given = [*choices.given(), *(["drop"] if drops else []), *(["trigger"] if triggers else [])]
    for option in given:
        if option not in taken:
            raise UsageError(f"--{option} goes with none of the methods {', '.join(methods)}")
    return [
        cell
        for name in methods
        for cell in _cells(name, choices, drops=drops and check_drops(drops), triggers=triggers)
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
            name
            for name, method in COMPARED.items()
            if triggers or "trigger" not in options_of(method)
        ]
    for name in names:
        if name not in COMPARED:
            raise UsageError(f"the methods are {', '.join(COMPARED)}, got {name!r}")
    return list(dict.fromkeys(names))


def _cells(
    name: str,
    choices: Choices,
    *,
    drops: Sequence[float] | None,
    triggers: Sequence[GivenTrigger],
) -> Iterator[Cell]:
    method = COMPARED[name]
    options = options_of(method)
    fitting = choices.only(options)
    if "drop" not in options:
        needed = triggers if "trigger" in options else ()
        yield Cell(name, plan_repair(name, method, fitting, triggers=needed))
        return
    usual: Sequence[float | None] = DEFAULT_DROPS if name == "prune" else (None,)
    for drop in drops or usual:
        plan = plan_repair(name, method, replace(fitting, drop=drop))
        yield Cell(name if drop is None else f"{name}-{drop:g}", plan)
