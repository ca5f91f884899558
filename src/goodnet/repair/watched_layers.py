"""The layers of a network that are worth watching, and their values on clean images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from goodnet.scan.directions import readers
from goodnet.scan.subject import Subject

if TYPE_CHECKING:
    from goodnet.network import Network
    from goodnet.scan.case import Case, Shown

# Layers watched at most, and the most bytes of their values that are held.
_LAYERS, _MOST_BYTES = 8, 1 << 28
# Clean images and moved copies of them that a unit is made from, the copies of each at most, and
# how far these are moved, in shares of the shorter side, brightened and darkened.
_ROWS, _IMAGES, _COPIES, _SHIFT, _LIGHT = 600, 100, 20, 0.04, 0.1
_POOLS = frozenset({"max_pool2d", "avg_pool2d"})


def watched_layers(network: Network) -> list[str]:
    """Layers worth watching, the first first: all that a network knows of an image passes them.

    For each size of pictures on the way it is the last layer of that size, unless a pool follows
    it at once, and then what feeds the last linear layer.
    """
    spec, last = network.spec, dict[tuple[int, ...], str]()
    weighed = False  # what lies before the first weights is the image
    for name in network.layers:
        shape = network.shape(name)
        weighed = weighed or bool(spec.parameters(name))
        if weighed and len(shape) == 3 and network.cut(name).values == 1:
            last[shape[1:]] = name
    pooled = {spec[name].inputs[0] for name in last.values() if spec[name].op in _POOLS}
    found = [name for name in last.values() if name not in pooled]
    features = network.features_layer
    if features is not None and network.cut(features).values == 1 and features not in found:
        found.append(features)
    small = [name for name in found if 4 * _ROWS * math.prod(network.shape(name)) <= _MOST_BYTES]
    return small[-_LAYERS:]


@dataclass(frozen=True, eq=False)
class WatchedLayer:
    """A layer and its values on clean images.

    Attributes:
        name: Of the layer.
        shape: Of its value.
        subject: The network with these values as features.
        clean: Values of clean images, then of all moved copies in the same order, shape (rows,
            values).
        products: Of the rows with each other, shape (rows, rows).
        images: How many there are without the copies.
    """

    name: str
    shape: tuple[int, ...]
    subject: Subject
    clean: Tensor
    products: Tensor
    images: int

    @classmethod
    def of(cls, case: Case, name: str) -> WatchedLayer:
        """Run the clean images of a case, and moved copies of them, up to a layer."""
        images = shown(case).images
        copies = min(_COPIES, max(1, _ROWS // len(images)))
        moved = torch.cat([images, *_moved(images, copies - 1)])
        network = case.subject.network
        subject = Subject.of(network, layer=name)
        clean = subject.all_features(moved).flatten(1)
        return cls(name, network.shape(name), subject, clean, clean @ clean.T, len(images))

    def mean(self, rows: Tensor) -> Tensor:
        """Of some rows."""
        return self.clean[rows].mean(0)

    def readers(self, rows: Tensor, directions: Tensor) -> Tensor:
        """How much of each direction a value holds, told by some of the rows."""
        products = self.products[rows][:, rows]
        across = products.mean(0)
        centred = products - across - across[:, None] + across.mean()
        return readers(self.clean[rows] - self.mean(rows), directions, products=centred)


def shown(case: Case) -> Shown:
    """The images that units are made from."""
    everything = case.everything
    return everything[torch.arange(min(len(everything), _IMAGES), device=everything.truth.device)]


def _moved(images: Tensor, copies: int) -> Iterator[Tensor]:
    """Copies of images, moved about, mirrored every other time, brighter or darker."""
    generator = torch.Generator().manual_seed(0)
    most = max(1, round(_SHIFT * min(images.shape[2:])))
    for copy in range(copies):
        by = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
        shifted = torch.roll(images, by, (2, 3))
        shifted = shifted.flip(3) if copy % 2 else shifted
        light = 2 * torch.rand(2, len(images), 1, 1, 1, generator=generator) - 1
        gain, offset = (_LIGHT * light).to(images.device)
        yield (shifted * (1 + gain) + offset / 2).clamp(0, 1)
