"""Seconds of a scan against the number of classes, beside Neural Cleanse on the same network.

The networks are DeepIDs with random weights: what a search costs does not depend on what it finds.
Neural Cleanse takes the same steps for each label: it is run for some steps on a few labels and
scaled up to the 1,000 steps of 32 images of its authors, who stop earlier where a mask is found.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace

import numpy as np
import torch
from _measure import header, options, seconds, show, verdict

from goodnet.attack.architectures import make_architecture
from goodnet.formats.build import build
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import Network
from goodnet.scan import NeuralCleanse, Scan
from goodnet.scan.case import open_case
from goodnet.scan.inversion import SearchOptions, begin, shrink

__all__ = ["main"]

SHAPE = (3, 55, 47)
# Steps and images a step of the authors' code.
STEPS, BATCH = 1000, 32
# Flat up to the classes of the lab; and so many times faster there than Neural Cleanse.
FLAT, FASTER, LAB = 2.0, 100.0, 1283


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    rows = [["classes", "scan, s", "Neural Cleanse, s (scaled up)", "ratio"]]
    times, ratios = {}, {}
    for classes in given.classes:
        network, images = _suspect(classes, quick=given.quick)
        times[classes] = seconds(lambda: Scan()(network, images))  # noqa: B023
        other = _neural_cleanse(network, images, given) * classes
        ratios[classes] = other / times[classes]
        cells = [f"{times[classes]:.1f}", f"{other:.0f}", f"{ratios[classes]:.1f}"]
        rows.append([str(classes), *cells])
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    show(rows)
    if LAB in times:
        least = min(time for classes, time in times.items() if classes <= LAB)
        print(f"\n{LAB} classes / least: {times[LAB] / least:.2f}, ", end="")
        print(verdict(times[LAB] / least, FLAT))
        print(f"faster than Neural Cleanse at {LAB}: {ratios[LAB]:.0f} times, ", end="")
        print(verdict(ratios[LAB], FASTER, at_least=True))


def _suspect(classes: int, *, quick: bool) -> tuple[Network, ImageSet]:
    """A random network, and 60 images labelled as it answers them; tiny ones for a quick run."""
    name, shape = ("small", (3, 12, 12)) if quick else ("deepid", SHAPE)
    network = build(make_architecture(name, shape=shape, num_classes=classes))
    pixels = np.random.default_rng(0).integers(0, 256, (60, *shape)).astype(
        np.float32
    ) / np.float32(255)
    pixels *= np.random.default_rng(1).uniform(0, 1, (60, 3, 1, 1)).astype(np.float32)
    return network, images_from_arrays(pixels, network.predict(pixels), range="0..1")


def _neural_cleanse(network: Network, images: ImageSet, given: Namespace) -> float:
    """Seconds for one label."""
    steps = int(given.steps)
    random = torch.Generator().manual_seed(0)
    case = open_case(network, images, layer=None, generator=random)
    pace = SearchOptions(steps, BATCH, NeuralCleanse().attack_success)
    start = begin(replace(case.subject, classes=given.labels), random)
    took = seconds(lambda: shrink(case, start, pace, generator=random))
    return took / int(given.labels) * STEPS / steps


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100, 1283, 10_000])
    parser.add_argument("--labels", type=int, default=8, help="that Neural Cleanse is run on")
    parser.add_argument("--steps", type=int, default=40, help="that it is run for")
    given = parser.parse_args(arguments)
    if given.quick:
        given.classes, given.labels, given.steps = [10, 40], 2, 3
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
