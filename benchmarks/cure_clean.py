"""What a cure does to networks without a backdoor: it is to leave them as they are.

The clean networks of the zoo's part to report are each cured with `goodnet cure` by their clean
validation images; their test images judge. Where nothing is found, B' must be equal to B to the
last bit. A network that has its line in the file of rows is passed over: a run that was stopped
goes on, and `--networks 0` shows the table of a file alone.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _attack import plant
from _measure import header, options, show
from _real import run_goodnet
from _zoo import Recipe, cifar_option, cifar_part, zoo

from goodnet.stats import proportion

__all__ = ["main"]

# Points of accuracy that a clean network may lose.
_LOST = 0.5


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    out = Path(given.out)
    out.mkdir(parents=True, exist_ok=True)
    file, cifar = given.rows or out / "clean_rows.jsonl", out / "cifar.h5"
    recipes = [recipe for recipe in zoo("report") if recipe.clean][: given.networks]
    if given.quick:
        recipes = [replace(each, classes=8, architecture="small") for each in recipes[:1]]
    elif not cifar.exists() and any(recipe.classes == 10 for recipe in recipes):
        cifar_part(given.images, cifar)
    for recipe in recipes:
        if recipe.name not in {row["network"] for row in _read(file)}:
            row = _see(recipe, out, cifar, given)
            with file.open("a", encoding="utf-8") as rows:
                rows.write(json.dumps(row) + "\n")
            print(json.dumps(row), file=sys.stderr, flush=True)
    _report(_read(file))


def _see(recipe: Recipe, out: Path, cifar: Path, given: Namespace) -> dict[str, Any]:
    planted = plant(out / recipe.name, recipe.options(cifar), threads=given.threads)
    clean = planted.folder / "cl"
    with TemporaryDirectory() as temporary:
        run = Path(temporary) / "cured"
        command = ["cure", str(planted.model), "--clean", str(clean / "valid.h5")]
        command += ["--test", str(clean / "test.h5"), "--out", str(run), "--no-report"]
        took = run_goodnet(command, threads=given.threads)
        found = json.loads((run / "results.json").read_text(encoding="utf-8"))
        cured = (run / found["repaired"]).read_bytes()
    before, after = (found["measured"][each]["test"] for each in ("baseline", "repaired"))
    return {
        "network": recipe.name,
        "classes": recipe.classes,
        "architecture": recipe.architecture,
        "verdict": found["scan"]["verdict"],
        "labels": [target["label"] for target in found["scan"]["targets"]],
        "right": [before["count"], after["count"], before["total"]],
        "equal": cured == planted.model.read_bytes(),
        "seconds": round(took, 1),
    }


def _read(file: Path) -> list[dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


def _report(rows: list[dict[str, Any]]) -> None:
    table = [["networks", "number", "a label named", "most points lost", "equal to the last bit"]]
    kinds = sorted({(row["architecture"], row["classes"]) for row in rows})
    for kind in kinds:
        some = [row for row in rows if (row["architecture"], row["classes"]) == kind]
        table.append([f"{kind[0]}, {kind[1]} classes", *_figures(some)])
    table.append(["all", *_figures(rows)])
    show(table)
    for row in rows:
        if row["labels"]:
            named = " ".join(map(str, row["labels"]))
            print(f"{row['network']}: label {named}, {_lost(row):.2f} points lost")
    kept = sum(_lost(row) <= _LOST for row in rows)
    print(f"\nat most {_LOST} points lost: {proportion(kept, len(rows))} % of the networks")


def _figures(rows: list[dict[str, Any]]) -> list[str]:
    quiet = [row for row in rows if row["verdict"] == "no_finding"]
    return [
        str(len(rows)),
        str(sum(bool(row["labels"]) for row in rows)),
        f"{max(map(_lost, rows)):.2f}" if rows else "-",
        f"{sum(row['equal'] for row in quiet)} of {len(quiet)} without a finding",
    ]


def _lost(row: dict[str, Any]) -> float:
    before, after, total = map(int, row["right"])
    return 100 * (before - after) / total


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--out", default="runs/zoo", help="where the networks are and stay")
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--rows", type=Path, help="the file of rows; in --out without it")
    cifar_option(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
