"""The table of a run as text: CSV for a spreadsheet, LaTeX for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from goodnet.report.facts import Tower
from goodnet.report.tabular import (
    escape,
    latex_row,
    share_cells,
    share_names,
    tabular,
    text_cell,
    to_csv,
)
from goodnet.report.target_tables import targets_csv, targets_latex
from goodnet.types import Proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from goodnet.report.facts import Run, Trial

__all__ = ["text_cell", "trials_csv", "trials_latex"]


class _Row(NamedTuple):
    """A network of a trial; B itself belongs to none."""

    trial: Trial | None
    tower: Tower

    @property
    def made(self) -> Trial | None:
        """The trial, in the one row that says what making B' took."""
        return None if self.trial is None or self.tower is self.trial.guarded else self.trial


class _Column(NamedTuple):
    """A column: for LaTeX its heading and how a value is written, for CSV its names."""

    heading: str
    names: tuple[str, ...]
    read: Callable[[_Row], Any]
    written: Callable[[Any], str] = str


def trials_csv(run: Run) -> str:
    """A row for B and one for the B' and the G of every trial.

    A share is three columns of fractions 0..1: the value and the ends of its 95 % interval. What
    is not known is left empty; a column with nothing in it is left out. Of a scan, which has no
    trials, a row for each label that stands out.

    Args:
        run: What to list.

    Returns:
        CSV with a header. No cell is one that a spreadsheet takes for a formula.
    """
    if run.scan and not run.trials:
        return targets_csv(run.scan.targets)
    rows = list(_rows(run))
    columns = _columns(rows)
    names = (name for column in columns for name in column.names)
    header = ["trial", "model", "network", *names, "reason"]
    return to_csv(header, (_csv_row(row, columns) for row in rows))


def trials_latex(run: Run) -> str:
    r"""The same table for a paper, in percent with 95 % intervals in brackets.

    Args:
        run: What to list.

    Returns:
        A `tabular` in ASCII; it needs `\usepackage{booktabs}`.
    """
    if run.scan and not run.trials:
        return targets_latex(run.scan.targets)
    rows = list(_rows(run))
    columns = _columns(rows)
    heads = ["", "network", *(column.heading for column in columns)]
    lines = [latex_row(map(escape, heads))]
    for before, row in zip([None, *rows], rows, strict=False):
        starts = before is None or before.trial is not row.trial
        name, model, _ = _texts(row.trial) if starts else ("", "", "")
        lines += [r"\midrule"] if starts else []
        names = [escape(f"{model}: {name}" if model else name), escape(row.tower.name)]
        lines.append(latex_row([*names, *_latex_cells(columns, row)]))
    return tabular(f"ll{'r' * max(len(columns), 1)}", lines)


def _rows(run: Run) -> Iterator[_Row]:
    if run.baseline:
        yield _Row(None, run.baseline)
    for trial in run.trials:
        yield _Row(trial, trial.repaired or Tower("B'", None))
        if trial.guarded:
            yield _Row(trial, trial.guarded)


def _texts(trial: Trial | None) -> tuple[str, str, str]:
    return (trial.name, trial.model, trial.reason) if trial else ("", "", "")


def _columns(rows: Sequence[_Row]) -> list[_Column]:
    """The columns in which something is known."""
    sets = dict.fromkeys(key for row in rows for key in row.tower.success)
    columns = [
        _share("clean accuracy", "clean_accuracy", lambda tower: tower.clean),
        *(column for key in sets for column in _columns_of_set(key)),
        _share("false alarms", "false_alarms", lambda tower: tower.false_alarms),
        _Column("DER", ("rating",), _of_trial(lambda trial: trial.rating), _percent),
        _Column("seconds", ("seconds",), _of_cost("seconds"), "{:.1f}".format),
        _Column("MB", ("peak_memory_bytes",), _of_cost("peak_memory"), _megabytes),
    ]
    return [column for column in columns if any(column.read(row) is not None for row in rows)]


def _columns_of_set(key: str) -> Iterator[_Column]:
    yield _share("ASR", "attack_success", lambda tower: tower.success.get(key), key)
    yield _share("true class", "robust", lambda tower: tower.robust.get(key), key)
    yield _share("detected", "detected", lambda tower: tower.detected.get(key), key)


def _share(
    heading: str, name: str, read: Callable[[Tower], Proportion | None], key: str | None = None
) -> _Column:
    suffix = "" if key is None else f" {key}"
    return _Column(heading + suffix, share_names(name, suffix), lambda row: read(row.tower))


def _of_trial(read: Callable[[Trial], float | None]) -> Callable[[_Row], float | None]:
    return lambda row: read(row.made) if row.made else None


def _of_cost(what: str) -> Callable[[_Row], float | None]:
    return _of_trial(lambda trial: getattr(trial.cost, what) if trial.cost else None)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"


def _csv_row(row: _Row, columns: Sequence[_Column]) -> list[object]:
    name, model, reason = _texts(row.trial)
    cells = [cell for column in columns for cell in _csv_cells(column, row)]
    return [*map(text_cell, (name, model, row.tower.name)), *cells, text_cell(reason)]


def _csv_cells(column: _Column, row: _Row) -> list[float | None]:
    value = column.read(row)
    if value is None:
        return [None] * len(column.names)
    return share_cells(value) if isinstance(value, Proportion) else [value]


def _latex_cells(columns: Sequence[_Column], row: _Row) -> list[str]:
    if row.made and not row.made.repaired:
        return [rf"\multicolumn{{{max(len(columns), 1)}}}{{l}}{{{escape(row.made.reason)}}}"]
    values = [(column, column.read(row)) for column in columns]
    return ["--" if value is None else column.written(value) for column, value in values]
