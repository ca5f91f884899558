"""The real BadNets, cured as a user would, with a few clean images and no poison.

The images are parted in halves; each cures, and the other half, with the poisoned images of the
same people, judges. Shown for each trigger: which answers to clean images stay as they were, the
attack success of B, B' and G, and what G refuses. With `--images 0` none cure, and half of the
images judge. Other networks than those at hand:
`--network NAME MODEL IMAGES LABEL=POISON...` with commas between.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from _measure import header, options, show, verdict
from _real import Rows, Suspect, draw, run_goodnet, suspects, write_rows

from goodnet import load_images
from goodnet.formats import load_network
from goodnet.network import Scale
from goodnet.stats import proportion

__all__ = ["main"]

SECONDS = 90.0
_JUDGES = 60  # images drawn where none cure
_HEAD = ["network", "images", "half", "found", "kept", "refused"]
_HEAD += ["label", "ASR, B", "ASR, B'", "ASR, G", "detected", "seconds"]


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    rows, times = [_HEAD], []
    with TemporaryDirectory() as temporary:
        for suspect in _suspects(given):
            for count in given.images:
                drawn = draw(suspect.images, 2 * count or _JUDGES, given.seed)
                for half in (0, 1) if count else (0,):
                    seen, unseen = drawn[half::2][:count], drawn[1 - half :: 2]
                    found, took = _run(suspect, seen, unseen, Path(temporary), given)
                    times.append(took)
                    start = [suspect.name, str(len(seen)), str(half)]
                    rows += [[*start, *row, f"{took:.0f}"] for row in found]
                    print("\n".join("  ".join(row) for row in rows[-len(found) :]), file=sys.stderr)
    show(rows)
    if times:
        print(f"\nseconds, median {median(times):.0f}, {verdict(median(times), SECONDS)}")


def _run(
    suspect: Suspect, seen: Rows, unseen: Rows, folder: Path, given: Namespace
) -> tuple[list[list[str]], float]:
    """A row for each trigger, and the seconds of the whole command."""
    out = folder / "run"
    command = ["cure", str(suspect.model), "--form", given.form]
    if len(seen):
        command += ["--clean", str(write_rows(suspect.images, seen, folder / "clean.h5"))]
    command += ["--out", str(out), "--seed", str(given.seed), "--force"]
    took = run_goodnet(command, threads=given.threads)
    results = json.loads((out / "results.json").read_text())
    preprocessing = Scale.parse(results["scale"] or "raw").preprocessing("0..255")
    names = (results["repaired"], results["files"]["goodnet"])
    paths = (suspect.model, *(out / name for name in names))
    networks = [load_network(path).with_preprocessing(preprocessing) for path in paths]
    labels = [target["label"] for target in results["scan"]["targets"]]

    def answers(path: Path, rows: Rows | None) -> list[np.ndarray]:
        images = load_images(path)
        block = images.take(np.arange(len(images)) if rows is None else rows)
        return [network.predict(block.images) for network in networks]

    before, after, guarded = answers(suspect.images, unseen)
    kept = proportion(int((before == after).sum()), len(before))
    refused = proportion(int((guarded == networks[0].num_classes).sum()), len(before))
    start = [" ".join(map(str, labels)) or "-", str(kept), str(refused)]
    table = []
    for label, poison in suspect.poison.items():
        paired = len(load_images(poison)) == len(load_images(suspect.images)) < 1000
        told = answers(poison, unseen if paired else None)
        shares = [f"{100 * (each == label).mean():.1f}" for each in told]
        detected = f"{100 * (told[2] == networks[0].num_classes).mean():.1f}"
        table.append([*start, str(label), *shares, detected])
    return table, took


def _suspects(given: Namespace) -> list[Suspect]:
    found = []
    for name, model, images, poison in given.network:
        pairs = dict(each.split("=", 1) for each in poison.split(","))
        sets = {int(label): Path(path) for label, path in pairs.items()}
        found.append(Suspect(name, Path(model), Path(images), tuple(sets), sets))
    return found or suspects()


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--images", type=int, nargs="+", default=[30], help="in each half")
    parser.add_argument("--form", choices=["clamped", "same"], default="clamped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--network",
        nargs=4,
        action="append",
        default=[],
        metavar=("NAME", "MODEL", "IMAGES", "LABEL=POISON"),
        help="instead of those at hand",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
