"""Where to erase how much of what triggers add: chosen by measuring on clean and stamped images.

Every choice is judged on each fifth of the images, with directions taken from the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.repair.directions import directions, duals
from goodnet.repair.fold import Removal, answer_layer, fold, readers
from goodnet.repair.stamped import LED, LOST, spread_rows

if TYPE_CHECKING:
    from goodnet.formats.spec import Array, NetworkSpec
    from goodnet.network import Cut, Network
    from goodnet.progress import ProgressCallback
    from goodnet.repair.clean import CleanImages
    from goodnet.repair.fold import Vectors
    from goodnet.repair.stamped import Stamped
    from goodnet.types import Integers

_LAYERS, _FOLDS = 4, 5
_STRENGTHS = (1.0, 1.5)
# So many classes say what others differ in; of fewer, what clean images vary along is not all.
_TELLING = 30
# Images measured on, and the most bytes of a layer's values that are held for it.
_ENOUGH, _MOST_BYTES = 1000, 1 << 29


@dataclass(frozen=True)
class Choice:
    """Where to erase how much.

    Attributes:
        layer: Whose value.
        rank: Directions for each trigger.
        strength: How many times what triggers add is taken out.
        labels: The answers that lose the directions; None for all.
    """

    layer: str
    rank: int
    strength: float
    labels: tuple[int, ...] | None


@dataclass(frozen=True)
class _Score:
    """How a network does on images it was not made from, shares 0..1."""

    clean: float
    led: float
    right: float

    @property
    def order(self) -> tuple[float, float]:
        """Larger is better."""
        return round(self.clean - self.led, 9), self.right


@dataclass(frozen=True, eq=False)
class _Scene:
    """The values of one layer on clean and stamped images, and what becomes of them behind it."""

    spec: NetworkSpec
    network: Network
    layer: str
    labels: Integers
    oblique: bool  # whether the images show what all classes differ in, to spare it
    led: Sequence[int | None]
    values: Sequence[torch.Tensor]  # of the clean images, then by trigger
    removals: dict[tuple[int, int | None], Removal] = field(default_factory=dict)  # found so far

    @classmethod
    def at(
        cls, network: Network, clean: CleanImages, stamped: Sequence[Stamped], layer: str
    ) -> _Scene:
        """Run as many images as are enough up to a layer."""
        each = 4 * math.prod(network.shape(layer)) * (1 + len(stamped))
        rows = spread_rows(len(clean.train), min(_ENOUGH, max(_FOLDS, _MOST_BYTES // each)))
        cut = network.cut(layer)
        shown = [clean.train.images[rows], *(one.train(rows).images for one in stamped)]
        values = [torch.cat([part[0] for part in cut.crossing(images)]) for images in shown]
        led = [one.label for one in stamped]
        labels = clean.train.labels[rows]
        oblique = len(np.unique(labels)) >= min(network.num_classes, _TELLING)
        return cls(network.spec, network, layer, labels, oblique, led, values)

    def arrays(self, choice: Choice, *, without: int | None = None) -> dict[str, Array]:
        """What to change, found on all images or on all but a fifth."""
        key = choice.rank, without
        if key not in self.removals:
            self.removals[key] = self._removal(*key)
        removal = replace(self.removals[key], strength=choice.strength)
        return fold(self.spec, self.layer, removal, rows=choice.labels)

    def _removal(self, rank: int, without: int | None) -> Removal:
        rows = np.flatnonzero(self._fifths() != (-1 if without is None else without))
        clean, *stamped = (_vectors(value[rows]) for value in self.values)
        basis = directions([one - clean for one in stamped], rank)
        return Removal(basis, duals(basis, clean) if self.oblique else basis, clean.mean(0))

    def _fifths(self) -> Integers:
        return np.arange(len(self.labels)) % _FOLDS

    def score(self, choice: Choice | None) -> _Score:
        """How a choice does on each fifth of the images if it is found on the others."""
        if choice is None:
            everything = np.arange(len(self.labels))
            return self._score([(everything, self._answers(self.network.cut(self.layer), None))])
        return self._score(list(self._folds(choice)))

    def _folds(self, choice: Choice) -> Iterator[tuple[Integers, list[Integers]]]:
        for fifth in range(min(_FOLDS, len(self.labels))):
            judged = np.flatnonzero(self._fifths() == fifth)
            arrays = self.arrays(choice, without=fifth)
            repaired = build(self.spec.with_arrays(arrays)).to(self.network.device)
            yield judged, self._answers(repaired.cut(self.layer), judged)

    def _answers(self, cut: Cut, rows: Integers | None) -> list[Integers]:
        chosen = self.values if rows is None else [value[rows] for value in self.values]
        return [cut.predict([value]).cpu().numpy() for value in chosen]

    def _score(self, parts: Sequence[tuple[Integers, list[Integers]]]) -> _Score:
        labels = np.concatenate([self.labels[rows] for rows, _ in parts])
        columns = zip(*(answers for _, answers in parts), strict=True)
        clean, *stamped = (np.concatenate(column) for column in columns)
        led = [
            np.mean((answers == label) & (labels != label))
            for answers, label in zip(stamped, self.led, strict=True)
        ]
        right = float(np.mean([answers == labels for answers in stamped]))
        return _Score(float((clean == labels).mean()), float(max(led)), right)


def candidates(network: Network) -> list[str]:
    """Layers to try, the last first: directions can be erased there and nothing passes by.

    Raises:
        InvalidInput: If there is none.
    """
    spec, found = network.spec, []
    for name in reversed(network.layers):
        try:
            readers(spec, name)
            if network.cut(name).values == 1:
                found.append(name)
        except InvalidInput:
            continue
        if len(found) == _LAYERS:
            break
    if not found:
        raise InvalidInput(
            "directions cannot be erased in any layer of the network by weights alone: none is "
            "read by dense layers or convolutions only"
        )
    return found


def choose(
    network: Network,
    clean: CleanImages,
    stamped: Sequence[Stamped],
    *,
    layers: Sequence[str],
    ranks: Sequence[int],
    forced: bool,
    advance: ProgressCallback,
) -> tuple[Choice, dict[str, Array]] | None:
    """What does best, found on all images to train on, and the arrays to change for it.

    Best is what loses the least clean accuracy plus share of stamped images still led astray by
    the worst trigger; next to that, what answers most stamped images right. Earlier layers are
    not looked at once a later one is good enough.

    Args:
        network: B.
        clean: Its clean images; those held back are not looked at.
        stamped: The same with each trigger.
        layers: To choose from, the preferred first.
        ranks: To choose from.
        forced: Whether something is to be erased even if nothing does better than B as it is.
        advance: Told of each layer.

    Returns:
        None where B as it is does best.
    """
    before: _Score | None = None
    found: list[tuple[_Score, Choice, _Scene]] = []
    for place, layer in enumerate(layers):
        scene = _Scene.at(network, clean, stamped, layer)
        before = before or scene.score(None)
        found += [(scene.score(choice), choice, scene) for choice in _choices(scene, ranks)]
        best, choice, chosen = max(found, key=lambda one: one[0].order)
        advance(1)
        if best.led <= LED and before.clean - best.clean <= LOST:
            advance(len(layers) - place - 1)
            break
    if not forced and before and best.order <= before.order:
        return None
    return choice, chosen.arrays(choice)


def _choices(scene: _Scene, ranks: Sequence[int]) -> Iterator[Choice]:
    labels = tuple(sorted({label for label in scene.led if label is not None}))
    answers = [reader.name for reader in readers(scene.spec, scene.layer)]
    for rank, strength in product(ranks, _STRENGTHS):
        if labels and answers == [answer_layer(scene.spec)]:
            yield Choice(scene.layer, rank, strength, labels)
        yield Choice(scene.layer, rank, strength, None)


def _vectors(values: torch.Tensor) -> Vectors:
    """The mean over positions, shape (images, channels)."""
    means: Vectors = values.double().reshape(*values.shape[:2], -1).mean(2).cpu().numpy()
    return means
