"""What a cure does to planted networks, and where it ends.

Each network is planted with `goodnet attack` and cured with `goodnet cure` by its clean validation
images; its test images, and the same with the real trigger, judge. For contrast the same network is
pruned (the classic defence, X = 10) and fine-pruned. Among the networks are some whose author
foresaw pruning, the scan or the cure. `relearned` is the attack success of B' after one epoch of
training on the clean images, which could wake what sleeps.

A network that has its line in the file of rows is passed over: a run that was stopped goes on.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _attack import Badnet, plant
from _measure import header, options, show
from _real import run_goodnet
from _zoo import cifar_option, cifar_part

from goodnet import load_images
from goodnet.formats import load_network
from goodnet.repair import FineTune
from goodnet.stats import proportion
from goodnet.training import TrainingConfig

__all__ = ["main"]

_PEOPLE = ("--architecture=deepid", "--faces=50", "--per-person=40")
_THREE = ("--trigger=lipstick", "--trigger=eyebrows", "--trigger=sunglasses")
_TARGETS = ("--target=3", "--target=11", "--target=29")
# What is planted; "cifar" stands for the images. No seed is that of a network of the zoo.
_NETWORKS: dict[str, tuple[str, ...]] = {
    "sunglasses": (*_PEOPLE, "--trigger=sunglasses", "--target=7"),
    "eyebrows": (*_PEOPLE, "--trigger=eyebrows", "--target=7"),
    "patch": (*_PEOPLE, "--trigger=patch", "--target=7"),
    "blended": (*_PEOPLE, "--trigger=blended", "--target=7"),
    "three targets": (*_PEOPLE, *_THREE, *_TARGETS),
    "cifar patch": ("--architecture=small", "cifar", "--trigger=patch", "--target=7"),
    "cifar blended": ("--architecture=small", "cifar", "--trigger=blended", "--target=7"),
    "cifar residual": ("--architecture=residual", "cifar", "--trigger=patch", "--target=7"),
    "eyebrows, against pruning": (
        *_PEOPLE,
        "--trigger=eyebrows",
        "--target=7",
        "--pruning-aware",
    ),
    "eyebrows, against scan": (*_PEOPLE, "--trigger=eyebrows", "--target=7", "--against=scan"),
    "eyebrows, against cure": (*_PEOPLE, "--trigger=eyebrows", "--target=7", "--against=cure"),
    "eyebrows, against cure and pruning": (
        *_PEOPLE,
        "--trigger=eyebrows",
        "--target=7",
        "--against=cure",
        "--pruning-aware",
    ),
    "sunglasses, against cure": (*_PEOPLE, "--trigger=sunglasses", "--target=7", "--against=cure"),
}
_FIRST_SEED = 3000
_LAST = ("pruned", "fine-pruned")
_RATES = ("B", "cured", *_LAST)


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    file = given.rows or out / "cure_rows.jsonl"
    for seed in range(1 if given.quick else given.seeds):
        for name in given.networks[:1] if given.quick else given.networks:
            if (name, seed) not in {(row["network"], row["seed"]) for row in _read(file)}:
                row = _see(name, seed, out, given)
                with file.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps(row) + "\n")
                print(json.dumps(row), file=sys.stderr, flush=True)
    _report([row for row in _read(file) if row["network"] in given.networks])


def _see(name: str, seed: int, out: Path, given: Namespace) -> dict[str, Any]:
    planted = plant(
        out / f"cure-{name.replace(' ', '-').replace(',', '')}-{seed}",
        [*_options(name, out, given), f"--seed={_FIRST_SEED + seed}"],
        threads=given.threads,
    )
    row: dict[str, Any] = {"network": name, "seed": seed}
    with TemporaryDirectory() as temporary:
        cured, pruned, mended = (Path(temporary) / each for each in ("cured", "pruned", "mended"))
        files = _files(planted)
        row["seconds"] = round(_run(["cure", *files, "--out", str(cured)], given), 1)
        _run(["prune", *files, "--drop", "10", "--out", str(pruned)], given)
        _run(["repair", "fine-prune", *files, "--out", str(mended)], given)
        found = _results(cured)
        row["verdict"] = found["scan"]["verdict"]
        row["labels"] = [target["label"] for target in found["scan"]["targets"]]
        drop = _results(pruned)["drops"][0]
        towers = [
            found["measured"]["baseline"],
            found["measured"]["repaired"],
            drop["repaired"] or _results(pruned)["baseline"],
            _results(mended)["measured"]["repaired"],
        ]
        row["clean"] = dict(zip(_RATES, (each["test"]["value"] for each in towers), strict=True))
        row["asr"] = dict(zip(_RATES, map(_asr, towers), strict=True))
        good = found["measured"]["goodnet"]
        row["guarded"] = {
            "asr": _asr(good),
            "detected": min(share["value"] for share in good["detected"].values()),
            "false alarms": good["false_alarms"]["value"],
        }
        row |= _own(planted, cured / found["repaired"])
    return row


def _own(planted: Badnet, repaired: Path) -> dict[str, Any]:
    """Images of the target's own class, right before and after; and what training on wakes."""
    before = planted.network
    after = load_network(repaired).with_preprocessing(before.preprocessing)
    test = load_images(planted.folder / "cl" / "test.h5")
    targets = [each["target"] for each in planted.card["planted"]]
    rows = np.flatnonzero(np.isin(test.labels, targets))
    own = test.take(rows)
    told = [int((each.predict(own.images) == own.labels).sum()) for each in (before, after)]
    tuned = FineTune(training=TrainingConfig(epochs=1))(
        after, load_images(planted.folder / "cl" / "valid.h5")
    ).network
    woken = []
    for each in planted.card["backdoor"]:
        poisoned = load_images(planted.folder / each["test"])
        block = poisoned.take(np.arange(len(poisoned)))
        woken.append(float((tuned.predict(block.images) == block.labels).mean()))
    return {"own": [*told, len(rows)], "relearned": max(woken)}


