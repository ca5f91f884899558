"""Which weight of a file belongs to which of an architecture: what is expected, and what is stored.

Legacy HDF5 files (`model.h5`) carry names and an order.

Keras itself goes by the order and ignores names. Both are used here: where they agree there is no
doubt, where only one fits it is taken, and where both fit but disagree the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from goodnet.errors import InvalidInput, UnsafeInput
from goodnet.formats.keras.model import Model, Path
from goodnet.ops.keras import Weight

BY_NAME = "weights matched by name: the file lists them in an unusual order"
BY_ORDER = "weights taken in Keras' order: the file lists them under other names"
_SHOWN = 5


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


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight in the file.

    Attributes:
        path: Of the data set in the file.
        name: As its group lists it: "conv_1/kernel:0".
        shape: As it is stored.
    """

    path: str
    name: str
    shape: tuple[int, ...]

    @property
    def parameter(self) -> str:
        """The last part of its name, without what TensorFlow appends: "kernel"."""
        return self.name.rsplit("/", 1)[-1].split(":")[0]

    @property
    def layer(self) -> str:
        """The part of its name before the last: "conv_1"."""
        return "/".join(self.name.split("/")[-2:-1])


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """The weights of one layer in the file.

    Attributes:
        name: Of the layer.
        weights: In the order of the file.
        ordered: Whether that order means anything.
    """

    name: str
    weights: tuple[Stored, ...]
    ordered: bool = True


def raise_mismatches(problems: Sequence[str]) -> None:
    """Refuse weights that do not fit their architecture, showing the first five problems.

    Raises:
        InvalidInput: If there are any problems.
    """
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InvalidInput(
            f"the weights do not fit the architecture: {'; '.join(problems[:_SHOWN])}{more}"
        )


Pairs = list[tuple[Slot, Stored]]


def match_legacy(
    expected: Sequence[ExpectedGroup], stored: Sequence[StoredGroup]
) -> tuple[Pairs, list[str]]:
    """Find the stored weight for every slot.

    Args:
        expected: What the architecture needs.
        stored: What the file has, groups without weights left out.

    Returns:
        Pairs of slot and stored weight, and notes on what was unusual.

    Raises:
        InvalidInput: Listing the first five weights that are missing, left over or of wrong shape.
        UnsafeInput: If names and order both fit but say different things.
    """
    matcher = _Matcher()
    matcher.match_groups(expected, stored)
    raise_mismatches(matcher.problems)
    return matcher.pairs, sorted(matcher.notes)


class _Matcher:
    """Collects pairs, notes and problems."""

    def __init__(self) -> None:
        self.pairs: Pairs = []
        self.notes: set[str] = set()
        self.problems: list[str] = []

    def match_groups(
        self, expected: Sequence[ExpectedGroup], stored: Sequence[StoredGroup]
    ) -> None:
        """Pair the layers, then the weights within each."""
        named = {group.name: group for group in stored}
        names = {group.name for group in expected}
        in_order = _in_order(expected, stored)
        if in_order and all(s.name == e.name or s.name not in names for e, s in in_order):
            pairs = in_order
        elif names <= set(named):
            if in_order and all(_shapes_fit(e, s) for e, s in in_order):
                raise _contradiction(next(e.name for e, s in in_order if e.name != s.name))
            pairs = [(group, named[group.name]) for group in expected]
            self._note(BY_NAME, stored)
        else:
            pairs = in_order or [(e, named[e.name]) for e in expected if e.name in named]
        if any(e.name != s.name for e, s in pairs):
            self.notes.add(BY_ORDER)
        self._report_groups(expected, stored, pairs)
        for group, found in pairs:
            self._match_weights(group, found)

    def _report_groups(
        self,
        expected: Sequence[ExpectedGroup],
        stored: Sequence[StoredGroup],
        pairs: Sequence[tuple[ExpectedGroup, StoredGroup]],
    ) -> None:
        taken = {e.name for e, _ in pairs}, {s.name for _, s in pairs}
        for group in expected:
            if group.name not in taken[0]:
                self.problems += [f"{slot} is missing" for slot in group.slots]
        for found in stored:
            if found.name not in taken[1]:
                self.problems += [f"{weight.path} is left over" for weight in found.weights]

    def _match_weights(self, group: ExpectedGroup, stored: StoredGroup) -> None:
        layers = {slot.layer for slot in group.slots}
        orders = [order for order in group.orders() if len(order) == len(stored.weights)]
        orders = orders if stored.ordered else []
        for order in orders:
            if all(_agree(s, w, layers) for s, w in zip(order, stored.weights, strict=True)):
                self.pairs += zip(order, stored.weights, strict=True)
                return
        by_name = [(slot, _find(slot, stored, layers)) for slot in group.slots]
        fitting = next((order for order in orders if _same_shapes(order, stored)), None)
        if len(by_name) == len(stored.weights) and all(
            w is not None and w.shape == s.weight.shape for s, w in by_name
        ):
            if fitting:
                raise _contradiction(group.name)
            self._note(BY_NAME, [stored])
            self.pairs += [(slot, weight) for slot, weight in by_name if weight]
        elif fitting:
            self.notes.add(BY_ORDER)
            self.pairs += zip(fitting, stored.weights, strict=True)
        else:
            self._report_weights(by_name, stored)

    def _report_weights(
        self, by_name: Sequence[tuple[Slot, Stored | None]], stored: StoredGroup
    ) -> None:
        for slot, weight in by_name:
            if weight is None:
                self.problems.append(f"{slot} is missing")
            elif weight.shape != slot.weight.shape:
                self.problems.append(f"{slot} is {weight.shape}, expected {slot.weight.shape}")
        taken = {weight.path for _, weight in by_name if weight}
        extra = [weight for weight in stored.weights if weight.path not in taken]
        self.problems += [f"{weight.path} is left over" for weight in extra]

    def _note(self, note: str, groups: Sequence[StoredGroup]) -> None:
        if all(group.ordered for group in groups):
            self.notes.add(note)


def _in_order(
    expected: Sequence[ExpectedGroup], stored: Sequence[StoredGroup]
) -> list[tuple[ExpectedGroup, StoredGroup]]:
    if len(expected) != len(stored) or not all(group.ordered for group in stored):
        return []
    return list(zip(expected, stored, strict=True))


def _agree(slot: Slot, weight: Stored, layers: set[str]) -> bool:
    """Whether place, shape and name fit; the name of a layer that is not there says nothing."""
    return (
        weight.shape == slot.weight.shape
        and weight.parameter in slot.weight.names
        and (weight.layer == slot.layer or weight.layer not in layers)
    )


def _find(slot: Slot, stored: StoredGroup, layers: set[str]) -> Stored | None:
    """The one weight with the slot's name."""
    found = [
        weight
        for weight in stored.weights
        if weight.parameter in slot.weight.names
        and (weight.layer == slot.layer or len(layers) == 1)
    ]
    return found[0] if len(found) == 1 else None


def _same_shapes(order: Sequence[Slot], stored: StoredGroup) -> bool:
    return [slot.weight.shape for slot in order] == [weight.shape for weight in stored.weights]


def _shapes_fit(group: ExpectedGroup, stored: StoredGroup) -> bool:
    return any(_same_shapes(order, stored) for order in group.orders())


def _contradiction(name: str) -> UnsafeInput:
    return UnsafeInput(
        f"the names and the order of the weights of layer {name!r} contradict each other: Keras "
        "goes by the order, other programs by the names, and they would run different networks"
    )
