"""Repair a network with clean images; write B' and G, and measure what was written."""

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
from goodnet.progress import Stage, no_progress
from goodnet.repair.cured import CureResult
from goodnet.results import CureResults, GuardedRates, MethodCost, PairRates, Rates, RepairResults
from goodnet.runs.inputs import compact_parameters
from goodnet.runs.pictures import write_pictures
from goodnet.runs.scan import record_scan

if TYPE_CHECKING:
    from goodnet.attack import Trigger
    from goodnet.formats.spec import NetworkSpec
    from goodnet.repair import Repair, RepairResult
    from goodnet.runs.folder import RunFolder
    from goodnet.runs.inputs import Inputs
    from goodnet.runs.predictions import Suspect

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
            "triggers": tuple(dict(given.about) for given in self.triggers),
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


def repair(
    inputs: Inputs,
    plan: RepairPlan,
    *,
    checkpoint: Path | None = None,
    stage: Stage = no_progress,
) -> RepairResult:
    """Run a method on a network and its clean images, and on nothing else.

    Args:
        inputs: The network and its images.
        plan: What to do.
        checkpoint: Where training keeps its state; if it is there from the same repair, training
            goes on from it. Remove it when the result is safe.
        stage: Shows the progress of each stage of it.

    Raises:
        GoodnetError: What the method raises.
    """
    found: RepairResult = plan.method(
        inputs.network, inputs.given, stage=stage, checkpoint=checkpoint
    )
    return found


def about(inputs: Inputs, plan: RepairPlan) -> dict[str, Any]:
    """All that decides what comes out of a repair: equal for two, their results are equal."""
    return {**inputs.told(), **plan.about()}


def write_repair(
    suspect: Suspect, plan: RepairPlan, found: RepairResult, run: RunFolder
) -> RepairResults:
    """Fill a run folder with B', G and the results.

    Args:
        suspect: The network and its images.
        plan: What was done.
        found: What came of it.
        run: The folder.

    Raises:
        InvalidInput: If the numbers of B' cannot be stored in a copy of the file.
        FileError: If something cannot be written.
    """
    spec, cured = suspect.inputs.network.spec, found.network.spec
    form = "repaired" if cured.layers == spec.layers else "clamped"
    names, pair = suspect.write(cured, run.path, model=f"model_{form}")
    before, after, good = pair.evaluations
    told = {
        **about(suspect.inputs, plan),
        "notes": (*found.notes, *suspect.inputs.warnings),
        "parameters_left": _left(spec, found),
        "details": found.details,
        "epochs": found.epochs,
        "chosen": found.chosen,
        "before": found.before,
        "after": found.after,
        "measured": PairRates(Rates.of(before), Rates.of(after), GuardedRates.of(good)),
        "repaired": names["model"],
        "pictures": write_pictures(pair, run.path),
    }
    if isinstance(found, CureResult):
        scan, triggers = record_scan(suspect.inputs, found.scan, run.path)
        results: RepairResults = CureResults(**told, scan=scan, files=names | triggers)
    else:
        results = RepairResults(**told, files=names)
    model = spec.file.path.stem if spec.file else ""
    cost = MethodCost(found.seconds, found.peak_memory, model=model, method=plan.name)
    run.write(results, [cost])
    return results


def _left(spec: NetworkSpec, found: RepairResult) -> int | None:
    """Stored numbers of the network without the channels a repair pruned, where they can go."""
    layer, channels = found.details.get("layer"), found.details.get("channels_pruned")
    return compact_parameters(spec, layer, channels) if layer and channels else None
