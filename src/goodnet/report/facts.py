"""What a report shows, as plain frozen data: read from run folders, then drawn and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from goodnet.results import Cost, EpochResult, LayerRecord, Left, Verdict
from goodnet.types import Proportion

__all__ = [
    "Curve",
    "Drop",
    "FileFact",
    "Measured",
    "Picture",
    "Recovered",
    "Run",
    "Scan",
    "Target",
    "Trial",
]


@dataclass(frozen=True)
class Measured:
    """One network on the sets it was judged by.

    Attributes:
        name: "B", "B'" or "G".
        clean: Clean accuracy; None where no test set was given.
        success: Attack success rate by poisoned set.
        robust: Poisoned images answered with their true class, by set; only where known.
        false_alarms: Clean images answered N; None for a network without class N.
        detected: Poisoned images answered N, by set.
    """

    name: str
    clean: Proportion | None
    success: Mapping[str, Proportion] = field(default_factory=dict)
    robust: Mapping[str, Proportion] = field(default_factory=dict)
    false_alarms: Proportion | None = None
    detected: Mapping[str, Proportion] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One way of making B' of B, and the G of both.

    Attributes:
        name: "X = 10", or the name of a method.
        model: The file of B, for a comparison of several; "" where there is one.
        repaired: B'; None where it could not be made.
        guarded: G; None where it could not be made.
        rating: The defence effectiveness rating (DER), 0..1; None where not known.
        cost: What it took; None where not known.
        reason: Why it could not be made; "" where it was.
        files: What was written: name by role ("model", "goodnet", "compact").
    """

    name: str
    model: str = ""
    repaired: Measured | None = None
    guarded: Measured | None = None
    rating: float | None = None
    cost: Cost | None = None
    reason: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """An allowed drop that was asked for.

    Attributes:
        drop: Percentage points.
        steps: Channels silenced to get there; None if accuracy never falls that far.
        parameters: Stored numbers of the network without those channels, where known.
    """

    drop: float
    steps: int | None
    parameters: int | None = None


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
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An image and what was answered to it.

    Attributes:
        png: The file's bytes.
        set: "clean", or the name of a poisoned set.
        index: Its place in the set, from 0.
        label: What the set says: the true class, or the attacker's target.
        source_label: What a poisoned image shows; None where not known.
        answers: By network: "B", "B'", "G" (N, the number of classes, means "backdoored").
        why: "sample", "refused" (a clean image G refused), "passed" (a poisoned one let through).
    """

    png: bytes
    set: str
    index: int
    label: int
    source_label: int | None
    answers: Mapping[str, int]
    why: str


@dataclass(frozen=True)
class Recovered:
    """A trigger found in a network.

    Attributes:
        family: How triggers look in the family it is of.
        success: Share of images, none of them of the label's class, that are answered with the
            label when they bear it.
        changed: Root mean square by which it changes them, in units of the pixel range.
        area: Share of the pixels that it changes, 0..1.
        margin: Mean logit margin of the label on images that bear it; None where not known.
        png: The trigger alone; empty where there is no picture.
        samples: Clean images, each with the same one stamped.
    """

    family: str
    success: Proportion
    changed: float
    area: float
    margin: float | None = None
    png: bytes = b""
    samples: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Target:
    """A label that a backdoor seems to lead to.

    Attributes:
        label: The class.
        score: How suspicious it is.
        p_value: Probability that a network without a backdoor has a label that scores as high;
            None where not known.
        trigger: The one that works best of those found; None where none was.
        families: All families of triggers in which the label stands out.
        layer: Where its direction was taken; "" for none.
        own: How far clean images of the label's own class lie along that direction, where stamped
            images lie at 1 and all clean ones at 0; None where not known.
        file: The file of the run folder that holds trigger and direction; "" for none.
    """

    label: int
    score: float
    p_value: float | None = None
    trigger: Recovered | None = None
    families: tuple[str, ...] = ()
    layer: str = ""
    own: float | None = None
    file: str = ""


@dataclass(frozen=True)
class Scan:
    """Whether a network seems to carry a backdoor, and for which labels.

    Attributes:
        verdict: "no_finding", "suspicious", "backdoored" or "inconclusive".
        p_value: Of the most suspicious label; None where not known.
        null: What that is against, or by what rule the verdict is, a sentence.
        scores: Of all classes, higher = more suspicious; None for one that is not known.
        threshold: Labels with a score above it are named; None where there is none.
        targets: The labels that stand out, the most suspicious first.
        apart: Whether triggers were judged by other images than they were searched on.
        invented: Whether the images were made from the network, for want of clean ones.
    """

    verdict: Verdict
    p_value: float | None
    null: str
    scores: tuple[float | None, ...]
    threshold: float | None = None
    targets: tuple[Target, ...] = ()
    apart: bool = True
    invented: bool = False


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
        baseline: B on the sets it was judged by; None for a scan, and where a comparison has
            several networks.
        trials: Every B' with its G.
        shown: The trial the first numbers and the pictures are of; None if there is none.
        curve: Of a pruning.
        epochs: Of a repair that trains.
        chosen: The epoch B' is from, counted from 1; 0 if it was not trained.
        pictures: Clean and poisoned images with what was answered.
        scan: What a scan of B found; None where it was not scanned.
        left: Of a cure: what is left, label by label.
        layers: Of B, in running order.
        pruned_layer: The layer whose channels were silenced; "" for none.
        parameters: Of B, and of B' with what is silent removed, where known.
        inputs: The files it was made from.
        outputs: The files in the folder.
        baselines: Of a comparison: B by model.
        notes: What a user should know, a sentence each.
        cost: Of all of it.
        line: The exact command; "" where not known.
        options: Resolved options, as they are to be shown.
        versions: Of this program and the libraries that count.
        finished: When, in UTC, as ISO 8601; "" where not known.
    """

    name: str
    command: str
    method: str
    classes: int | None
    baseline: Measured | None
    trials: tuple[Trial, ...]
    shown: int | None
    curve: Curve | None = None
    epochs: tuple[EpochResult, ...] = ()
    chosen: int = 0
    pictures: tuple[Picture, ...] = ()
    scan: Scan | None = None
    left: tuple[Left, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    pruned_layer: str = ""
    parameters: tuple[int | None, int | None] = (None, None)
    inputs: tuple[FileFact, ...] = ()
    outputs: tuple[FileFact, ...] = ()
    baselines: Mapping[str, Measured] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cost: Cost | None = None
    line: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    finished: str = ""

    @property
    def single(self) -> bool:
        """Whether it is one repair, the method of which is that of the run."""
        return self.command in ("repair", "cure")
