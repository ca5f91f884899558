"""What a repair leaves behind: B', G, what was measured and what it cost, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import goodnet
from goodnet import files
from goodnet.errors import InvalidInput
from goodnet.formats import load_network
from goodnet.formats.save import file_suffix, save_spec
from goodnet.guard.form import guard_spec
from goodnet.jobs.inputs import to_device
from goodnet.jobs.network_facts import compact_parameters, network_facts
from goodnet.jobs.pictures import write_pictures
from goodnet.jobs.plain import about_inputs, guarded_rates, plain_rates
from goodnet.jobs.run_record import Began, RepairCost, write_record
from goodnet.jobs.scan import Suspect as Scanned
from goodnet.jobs.scan import scan_facts
from goodnet.repair.cured import CureResult

if TYPE_CHECKING:
    from goodnet.formats.spec import NetworkSpec
    from goodnet.jobs.repair.plan import RepairPlan
    from goodnet.jobs.repair.run import Suspect
    from goodnet.network import Network
    from goodnet.repair import RepairResult
    from goodnet.scan import ScanResult
    from goodnet.types import Evaluation

__all__ = ["about", "write_repair"]

SCHEMA = 1


def write_repair(
    suspect: Suspect, plan: RepairPlan, found: RepairResult, folder: Path, *, began: Began
) -> tuple[Evaluation, Evaluation, Evaluation]:
    """Fill an empty folder with B', G and the results; B' is measured as it is in its file.

    Args:
        suspect: The network and its images.
        plan: What was done.
        found: What came of it.
        folder: Where to write.
        began: When the command began.

    Returns:
        B, B' and G on the test set and the poisoned sets, none of which was looked at before.

    Raises:
        InvalidInput: If the numbers of B' cannot be stored in a copy of the file.
        FileError: If something cannot be written.
    """
    names, repaired = _write_networks(suspect, found, folder)
    towers, spec = suspect.measure(repaired), suspect.network.spec
    results = {
        **about(suspect, plan),
        "network": network_facts(spec),
        "parameters_left": _left(spec, found),
        **_outcome(found, towers.evaluations),
        "repaired": names["model"],
        "pictures": write_pictures(towers, folder),
        "files": names,
    }
    if isinstance(found, CureResult):
        results["command"] = "cure"
        results["scan"], triggers = _scan(suspect, found.scan, folder)
        results["files"] = names | triggers
    files.write_json(folder / files.RESULTS, results)
    model = spec.file.path.stem if spec.file else ""
    cost = RepairCost(model, plan.name, found.seconds, found.peak_memory)
    write_record(folder, began, [cost])
    return towers.evaluations


def about(suspect: Suspect, plan: RepairPlan) -> dict[str, Any]:
    """All that decides what comes out of a repair: equal for two, their results are equal."""
    return {
        "schema": SCHEMA,
        "command": "repair",
        "goodnet": goodnet.__version__,
        "inputs": about_inputs(suspect.opened),
        "scale": str(suspect.opened.inputs.scale),
        "classes": suspect.network.num_classes,
        "device": suspect.opened.inputs.options.device,
        **plan.about(),
    }


def _write_networks(
    suspect: Suspect, found: RepairResult, folder: Path
) -> tuple[dict[str, str], Network]:
    """Write B' and G; their names, and B' read again from its file."""
    spec, options = suspect.network.spec, suspect.opened.inputs.options
    if spec.file is None:
        raise InvalidInput("expected a network that was read from a file, got one made here")
    cured = found.network.spec
    form = "repaired" if cured.layers == spec.layers else "clamped"
    model = f"model_{form}{file_suffix(spec.file)}"
    names = {"model": model, "goodnet": "goodnet.keras"}
    path = folder / model
    save_spec(cured, path)
    repaired = load_network(path, architecture=options.architecture)
    repaired = repaired.with_preprocessing(spec.preprocessing)
    save_spec(guard_spec(spec, repaired.spec), folder / names["goodnet"])
    return names, to_device(repaired, options.device)


def _scan(
    suspect: Suspect, found: ScanResult, folder: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    inputs = suspect.opened.inputs
    seen = Scanned(inputs.network, inputs.given, inputs.options.device)
    return scan_facts(seen, found, folder)


def _left(spec: NetworkSpec, found: RepairResult) -> int | None:
    """Stored numbers of the network without the channels a repair pruned, where they can go."""
    layer, channels = found.details.get("layer"), found.details.get("channels_pruned")
    return compact_parameters(spec, layer, channels) if layer and channels else None


def _outcome(
    found: RepairResult, evaluations: tuple[Evaluation, Evaluation, Evaluation]
) -> dict[str, Any]:
    baseline, repaired, good = evaluations
    return {
        "details": dict(found.details),
        "notes": list(found.notes),
        "epochs": [
            {"loss": epoch.loss, "accuracy": epoch.accuracy.to_dict()} for epoch in found.epochs
        ],
        "chosen": found.chosen,
        "before": found.before.to_dict(),
        "after": found.after.to_dict(),
        "measured": {
            "baseline": plain_rates(baseline),
            "repaired": plain_rates(repaired),
            "goodnet": guarded_rates(good),
        },
    }
