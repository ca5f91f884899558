"""`results.json` of every command, and `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta

import goodnet
from goodnet.results.parts import (
    Cost,
    Count,
    EpochResult,
    GuardedRates,
    Inputs,
    Left,
    MethodCost,
    NetworkRecord,
    Number,
    PairRates,
    Pictures,
    PreprocessingRecord,
    Rates,
    Share,
)
from goodnet.results.scan import ScanRecord
from goodnet.typed_json import convert
from goodnet.types import Order, Proportion

SCHEMA = 1


@dataclass(frozen=True)
class RunRecord(Cost):
    """`run.json`: what differs from run to run though the results are the same.

    Attributes:
        command_line: As typed; "" where the command was called from a program.
        finished: When, in UTC, as ISO 8601.
        versions: Of this program and the libraries that count.
        rows: What each repair took, where there are any.
    """

    schema: int = SCHEMA
    command_line: str = ""
    finished: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[MethodCost, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the results of all commands tell.

    Attributes:
        command: "scan", "cure", "prune", "repair" or "compare".
        goodnet: The version of this program.
        notes: What a user should know, a sentence each.
        files: What was written: name by role.
    """

    schema: int = SCHEMA
    command: str = ""
    goodnet: str = goodnet.__version__
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NetworkResults(Results):
    """The same of a command on one network.

    Attributes:
        inputs: What it was given.
        scale: What the stored pixels were multiplied by; None where there were none, or more was
            done to them.
        preprocessing: What the network was given for its images; None where there were none, or an
            older version wrote it.
        classes: N.
        class_names: What each class is called; empty where nothing says it.
        device: Where it was computed.
        network: B.
    """

    inputs: Inputs = field(default_factory=Inputs)
    scale: str | None = None
    preprocessing: PreprocessingRecord | None = None
    classes: Annotated[int, Meta(ge=2, le=100_000)] | None = None
    class_names: tuple[str, ...] = ()
    device: str = "cpu"
    network: NetworkRecord = field(default_factory=NetworkRecord)


@dataclass(frozen=True)
class PruneBaseline(Rates):
    """B, with its accuracy on the validation set."""

    validation: Proportion | None = None


@dataclass(frozen=True, kw_only=True)
class PruneDrop:
    """An allowed drop, B' and G for it.

    Attributes:
        drop: Percentage points.
        channels_pruned: How many; None if accuracy never falls that far.
        channels: Which.
        parameters: Stored numbers without them, where they can go.
        validation: Accuracy of B' on the validation set.
        repaired: B' on the other sets.
        goodnet: G on them.
        files: Names by role: "model", "goodnet", "compact".
    """

    drop: Number
    channels_pruned: Count | None = None
    channels: tuple[Count, ...] | None = None
    parameters: Count | None = None
    validation: Proportion | None = None
    repaired: Rates | None = None
    goodnet: GuardedRates | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PruneResults(NetworkResults):
    """The results of `goodnet prune`; the curve itself is in `curve.csv`.

    Attributes:
        layer: The layer that was pruned.
        order: By mean activation, or as given.
        channels: All channels in pruning order.
        dead_channels: Those that are zero everywhere on every clean image.
        mean_activation: On clean images, by channel.
        poisoned_activation: The same on each poisoned set.
        baseline: B.
        drops: In rising order.
        pictures: Of one of them.
    """

    command: str = "prune"
    layer: str = ""
    order: Order = "ascending"
    channels: tuple[Count, ...] = ()
    dead_channels: tuple[Count, ...] = ()
    mean_activation: tuple[Number, ...] = ()
    poisoned_activation: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    baseline: PruneBaseline = PruneBaseline()
    drops: tuple[PruneDrop, ...] = ()
    pictures: Pictures = field(default_factory=Pictures)

    def __post_init__(self) -> None:
        count = len(self.mean_activation)
        if any(len(means) != count for means in self.poisoned_activation.values()):
            raise ValueError("the activations on poisoned images are not one for each channel")
        if any((each.channels_pruned or 0) > len(self.channels) for each in self.drops):
            raise ValueError("an allowed drop asks for more channels than there are")


@dataclass(frozen=True, kw_only=True)
class RepairResults(NetworkResults):
    """The results of `goodnet repair`.

    Attributes:
        method: The name of the method.
        options: Its options.
        triggers: What it was given to take out.
        parameters_left: Stored numbers without the channels it pruned, where they can go.
        details: What the method itself has to say.
        epochs: Of training.
        chosen: The epoch B' is from, counted from 1; 0 if it was not trained.
        before: Accuracy of B on the clean images held back.
        after: Accuracy of B' on them.
        measured: B, B' and G.
        repaired: The file of B'.
        pictures: Of each set.
    """

    command: str = "repair"
    method: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    triggers: tuple[Mapping[str, str], ...] = ()
    parameters_left: Count | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    epochs: tuple[EpochResult, ...] = ()
    chosen: Count = 0
    before: Proportion | None = None
    after: Proportion | None = None
    measured: PairRates = field(default_factory=PairRates)
    repaired: str = ""
    pictures: Pictures = field(default_factory=Pictures)


@dataclass(frozen=True, kw_only=True)
class CureResults(RepairResults):
    """The results of `goodnet cure`: a repair, and the scan it went by."""

    command: str = "cure"
    scan: ScanRecord

    def __post_init__(self) -> None:
        _check_scores(self.scan, self.classes)

    @property
    def left(self) -> tuple[Left, ...]:
        """What is left, label by label.

        Raises:
            Unreadable: If it is not as this program writes it.
        """
        return convert(self.details.get("left", ()), tuple[Left, ...], "details.left")


@dataclass(frozen=True, kw_only=True)
class ScanResults(ScanRecord, NetworkResults):
    """The results of `goodnet scan`."""

    command: str = "scan"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_scores(self, self.classes)


@dataclass(frozen=True)
class Attacked:
    """What one poisoned set does after a repair.

    Attributes:
        success: Attack success rate of B'.
        robust: Share that B' answers right although poisoned; None where it is not known.
        detected: Share that G takes for backdoored.
        rating: The defence effectiveness rating, 0..1; None where it is not known.
    """

    success: Proportion
    robust: Proportion | None = None
    detected: Proportion | None = None
    rating: Share | None = None


@dataclass(frozen=True)
class ComparedRow:
    """What one repair did to one network.

    Attributes:
        model: The name of the network.
        method: What the repair is called; "none" for B itself.
        test: Accuracy of B' on the clean test set.
        false_alarms: Of G on it.
        backdoor: By poisoned set.
        rating: The mean over the poisoned sets.
        folder: Where B' and G are, within the run folder.
        reason: Why there is no B'.
    """

    model: str
    method: str
    test: Proportion | None = None
    false_alarms: Proportion | None = None
    backdoor: Mapping[str, Attacked] = field(default_factory=dict)
    rating: Share | None = None
    folder: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class CompareResults(Results):
    """The results of `goodnet compare`: by network B, then its repairs, the best first."""

    command: str = "compare"
    rows: tuple[ComparedRow, ...] = ()


def _check_scores(scan: ScanRecord, classes: int | None) -> None:
    if len(scan.scores) != classes:
        raise ValueError(f"there are {len(scan.scores)} scores for {classes} classes")
