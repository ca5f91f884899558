"""The run folder of `goodnet prune`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from goodnet.report.facts import Curve, Drop, Run, Trial
from goodnet.report.reading import parts
from goodnet.report.reading.fields import Unreadable
from goodnet.report.reading.folder import MIB, read_bytes
from goodnet.report.reading.measured import measured
from goodnet.report.reading.pictures import read_pictures
from goodnet.stats import proportion

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.report.reading.fields import Fields
    from goodnet.types import Proportion

__all__ = ["SHOWN_DROP", "read_curve", "read_pruning"]

_CSV_BYTES = 64 * MIB
_FIXED = ("step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy")
_ORDERS = ("ascending", "descending", "given")


def read_curve(folder: Path, found: Fields) -> Curve | None:
    """Put a curve together; None where the folder has no `curve.csv`.

    Raises:
        Unreadable: If the two files do not fit each other.
    """
    if not (folder / "curve.csv").exists():
        return None
    baseline = found.inner("baseline")
    before, poisoned = baseline.share("validation"), baseline.shares("backdoor")
    rows = _rows(folder, 1 + len(poisoned))
    channels, means = found.wholes("channels"), found.numbers("mean_activation")
    if before is None or len(rows) != len(channels) or max(channels, default=0) >= len(means):
        raise Unreadable("curve.csv and results.json do not speak of the same channels")
    columns = [
        _column(share, [row[i] for row in rows])
        for i, share in enumerate((before, *poisoned.values()))
    ]
    return Curve(
        layer=found.text("layer"),
        order=_order(found),
        channels=channels,
        mean_activation=means,
        dead=found.wholes("dead_channels"),
        accuracy=columns[0],
        success=dict(zip(poisoned, columns[1:], strict=True)),
        poisoned_activation=_activation(found, len(means)),
        drops=tuple(_drop(each, len(channels)) for each in found.each("drops")),
    )


def _rows(folder: Path, columns: int) -> list[list[float]]:
    """The shares of each row, clean first."""
    try:
        text = read_bytes(folder, "curve.csv", limit=_CSV_BYTES).decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        shares = [[float(cell) for cell in row[len(_FIXED) - 1 :]] for row in rows]
    except (ValueError, csv.Error) as error:
        raise Unreadable("curve.csv is not a table as this program writes it") from error
    if tuple(header[: len(_FIXED)]) != _FIXED or any(len(row) != columns for row in shares):
        raise Unreadable("curve.csv has other columns than results.json has poisoned sets")
    if not all(0 <= share <= 1 for row in shares for share in row):
        raise Unreadable("curve.csv holds a share outside 0..1")
    return shares


def _column(first: Proportion, shares: list[float]) -> tuple[Proportion, ...]:
    """The file has shares; they are of as many images as the first one."""
    return first, *(proportion(round(share * first.total), first.total) for share in shares)


def _order(found: Fields) -> str:
    order = found.text("order")
    if order not in _ORDERS:
        raise Unreadable(f"the order is none of {', '.join(_ORDERS)}")
    return order


def _activation(found: Fields, channels: int) -> dict[str, tuple[float, ...]]:
    poisoned = found.inner("poisoned_activation")
    means = {name: poisoned.numbers(name) for name in poisoned}
    if any(len(values) != channels for values in means.values()):
        raise Unreadable("the activations on poisoned images are not one for each channel")
    return means


def _drop(found: Fields, channels: int) -> Drop:
    drop, steps = found.number("drop"), found.whole("channels_pruned")
    if drop is None or (steps or 0) > channels:
        raise Unreadable("an allowed drop asks for more channels than there are")
    return Drop(drop, steps, found.whole("parameters"))


SHOWN_DROP = 10.0  # the numbers at the top are of the largest reached drop up to this


def read_pruning(folder: Path, found: Fields, name: str) -> Run:
    """Read a pruning.

    Raises:
        Unreadable: If something in the folder is not as this program writes it.
        GoodnetError: If a file cannot be read.
    """
    drops = found.each("drops")
    shown = _shown(drops)
    after = drops[shown].whole("parameters") if shown is not None else None
    return Run(
        name=name,
        command="prune",
        method="prune",
        classes=found.whole("classes"),
        baseline=measured("B", found.inner("baseline")),
        trials=tuple(map(_trial, drops)),
        shown=shown,
        curve=read_curve(folder, found),
        pictures=read_pictures(folder, found),
        layers=parts.layers(found),
        pruned_layer=found.text("layer"),
        parameters=(found.inner("network").whole("parameters"), after),
        inputs=parts.inputs(found),
        options=parts.options(found, ("layer", "order", "scale", "classes")),
        **parts.shared_parts(folder, found),
    )


def _shown(drops: list[Fields]) -> int | None:
    reached = {i: drop.number("drop") or 0.0 for i, drop in enumerate(drops) if "repaired" in drop}
    if not reached:
        return None
    small = [i for i, drop in reached.items() if drop <= SHOWN_DROP]
    return max(small, key=reached.__getitem__) if small else min(reached, key=reached.__getitem__)


def _trial(found: Fields) -> Trial:
    names, drop = found.inner("files"), found.number("drop") or 0.0
    made = "repaired" in found and "goodnet" in found
    return Trial(
        f"X = {drop:g}",
        repaired=measured("B'", found.inner("repaired")) if made else None,
        guarded=measured("G", found.inner("goodnet")) if made else None,
        reason="" if made else "accuracy never falls that far",
        files={role: names.text(role) for role in names},
    )
