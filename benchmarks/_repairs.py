"""Repair a BadNet in every way with `goodnet compare`, several seeds, and show one table."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from _attack import Badnet
from _measure import show, spread, verdict

__all__ = ["Table", "aims", "repair_all", "show_repairs"]

# What `goodnet compare` says of a method on each poisoned set, one row for each seed.
Table = Mapping[tuple[str, str], list[Mapping[str, str]]]

# The aim: attack success at most, and clean accuracy given up at most, percent.
SUCCESS, LOSS = 5.0, 1.0
# Of a comparison that only shows that it runs.
_BRIEF = ["--epochs=2", "--methods=prune,fine-tune,fine-prune,sparsify,unlearn,erase"]


def repair_all(
    badnet: Badnet,
    folder: Path,
    *,
    seeds: int,
    drops: Sequence[str],
    threads: int,
    brief: bool = False,
) -> Table:
    """Compare all methods with each seed; all but the first seed with the first drop only.

    A comparison that is in `folder` already is taken as it is; a brief one trains two epochs.

    Raises:
        SystemExit: If the command fails.
    """
    table: dict[tuple[str, str], list[Mapping[str, str]]] = defaultdict(list)
    for seed in range(seeds):
        out = folder / f"{badnet.folder.name}_{seed}"
        if not out.exists():
            chosen = ",".join(drops if seed == 0 else drops[:1])
            given = [f"--drop={chosen}", f"--seed={seed}", *(_BRIEF if brief else [])]
            _compare(badnet, out, given, threads=threads)
        with (out / "comparison.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                table[row["method"], row["poisoned_set"]].append(row)
    return table


def show_repairs(table: Table) -> None:
    """Print medians in percent and, of several seeds, the range."""
    rows = [["method", "poisoned set", "clean accuracy", "ASR", "G detects", "G false alarms"]]
    rows[0] += ["DER", "seconds", "MiB"]
    for (method, name), found in table.items():
        shares = ("clean_accuracy", "attack_success", "detection_rate", "false_alarms", "rating")
        cells = [_spread([100 * value for value in _numbers(found, key)]) for key in shares]
        costs = [
            "" if not (values := _numbers(found, key)) else f"{median(values) / scale:.0f}"
            for key, scale in (("seconds", 1), ("peak_memory", 1 << 20))
        ]
        rows.append([method, name, *cells, *costs])
    show(rows)


def aims(table: Table) -> None:
    """Print how the median of each method stands to the aim, on its worst poisoned set."""
    before = median(_numbers(next(iter(table.values())), "clean_accuracy"))
    methods = dict.fromkeys(method for method, _ in table if method != "none")
    for method in methods:
        rows = [found for (one, _), found in table.items() if one == method]
        if not all(_numbers(found, "attack_success") for found in rows):
            print(f"{method}: could not be made")
            continue
        success = max(100 * median(_numbers(found, "attack_success")) for found in rows)
        lost = 100 * (before - median(_numbers(rows[0], "clean_accuracy")))
        print(
            f"{method}: ASR {success:.2f} {verdict(success, SUCCESS)}; "
            f"{lost:.2f} points given up {verdict(lost, LOSS)}"
        )


def _compare(badnet: Badnet, out: Path, options: Sequence[str], *, threads: int) -> None:
    command = [str(Path(sys.executable).with_name("goodnet")), "compare", str(badnet.model)]
    command += [f"--clean={badnet.folder / 'cl' / 'valid.h5'}"]
    command += [f"--test={badnet.folder / 'cl' / 'test.h5'}", "--no-report"]
    for planted in badnet.card["backdoor"]:
        command += [f"--backdoor={planted['trigger']}={badnet.folder / planted['test']}"]
        command += [f"--trigger={planted['trigger']}"]
    command += [*options, f"--out={out}"]
    print("$ goodnet " + " ".join(command[1:]), file=sys.stderr, flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, env=environment)
    if done.returncode:
        raise SystemExit(f"goodnet compare ended with {done.returncode}")


def _numbers(rows: Sequence[Mapping[str, str]], key: str) -> list[float]:
    return [float(row[key]) for row in rows if row[key]]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{values[0]:.2f}" if len(set(values)) == 1 else spread(values)
