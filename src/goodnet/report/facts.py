"""What a report shows of a run, beside the results themselves: read from its folder, then drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from goodnet.report import words
from goodnet.results import (
    Cost,
    EpochResult,
    GuardedRates,
    LayerRecord,
    Left,
    PictureRecord,
    PruneDrop,
    Rates,
    RunRecord,
    ScanRecord,
)
from goodnet.types import Proportion


@dataclass(frozen=True)
class Trial:
    """One way of making B' of B, and the G of both.

    Attributes:
        name: "X = 10", or the name of a method.
        model: The file of B, for a comparison of several; "" where there is one.
        repaired: B'; None where it could not be made.
        guarded: G; None where it could not be made.
        rating: The defence effectiveness rating (DER), 0..1; None where not known.
        cost: What it took.
        reason: Why it could not be made; "" where it was.
        files: What was written: name by role ("model", "goodnet", "compact").
    """

    name: str
    model: str = ""
    repaired: Rates | None = None
    guarded: GuardedRates | None = None
    rating: float | None = None
    cost: Cost = field(default_factory=Cost)
    reason: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """What pruning one layer does, step by step.

    Attributes:
        layer: Its name.
        order: "ascending", "descending" or "given".
        channels: All channels in pruning order.
        mean_activation: On clean images, by channel index.
        poisoned_activation: The same on each poisoned set, where measured.
        dead: Channels that are zero everywhere on every clean image.
        accuracy: On the clean validation set with 0, 1, ... channels silent.
        success: Of each poisoned set with 0, 1, ... channels silent.
        drops: The drops that were asked for.
    """

    layer: str
    order: str
    channels: tuple[int, ...]
    mean_activation: tuple[float, ...]
    dead: tuple[int, ...]
    accuracy: tuple[Proportion, ...]
    success: Mapping[str, tuple[Proportion, ...]] = field(default_factory=dict)
    poisoned_activation: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    drops: tuple[PruneDrop, ...] = ()


@dataclass(frozen=True)
class FileFact:
    """A file: its role ("model", "clean", ...), name, sha256, and images if it is a set."""

    role: str
    name: str
    sha256: str
    images: int | None = None


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        name: Of the folder.
        command: "prune", "repair", "cure", "compare" or "scan".
        method: Of a repair or a scan; "prune" for a pruning; "" for a comparison.
        classes: N; None where a comparison has several networks.
        class_names: What each class is called, from 0 on; empty where nothing says it.
        baseline: B on the sets it was judged by; None for a scan, and where a comparison has
            several networks.
        trials: Every B' with its G.
        shown: The trial the first numbers and the pictures are of; None if there is none.
        curve: Of a pruning.
        epochs: Of a repair that trains.
        chosen: The epoch B' is from, counted from 1; 0 if it was not trained.
        pictures: Clean and poisoned images with what was answered.
        images: The PNG files that can be shown, of pictures and of triggers, by their name.
        scan: What a scan of B found; None where it was not scanned.
        left: Of a cure: what is left, label by label.
        layers: Of B, in running order.
        pruned_layer: The layer whose channels were silenced; "" for none.
        parameters: Of B, and of B' with what is silent removed, where known.
        inputs: The files it was made from.
        outputs: The files in the folder.
        baselines: Of a comparison: B by model.
        notes: What a user should know, a sentence each.
        record: What it took, when, and by which command.
        options: Resolved options, as they are to be shown.
    """

    name: str
    command: str
    method: str
    classes: int | None
    baseline: Rates | None
    trials: tuple[Trial, ...]
    shown: int | None
    class_names: tuple[str, ...] = ()
    curve: Curve | None = None
    epochs: tuple[EpochResult, ...] = ()
    chosen: int = 0
    pictures: tuple[PictureRecord, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)
    scan: ScanRecord | None = None
    left: tuple[Left, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    pruned_layer: str = ""
    parameters: tuple[int | None, int | None] = (None, None)
    inputs: tuple[FileFact, ...] = ()
    outputs: tuple[FileFact, ...] = ()
    baselines: Mapping[str, Rates] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    record: RunRecord = field(default_factory=RunRecord)
    options: Mapping[str, str] = field(default_factory=dict)

    def called(self, label: int) -> str:
        """A class by its number, and by its name where that is known: "3 (cat)"."""
        known = self.class_names[label] if label < len(self.class_names) else ""
        return f"{label} ({words.name(known)})" if known else str(label)

    @property
    def single(self) -> bool:
        """Whether it is one repair, the method of which is that of the run."""
        return self.command in ("repair", "cure")

    @property
    def clean(self) -> FileFact | None:
        """The clean images that were given."""
        return next((fact for fact in self.inputs if fact.role == "clean"), None)

    @property
    def model(self) -> str:
        """The name of the file of B, of the first one of several; "" where it is not known."""
        return next((fact.name for fact in self.inputs if fact.role == "model"), "")