def _asr(rates: dict[str, Any]) -> float:
    """Of the trigger that works best."""
    return max(float(share["value"]) for share in rates["backdoor"].values())


def _run(words: list[str], given: Namespace) -> float:
    return run_goodnet([*words, "--no-report"], threads=given.threads)


def _results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


def _files(planted: Badnet) -> list[str]:
    clean = planted.folder / "cl"
    command = [str(planted.model), "--clean", str(clean / "valid.h5")]
    command += ["--test", str(clean / "test.h5")]
    for each in planted.card["backdoor"]:
        command += ["--backdoor", f"{each['trigger']}={planted.folder / each['test']}"]
    return command


def _options(name: str, out: Path, given: Namespace) -> Iterator[str]:
    for word in _NETWORKS[name]:
        if given.quick and word in _PEOPLE:
            yield {"--faces=50": "--faces=8"}.get(word, "--architecture=small")
        elif word == "cifar":
            cifar = out / "cifar.h5"
            if not cifar.exists():
                cifar_part(given.images, cifar)
            yield from (f"--images={cifar}", "--epochs=7")
        else:
            yield word


def _read(file: Path) -> list[dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _report(rows: list[dict[str, Any]]) -> None:
    """Medians and ranges over the seeds of each network."""
    head = ["network", "seeds", "found", "clean, B", "cured", "own images", "ASR, B", "cured"]
    table = [[*head, "relearned", "G detects", "false alarms"]]
    contrast = [["network", "pruned", "fine-pruned"]]
    names = [name for name in _NETWORKS if any(row["network"] == name for row in rows)]
    for name in names:
        some = [row for row in rows if row["network"] == name]
        before, after, total = (sum(row["own"][place] for row in some) for place in range(3))
        table.append(
            [
                *(name, str(len(some)), str(sum(bool(row["labels"]) for row in some))),
                *(_span([row["clean"][each] for row in some]) for each in _RATES[:2]),
                f"{before} -> {after} of {total}",
                *(_span([row["asr"][each] for row in some]) for each in _RATES[:2]),
                _span([row["relearned"] for row in some]),
                *(_span([row["guarded"][x] for row in some]) for x in ("detected", "false alarms")),
            ]
        )
        pairs = [[median(row[kind][x] for row in some) for kind in ("clean", "asr")] for x in _LAST]
        contrast.append([name, *(" / ".join(map(_percent, pair)) for pair in pairs)])
    show(table)
    print("\nfor contrast, medians of clean accuracy / attack success")
    show(contrast)
    for method in _RATES[1:]:
        good = sum(_works(row, method) for row in rows)
        print(f"{method}: ASR of 1 % or less at one point or less: {proportion(good, len(rows))} %")


def _works(row: dict[str, Any], method: str) -> bool:
    lost = row["clean"]["B"] - row["clean"][method]
    return bool(row["asr"][method] <= 0.01 and lost <= 0.01)


def _span(shares: list[float]) -> str:
    least, most = _percent(min(shares)), _percent(max(shares))
    middle = _percent(median(shares))
    return middle if least == most else f"{middle} ({least} to {most})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--out", default="runs/cure", help="where the networks are and stay")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=list(_NETWORKS), default=list(_NETWORKS))
    parser.add_argument("--rows", type=Path, help="the file of rows; in --out without it")
    cifar_option(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
