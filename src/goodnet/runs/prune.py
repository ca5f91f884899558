"""Prune a suspect network for each allowed drop; write B' and G, and measure what was written."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import silence
from goodnet.formats.compact import compact
from goodnet.formats.format import file_suffix, save_spec
from goodnet.progress import ProgressCallback, Stage, no_progress
from goodnet.repair.layers import default_layer
from goodnet.repair.prune import Order, prune_curve, trace_backdoor
from goodnet.report.exports import plot_comparison, plot_curve
from goodnet.report.tables import text_cell
from goodnet.results import GuardedRates, Pictures, PruneBaseline, PruneDrop, PruneResults, Rates
from goodnet.runs.folder import RunFolder
from goodnet.runs.inputs import Inputs, compact_parameters
from goodnet.runs.pictures import write_pictures
from goodnet.runs.predictions import PairPredictions, Suspect
from goodnet.stats import proportion
from goodnet.types import PruneCurve

DEFAULT_DROPS = (2.0, 4.0, 10.0, 30.0)

# Points of accuracy that most would still give up: pictures show the last network within.
_SHOWN_DROP = 10.0


@dataclass(frozen=True)
class PruneOptions:
    """What to prune and how far.

    Attributes:
        layer: The layer; None for the last pooling layer.
        order: By mean activation, "ascending" or "descending".
        channels: An explicit order instead.
        drops: Allowed losses of clean accuracy in percentage points.
    """

    layer: str | None = None
    order: Order = "ascending"
    channels: Sequence[int] | None = None
    drops: Sequence[float] = DEFAULT_DROPS


@dataclass(frozen=True)
class Pruned:
    """What pruning does, before anything is written.

    Attributes:
        curve: Accuracy and attack success, step by step.
        steps: Channels silenced for each allowed drop, in rising order; None if accuracy never
            falls that far.
        poisoned_activation: By poisoned set: the mean over images and positions of each channel
            of the pruned layer, shape (channels,). Never used to choose anything.
    """

    curve: PruneCurve
    steps: Mapping[float, int | None]
    poisoned_activation: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def prune(
    inputs: Inputs, options: PruneOptions, *, progress: ProgressCallback | None = None
) -> Pruned:
    """Silence the channels of a layer one after another.

    Args:
        inputs: The network and its images; poisoned sets are looked at when the order is fixed.
        options: What to prune.
        progress: Called with the number of images done, in all twice those of the clean set and
            once those of each poisoned one.

    Raises:
        InvalidInput: If the layer or a channel does not exist or cannot be silenced.
        UsageError: If a drop is not between 0 and 100 percentage points.
    """
    network = inputs.network
    drops = check_drops(options.drops)
    layer = default_layer(network) if options.layer is None else options.layer
    if layer not in network.layers:
        known = ", ".join(silence.prunable_layers(network.spec))
        raise InvalidInput(f"no layer is called {layer!r}; layers that can be pruned: {known}")
    silence.silence(network.spec, layer, [0])
    curve = prune_curve(
        network,
        inputs.clean,
        layer=layer,
        order=options.order,
        channels=options.channels,
        progress=progress,
    )
    steps = {drop: curve.steps_to_drop(drop) for drop in drops}
    means = {}
    for name, images in inputs.backdoor.items():
        trace = trace_backdoor(curve, network, images, progress=progress)
        curve = curve.with_backdoor(name, trace.correct, total=trace.total)
        means[name] = trace.mean_activation
    return Pruned(curve, steps, means)


def check_drops(drops: Sequence[float]) -> list[float]:
    """Allowed drops in rising order, each once.

    Raises:
        UsageError: If one is not between 0 and 100 percentage points.
    """
    for drop in drops:
        if not 0 < drop < 100:
            raise UsageError(
                f"expected a drop above 0 and below 100 percentage points, got {drop:g}"
            )
    return sorted(set(drops))


def write_prune(
    inputs: Inputs,
    pruned: Pruned,
    run: RunFolder,
    *,
    small: bool = False,
    stage: Stage = no_progress,
) -> PruneResults:
    """Fill a run folder: networks, the curve, pictures, and what was measured.

    Args:
        inputs: The network and its images.
        pruned: What pruning does.
        run: The folder.
        small: Also write networks with the channels removed.
        stage: Shows the progress of measuring.

    Raises:
        FileError: If something cannot be written.
        InvalidInput: If `small` is set and the channels cannot be removed.
    """
    suspect, curve = Suspect(inputs), pruned.curve
    drops: list[PruneDrop] = []
    pairs: dict[float, PairPredictions] = {}
    with stage(len(pruned.steps), "measuring") as advance:
        for drop, steps in pruned.steps.items():
            if steps is None:
                drops.append(PruneDrop(drop=drop))
            else:
                made, pairs[drop] = _write_drop(suspect, curve, drop, folder=run.path, small=small)
                drops.append(made)
            advance(1)
    _write_curve(curve, run.path / "curve.csv")
    plot_curve(curve, drops=dict(pruned.steps), destination=run.path / "curve.png")
    groups = {f"X = {drop:g}": list(pair.evaluations) for drop, pair in pairs.items()}
    plot_comparison(groups, run.path / "comparison.png")
    before = Rates.of(suspect.baseline)
    results = PruneResults(
        **inputs.told(),
        notes=inputs.warnings,
        layer=curve.layer,
        order=curve.order,
        channels=tuple(map(int, curve.channels)),
        dead_channels=tuple(curve.dead_channels),
        mean_activation=tuple(curve.mean_activation.tolist()),
        poisoned_activation={
            name: tuple(mean.tolist()) for name, mean in pruned.poisoned_activation.items()
        },
        baseline=PruneBaseline(
            before.test,
            before.backdoor,
            before.robust,
            validation=proportion(int(curve.correct[0]), curve.total),
        ),
        drops=tuple(drops),
        pictures=_pictures(pairs, run.path),
    )
    run.write(results)
    return results


def _write_drop(
    suspect: Suspect, curve: PruneCurve, drop: float, *, folder: Path, small: bool
) -> tuple[PruneDrop, PairPredictions]:
    """Write B' and G of an allowed drop that is reached, and measure the files."""
    spec, steps = suspect.inputs.network.spec, curve.steps_to_drop(drop) or 0
    channels = curve.silenced(steps)
    repaired = spec.with_arrays(silence.silence(spec, curve.layer, channels))
    name = f"drop_{drop:g}"
    names, pair = suspect.write(repaired, folder, model=f"model_{name}", goodnet=f"goodnet_{name}")
    if small and spec.file:
        smaller = compact(spec, curve.layer, channels)
        names["compact"] = f"compact_{name}{file_suffix(smaller, spec.file)}"
        save_spec(smaller, folder / names["compact"])
    _, second, good = pair.evaluations
    made = PruneDrop(
        drop=drop,
        channels_pruned=steps,
        channels=tuple(channels),
        parameters=compact_parameters(spec, curve.layer, channels) if channels else None,
        validation=proportion(int(curve.correct[steps]), curve.total),
        repaired=Rates.of(second),
        goodnet=GuardedRates.of(good),
        files=names,
    )
    return made, pair


def _pictures(pairs: Mapping[float, PairPredictions], folder: Path) -> Pictures:
    """Pictures of the largest drop that is not too large, or else of the smallest."""
    if not pairs:
        return Pictures()
    shown = max((drop for drop in pairs if drop <= _SHOWN_DROP), default=min(pairs))
    return write_pictures(pairs[shown], folder, drop=shown)


def _write_curve(curve: PruneCurve, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(curve_rows(curve))


def curve_rows(curve: PruneCurve) -> list[list[Any]]:
    """The table of `curve.csv`: a header, then one row per silenced channel."""
    header = ["step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy"]
    rows: list[list[Any]] = [header + [text_cell(name) for name in curve.successes]]
    width = len(curve.mean_activation)
    for step, channel in enumerate(curve.channels, start=1):
        mean = float(curve.mean_activation[channel])
        accuracy = int(curve.correct[step]) / curve.total
        asr = [
            int(curve.successes[name][step]) / curve.success_totals[name]
            for name in curve.successes
        ]
        rows.append([step, int(channel), mean, step / width, accuracy, *asr])
    return rows
