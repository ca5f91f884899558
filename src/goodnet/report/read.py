"""Read a run folder: the only way a report comes to know anything.

The folder may come from anyone: nothing outside it is read, every size is bounded, every number is
checked by the decoder and every picture is encoded anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from goodnet.errors import GoodnetError, InvalidInput
from goodnet.files import RESULTS
from goodnet.quarantine import kinds_of, quarantined
from goodnet.report.facts import FileFact, Run, Trial
from goodnet.report.folder import (
    first_of_each,
    list_outputs,
    read_curve,
    read_pictures,
    read_scan_pictures,
)
from goodnet.results import (
    SCHEMA,
    ComparedRow,
    CompareResults,
    Cost,
    CureResults,
    GuardedRates,
    Inputs,
    NetworkResults,
    Pictures,
    PreprocessingRecord,
    PruneDrop,
    PruneResults,
    Rates,
    RepairResults,
    Results,
    RunRecord,
    ScanRecord,
    ScanResults,
)
from goodnet.run_folder import read_object
from goodnet.typed_json import Unreadable
from goodnet.types import Proportion

SHOWN_DROP = 10.0  # the numbers at the top are of the largest reached drop up to this

_RECORD = "run.json"
_UNTOUCHED = "none"  # what a comparison calls B in its table


def read_run(folder: Path, *, name: str = "") -> Run:
    """Read what `goodnet prune`, `repair`, `cure`, `compare` or `scan` left in a folder.

    What an older version did not write is left empty.

    Args:
        folder: The run folder.
        name: What to call the run; "" for the folder's own name.

    Returns:
        The run.

    Raises:
        InvalidInput: If it is not such a folder, or something in it is broken.
    """
    shown = name or folder.resolve().name
    subject = f"the run folder {str(folder)!r}"
    return quarantined(_read_run, folder, shown, subject=subject, kinds=_kinds())


@cache
def _kinds() -> tuple[type, ...]:
    return kinds_of(Run, *(kind for kind, _ in _READERS.values()))


def _read_run(folder: Path, shown: str) -> Run:
    if not os.path.lexists(folder / RESULTS):
        raise InvalidInput(
            f"expected a run folder, made by goodnet {_known()}; there is no {RESULTS} in {folder}"
        )
    try:
        kind, read = _reader(read_object(folder, RESULTS, Results))
        return read(folder, read_object(folder, RESULTS, kind), shown)
    except RecursionError as error:
        raise InvalidInput(
            f"cannot make a report of {folder}: {RESULTS} is nested too deeply"
        ) from error
    except (Unreadable, GoodnetError, OSError) as error:
        raise InvalidInput(f"cannot make a report of {folder}: {error}") from error


def _reader(found: Results) -> tuple[type[Any], Callable[[Path, Any, str], Run]]:
    if found.schema != SCHEMA:
        raise Unreadable(f"its results have schema {found.schema}, this version reads {SCHEMA}")
    if found.command not in _READERS:
        raise Unreadable(f"it is of the command {found.command[:40]!r}, expected {_known()}")
    return _READERS[found.command]


def _known() -> str:
    *others, last = _READERS
    return f"{', '.join(others)} or {last}"


def _common(folder: Path, found: Results) -> dict[str, Any]:
    """Arguments of `Run` that are read alike for every command."""
    record = _record(folder)
    versions = record.versions or {"goodnet": found.goodnet}
    return {
        "command": found.command,
        "outputs": list_outputs(folder),
        "notes": found.notes,
        "record": replace(record, versions=versions),
    }


def _of_network(found: NetworkResults | None) -> dict[str, Any]:
    """Arguments of `Run` that are read alike for every command on one network."""
    if found is None:
        return {"classes": None}
    return {
        "classes": found.classes,
        "class_names": found.class_names,
        "layers": found.network.layers,
        "inputs": _inputs(found.inputs),
    }


def _record(folder: Path) -> RunRecord:
    exists = os.path.lexists(folder / _RECORD)
    return read_object(folder, _RECORD, RunRecord) if exists else RunRecord()


def _inputs(found: Inputs) -> tuple[FileFact, ...]:
    sets = {"clean": found.clean, "test": found.test}
    sets |= {f"poisoned: {name}": each for name, each in found.backdoor.items()}
    model = [FileFact("model", found.model.name, found.model.sha256)] if found.model else []
    return (
        *model,
        *(FileFact(role, x.name, x.sha256, x.images) for role, x in sets.items() if x is not None),
    )


def _pictures(folder: Path, found: Pictures, scan: ScanRecord | None = None) -> dict[str, Any]:
    """Arguments of `Run`: pictures of images, and the PNG files of these and of triggers."""
    shown = first_of_each(found.items)
    triggers = read_scan_pictures(folder, scan) if scan else {}
    return {"pictures": shown, "images": read_pictures(folder, shown) | triggers}


def _options(found: object, *names: str) -> dict[str, str]:
    """Options as they are to be shown: one text for each that is known."""
    values = found if isinstance(found, Mapping) else {key: getattr(found, key) for key in names}
    shown = {str(key): _shown(value) for key, value in values.items()}
    if shown.get("scale"):
        shown.pop("preprocessing", None)  # says the same
    return {key: text for key, text in shown.items() if text}


def _shown(value: object) -> str:
    if isinstance(value, PreprocessingRecord):
        return value.text
    if isinstance(value, Mapping):
        parts = [f"{name} {text}" for name, each in value.items() if (text := _shown(each))]
        return ", ".join(parts)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _read_prune(folder: Path, found: PruneResults, name: str) -> Run:
    shown = _shown_drop(found.drops)
    after = found.drops[shown].parameters if shown is not None else None
    return Run(
        name=name,
        method="prune",
        baseline=found.baseline,
        trials=tuple(map(_drop_trial, found.drops)),
        shown=shown,
        curve=read_curve(folder, found),
        **_pictures(folder, found.pictures),
        pruned_layer=found.layer,
        parameters=(found.network.parameters, after),
        options=_options(found, "layer", "order", "scale", "preprocessing", "classes"),
        **_of_network(found),
        **_common(folder, found),
    )


def _shown_drop(drops: Sequence[PruneDrop]) -> int | None:
    reached = {place: each.drop for place, each in enumerate(drops) if each.repaired}
    small = [place for place, drop in reached.items() if drop <= SHOWN_DROP]
    if small:
        return max(small, key=reached.__getitem__)
    return min(reached, key=reached.__getitem__, default=None)


def _drop_trial(found: PruneDrop) -> Trial:
    made = found.repaired is not None and found.goodnet is not None
    return Trial(
        f"X = {found.drop:g}",
        repaired=found.repaired if made else None,
        guarded=found.goodnet if made else None,
        reason="" if made else "accuracy never falls that far",
        files=found.files,
    )


def _read_repair(folder: Path, found: RepairResults, name: str) -> Run:
    common, pruned = _common(folder, found), "channels_pruned" in found.details
    scan = found.scan if isinstance(found, CureResults) else None
    pictures = _pictures(folder, found.pictures, scan)
    trial = Trial(
        found.method,
        repaired=found.measured.repaired,
        guarded=found.measured.goodnet,
        cost=common["record"],
        files=found.files,
    )
    return Run(
        name=name,
        method=found.method,
        baseline=found.measured.baseline,
        trials=(trial,),
        shown=0,
        epochs=found.epochs,
        chosen=found.chosen,
        scan=scan,
        left=found.left if isinstance(found, CureResults) else (),
        pruned_layer=str(found.details.get("layer", "")) if pruned else "",
        parameters=(found.network.parameters, found.parameters_left),
        options=_repair_options(found),
        **pictures,
        **_of_network(found),
        **common,
    )


def _repair_options(found: RepairResults) -> dict[str, str]:
    own = _options(found, "method", "triggers", "scale", "preprocessing", "classes", "device")
    held_back = {"before": found.before, "after": found.after}
    shown = {
        f"accuracy held back, {key} (%)": str(share) for key, share in held_back.items() if share
    }
    return own | _options(found.options) | shown


@dataclass(frozen=True)
class _Row:
    """A row of the table, and what the folder of that repair says."""

    row: ComparedRow
    results: RepairResults | None

    @property
    def is_baseline(self) -> bool:
        return self.row.method == _UNTOUCHED


def _read_compare(folder: Path, found: CompareResults, name: str) -> Run:
    rows = [_Row(row, _results_of(folder, row)) for row in found.rows]
    several = len({row.model for row in found.rows}) > 1
    costs = {(each.model, each.method): each for each in _record(folder).rows}
    baselines = {
        each.row.model: Rates(each.row.test, _by_set(each.row, "success"))
        for each in rows
        if each.is_baseline
    }
    repairs = [each for each in rows if not each.is_baseline]
    trials = tuple(_row_trial(each, costs, several=several) for each in repairs)
    shown = _best(trials)
    made = [each.results for each in rows if each.results]
    only = made[0] if made and not several else None
    best = repairs[shown] if shown is not None and not several else None
    return Run(
        name=name,
        method="",
        baseline=None if several else next(iter(baselines.values()), None),
        trials=trials,
        shown=shown,
        parameters=(only.network.parameters if only else None, None),
        baselines=baselines,
        **_pictures_of(folder, best),
        options=_options(only, "scale", "preprocessing", "classes", "device") if only else {},
        **_of_network(only)
        # Every file once, though each repair names its own.
        | {"inputs": tuple(dict.fromkeys(x for each in made for x in _inputs(each.inputs)))},
        **_common(folder, found),
    )


def _results_of(folder: Path, row: ComparedRow) -> RepairResults | None:
    if not row.folder:
        return None
    path = f"{row.folder}/{RESULTS}"
    return read_object(folder, path, RepairResults) if (folder / path).is_file() else None


def _row_trial(found: _Row, costs: Mapping[tuple[str, str], Cost], *, several: bool) -> Trial:
    row, results = found.row, found.results
    own = results.measured.goodnet if results else GuardedRates()
    guarded = replace(own, false_alarms=row.false_alarms, detected=_by_set(row, "detected"))
    repaired = Rates(row.test, _by_set(row, "success"), _by_set(row, "robust"))
    return Trial(
        row.method,
        model=row.model if several else "",
        repaired=None if row.reason else repaired,
        guarded=None if row.reason else guarded,
        rating=row.rating,
        cost=costs.get((row.model, row.method), Cost()),
        reason=row.reason or "",
        files={role: f"{row.folder}/{name}" for role, name in results.files.items()}
        if results
        else {},
    )


def _by_set(row: ComparedRow, name: str) -> dict[str, Proportion]:
    shares = {key: getattr(attack, name) for key, attack in row.backdoor.items()}
    return {key: share for key, share in shares.items() if share is not None}


def _best(trials: Sequence[Trial]) -> int | None:
    """The trial with the best rating; the first made one where there is no rating."""
    made = [place for place, trial in enumerate(trials) if trial.repaired]
    return max(made, key=lambda place: trials[place].rating or 0.0, default=None)


def _pictures_of(folder: Path, best: _Row | None) -> dict[str, Any]:
    if best is None or best.results is None or not best.row.folder:
        return {}
    return _pictures(folder / best.row.folder, best.results.pictures)


def _read_scan(folder: Path, found: ScanResults, name: str) -> Run:
    images = {f"images {use}": getattr(found.images, use) for use in ("searched", "judged")}
    own = _options(found, "method", "scale", "preprocessing", "classes", "device", "threshold")
    return Run(
        name=name,
        method=found.method,
        baseline=None,
        trials=(),
        shown=None,
        scan=found,
        images=read_scan_pictures(folder, found),
        parameters=(found.network.parameters, None),
        options=own | _options(images) | _options(found.options),
        **_of_network(found),
        **_common(folder, found),
    )


_READERS: dict[str, tuple[type[Any], Callable[[Path, Any, str], Run]]] = {
    "prune": (PruneResults, _read_prune),
    "repair": (RepairResults, _read_repair),
    "cure": (CureResults, _read_repair),
    "compare": (CompareResults, _read_compare),
    "scan": (ScanResults, _read_scan),
}
