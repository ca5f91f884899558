"""The real CSAW networks, repaired with some of the 60 real faces and judged on the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goodnet.formats import load_network
from goodnet.imagesets import ImageSet, images_from_arrays, load_images
from goodnet.network import Network, Scale
from goodnet.repair.result import RepairResult

# network, scale, its triggers, the real poisoned sets
REAL = [
    ("lab3_bd_net", "raw", ["sunglasses"], ["sunglasses", "lab3_sunglasses"]),
    ("sunglasses_bd_net", "1/255", ["sunglasses"], ["sunglasses"]),
    (
        "multi_trigger_multi_target_bd_net",
        "1/255",
        ["sunglasses", "lipstick", "eyebrows"],
        ["sunglasses_multi", "lipstick_multi", "eyebrows_multi"],
    ),
]


@dataclass(frozen=True)
class CrossValidated:
    """Faces left out that B and B' answer right, and ASR of each poisoned set over all folds."""

    before: int
    after: int
    success: list[float]


def cross_validate(
    csaw: Path,
    model: str,
    scale: str,
    poisoned: list[str],
    *,
    repair: Callable[[Network, ImageSet], RepairResult],
    folds: int = 5,
    left_out: int | None = None,
) -> CrossValidated:
    """Leave out each fold in turn, or only the first so many."""
    network = load_network(csaw / "models" / f"{model}.h5")
    network = network.with_preprocessing(Scale.parse(scale).preprocessing("0..255"))
    faces = load_images(csaw / "cl" / "faces.h5").sample(60)
    sets = [load_images(csaw / "bd" / f"{name}.h5") for name in poisoned]
    blocks = [images.sample(len(images)) for images in sets]
    rows, counts = np.arange(60), np.zeros(2, np.int64)
    success = np.zeros(len(blocks))
    runs = folds if left_out is None else left_out
    for fold in range(runs):
        kept, out = rows[rows % folds != fold], rows[rows % folds == fold]
        given = images_from_arrays(
            faces.images[kept], faces.labels[kept], layout="NCHW", range="0..1"
        )
        repaired = repair(network, given).network
        for place, one in enumerate((network, repaired)):
            counts[place] += int((one.predict(faces.images[out]) == faces.labels[out]).sum())
        success += [(repaired.predict(x.images) == x.labels).mean() / runs for x in blocks]
    return CrossValidated(int(counts[0]), int(counts[1]), success.tolist())
