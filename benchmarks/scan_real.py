"""The real BadNets, scanned as a user would, with a few clean images and no poison.

Shows the labels that are named and the seconds, for several seeds and numbers of clean images.
Each run is `goodnet scan` in a process of its own. Other networks than those at hand:
`--network NAME MODEL IMAGES TARGETS`.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _measure import header, options, show, verdict
from _real import Suspect, draw, run_goodnet, suspects, write_rows

__all__ = ["main"]

SECONDS = 120.0


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    rows = [["network", "images", "seed", "verdict", "p", "labels", "right", "seconds"]]
    times, right = [], 0
    with TemporaryDirectory() as temporary:
        for suspect in _suspects(given):
            for count, seed in _plan(given):
                row, took, good = _run(suspect, count, seed, Path(temporary), given)
                rows.append(row)
                if count == given.images[0]:
                    times.append(took)
                right += good
                print("  ".join(row), file=sys.stderr, flush=True)
    show(rows)
    print(f"\nall targets and nothing else: {right} of {len(rows) - 1}")
    if times:
        print(f"seconds, median {median(times):.0f}, {verdict(max(times), SECONDS)}")


def _plan(given: Namespace) -> Iterator[tuple[int, int]]:
    """Numbers of images and seeds: all seeds with the first number, one with the others."""
    first, *others = given.images
    yield from ((first, seed) for seed in range(given.seeds))
    yield from ((count, 0) for count in others)


def _run(
    suspect: Suspect, count: int, seed: int, folder: Path, given: Namespace
) -> tuple[list[str], float, bool]:
    out = folder / "run"
    command = ["scan", str(suspect.model)]
    if count:
        some = write_rows(suspect.images, draw(suspect.images, count, seed), folder / "some.h5")
        command += ["--clean", str(some)]
    command += [word for each in given.set for word in ("--set", each)]
    command += ["--out", str(out), "--seed", str(seed), "--no-report", "--force"]
    took = run_goodnet(command, threads=given.threads)
    found = json.loads((out / "results.json").read_text())
    labels = [target["label"] for target in found["targets"]]
    good = sorted(labels) == sorted(suspect.targets)
    p = "-" if found["p_value"] is None else f"{found['p_value']:.3f}"
    row = [suspect.name, str(count or "none"), str(seed), found["verdict"], p]
    shown = " ".join(map(str, labels)) or "-"
    return [*row, shown, "yes" if good else "no", f"{took:.0f}"], took, good


def _suspects(given: Namespace) -> list[Suspect]:
    found = [
        Suspect(name, Path(model), Path(images), tuple(map(int, targets.split(","))))
        for name, model, images, targets in given.network
    ]
    return found or suspects()


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, nargs="+", default=[60, 30, 15, 0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--network",
        nargs=4,
        action="append",
        default=[],
        metavar=("NAME", "MODEL", "IMAGES", "TARGETS"),
        help="instead of those at hand; targets as 1,5,8",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
