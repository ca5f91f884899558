"""What the prune job leaves behind: results, curve, networks and pictures in one folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import goodnet
from goodnet import files
from goodnet.formats import silence
from goodnet.formats.compact import compact
from goodnet.formats.save import file_suffix, save_spec
from goodnet.formats.spec import NetworkSpec
from goodnet.guard.form import guard_spec
from goodnet.jobs.network_facts import compact_parameters, network_facts
from goodnet.jobs.pictures import write_pictures
from goodnet.jobs.plain import about_inputs, guarded_rates, plain_rates, plain_share
from goodnet.jobs.prune.run import DropResult, Opened, PruneResult
from goodnet.jobs.run_record import Began, write_record
from goodnet.report.exports import plot_comparison, plot_curve
from goodnet.report.tables import text_cell
from goodnet.stats import proportion
from goodnet.types import PruneCurve

__all__ = ["curve_rows", "results", "write_run"]

SCHEMA = 1

# Points of accuracy that most would still give up: pictures show the last network within.
_SHOWN_DROP = 10.0


def write_run(
    opened: Opened, result: PruneResult, folder: Path, *, began: Began, small: bool = False
) -> None:
    """Fill an empty run folder (see `files.run_folder`, which makes it appear whole or not at all).

    Args:
        opened: The job's files.
        result: What was found.
        folder: Where to write.
        began: When the command began.
        small: Also write networks with the channels removed.

    Raises:
        FileError: If something cannot be written.
        InvalidInput: If `small` is set and the channels cannot be removed.
    """
    spec = opened.inputs.network.spec
    written = {
        drop.drop: _write_networks(spec, result, drop, folder=folder, small=small)
        for drop in result.drops
    }
    _write_curve(result.curve, folder / "curve.csv")
    marks = {drop.drop: drop.steps for drop in result.drops}
    plot_curve(result.curve, drops=marks, destination=folder / "curve.png")
    groups = {
        f"X = {drop.drop:g}": [result.baseline, drop.repaired, drop.goodnet]
        for drop in result.drops
        if drop.repaired and drop.goodnet
    }
    plot_comparison(groups, folder / "comparison.png")
    found = results(opened, result, written) | {"pictures": _write_pictures(result, folder)}
    files.write_json(folder / files.RESULTS, found)
    write_record(folder, began)


def _write_pictures(result: PruneResult, folder: Path) -> dict[str, Any]:
    """Pictures of the largest drop that is not too large, or else of the smallest."""
    reached = {drop.drop: drop.towers for drop in result.drops if drop.towers}
    if not reached:
        return {"drop": None, "items": []}
    shown = max((drop for drop in reached if drop <= _SHOWN_DROP), default=min(reached))
    return write_pictures(reached[shown], folder, drop=shown)


def _write_networks(
    spec: NetworkSpec, result: PruneResult, drop: DropResult, *, folder: Path, small: bool
) -> dict[str, str]:
    if drop.steps is None or spec.file is None:
        return {}
    layer, channels = result.curve.layer, result.curve.silenced(drop.steps)
    suffix = file_suffix(spec.file)
    names = {
        "model": f"model_drop_{drop.drop:g}{suffix}",
        "goodnet": f"goodnet_drop_{drop.drop:g}.keras",
    }
    repaired = spec.with_arrays(silence.silence(spec, layer, channels))
    save_spec(repaired, folder / names["model"])
    save_spec(guard_spec(spec, repaired), folder / names["goodnet"])
    if small:
        names["compact"] = f"compact_drop_{drop.drop:g}{suffix}"
        save_spec(compact(spec, layer, channels), folder / names["compact"])
    return names


def _write_curve(curve: PruneCurve, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(curve_rows(curve))


def curve_rows(curve: PruneCurve) -> list[list[Any]]:
    """The table of `curve.csv`: a header, then one row per silenced channel."""
    header = ["step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy"]
    rows: list[list[Any]] = [header + [text_cell(name) for name in curve.hits]]
    width = len(curve.mean_activation)
    for step, channel in enumerate(curve.channels, start=1):
        mean = float(curve.mean_activation[channel])
        accuracy = int(curve.correct[step]) / curve.total
        asr = [int(curve.hits[name][step]) / curve.hit_totals[name] for name in curve.hits]
        rows.append([step, int(channel), mean, step / width, accuracy, *asr])
    return rows


def results(
    opened: Opened, result: PruneResult, written: dict[float, dict[str, str]]
) -> dict[str, Any]:
    """Plain data for `results.json`."""
    curve, inputs, spec = result.curve, opened.inputs, opened.inputs.network.spec
    return {
        "schema": SCHEMA,
        "command": "prune",
        "goodnet": goodnet.__version__,
        "inputs": about_inputs(opened),
        "scale": str(inputs.scale),
        "classes": inputs.network.num_classes,
        "network": network_facts(spec),
        "layer": curve.layer,
        "order": curve.order,
        "channels": [int(c) for c in curve.channels],
        "dead_channels": curve.dead_channels,
        "mean_activation": curve.mean_activation.tolist(),
        "poisoned_activation": {
            name: mean.tolist() for name, mean in result.poisoned_activation.items()
        },
        "baseline": {
            "validation": proportion(int(curve.correct[0]), curve.total).to_dict(),
            **plain_rates(result.baseline),
        },
        "drops": [_drop(drop, curve, spec, written[drop.drop]) for drop in result.drops],
    }


def _drop(
    drop: DropResult, curve: PruneCurve, spec: NetworkSpec, names: dict[str, str]
) -> dict[str, Any]:
    channels = None if drop.steps is None else curve.silenced(drop.steps)
    return {
        "drop": drop.drop,
        "channels_pruned": drop.steps,
        "channels": channels,
        "parameters": compact_parameters(spec, curve.layer, channels) if channels else None,
        "validation": plain_share(drop.validation),
        "repaired": plain_rates(drop.repaired) if drop.repaired else None,
        "goodnet": guarded_rates(drop.goodnet) if drop.goodnet else None,
        "files": names,
    }
