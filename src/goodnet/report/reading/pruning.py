"""The run folder of `goodnet prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.facts import Run, Trial
from goodnet.report.reading import parts
from goodnet.report.reading.curve import read_curve
from goodnet.report.reading.pictures import read_pictures
from goodnet.report.reading.towers import tower

if TYPE_CHECKING:
    from pathlib import Path

    from goodnet.report.reading.fields import Fields

__all__ = ["SHOWN_DROP", "read_pruning"]

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
        baseline=tower("B", found.inner("baseline")),
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
        repaired=tower("B'", found.inner("repaired")) if made else None,
        guarded=tower("G", found.inner("goodnet")) if made else None,
        reason="" if made else "accuracy never falls that far",
        files={role: names.text(role) for role in names},
    )
