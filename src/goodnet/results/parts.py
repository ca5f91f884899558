"""What the results of several commands have in common: files, networks, rates, pictures, costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from goodnet.types import Evaluation, Proportion

_MOST = 2**53  # larger whole numbers are not counts of anything here
Count = Annotated[int, Meta(ge=0, le=_MOST)]
Number = Annotated[float, Meta(ge=-float(_MOST), le=float(_MOST))]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Why = Literal["sample", "refused", "passed"]


@dataclass(frozen=True)
class ModelFile:
    """A model file: its name and its sha256."""

    name: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class ImagesFile:
    """A file or folder of images: its name, its sha256, and how many images it holds.

    Attributes:
        classes: The class by the name of its folder, or by the label as it is stored.
        order: What makes a name a class: "numbers", "from-1", "natural", "text" or "names", see
            `goodnet.imagesets.Labelling`; "" where nothing is known.
    """

    name: str = ""
    sha256: str = ""
    images: Count | None = None
    classes: Mapping[str, Count] = field(default_factory=dict)
    order: str = ""


@dataclass(frozen=True)
class Inputs:
    """The files a command was given; None for one that was not."""

    model: ModelFile | None = None
    clean: ImagesFile | None = None
    test: ImagesFile | None = None
    backdoor: Mapping[str, ImagesFile] = field(default_factory=dict)


@dataclass(frozen=True)
class PreprocessingRecord:
    """What a network is given for its images.

    Attributes:
        text: Of a pixel x from 0 to 255, as `--preprocess` takes it.
        right: Clean images answered right with all that was tried, by what it was; empty where
            nothing was.
    """

    text: str = ""
    right: Mapping[str, Proportion] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerRecord:
    """A layer: what it does, what it reads, the shape of its value, its stored numbers."""

    name: str
    op: str = ""
    inputs: tuple[str, ...] = ()
    shape: tuple[Count | None, ...] = ()
    parameters: Count = 0


@dataclass(frozen=True)
class NetworkRecord:
    """A network: its own name, its stored numbers, and its layers in running order.

    The shape of a layer is that of its value for one image, channels first; None = any size.
    """

    name: str = ""
    parameters: Count | None = None
    layers: Annotated[tuple[LayerRecord, ...], Meta(max_length=5000)] = ()


@dataclass(frozen=True)
class Rates:
    """One network on the test set and the poisoned sets.

    Attributes:
        test: Clean accuracy; None where no test set was given.
        backdoor: Attack success rate by poisoned set.
        robust: Poisoned images answered with their true class, by set; only where known.
    """

    test: Proportion | None = None
    backdoor: Mapping[str, Proportion] = field(default_factory=dict)
    robust: Mapping[str, Proportion] = field(default_factory=dict)

    @classmethod
    def of(cls, evaluation: Evaluation) -> Rates:
        """What an evaluation says of B or B'."""
        return cls(**_rates(evaluation))

    @property
    def guarded(self) -> GuardedRates:
        """The same with what was refused: nothing is known of that unless it is of a GoodNet."""
        return GuardedRates(self.test, self.backdoor, self.robust)


@dataclass(frozen=True)
class GuardedRates(Rates):
    """The same of a GoodNet, with what it refused.

    Attributes:
        false_alarms: Clean images answered N.
        accepted_accuracy: Clean images answered right among those not answered N.
        detected: Poisoned images answered N, by set.
    """

    false_alarms: Proportion | None = None
    accepted_accuracy: Proportion | None = None
    detected: Mapping[str, Proportion] = field(default_factory=dict)

    @classmethod
    def of(cls, evaluation: Evaluation) -> GuardedRates:
        """What an evaluation says of G."""
        clean = evaluation.clean
        return cls(
            **_rates(evaluation),
            false_alarms=clean.refused if clean else None,
            accepted_accuracy=clean.accepted_correct if clean else None,
            detected=_known(evaluation, "refused"),
        )

    @property
    def guarded(self) -> GuardedRates:
        """Itself."""
        return self


@dataclass(frozen=True)
class PairRates:
    """B, B' and G on the same images."""

    baseline: Rates = Rates()
    repaired: Rates = Rates()
    goodnet: GuardedRates = GuardedRates()


@dataclass(frozen=True)
class PictureRecord:
    """A picture of an image of a set, and what was answered to it.

    Attributes:
        file: Its name in the run folder.
        set: "clean", or the name of a poisoned set.
        index: Its place in the set, from 0.
        label: What the set says: the true class, or the attacker's target.
        source_label: What a poisoned image shows; None where not known.
        answers: By network: "B", "B'", "G" (N, the number of classes, means "backdoored").
        why: "sample", "refused" (a clean image G refused), "passed" (a poisoned one let through).
    """

    file: str
    set: str
    index: Count
    label: Count
    source_label: Count | None = None
    answers: Mapping[str, Count | None] = field(default_factory=dict)
    why: Why = "sample"


@dataclass(frozen=True)
class Pictures:
    """Pictures of each set; of a pruning, those of one allowed drop."""

    drop: Number | None = None
    items: tuple[PictureRecord, ...] = ()


@dataclass(frozen=True)
class EpochResult:
    """One epoch of training.

    Attributes:
        loss: Mean over the images trained on.
        accuracy: On the images held back.
    """

    loss: Number
    accuracy: Proportion


@dataclass(frozen=True)
class Left:
    """What is left of a backdoor in B', judged without the attacker's trigger.

    Attributes:
        label: The label it leads to.
        before: Success of the best trigger the scan found, on B.
        after: Its success on a B' made without triggers of its family.
        again: Success of the best trigger that is found when B' is searched; of no images where
            there was no time to search.
        innocent: The largest success of triggers that are found so for innocent labels.
        stays: Whether what was found still works, or something comes back.
    """

    label: Count
    before: Proportion
    after: Proportion
    again: Proportion
    innocent: Proportion
    stays: bool = True

    @property
    def searched(self) -> bool:
        """Whether B' was searched."""
        return self.again.total > 0


@dataclass(frozen=True)
class Cost:
    """Seconds, and the most memory the process held in bytes; None where not known."""

    seconds: Number | None = None
    peak_memory: Count | None = None


@dataclass(frozen=True)
class MethodCost(Cost):
    """What one repair took by itself, without measuring and writing."""

    model: str = ""
    method: str = ""


def _rates(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "test": evaluation.clean.correct if evaluation.clean else None,
        "backdoor": {name: each.correct for name, each in evaluation.backdoor.items()},
        "robust": _known(evaluation, "robust"),
    }


def _known(evaluation: Evaluation, name: str) -> dict[str, Proportion]:
    values = {key: getattr(result, name) for key, result in evaluation.backdoor.items()}
    return {key: value for key, value in values.items() if value is not None}
