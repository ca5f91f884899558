"""How often a scan finds the backdoor, and how often it cries wolf, on a zoo of small networks.

Each network is planted, scanned and told in a line of the file of rows; one that has its line is
passed over, so a run that was stopped goes on, and several processes at once share the work.
`--rows FILE --networks 0` shows the tables of a file alone; `--clean` passes over backdoored
networks, which the null does not need. A backdoor that works on too few images (less than 70 %) is
left out.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _attack import plant
from _measure import header, options, show
from _zoo import FAMILIES, PARTS, Recipe, cifar_option, cifar_part, zoo
from scipy.stats import gumbel_r, kstest

from goodnet import load_images
from goodnet.scan.methods import make_scanner, scanners
from goodnet.stats import proportion

__all__ = ["main"]

_FEW = 50  # classes
_TELLING = 6  # clean networks, or their scores say nothing of others
_WORKS = 0.7  # of the images, or a backdoor was not planted


@dataclass(frozen=True)
class Row:
    """One network and what a scan said of it.

    Attributes:
        recipe: Of the network.
        method: Of the scan.
        success: The lowest attack success rate of its triggers, 0..1; 0 for a clean network.
        verdict: What was said.
        score: The largest of all labels.
        p: The p-value; None where none was given.
        labels: Those that were named.
        seconds: The scan took.
        standings: What the score is made of, for each kind of triggers.
    """

    recipe: Recipe
    method: str
    success: float
    verdict: str
    score: float
    p: float | None
    labels: tuple[int, ...]
    seconds: float
    standings: dict[str, float]

    @property
    def alarm(self) -> bool:
        """Whether a label was named."""
        return self.verdict in ("backdoored", "suspicious")


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    torch.set_num_threads(given.threads)
    header(given.threads)
    folder = Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    file = given.rows or folder / "rows.jsonl"
    cifar = folder / "cifar.h5"
    zoos = [recipe for part in given.part for recipe in zoo(part)]
    recipes = [recipe for recipe in zoos if recipe.clean or not given.clean]
    recipes = recipes[: given.networks]
    if given.quick:
        recipes = [replace(each, classes=5, architecture="small") for each in recipes[:2]]
    if not cifar.exists() and not given.quick and any(each.classes == 10 for each in recipes):
        cifar_part(given.images, cifar)
    for recipe in recipes:
        with _mine(folder / recipe.name) as mine:
            if mine:
                _see(recipe, folder, cifar, file, given)
    rows = [row for row in _read(file) if row.recipe.part in given.part]
    for method in given.methods:
        _report(method, [row for row in rows if row.method == method])


def _see(recipe: Recipe, folder: Path, cifar: Path, file: Path, given: Namespace) -> None:
    """Plant and scan a network by the methods that it has no rows of."""
    told = {row.method for row in _read(file) if row.recipe == recipe}
    missing = [method for method in given.methods if method not in told]
    if not missing:
        return
    planted = plant(folder / recipe.name, recipe.options(cifar), threads=given.threads)
    network = planted.network
    images = load_images(planted.folder / "cl" / "valid.h5")
    for method in missing:
        start = perf_counter()
        result = make_scanner(method, [f"seed={given.seed}"])(network, images)
        row = Row(
            recipe,
            method,
            0.0 if recipe.clean else planted.success,
            result.verdict,
            round(float(result.scores.max()), 3),
            result.p_value,
            tuple(target.label for target in result.targets),
            round(perf_counter() - start, 1),
            {name: round(value, 3) for name, value in result.standings.items()},
        )
        print(f"{recipe.name}: {method}: {result}", file=sys.stderr, flush=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(row)) + "\n")


def _read(file: Path) -> list[Row]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [_row(json.loads(line)) for line in lines]


def _row(told: dict[str, Any]) -> Row:
    recipe = Recipe(**told["recipe"] | {"triggers": tuple(told["recipe"]["triggers"])})
    return Row(**told | {"recipe": recipe, "labels": tuple(told["labels"])})


@contextmanager
def _mine(folder: Path) -> Iterator[bool]:
    """Whether no other process works on a network; while this does, others leave it alone."""
    lock = folder.with_name(f"{folder.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        yield False
        return
    try:
        yield True
    finally:
        lock.unlink()


def _report(method: str, rows: Sequence[Row]) -> None:
    clean = [row for row in rows if row.recipe.clean]
    planted = [row for row in rows if not row.recipe.clean and row.success >= _WORKS]
    weak = sum(not row.recipe.clean for row in rows) - len(planted)
    print(f"\n{method}: {len(planted)} networks with a backdoor, {len(clean)} without")
    if weak:
        print(f"left out: {weak} whose trigger works on fewer than {_WORKS:.0%} of the images")
    table = [["networks", "number", "found, %", "right target, %", "all targets, %", "others"]]
    for name in (*FAMILIES, "several triggers"):
        table += _line(name, [row for row in planted if _kind(row.recipe) == name])
    for rate in (0.01, 0.05, 0.1):
        table += _line(f"{rate:.0%} poisoned", [r for r in planted if r.recipe.rate == rate])
    table += _line("pruning-aware", [row for row in planted if row.recipe.aware])
    for classes in (10, 50, 200, 1283):
        table += _line(f"{classes} classes", [r for r in planted if r.recipe.classes == classes])
    show([*table, *_line("all", planted)])
    alarms = sum(row.alarm for row in clean)
    print(f"false alarms: {alarms} of {len(clean)}, {proportion(alarms, len(clean))} %")
    if clean and planted:
        low, high = _spread(planted, clean)
        print(f"AUROC of the largest score: {_auroc(planted, clean):.3f}, {low:.3f} to {high:.3f}")
    if len(clean) > 2:
        print(_null(clean))
    times = np.array([row.seconds for row in rows])
    if len(times):
        low, middle, high = np.percentile(times, [5, 50, 95])
        print(f"seconds: median {middle:.1f}, 90 % of them {low:.1f} to {high:.1f}")


def _null(rows: Sequence[Row]) -> str:
    """What clean networks reach: the null of `goodnet.scan.null`."""
    names = dict.fromkeys(name for row in rows for name in row.standings)
    figures = {name: [r.standings[name] for r in rows if name in r.standings] for name in names}
    fits = [f"{name} {_gumbel(values)}" for name, values in figures.items()]
    few = [row.score for row in rows if row.recipe.classes <= _FEW]
    many = [row.score for row in rows if row.recipe.classes > _FEW]
    scores = [_scores(f"up to {_FEW} classes", few), _scores("more classes", many)]
    return "\n".join([*filter(None, scores), *fits])


def _scores(name: str, values: Sequence[float]) -> str:
    if len(values) < _TELLING:
        return ""
    random = np.random.default_rng(0)
    drawn = [gumbel_r.fit(random.choice(values, len(values))) for _ in range(100)]
    low, high = np.percentile([gumbel_r.isf(0.01, *one) for one in drawn], [5, 95])
    level = gumbel_r.isf(0.01, *gumbel_r.fit(values))
    return (
        f"clean scores, {len(values)} networks of {name}: mean {np.mean(values):.2f}, "
        f"{min(values):.2f} to {max(values):.2f}; {_gumbel(values)}, 1 % at {level:.2f} "
        f"({low:.2f} to {high:.2f})"
    )


def _gumbel(values: Sequence[float]) -> str:
    """The most likely Gumbel distribution, and how well it fits."""
    place, scale = gumbel_r.fit(values)
    fits = kstest(values, "gumbel_r", (place, scale)).pvalue
    return f"Gumbel {place:.2f}, {scale:.2f} (KS p = {fits:.2f})"


def _kind(recipe: Recipe) -> str:
    return recipe.triggers[0] if len(recipe.triggers) == 1 else "several triggers"


def _line(name: str, rows: Sequence[Row]) -> list[list[str]]:
    if not rows:
        return []
    named = [(set(row.labels), set(row.recipe.targets)) for row in rows]
    right = [True for labels, targets in named if labels & targets]
    whole = [True for labels, targets in named if targets <= labels]
    others = sum(len(labels - targets) for labels, targets in named)
    shares = [sum(row.alarm for row in rows), len(right), len(whole)]
    return [[name, str(len(rows)), *(str(proportion(n, len(rows))) for n in shares), str(others)]]


def _auroc(planted: Sequence[Row], clean: Sequence[Row]) -> float:
    high, low = (np.array([row.score for row in rows]) for rows in (planted, clean))
    wins = (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()
    return float(wins)


def _spread(planted: Sequence[Row], clean: Sequence[Row]) -> tuple[float, float]:
    """The 95 % interval of `_auroc`, by drawing networks again, with replacement."""
    random = np.random.default_rng(0)
    drawn = [
        _auroc(*([rows[i] for i in random.integers(len(rows), size=len(rows))] for rows in pair))
        for pair in [(planted, clean)] * 1000
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--out", default="runs/zoo", help="where the networks are and stay")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=["report"])
    parser.add_argument("--methods", nargs="+", choices=list(scanners()), default=["goodnet"])
    parser.add_argument("--networks", type=int, help="only the first so many")
    parser.add_argument(
        "--rows", type=Path, help="the file of rows; rows.jsonl in --out without it"
    )
    parser.add_argument("--clean", action="store_true", help="only networks without a backdoor")
    parser.add_argument("--seed", type=int, default=0, help="of the scan")
    cifar_option(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
