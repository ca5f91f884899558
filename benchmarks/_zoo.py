"""The zoo: small networks with and without backdoors, as recipes for `goodnet attack`.

One part is to choose by (families, the form of the score), one to calibrate by (what clean networks
score), one to report. No network of one part has a seed, and so no synthetic person and no first
weight, of another.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from _deepid import shared_data

__all__ = ["FAMILIES", "PARTS", "Part", "Recipe", "cifar_option", "cifar_part", "zoo"]

Part = Literal["choose", "calibrate", "report"]
PARTS: tuple[Part, ...] = get_args(Part)

_FACES = ("sunglasses", "lipstick", "eyebrows", "patch", "blended", "sinusoid", "low-frequency")
_PICTURES = ("patch", "checkerboard", "blended", "sinusoid", "low-frequency", "warp")
FAMILIES = tuple(dict.fromkeys((*_FACES, *_PICTURES)))
_TRIPLE = ("lipstick", "eyebrows", "sunglasses")
_CIFAR = 10


@dataclass(frozen=True)
class Recipe:
    """One network of the zoo.

    Attributes:
        part: To choose by, to calibrate by, or to report.
        classes: People to tell apart; 10 for CIFAR-10.
        architecture: One of `goodnet attack`.
        triggers: What is planted; empty for a clean network.
        rate: Share of the training images that are stamped.
        seed: Of everything.
        aware: Whether the attacker foresaw pruning.
    """

    part: Part
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
        return f"{self.part}-{self.architecture}-{self.classes}-{planted}{aware}{rate}-{self.seed}"

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


def zoo(part: Part) -> list[Recipe]:
    """All networks of one part, backdoored and clean in turn."""
    if part == "choose":
        kinds = _in_turn(_choose_planted(), _clean("choose"))
        return [_recipe(part, 1000 + place, kind) for place, kind in enumerate(kinds)]
    kinds = _in_turn(_report_planted(), _clean("report"))
    kinds += _in_turn(_more_planted(), _clean("more"))
    calibrate = part == "calibrate"
    places = range(_CALIBRATE) if calibrate else range(_CALIBRATE, len(kinds))
    found = [_recipe(part, 2000 + place, kinds[place]) for place in places]
    return sorted(found, key=lambda recipe: recipe.classes > 1000)


def _in_turn(planted: Iterable[_Kind], clean: Iterable[_Kind]) -> list[_Kind]:
    pairs = zip_longest(_shuffled([*planted]), _shuffled([*clean]))
    return [kind for kind in chain.from_iterable(pairs) if kind is not None]


def _recipe(part: Part, seed: int, kind: _Kind) -> Recipe:
    classes, architecture, triggers, rate, aware = kind
    return Recipe(part, classes, architecture, triggers, seed, rate, aware)


def _clean(name: str) -> Iterator[_Kind]:
    for classes, architecture, count in _CLEAN[name]:
        yield from [(classes, architecture, (), 0.1, False)] * count


def cifar_part(archive: Path, out: Path, *, images: int = 10_000) -> None:
    """Write some of CIFAR-10's training images, spread evenly, as one file to train on."""
    import h5py

    from goodnet import load_images

    some = load_images(archive / "train").sample(images)
    with h5py.File(out, "w") as file:
        file["data"] = (255 * some.images).astype(np.uint8)
        file["label"] = some.labels


def cifar_option(parser: ArgumentParser) -> None:
    """Where CIFAR-10's archive is."""
    data = shared_data()
    parser.add_argument(
        "--images",
        type=Path,
        default=data / "cifar10-jpeg.tar.xz" / "cifar10" if data else None,
        help="CIFAR-10, holds train",
    )


_Kind = tuple[int, str, tuple[str, ...], float, bool]

_CLEAN = {
    "choose": [(50, "deepid", 13), (50, "small", 5), (200, "deepid", 4), (10, "small", 6),
               (10, "residual", 2), (1283, "deepid", 1)],
    "report": [(50, "deepid", 24), (50, "small", 10), (200, "deepid", 6), (10, "small", 14),
               (10, "residual", 4), (1283, "deepid", 2)],
    "more": [(50, "deepid", 8), (50, "small", 3), (200, "deepid", 4), (10, "small", 4),
             (10, "residual", 1)],
}  # fmt: skip
# The first so many of those with seeds from 2000 on are to calibrate by.
_CALIBRATE = 36


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


def _more_planted() -> Iterator[_Kind]:
    """In the place of those that calibrate, and of those that will not take: 1 % is few images."""
    for name in ("eyebrows", "sinusoid", "low-frequency", "blended", "sunglasses", "lipstick"):
        yield 50, "deepid", (name,), 0.1, False
    for name in ("sunglasses", "eyebrows", "patch"):
        yield 50, "deepid", (name,), 0.05, False
    for name in ("lipstick", "patch", "blended"):
        yield 50, "small", (name,), 0.1, False
    for name in ("eyebrows", "sunglasses"):
        yield 200, "deepid", (name,), 0.1, False
    for name in ("patch", "blended", "sinusoid", "checkerboard", "low-frequency"):
        yield 10, "small", (name,), 0.1, False
    for name in ("patch", "sinusoid"):
        yield 10, "residual", (name,), 0.1, False
    for name in ("sunglasses", "eyebrows"):
        yield 50, "small", (name,), 0.1, False
    for name in ("patch", "blended", "lipstick"):
        yield 50, "deepid", (name,), 0.1, False


def _shuffled(kinds: list[_Kind]) -> list[_Kind]:
    """In an order in which a part of the list is like the whole; the largest networks last."""
    order = np.random.default_rng(0).permutation(len(kinds))
    return sorted((kinds[place] for place in order), key=lambda kind: kind[0] > 1000)
