"""Which layers of two networks are the same ones: by their names, else by order and shapes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property

import numpy as np

from goodnet.formats.canonical import canonical, folded
from goodnet.formats.channels import passing
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.ops.op import Merged

_ROUNDING = 1e-6
_Key = tuple[object, ...]
# Of arrays that a layer may lack: what it computes with then.
_ONES = frozenset({"gamma", "variance"})


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two networks in one spelling, and which layer of the one is which of the other.

    Attributes:
        first: The one.
        second: The other.
        pairs: Names of layers of both, in running order of the first.
        folded: Whether what only scales and shifts the value of another layer is part of that.
    """

    first: NetworkSpec
    second: NetworkSpec
    pairs: Mapping[str, str]
    folded: bool = False

    @property
    def only_first(self) -> tuple[Layer, ...]:
        """Layers that only the first has."""
        return tuple(x for x in self.first.layers if x.name not in self.pairs)

    @property
    def only_second(self) -> tuple[Layer, ...]:
        """Layers that only the second has."""
        found = set(self.pairs.values())
        return tuple(x for x in self.second.layers if x.name not in found)

    @cached_property
    def structure(self) -> tuple[str, ...]:
        """A sentence for each layer that both have and that does not do the same, or elsewhere."""
        return tuple(self._structure())

    @property
    def alike(self) -> bool:
        """Whether the networks have the same layers, but for their numbers."""
        return not (self.only_first or self.only_second or self.structure)

    def arrays(self, name: str) -> Iterator[tuple[str, Array, Array]]:
        """The arrays of a layer of the first and its pair, with their names, those of one shape."""
        mine = self.first.parameters(name)
        theirs = self.second.parameters(self.pairs[name])
        for key in dict.fromkeys((*mine, *theirs)):
            known = mine.get(key, theirs.get(key))
            if known is None:
                continue
            absent = np.full_like(known, key in _ONES)
            one, other = mine.get(key, absent), theirs.get(key, absent)
            if one.shape == other.shape:
                yield key, one, other

    def _structure(self) -> Iterator[str]:
        if self.pairs.get(self.first.output) != self.second.output:
            yield (
                f"the answer is the value of {self.first.output!r} in the first and of "
                f"{self.second.output!r} in the second"
            )
        for mine, theirs in self.pairs.items():
            one, other = self.first[mine], self.second[theirs]
            named = repr(mine) if mine == theirs else f"{mine!r} ({theirs!r} in the second)"
            for key, value in one.attributes.items():
                if not _equal(value, other.attributes[key]):
                    yield f"{named} has {key} {value} in the first and {other.attributes[key]}"
            if not self._reads_the_same(one, other):
                yield f"{named} reads {_listed(one)} in the first and {_listed(other)}"
            yield from self._shapes(named, mine, theirs)

    def _shapes(self, named: str, mine: str, theirs: str) -> Iterator[str]:
        arrays = self.second.parameters(theirs)
        for key, array in self.first.parameters(mine).items():
            if key in arrays and arrays[key].shape != array.shape:
                yield f"{named} has a {key} of {array.shape} in the first and {arrays[key].shape}"

    def _reads_the_same(self, one: Layer, other: Layer) -> bool:
        expected = [self.pairs.get(name) for name in one.inputs]
        if isinstance(passing(one), Merged) and one.op != "subtract":
            return sorted(map(str, expected)) == sorted(other.inputs)
        return expected == list(other.inputs)


def pair(first: NetworkSpec, second: NetworkSpec) -> Pairing:
    """Find the layers of one network in another.

    Names count first; where the layers are not alike by them, only order and shapes do. Where they
    are not alike so, batch normalisation is taken into the layers that it normalises, as exporters
    do.
    """
    plain = canonical(first), canonical(second)
    found = [_pair(*plain, by_name=True)]
    if not found[0].alike:
        taken = folded(plain[0]), folded(plain[1])
        found.append(_pair(*plain, by_name=False))
        tries = (_pair(*taken, by_name=by_name) for by_name in (True, False))
        found += [replace(each, folded=True) for each in tries]
    return next((each for each in found if each.alike), found[0])


def _pair(first: NetworkSpec, second: NetworkSpec, *, by_name: bool) -> Pairing:
    mine, theirs = ({x.name: _key(spec, x) for x in _ordered(spec)} for spec in (first, second))
    found = {first.layers[0].name: second.layers[0].name}
    if by_name:
        found |= {name: name for name, key in mine.items() if theirs.get(name) == key}
    found |= _in_order(_left(mine, found), _left(theirs, found.values()))
    if by_name:
        still = _left(theirs, found.values())
        found |= {
            name: name
            for name, key in _left(mine, found).items()
            if name in still and still[name][0] == key[0]
        }
    return Pairing(first, second, {x.name: found[x.name] for x in first.layers if x.name in found})


def _left(keys: Mapping[str, _Key], taken: Collection[str]) -> dict[str, _Key]:
    return {name: key for name, key in keys.items() if name not in taken}


def _in_order(mine: Mapping[str, _Key], theirs: Mapping[str, _Key]) -> dict[str, str]:
    """Pairs among layers with the same key, in the longest common order."""
    names, others = list(mine), list(theirs)
    matcher = SequenceMatcher(None, list(mine.values()), list(theirs.values()), autojunk=False)
    found: dict[str, str] = {}
    for start, there, size in matcher.get_matching_blocks():
        rows = zip(names[start : start + size], others[there : there + size], strict=True)
        found |= dict(rows)
    return found


def _ordered(spec: NetworkSpec) -> list[Layer]:
    """Layers by what the answer is made of, so that the order in a file does not count."""
    layers = {layer.name: layer for layer in spec.layers}
    found: dict[str, Layer] = {}
    waiting = [spec.output]
    while waiting:
        layer = layers[waiting[-1]]
        missing = [name for name in layer.inputs if name not in found]
        if missing:
            waiting.append(missing[0])
        else:
            found.setdefault(waiting.pop(), layer)
    return list((found | layers).values())


def _key(spec: NetworkSpec, layer: Layer) -> _Key:
    """What layers that may be the same have alike."""
    shapes = {key: array.shape for key, array in spec.parameters(layer.name).items()}
    activation = layer.attributes.get("activation")
    return layer.op, shapes.get("weight"), shapes.get("mean"), activation and activation.function


def _equal(one: object, other: object) -> bool:
    """Whether two settings are equal, numbers but for rounding in single precision."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_ROUNDING)
    if isinstance(one, Activation) and isinstance(other, Activation):
        known = one.options.keys() == other.options.keys() and one.function == other.function
        return known and all(_equal(x, other.options[key]) for key, x in one.options.items())
    return one == other


def _listed(layer: Layer) -> str:
    return ", ".join(map(repr, layer.inputs)) or "nothing"
