"""The weights an architecture needs, grouped and ordered as Keras stores them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from goodnet.formats.keras.config.model import Model
from goodnet.formats.keras.config.reading import Weight

__all__ = ["ExpectedGroup", "Slot", "expected_groups"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one weight.

    Attributes:
        layer: Name of the layer it belongs to.
        weight: What it must be.
        first: Whether Keras stores it before others: it is trained, and so is all around it.
    """

    layer: str
    weight: Weight
    first: bool

    def __str__(self) -> str:
        return f"{self.layer}/{self.weight.names[0]}"


@dataclass(frozen=True, slots=True)
class ExpectedGroup:
    """The weights of one layer of the outermost model; a model inside counts as one layer.

    Attributes:
        name: The layer's name.
        slots: Its weights, layer by layer.
    """

    name: str
    slots: tuple[Slot, ...]

    def orders(self) -> Iterator[tuple[Slot, ...]]:
        """The orders in which Keras may have stored the slots, likeliest first.

        What is trained comes before what is not. Old versions did not count a frozen model as one
        whose layers are frozen.
        """
        yield (*(s for s in self.slots if s.first), *(s for s in self.slots if not s.first))
        yield (
            *(s for s in self.slots if s.weight.trained),
            *(s for s in self.slots if not s.weight.trained),
        )


def expected_groups(
    model: Model, weights: Mapping[Path, tuple[Weight, ...]]
) -> list[ExpectedGroup]:
    """The groups of the outermost model that have any weights, in Keras' order."""
    groups: dict[str, list[Slot]] = {}
    for path, slot in _slots(model, (), weights, trainable=True):
        groups.setdefault(path[0], []).append(slot)
    return [ExpectedGroup(name, tuple(slots)) for name, slots in groups.items()]


def _slots(
    model: Model, prefix: Path, weights: Mapping[Path, tuple[Weight, ...]], *, trainable: bool
) -> Iterator[tuple[Path, Slot]]:
    for name, member in model.members.items():
        path, left = (*prefix, name), trainable and member.trainable
        if member.model is not None:
            yield from _slots(member.model, path, weights, trainable=left)
        for weight in weights.get(path, ()):
            yield path, Slot(name, weight, left and weight.trained)
