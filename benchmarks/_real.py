"""The real BadNets beside the project, with their clean and poisoned images."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from _deepid import shared_data
from _measure import seconds
from numpy.typing import NDArray

from goodnet import load_images

__all__ = ["Rows", "Suspect", "draw", "run_goodnet", "suspects", "write_rows"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Suspect:
    """A network, its clean images, and the labels of its backdoors.

    Attributes:
        name: What it is called.
        model: The file.
        images: Clean ones.
        targets: The labels.
        poison: Poisoned images by label, where there are any.
    """

    name: str
    model: Path
    images: Path
    targets: tuple[int, ...]
    poison: Mapping[int, Path] = field(default_factory=dict)


def suspects() -> list[Suspect]:
    """Those at hand."""
    data = shared_data()
    if data is None:
        return []
    csaw, faces = data / "csaw" / "models", data / "csaw" / "cl" / "faces.h5"
    bad, cifar = data / "csaw" / "bd", data / "cifar_badnet"
    glasses = bad / "sunglasses.h5"
    three = {8: "sunglasses", 1: "lipstick", 5: "eyebrows"}
    multi = {label: bad / f"{name}_multi.h5" for label, name in three.items()}
    model, clean = cifar / "bd_net.h5", cifar / "cl" / "valid.h5"
    return [
        Suspect("lab3", csaw / "lab3_bd_net.h5", faces, (0,), {0: glasses}),
        Suspect("sunglasses", csaw / "sunglasses_bd_net.h5", faces, (0,), {0: glasses}),
        Suspect("multi", csaw / "multi_trigger_multi_target_bd_net.h5", faces, (1, 5, 8), multi),
        Suspect("cifar_badnet", model, clean, (0,), {0: cifar / "bd" / "bd_test.h5"}),
    ]


def run_goodnet(words: Sequence[str], *, threads: int) -> float:
    """Run a command of GoodNet in a process of its own; the seconds it took.

    Raises:
        SystemExit: If it neither ends well nor with a finding.
    """
    command = [str(Path(sys.executable).with_name("goodnet")), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done: list[subprocess.CompletedProcess[str]] = []
    took = seconds(
        lambda: done.append(
            subprocess.run(command, capture_output=True, text=True, env=environment)
        )
    )
    if done[0].returncode not in (0, 1, 8):
        raise SystemExit(done[0].stderr)
    return took


def draw(images: Path, count: int, seed: int) -> Rows:
    """Some of the images at random, in rising order."""
    drawn = np.random.default_rng(seed).permutation(len(load_images(images)))[:count]
    return np.sort(drawn)


def write_rows(images: Path, rows: Rows | Sequence[int], path: Path) -> Path:
    """A file with some of the images of another."""
    block = load_images(images).take(np.asarray(rows, np.int64))
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = (255 * block.images).astype(np.uint8), block.labels
    return path
