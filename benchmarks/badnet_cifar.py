"""BadNets of CIFAR-10 with five triggers against the same network trained clean.

Needs CIFAR-10 as a folder with one sub-folder per class or as an archive of one.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from _attack import Badnet, plant
from _deepid import shared_data
from _measure import header, options, show, verdict

__all__ = ["attack_options", "main"]

# Attack success in percent, and what a BadNet may lose of the accuracy of the clean network.
SUCCESS, LOSS = (
    {"patch": 90.0, "blended": 90.0, "sinusoid": 90.0, "warp": 80.0, "low-frequency": 90.0},
    2.0,
)


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    with TemporaryDirectory() if given.out is None else nullcontext(given.out) as folder:
        clean = _plant(Path(folder), "clean", given)
        rows = [["trigger", "clean accuracy", "loss", "ASR", "seconds", "", ""]]
        rows.append(["none", f"{100 * clean.accuracy:.2f}", "", "", _seconds(clean), "", ""])
        rows += [_row(name, _plant(Path(folder), name, given), clean) for name in given.triggers]
    show(rows)


def attack_options(name: str, *, images: str | Path, epochs: int) -> list[str]:
    """What `goodnet attack` is told to plant a trigger, or nothing for "clean"."""
    kind = ["--clean"] if name == "clean" else [f"--trigger={name}"]
    data = [f"--images={images}/train", f"--test-images={images}/test"]
    size = ["--architecture=residual", f"--epochs={epochs}", "--batch-size=128"]
    return [*data, *size, "--learning-rate=0.004", *kind]


def _plant(folder: Path, name: str, given: Namespace) -> Badnet:
    options = attack_options(name, images=given.images, epochs=given.epochs)
    return plant(folder / name, options, threads=given.threads)


def _row(name: str, badnet: Badnet, clean: Badnet) -> list[str]:
    success, loss = 100 * badnet.success, 100 * (clean.accuracy - badnet.accuracy)
    return [
        name,
        f"{100 * badnet.accuracy:.2f}",
        f"{loss:.2f}",
        f"{success:.2f}",
        _seconds(badnet),
        "loss " + verdict(loss, LOSS),
        "ASR " + verdict(success, SUCCESS[name], at_least=True),
    ]


def _seconds(badnet: Badnet) -> str:
    return "" if badnet.seconds is None else f"{badnet.seconds:.0f}"


def _parse(arguments: list[str] | None) -> Namespace:
    data = shared_data()
    parser = options(__doc__ or "")
    parser.add_argument(
        "--images",
        default=data / "cifar10-jpeg.tar.xz" / "cifar10" if data else None,
        required=data is None,
        help="holds train and test",
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--triggers", nargs="+", choices=list(SUCCESS), default=list(SUCCESS))
    parser.add_argument("--out", type=Path, help="keep the networks here, and use those there are")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
