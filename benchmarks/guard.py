"""What the GoodNet G costs per image against the network B it is made of.

Once with a B' that is pruned, once with a B' that is cured: its units watch layers that both share.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _deepid import shared_data
from _faces import write_faces
from _lab import find_lab
from _measure import header, in_turn, options, ratios, seconds, show, verdict
from numpy.typing import NDArray

from goodnet import (
    Cure,
    GoodNet,
    Network,
    Preprocessing,
    load_images,
    prune_curve,
    silence_channels,
)
from goodnet.formats import load_network
from goodnet.imagesets import ImageSet
from goodnet.network import batches

__all__ = ["main"]

TARGET = 1.25
_HEAD = ("network", "B'", "batch", "B us/image", "B, then B'", "G us/image", "G / B", "")


@dataclass(frozen=True)
class Guarded:
    """B, its repaired copy, and the GoodNet of both."""

    name: str
    original: Network
    repaired: Network
    goodnet: Network
    how: str

    @classmethod
    def pruned(cls, name: str, network: Network, images: ImageSet, *, drop: float) -> Guarded:
        """Prune a network until it has lost `drop` points on some clean images."""
        curve = prune_curve(network, images)
        steps = curve.steps_to_drop(drop)
        if steps is None:
            raise SystemExit(f"{name} never loses {drop:g} points; ask for less with --drop")
        repaired = silence_channels(network, curve.layer, curve.silenced(steps))
        how = f"{steps} channels silenced"
        return cls(name, network, repaired, GoodNet(network, repaired), how)

    @classmethod
    def cured(cls, name: str, network: Network, images: ImageSet) -> Guarded | None:
        """Cure a network; None where no backdoor is found."""
        result = Cure()(network, images)
        units = sum(len(watch.units) for watch in result.watches)
        if not units:
            return None
        return cls(
            name, network, result.network, GoodNet(network, result.network), f"{units} units watch"
        )


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    rows = [list(_HEAD)]
    with TemporaryDirectory() as folder:
        for name, network, images in _networks(Path(folder), given):
            pixels = images.sample(given.images).images
            for guarded in _guarded(name, network, images, given):
                rows += [_row(guarded, pixels, batch, given.repeats) for batch in given.batches]
    show(rows)
    print(f"\nmedians of {given.repeats}; a pruned B' lost {given.drop:g} points")


def _guarded(name: str, network: Network, images: ImageSet, given: Namespace) -> Iterator[Guarded]:
    yield Guarded.pruned(name, network, images, drop=given.drop)
    # A scan of a network takes a minute, however little is timed afterwards.
    cured = None if given.quick else Guarded.cured(name, network, images)
    if cured is not None:
        yield cured


def _row(guarded: Guarded, pixels: NDArray[np.float32], batch: int, repeats: int) -> list[str]:
    groups = list(batches(pixels, batch))

    def run(*networks: Network) -> float:
        return seconds(lambda: [network(group) for network in networks for group in groups])

    jobs = {
        "B": lambda: run(guarded.original),
        "apart": lambda: run(guarded.original, guarded.repaired),
        "G": lambda: run(guarded.goodnet),
    }
    in_turn(jobs, 2)  # off the clock: everything is warm after it
    times = in_turn(jobs, repeats)
    cost = {name: f"{1e6 * median(values) / len(pixels):.1f}" for name, values in times.items()}
    factor = median(ratios(times["G"], times["B"]))
    return [
        guarded.name,
        guarded.how,
        str(batch),
        cost["B"],
        cost["apart"],
        cost["G"],
        f"{factor:.3f}",
        verdict(factor, TARGET),
    ]


def _networks(folder: Path, given: Namespace) -> Iterator[tuple[str, Network, ImageSet]]:
    lab = find_lab(folder, given.model)
    faces = folder / "faces.h5"
    write_faces(faces, lab.clean, max(given.images, 1024), seed=0)
    yield lab.model.stem, lab.network, load_images(faces)
    data = shared_data()
    if data and given.model is None:
        cifar = data / "cifar_badnet"
        yield (
            "cifar_badnet",
            load_network(cifar / "bd_net.h5").with_preprocessing(Preprocessing(255)),
            load_images(cifar / "cl" / "valid.h5"),
        )


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.set_defaults(threads=1)
    parser.add_argument(
        "--model", type=Path, help="a DeepID in Keras's format; the lab's if at hand, else drawn"
    )
    parser.add_argument("--drop", type=float, default=10.0, help="percentage points B' has lost")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128], metavar="N")
    parser.add_argument("--images", type=int, default=512, help="timed at each batch size")
    parser.add_argument("--repeats", type=int, default=21)
    given = parser.parse_args(arguments)
    if given.quick:
        given.images, given.repeats, given.batches = 32, 1, [16]
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
