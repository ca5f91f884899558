"""What the comparison of two networks holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from goodnet.notebook import html_table
from goodnet.results.commands import Results
from goodnet.results.parts import Count, LayerRecord, ModelFile
from goodnet.types import Proportion

# Weights may be as large as single precision holds.
Distance = Annotated[float, Meta(ge=0.0)]


@dataclass(frozen=True)
class LayerDifference:
    """A layer that both networks have with other numbers.

    Attributes:
        first: Its name in the first.
        second: Its name in the second.
        op: What it does.
        numbers: How many it has.
        changed: How many of them differ by more than rounding.
        largest: The largest difference of two numbers.
        mean: The mean difference, of all numbers.
        relative: The norm of the difference by that of the numbers of the first; None where those
            are all zero.
        channels: How many it makes; 0 where numbers do not belong to channels.
        changed_channels: Those with a number that differs by more than rounding.
    """

    first: str
    second: str
    op: str
    numbers: Count
    changed: Count
    largest: Distance
    mean: Distance
    relative: Distance | None
    channels: Count = 0
    changed_channels: Count = 0


@dataclass(frozen=True)
class OutputDifference:
    """What two networks answer on the same images.

    Attributes:
        images: Which images.
        equal: Images answered alike.
        probability: The largest difference of the probability of a class.
        logit: The largest difference of a logit; None where one of the networks has none, or one
            that is infinite.
    """

    images: str
    equal: Proportion
    probability: Distance
    logit: Distance | None

    @property
    def alike(self) -> bool:
        """Whether answers are equal, and probabilities but for rounding."""
        return self.equal.count == self.equal.total and self.probability <= PROBABILITY

    def __str__(self) -> str:
        logit = "" if self.logit is None else f" and {self.logit:.2g} in logits"
        return (
            f"{self.equal.count} of {self.equal.total} answers are equal on {self.images} "
            f"({self.equal} %); they differ by at most {self.probability:.2g} in probability"
            f"{logit}"
        )


# What answers of the same network in two formats differ by at most.
PROBABILITY = 1e-4


@dataclass(frozen=True, kw_only=True)
class DiffResults(Results):
    """Whether two networks are the same function, and where they differ.

    Attributes:
        first: The one.
        second: The other.
        same: Whether they have the same layers with the same numbers but for rounding, and answer
            the same.
        outputs: What they answer.
        layers: How many layers both have.
        changed: Those of them whose numbers differ by more than rounding.
        only_first: Layers that only the first has.
        only_second: Layers that only the second has.
        structure: What else differs in how they are built, a sentence each.
    """

    command: str = "diff"
    first: ModelFile
    second: ModelFile
    same: bool
    outputs: OutputDifference
    layers: Count = 0
    changed: tuple[LayerDifference, ...] = ()
    only_first: tuple[LayerRecord, ...] = ()
    only_second: tuple[LayerRecord, ...] = ()
    structure: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line: whether they are the same, and on what images."""
        return f"{self.sentence}; {self.outputs}"

    @property
    def sentence(self) -> str:
        """Whether they are the same, and if not, how they differ."""
        if self.same:
            return "the same function"
        built = bool(self.only_first or self.only_second or self.structure)
        if not self.changed and self.outputs.alike:
            return "not shown to be the same function: they are built differently"
        how = [
            f"{len(self.changed)} of {self.layers} layers have other numbers" * bool(self.changed),
            "they are built differently" * built,
            "they answer differently" * (not self.outputs.alike),
        ]
        return f"not the same function: {', '.join(filter(None, how))}"

    def _repr_html_(self) -> str:
        header = ("layer", "in the second", "changed", "channels", "largest", "relative")
        rows = [
            (x.first, x.second, x.changed, x.changed_channels, f"{x.largest:.3g}", _short(x))
            for x in self.changed
        ]
        return html_table(str(self), header, rows, (*self.structure, *self.notes))


def _short(layer: LayerDifference) -> str | None:
    return None if layer.relative is None else f"{layer.relative:.3g}"
