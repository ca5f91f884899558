"""The run folder of `goodnet compare`, with the repairs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.facts import Cost, Measured, Run, Trial
from goodnet.report.reading import parts
from goodnet.report.reading.fields import Fields, Unreadable
from goodnet.report.reading.folder import read_object
from goodnet.report.reading.pictures import read_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from goodnet.report.facts import FileFact, Picture
    from goodnet.types import Proportion

__all__ = ["read_comparing"]

_UNTOUCHED = "none"  # what a comparison calls B in its table


@dataclass(frozen=True)
class _Row:
    """A row of the table, and what the folder of that repair says."""

    row: Fields
    results: Fields
    folder: str

    @property
    def model(self) -> str:
        return self.row.text("model")

    @property
    def is_baseline(self) -> bool:
        return self.row.text("method") == _UNTOUCHED


def read_comparing(folder: Path, found: Fields, name: str) -> Run:
    """Read a comparison.

    Raises:
        Unreadable: If something in the folder is not as this program writes it.
        GoodnetError: If a file cannot be read.
    """
    rows = [_row(folder, each) for each in found.each("rows")]
    costs = _costs(folder)
    several = len({row.model for row in rows}) > 1
    baselines = {row.model: _baseline(row) for row in rows if row.is_baseline}
    trials = tuple(_trial(row, costs, several=several) for row in rows if not row.is_baseline)
    shown = _best(trials)
    made = [row for row in rows if row.folder]
    best = [row for row in rows if not row.is_baseline][shown] if shown is not None else None
    only = made[0].results if made and not several else Fields({})
    return Run(
        name=name,
        command="compare",
        method="",
        classes=only.whole("classes"),
        baseline=None if several else next(iter(baselines.values()), None),
        trials=trials,
        shown=shown,
        pictures=() if several else _pictures(folder, best),
        layers=parts.layers(only),
        parameters=(only.inner("network").whole("parameters"), None),
        inputs=_inputs(made),
        baselines=baselines,
        options=parts.options(only, ("scale", "classes", "device")),
        **parts.shared_parts(folder, found),
    )


def _row(folder: Path, row: Fields) -> _Row:
    home = row.text("folder")
    path = f"{home}/results.json"
    results = read_object(folder, path) if home and (folder / path).is_file() else Fields({})
    return _Row(row, results, home)


def _baseline(row: _Row) -> Measured:
    return Measured("B", clean=row.row.share("test"), success=_by_set(row.row, "success"))


def _trial(row: _Row, costs: Mapping[tuple[str, str], Cost], *, several: bool) -> Trial:
    method, reason = row.row.text("method"), row.row.text("reason")
    own = row.results.inner("measured").inner("goodnet")
    names = row.results.inner("files")
    success, robust = _by_set(row.row, "success"), _by_set(row.row, "robust")
    guarded = Measured(
        "G",
        clean=own.share("test"),
        success=own.shares("backdoor"),
        robust=own.shares("robust"),
        false_alarms=row.row.share("false_alarms"),
        detected=_by_set(row.row, "detected"),
    )
    return Trial(
        method,
        model=row.model if several else "",
        repaired=None if reason else Measured("B'", row.row.share("test"), success, robust),
        guarded=None if reason else guarded,
        rating=_rating(row.row),
        cost=costs.get((row.model, method)),
        reason=reason,
        files={role: f"{row.folder}/{names.text(role)}" for role in names},
    )


def _by_set(row: Fields, key: str) -> dict[str, Proportion]:
    sets = row.inner("backdoor")
    return {name: share for name in sets if (share := sets.inner(name).share(key)) is not None}


def _rating(row: Fields) -> float | None:
    rating = row.number("rating")
    if rating is not None and not 0 <= rating <= 1:
        raise Unreadable("a rating is not in 0..1")
    return rating


def _best(trials: tuple[Trial, ...]) -> int | None:
    """The trial with the best rating; the first made one where there is no rating."""
    made = [i for i, trial in enumerate(trials) if trial.repaired]
    return max(made, key=lambda i: trials[i].rating or 0.0, default=None)


def _costs(folder: Path) -> dict[tuple[str, str], Cost]:
    if not (folder / parts.RUN).exists():
        return {}
    rows = read_object(folder, parts.RUN).each("rows")
    return {
        (row.text("model"), row.text("method")): cost for row in rows if (cost := parts.cost(row))
    }


def _pictures(folder: Path, best: _Row | None) -> tuple[Picture, ...]:
    if best is None or not best.folder:
        return ()
    return read_pictures(folder / best.folder, best.results)


def _inputs(made: list[_Row]) -> tuple[FileFact, ...]:
    """Every file once, though each repair names its own."""
    return tuple(dict.fromkeys(fact for row in made for fact in parts.inputs(row.results)))
