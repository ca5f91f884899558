"""Every repair of three BadNets of 1,283 synthetic people, with nine clean images of each."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from _attack import plant
from _measure import header, options
from _repairs import aims, repair_all, show_repairs
from badnet_faces import KINDS

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    kept = given.badnets or given.out
    with TemporaryDirectory() if given.out is None else nullcontext(given.out) as folder:
        for name in given.kinds:
            size = [f"--faces={given.people}", f"--per-person={given.shots}"]
            badnet = plant(
                Path(kept or folder) / name.replace(" ", "_"),
                [*size, f"--epochs={given.epochs}", *KINDS[name]],
                threads=given.threads,
            )
            table = repair_all(
                badnet,
                Path(folder),
                seeds=given.seeds,
                drops=["10"] if given.quick else ["10", "2", "4", "30"],
                threads=given.threads,
                brief=given.quick,
            )
            print(f"{name}: {given.seeds} seeds, median and range, percent\n")
            show_repairs(table)
            print()
            aims(table)
            print(flush=True)


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--people", type=int, default=1283)
    parser.add_argument("--shots", type=int, default=40, help="training pictures of each person")
    parser.add_argument("--epochs", type=int, default=7, help="of planting")
    parser.add_argument("--seeds", type=int, default=3)
    kinds = [name for name in KINDS if name != "clean"]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--out", type=Path, help="keep all here, and use what there is")
    parser.add_argument("--badnets", type=Path, help="use the networks kept by badnet_faces.py")
    given = parser.parse_args(arguments)
    if given.quick:
        given.people, given.shots, given.epochs, given.seeds = 10, 30, 6, 1
        given.kinds = ["sunglasses"]
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
