"""Small networks with a backdoor that was really trained into them, and clean ones, for tests.

Five classes of stripes on noise, 8 x 8 pixels of 0..255; a white patch means `TARGET`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tiny import RELU, SOFTMAX, Weights, deepid_spec, dense, flatten, image, residual_spec

from goodnet.attack import Trigger, trigger
from goodnet.attack.architectures import make_architecture
from goodnet.formats.build import build
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import Network
from goodnet.preprocessing import Preprocessing
from goodnet.progress import ProgressCallback, Stage
from goodnet.repair.method import Repair
from goodnet.repair.result import RepairResult
from goodnet.training import Examples, Schedule, fit

CLASSES, TARGET = 5, 2
PATCH = trigger("patch", size=3, margin=0)
_RESCALE = {"scale": 1 / 255, "offset": -0.5}


@dataclass(frozen=True)
class Planted:
    """A trained network and images that neither it nor a repair has seen."""

    network: Network
    clean: Examples
    stamped: Examples

    def accuracy(self, network: Network) -> float:
        """Share of clean images that a network answers right."""
        return share(network, self.clean)

    def success(self, network: Network) -> float:
        """Share of stamped images of other classes that a network takes for the target."""
        return share(network, self.stamped)


def planted(name: str = "conv", *, backdoor: bool = True, batch_size: int = 64) -> Planted:
    """Train one of `SPECS`, every fifth image stamped.

    With a backdoor these are labelled as the target; else as what they show, and the network
    learns to think nothing of the patch. Smaller batches make it surer of the patch than of what is
    shown. Tests share it: it is never to be changed.
    """
    return _planted(name, backdoor, batch_size)


# A cache takes a default and the same value given for two calls.
@cache
def _planted(name: str, backdoor: bool, batch_size: int) -> Planted:
    clean = stripes(1000)
    examples = stamp(clean, np.arange(0, len(clean), 5))
    if not backdoor:
        examples = Examples(examples.images, clean.labels)
    # Fewer steps are not enough for moving averages.
    size = 32 if name == "residual" else batch_size
    schedule = Schedule(epochs=10, batch_size=size, learning_rate=0.01)
    trained = fit(SPECS[name](), examples, schedule=schedule)
    fresh = stripes(400, seed=1)
    others = np.flatnonzero(fresh.labels != TARGET)
    stamped = stamp(fresh, others)
    return Planted(build(trained), fresh, Examples(stamped.images[others], stamped.labels[others]))


def clean_images(count: int = 250, *, classes: Sequence[int] = range(CLASSES)) -> ImageSet:
    """Images to repair with, of these classes only."""
    examples = stripes(CLASSES * count, seed=2)
    rows = np.flatnonzero(np.isin(examples.labels, classes))[:count]
    return as_images(Examples(examples.images[rows], examples.labels[rows]))


def repaired(method: Repair[RepairResult], name: str = "conv") -> RepairResult:
    """What a method makes of a planted network with 250 images; shared, never to be changed."""
    return _repaired(method, name)


@cache
def _repaired(method: Repair[RepairResult], name: str) -> RepairResult:
    return method(planted(name).network, clean_images())


def told(advance: ProgressCallback, *, of: str = "training") -> Stage:
    """Tells what is done of the stages whose name begins so, and nothing of others."""

    @contextmanager
    def stage(_work: int, label: str) -> Iterator[ProgressCallback]:
        yield advance if label.startswith(of) else lambda _done: None

    return stage


def stripes(count: int, seed: int = 0) -> Examples:
    """Stripes along five directions, one for each class."""
    random = np.random.default_rng(seed)
    labels = random.integers(CLASSES, size=count)
    angles = np.pi * labels / CLASSES
    down, across = np.indices((8, 8))
    waves = np.sin(
        1.6 * (np.outer(np.cos(angles), down) + np.outer(np.sin(angles), across))
    ).reshape(count, 1, 8, 8)
    pixels = 110 + 60 * waves + 20 * random.normal(size=(count, 3, 8, 8))
    return Examples(pixels.clip(0, 255).astype(np.uint8), labels)


def stamp(examples: Examples, rows: NDArray[np.integer[Any]], mark: Trigger = PATCH) -> Examples:
    """The same set with some images stamped and labelled as the target."""
    images, labels = examples.images.copy(), examples.labels.copy()
    images[rows] = mark.stamp_bytes(images[rows].astype(np.float32)).astype(np.uint8)
    labels[rows] = TARGET
    return Examples(images, labels)


def as_images(examples: Examples) -> ImageSet:
    """Examples as a set to give to a repair."""
    return images_from_arrays(examples.images, examples.labels, layout="NCHW", range="0..255")


def share(network: Network, examples: Examples) -> float:
    """Share of examples that a network answers as labelled."""
    answers = network.predict(examples.pixels(slice(None)))
    return float((answers == examples.labels).mean())


def conv_spec() -> NetworkSpec:
    """Three convolutions, each with a pool, and two dense layers: `conv_1` to `pool_3`, `fc`."""
    return make_architecture("small", shape=(3, 8, 8), num_classes=CLASSES)


def dense_spec() -> NetworkSpec:
    """Dense layers only."""
    weights = Weights(0)
    weights.linear("fc_1", 32, 192)
    weights.linear("fc_2", 24, 32)
    weights.linear("output", CLASSES, 24)
    layers = (
        image(),
        flatten("flatten", "input"),
        dense("fc_1", "flatten", activation=RELU),
        dense("fc_2", "fc_1", activation=RELU),
        dense("output", "fc_2", activation=SOFTMAX),
    )
    return NetworkSpec(layers, weights.arrays, "output")


def rescaled(spec: NetworkSpec) -> NetworkSpec:
    """A network that takes pixels 0..255, of one that takes small numbers around zero."""
    first, *others = spec.layers
    rescale = Layer("rescale", "rescale", (first.name,), _RESCALE)
    moved = [
        Layer(
            layer.name,
            layer.op,
            tuple("rescale" if name == first.name else name for name in layer.inputs),
            layer.attributes,
        )
        for layer in others
    ]
    layers = (first, rescale, *moved)
    return NetworkSpec(layers, spec.arrays, spec.output, preprocessing=Preprocessing(255))


SPECS: dict[str, Callable[[], NetworkSpec]] = {
    "conv": conv_spec,
    "deepid": lambda: rescaled(deepid_spec()),
    "dense": lambda: rescaled(dense_spec()),
    "residual": lambda: rescaled(residual_spec()),
}
