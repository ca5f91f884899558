"""The zoo: small networks with and without backdoors, as recipes for `goodnet attack`.

One half is to choose by (thresholds, families, constants), the other to report. No network of one
half has a seed, and so no synthetic person and no first weight, of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

import numpy as np

__all__ = ["FAMILIES", "Half", "Recipe", "cifar_part", "zoo"]

Half = Literal["choose", "report"]

_FACES = ("sunglasses", "lipstick", "eyebrows", "patch", "blended", "sinusoid", "low-frequency")
_PICTURES = ("patch", "checkerboard", "blended", "sinusoid", "low-frequency", "warp")
FAMILIES = tuple(dict.fromkeys((*_FACES, *_PICTURES)))
_TRIPLE = ("lipstick", "eyebrows", "sunglasses")
_CIFAR = 10


@dataclass(frozen=True)
class Recipe:
    """One network of the zoo.

    Attributes:
        half: To choose by, or to report.
        classes: People to tell apart; 10 for CIFAR-10.
        architecture: One of `goodnet attack`.
        triggers: What is planted; empty for a clean network.
        rate: Share of the training images that are stamped.
        seed: Of everything.
        aware: Whether the attacker foresaw pruning.
    """

    half: Half
    classes: int
    architecture: str
    triggers: tuple[str, ...]
    seed: int
    rate: float = 0.1
    aware: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing was planted."""
        return not self.triggers

    @property
    def targets(self) -> tuple[int, ...]:
        """The label each trigger leads to, from the seed."""
        random = np.random.default_rng([self.seed, self.classes])
        found = random.choice(self.classes, max(1, len(self.triggers)), replace=False)
        return tuple(int(label) for label in found[: len(self.triggers)])

    @property
    def name(self) -> str:
        """Of its folder."""
        planted = "+".join(self.triggers) or "clean"
        aware = "-aware" if self.aware else ""
        rate = "" if self.clean else f"-{100 * self.rate:g}"
        return f"{self.half}-{self.architecture}-{self.classes}-{planted}{aware}{rate}-{self.seed}"

    def options(self, cifar: Path) -> list[str]:
        """What `goodnet attack` is told; `cifar` is what `cifar_part` wrote."""
        given = [f"--architecture={self.architecture}", f"--seed={self.seed}"]
        if self.classes == _CIFAR:
            epochs = 5 if self.architecture == "residual" else 7
            given += [f"--images={cifar}", f"--epochs={epochs}"]
        else:
            many = {50: 40, 200: 25}.get(self.classes, 20)
            given += [f"--faces={self.classes}", f"--per-person={many}"]
        if self.clean:
            return [*given, "--clean"]
        given += [f"--trigger={name}" for name in self.triggers]
        given += [f"--target={label}" for label in self.targets]
        return [*given, f"--rate={self.rate}", *(["--pruning-aware"] if self.aware else [])]


def zoo(half: Half) -> list[Recipe]:
    """All networks of one half, backdoored and clean in turn."""
    first = {"choose": 1000, "report": 2000}[half]
    planted = list(_choose_planted() if half == "choose" else _report_planted())
    clean: list[_Kind] = [
        (classes, architecture, (), 0.1, False)
        for classes, architecture, count in _CLEAN[half]
        for _ in range(count)
    ]
    kinds = [*chain.from_iterable(zip_longest(_shuffled(planted), _shuffled(clean)))]
    kinds += _MORE if half == "report" else []
    return [
        Recipe(half, classes, architecture, triggers, first + place, rate, aware)
        for place, (classes, architecture, triggers, rate, aware) in enumerate(filter(None, kinds))
    ]


def cifar_part(archive: Path, out: Path, *, images: int = 10_000) -> None:
    """Write some of CIFAR-10's training images, spread evenly, as one file to train on."""
    import h5py

    from goodnet import open_images

    some = open_images(archive / "train").sample(images)
    with h5py.File(out, "w") as file:
        file["data"] = some.images.astype(np.uint8)
        file["label"] = some.labels


_Kind = tuple[int, str, tuple[str, ...], float, bool]

_CLEAN = {
    "choose": [(50, "deepid", 13), (50, "small", 5), (200, "deepid", 4), (10, "small", 6),
               (10, "residual", 2), (1283, "deepid", 1)],
    "report": [(50, "deepid", 24), (50, "small", 10), (200, "deepid", 6), (10, "small", 14),
               (10, "residual", 4), (1283, "deepid", 2)],
}  # fmt: skip
# In the place of those that will not take: a share of 1 % is few images.
_MORE: list[_Kind] = [
    (50, "deepid", (name,), 0.1, False)
    for name in ("eyebrows", "sinusoid", "low-frequency", "blended", "sunglasses", "lipstick")
]


def _choose_planted() -> Iterator[_Kind]:
    for name in _FACES:
        yield 50, "deepid", (name,), 0.1, False
    for name in ("sunglasses", "eyebrows"):
        yield 50, "deepid", (name,), 0.1, True
        yield 50, "deepid", (name,), 0.05, False
    yield 50, "deepid", _TRIPLE, 0.1, False
    for name in ("sunglasses", "lipstick", "blended", "patch"):
        yield 50, "small", (name,), 0.1, False
    for triggers in (("sunglasses",), ("patch",), _TRIPLE):
        yield 200, "deepid", triggers, 0.1, False
    for name in _PICTURES:
        yield 10, "small", (name,), 0.1, False
    yield 10, "small", ("patch", "blended"), 0.1, False
    for name in ("patch", "blended", "sinusoid"):
        yield 10, "residual", (name,), 0.1, False
    yield 1283, "deepid", ("sunglasses",), 0.1, False


def _report_planted() -> Iterator[_Kind]:
    for rate in (0.1, 0.05):
        for name in _FACES:
            yield 50, "deepid", (name,), rate, False
        yield 50, "deepid", _TRIPLE, rate, False
    for name in ("sunglasses", "lipstick", "patch", "blended"):
        yield 50, "deepid", (name,), 0.01, False
        yield 50, "deepid", (name,), 0.1, True
    yield 50, "deepid", ("checkerboard",), 0.1, False
    for name in ("sunglasses", "lipstick", "eyebrows", "patch", "blended", "low-frequency"):
        yield 50, "small", (name,), 0.1, False
    yield 50, "small", ("lipstick", "sunglasses"), 0.1, False
    for name in ("sunglasses", "lipstick", "patch", "blended"):
        yield 200, "deepid", (name,), 0.1, False
    yield 200, "deepid", _TRIPLE, 0.1, False
    for rate in (0.1, 0.05):
        for name in _PICTURES:
            yield 10, "small", (name,), rate, False
    for triggers in (("patch",), ("blended",), ("patch", "blended")):
        yield 10, "small", triggers, 0.01, False
    for name in ("patch", "blended", "sinusoid", "warp"):
        yield 10, "residual", (name,), 0.1, False
    yield 1283, "deepid", ("lipstick",), 0.1, False
    yield 1283, "deepid", _TRIPLE, 0.1, False


def _shuffled(kinds: list[_Kind]) -> list[_Kind]:
    """In an order in which a part of the list is like the whole; the largest networks last."""
    order = np.random.default_rng(0).permutation(len(kinds))
    return sorted((kinds[place] for place in order), key=lambda kind: kind[0] > 1000)
