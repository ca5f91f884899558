"""The main job: prune a suspect network for each allowed drop, and measure B, B' and G."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import silence
from goodnet.imagesets import ImageSet
from goodnet.jobs.inputs import InputOptions, Inputs, invent_inputs, open_inputs
from goodnet.jobs.predictions import PairPredictions, Predictions, evaluation
from goodnet.network import Network
from goodnet.progress import ProgressCallback
from goodnet.repair.layers import default_layer
from goodnet.repair.prune import Order, prune_curve, trace_backdoor
from goodnet.repair.trace import Trace, trace_answers
from goodnet.stats import proportion
from goodnet.types import Evaluation, Integers, Proportion, PruneCurve

__all__ = [
    "DEFAULT_DROPS",
    "DropResult",
    "Opened",
    "PruneJob",
    "PruneOptions",
    "PruneResult",
    "check_drops",
    "open_job",
    "prune",
]

DEFAULT_DROPS = (2.0, 4.0, 10.0, 30.0)


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
class PruneJob:
    """The files of one job; poisoned sets are only ever measured on.

    Attributes:
        model: The suspect network.
        clean: Clean labelled validation set; None to make images from the network.
        test: Clean labelled test set.
        backdoor: Poisoned sets by name.
    """

    model: Path
    clean: Path | None
    test: Path | None = None
    backdoor: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class DropResult:
    """B' and G for one allowed drop.

    Attributes:
        drop: Percentage points.
        steps: Channels silenced; None if accuracy never falls that far.
        validation: Accuracy of B' on the clean validation set.
        towers: What B, B' and G answer to the test set and to each poisoned set.
    """

    drop: float
    steps: int | None
    validation: Proportion | None = None
    towers: PairPredictions | None = None

    @property
    def repaired(self) -> Evaluation | None:
        """B' on the test set and on each poisoned set."""
        return self.towers.evaluations[1] if self.towers else None

    @property
    def goodnet(self) -> Evaluation | None:
        """G on the same sets."""
        return self.towers.evaluations[2] if self.towers else None


@dataclass(frozen=True)
class Opened:
    """All files of a job, opened and known to fit together."""

    inputs: Inputs
    test: ImageSet | None
    backdoor: Mapping[str, ImageSet]

    @property
    def judged(self) -> ImageSet:
        """The clean images whose answers are looked at one by one: the test set if there is one."""
        return self.inputs.clean if self.test is None else self.test

    @property
    def work(self) -> int:
        """Images a pruning will run, for a progress bar; the clean set passes twice to choose."""
        others = [self.judged, *self.backdoor.values()]
        return 2 * len(self.inputs.clean) + sum(len(images) for images in others)


@dataclass(frozen=True)
class PruneResult:
    """What the job found, before anything is written.

    Attributes:
        curve: Accuracy and attack success, step by step.
        baseline: B on the test set and on each poisoned set.
        drops: B' and G for each drop.
        poisoned_activation: By poisoned set: the mean over images and positions of each channel
            of the pruned layer, shape (channels,). Never used to choose anything.
    """

    curve: PruneCurve
    baseline: Evaluation
    drops: tuple[DropResult, ...]
    poisoned_activation: Mapping[str, NDArray[np.float64]]


def open_job(job: PruneJob, options: InputOptions) -> Opened:
    """Open every file of a job, so that what is wrong shows before the work begins.

    Raises:
        GoodnetError: If an input is refused or does not fit the network.
    """
    inputs = (
        invent_inputs(job.model, options)
        if job.clean is None
        else open_inputs(job.model, job.clean, options)
    )
    return Opened(
        inputs=inputs,
        test=inputs.open(job.test) if job.test else None,
        backdoor={name: inputs.open(path, name=name) for name, path in job.backdoor.items()},
    )


def prune(
    opened: Opened, options: PruneOptions, *, progress: ProgressCallback | None = None
) -> PruneResult:
    """Prune a network for each allowed drop and measure B, B' and G.

    Raises:
        InvalidInput: If the layer or a channel does not exist or cannot be silenced.
        UsageError: If a drop is not between 0 and 100 percentage points.
    """
    network = opened.inputs.network
    drops = check_drops(options.drops)
    layer = _choose_layer(network, options.layer)
    curve = prune_curve(
        network,
        opened.inputs.clean,
        layer=layer,
        order=options.order,
        channels=options.channels,
        progress=progress,
    )
    steps = {drop: curve.steps_to_drop(drop) for drop in drops}
    keep = sorted({0, *(step for step in steps.values() if step is not None)})
    traces = {}
    for name, images in opened.backdoor.items():
        trace = trace_backdoor(curve, network, images, keep=keep, progress=progress)
        curve = curve.with_backdoor(name, trace.correct, total=trace.total)
        traces[name] = trace
    clean = _trace_steps(network, opened.judged, curve, keep=keep, progress=progress)
    towers = _towers(opened, clean, traces)
    return PruneResult(
        curve=curve,
        baseline=evaluation(opened, towers[0].original, "B"),
        drops=tuple(_drop(drop, steps[drop], curve, towers) for drop in drops),
        poisoned_activation={name: trace.mean_activation for name, trace in traces.items()},
    )


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


def _choose_layer(network: Network, layer: str | None) -> str:
    chosen = default_layer(network) if layer is None else layer
    if chosen not in network.layers:
        known = ", ".join(silence.prunable_layers(network.spec))
        raise InvalidInput(f"no layer is called {chosen!r}; layers that can be pruned: {known}")
    silence.silence(network.spec, chosen, [0])
    return chosen


def _trace_steps(
    network: Network,
    images: ImageSet,
    curve: PruneCurve,
    *,
    keep: Sequence[int],
    progress: ProgressCallback | None,
) -> dict[int, Integers]:
    """The answers at some steps of a curve; what lies between them is passed in one go."""
    groups = [[int(c) for c in curve.channels[before:after]] for before, after in pairwise(keep)]
    trace = trace_answers(
        network, images, curve.layer, groups=groups, keep=range(len(keep)), progress=progress
    )
    return {step: trace.answers[index] for index, step in enumerate(keep)}


def _towers(
    opened: Opened, clean: Mapping[int, Integers], traces: Mapping[str, Trace]
) -> dict[int, PairPredictions]:
    """The networks of each step beside B, which is that of step 0."""
    answers = {
        step: Predictions(found, {name: trace.answers[step] for name, trace in traces.items()})
        for step, found in clean.items()
    }
    return {step: PairPredictions(opened, answers[0], found) for step, found in answers.items()}


def _drop(
    drop: float, step: int | None, curve: PruneCurve, towers: Mapping[int, PairPredictions]
) -> DropResult:
    if step is None:
        return DropResult(drop=drop, steps=None)
    return DropResult(
        drop=drop,
        steps=step,
        validation=proportion(int(curve.correct[step]), curve.total),
        towers=towers[step],
    )
