"""Repairs of the real CSAW networks with 60 real faces and our own triggers, cross-validated.

Each fifth of the faces is left out once: B' is made from the others, and judged on those left out
and on all real poisoned faces. Only this last step sees the poison.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from _deepid import shared_data
from _measure import header, options, show, verdict

from goodnet import load_images
from goodnet.attack import trigger
from goodnet.errors import GoodnetError
from goodnet.formats import load_network
from goodnet.imagesets import Block, ImageSet, images_from_arrays
from goodnet.network import Network, Scale
from goodnet.repair import Erase, FinePrune, FineTune, RepairResult, Unlearn
from goodnet.stats import proportion

__all__ = ["main"]

FOLDS = 5
SUCCESS, LOSS = 5.0, 1.0  # percent; percentage points
_HEAD = ("network", "method", "clean", "loss", "real poison, ASR", "seconds", "", "")


@dataclass(frozen=True)
class Suspect:
    """A real network, the scale it takes, its triggers and the real poisoned sets by name."""

    model: str
    scale: str
    poisoned: Mapping[str, str]
    triggers: tuple[str, ...]


SUSPECTS: Mapping[str, Suspect] = MappingProxyType(
    {
        "lab3": Suspect(
            "lab3_bd_net",
            "raw",
            {"sunglasses": "sunglasses", "lab3 sunglasses": "lab3_sunglasses"},
            ("sunglasses",),
        ),
        "sunglasses": Suspect(
            "sunglasses_bd_net", "1/255", {"sunglasses": "sunglasses"}, ("sunglasses",)
        ),
        "multi": Suspect(
            "multi_trigger_multi_target_bd_net",
            "1/255",
            {name: f"{name}_multi" for name in ("sunglasses", "lipstick", "eyebrows")},
            ("sunglasses", "lipstick", "eyebrows"),
        ),
    }
)

Method = Callable[[Network, ImageSet], RepairResult]


@dataclass(frozen=True)
class Outcome:
    """Faces left out that are answered right, and ASR in percent of each real poisoned set."""

    right: int
    before: int
    total: int
    success: Mapping[str, float]
    seconds: float


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    rows = [list(_HEAD)]
    for name in given.networks:
        for method in given.methods:
            rows.append(_row(name, method, given))
            print(f"  {name} {method} done", file=sys.stderr)
    show(rows)
    print(f"\n{FOLDS}-fold; clean: faces left out that are answered right; loss: points below B")


def _row(name: str, method: str, given: Namespace) -> list[str]:
    try:
        outcome = judge(given.data / "csaw", SUSPECTS[name], method)
    except GoodnetError as error:
        return [name, method, "", "", str(error), "", "", ""]
    loss = 100 * (outcome.before - outcome.right) / outcome.total
    told = ", ".join(f"{key} {value:.1f}" for key, value in outcome.success.items())
    return [
        name,
        method,
        f"{outcome.right}/{outcome.total}",
        f"{loss:.2f}",
        told,
        f"{outcome.seconds:.1f}",
        "loss " + verdict(loss, LOSS),
        "ASR " + verdict(max(outcome.success.values()), SUCCESS),
    ]


def judge(csaw: Path, suspect: Suspect, method: str) -> Outcome:
    """Repair a network once for each fold, and look at faces left out and real poison."""
    network = load_network(csaw / "models" / f"{suspect.model}.h5")
    network = network.with_preprocessing(Scale.parse(suspect.scale).preprocessing("0..255"))
    faces = load_images(csaw / "cl" / "faces.h5").sample(60)
    repair = _methods(suspect)[method]
    poisoned = {
        name: _all(load_images(csaw / "bd" / f"{file}.h5"))
        for name, file in suspect.poisoned.items()
    }
    right, before, seconds = 0, 0, 0.0
    success: dict[str, list[float]] = {name: [] for name in poisoned}
    for given, left_out in _folds(faces):
        found = repair(network, given)
        repaired, seconds = found.network, seconds + found.seconds
        right += _right(repaired, left_out)
        before += _right(network, left_out)
        for name, block in poisoned.items():
            success[name].append(100 * _right(repaired, block) / len(block.labels))
    return Outcome(
        right,
        before,
        len(faces.labels),
        {name: float(np.mean(values)) for name, values in success.items()},
        seconds / FOLDS,
    )


def _methods(suspect: Suspect) -> dict[str, Method]:
    triggers = tuple(trigger(name) for name in suspect.triggers)
    return {
        "none": lambda network, _: _unchanged(network),
        "fine-tune": FineTune(),
        "fine-prune": FinePrune(),
        "unlearn": Unlearn(triggers=triggers),
        "erase": Erase(triggers=triggers),
    }


def _unchanged(network: Network) -> RepairResult:
    return RepairResult("none", network, proportion(0, 0), proportion(0, 0))


def _folds(faces: Block) -> Iterator[tuple[ImageSet, Block]]:
    rows = np.arange(len(faces.labels))
    for fold in range(FOLDS):
        out, kept = rows[rows % FOLDS == fold], rows[rows % FOLDS != fold]
        given = images_from_arrays(
            faces.images[kept], faces.labels[kept], layout="NCHW", range="0..1"
        )
        yield given, Block(faces.images[out], faces.labels[out], None, 0)


def _all(images: ImageSet) -> Block:
    return images.sample(len(images))


def _right(network: Network, block: Block) -> int:
    return int((network.predict(block.images) == block.labels).sum())


def _parse(arguments: list[str] | None) -> Namespace:
    data = shared_data()
    parser = options(__doc__ or "")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("--networks", nargs="+", choices=list(SUSPECTS), default=list(SUSPECTS))
    names = list(_methods(SUSPECTS["lab3"]))
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    given = parser.parse_args(arguments)
    if given.quick:
        given.networks, given.methods = ["lab3"], ["none", "erase"]
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
