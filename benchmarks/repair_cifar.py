"""Every repair of two BadNets of CIFAR-10 (residual, BatchNorm), with 2,500 and 500 clean images.

Needs CIFAR-10 as a folder with one sub-folder per class or as an archive of one.
"""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _attack import Badnet, plant
from _deepid import shared_data
from _measure import header, options
from _repairs import repair_all, show_repairs
from badnet_cifar import attack_options

from goodnet import load_images
from goodnet.imagesets import save_images

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    with TemporaryDirectory() if given.out is None else nullcontext(given.out) as folder:
        for name in given.triggers:
            whole = plant(
                Path(given.badnets or folder) / name,
                attack_options(name, images=given.images, epochs=given.epochs),
                threads=given.threads,
            )
            for count in given.counts:
                badnet = _with_images(whole, Path(folder) / f"{name}_{count}", count)
                table = repair_all(
                    badnet,
                    Path(folder),
                    seeds=given.seeds,
                    drops=["10", "2", "4", "30"],
                    threads=given.threads,
                )
                print(f"{name}, {count} clean images: {given.seeds} seeds, median and range\n")
                show_repairs(table)
                print(flush=True)


def _with_images(badnet: Badnet, folder: Path, count: int) -> Badnet:
    """The same network with fewer clean images to repair with."""
    if not folder.exists():
        shutil.copytree(badnet.folder, folder)
        (folder / "cl" / "valid.h5").unlink()
        valid = load_images(badnet.folder / "cl" / "valid.h5")
        pixels = np.concatenate([block.images for block in valid.blocks(256, stored=True)])
        rows = np.sort(np.random.default_rng(0).permutation(len(valid))[:count])
        save_images(folder / "cl" / "valid.h5", pixels[rows].astype(np.uint8), valid.labels[rows])
    return replace(badnet, folder=folder)


def _parse(arguments: list[str] | None) -> Namespace:
    data = shared_data()
    parser = options(__doc__ or "")
    parser.add_argument(
        "--images",
        default=data / "cifar10-jpeg.tar.xz" / "cifar10" if data else None,
        required=data is None,
        help="holds train and test",
    )
    parser.add_argument("--epochs", type=int, default=10, help="of planting")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--triggers", nargs="+", default=["patch", "blended"])
    parser.add_argument("--counts", nargs="+", type=int, default=[2500, 500])
    parser.add_argument("--out", type=Path, help="keep all here, and use what there is")
    parser.add_argument("--badnets", type=Path, help="use the networks kept by badnet_cifar.py")
    given = parser.parse_args(arguments)
    if given.quick:
        given.epochs, given.seeds, given.triggers, given.counts = 8, 1, ["patch"], [60]
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
