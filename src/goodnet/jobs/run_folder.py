"""What the prune job leaves behind: results, curve, networks and pictures in one folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import goodnet
from goodnet import files
from goodnet.errors import InvalidInput
from goodnet.formats import silence
from goodnet.formats.compact import compact
from goodnet.formats.keras import edit, write
from goodnet.formats.spec import NetworkSpec
from goodnet.guard.form import guard_spec
from goodnet.images import ImageSet
from goodnet.jobs.prune import DropResult, Opened, PruneResult
from goodnet.report.comparison_plot import plot_comparison
from goodnet.report.curve_plot import plot_curve
from goodnet.stats import proportion
from goodnet.types import Evaluation, Proportion, PruneCurve

__all__ = [
    "about_images",
    "curve_rows",
    "guarded_rates",
    "plain_rates",
    "plain_share",
    "results",
    "text_cell",
    "write_run",
]

SCHEMA = 1


def write_run(opened: Opened, result: PruneResult, folder: Path, *, small: bool = False) -> None:
    """Fill an empty run folder (see `files.run_folder`, which makes it appear whole or not at all).

    Args:
        opened: The job's files.
        result: What was found.
        folder: Where to write.
        small: Also write networks with the channels removed.

    Raises:
        FileError: If something cannot be written.
        InvalidInput: If `small` is set and the channels cannot be removed.
    """
    spec = opened.inputs.network.spec
    if spec is None or spec.source is None:
        raise InvalidInput("expected a network that was read from a file, got a module")
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
    files.write_json(folder / "results.json", results(opened, result, written))


def _write_networks(
    spec: NetworkSpec, result: PruneResult, drop: DropResult, *, folder: Path, small: bool
) -> dict[str, str]:
    if drop.steps is None or spec.source is None:
        return {}
    layer, channels = result.curve.layer, result.curve.silenced(drop.steps)
    suffix = ".keras" if spec.source.format == "keras-zip" else ".h5"
    names = {
        "model": f"model_drop_{drop.drop:g}{suffix}",
        "goodnet": f"goodnet_drop_{drop.drop:g}.keras",
    }
    changed = silence.silence(spec, layer, channels)
    edit.rewrite(spec.source, changed, folder / names["model"])
    write.write(guard_spec(spec, spec.with_arrays(changed)), folder / names["goodnet"])
    if small:
        names["compact"] = f"compact_drop_{drop.drop:g}{suffix}"
        write.write(compact(spec, layer, channels), folder / names["compact"])
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


def text_cell(name: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    # A cell that begins like a formula would be run by a spreadsheet.
    return "'" + name if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def results(
    opened: Opened, result: PruneResult, written: dict[float, dict[str, str]]
) -> dict[str, Any]:
    """Plain data for `results.json`."""
    curve, inputs = result.curve, opened.inputs
    source = inputs.network.spec.source if inputs.network.spec else None
    return {
        "schema": SCHEMA,
        "command": "prune",
        "goodnet": goodnet.__version__,
        "inputs": {
            "model": {"name": source.path.name, "sha256": source.sha256} if source else None,
            "clean": about_images(inputs.clean),
            "test": about_images(opened.test) if opened.test else None,
            "backdoor": {name: about_images(images) for name, images in opened.backdoor.items()},
        },
        "scale": str(inputs.scale),
        "classes": inputs.network.num_classes,
        "layer": curve.layer,
        "order": curve.order,
        "channels": [int(c) for c in curve.channels],
        "dead_channels": curve.dead_channels,
        "mean_activation": [float(mean) for mean in curve.mean_activation],
        "baseline": {
            "validation": proportion(int(curve.correct[0]), curve.total).to_dict(),
            **plain_rates(result.baseline),
        },
        "drops": [_drop(drop, curve, written[drop.drop]) for drop in result.drops],
    }


def about_images(images: ImageSet) -> dict[str, Any]:
    """Name, hash and size of a set."""
    return {"name": images.path.name, "sha256": images.sha256, "images": len(images)}


def _drop(drop: DropResult, curve: PruneCurve, names: dict[str, str]) -> dict[str, Any]:
    return {
        "drop": drop.drop,
        "channels_pruned": drop.steps,
        "channels": None if drop.steps is None else curve.silenced(drop.steps),
        "validation": plain_share(drop.validation),
        "repaired": plain_rates(drop.repaired) if drop.repaired else None,
        "goodnet": guarded_rates(drop.goodnet) if drop.goodnet else None,
        "files": names,
    }


def plain_rates(evaluation: Evaluation) -> dict[str, Any]:
    """Clean accuracy and attack success, as plain data."""
    found: dict[str, Any] = {
        "test": plain_share(evaluation.clean.correct) if evaluation.clean else None,
        "backdoor": {name: plain_share(r.correct) for name, r in evaluation.backdoor.items()},
    }
    robust = _known(evaluation, "robust")
    return found | ({"robust": robust} if robust else {})


def guarded_rates(evaluation: Evaluation) -> dict[str, Any]:
    """The same of a GoodNet, with what it refused."""
    clean = evaluation.clean
    return {
        **plain_rates(evaluation),
        "false_alarms": plain_share(clean.refused) if clean else None,
        "accepted_accuracy": plain_share(clean.accepted_correct) if clean else None,
        "detected": _known(evaluation, "refused"),
    }


def _known(evaluation: Evaluation, name: str) -> dict[str, Any]:
    values = {key: getattr(result, name) for key, result in evaluation.backdoor.items()}
    return {key: plain_share(value) for key, value in values.items() if value is not None}


def plain_share(share: Proportion | None) -> dict[str, Any] | None:
    """A share as plain data; None where it is not known."""
    return share.to_dict() if share else None
