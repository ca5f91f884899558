"""The table of a run as text: CSV for a spreadsheet, LaTeX for a paper."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from goodnet.report.words import printable, visible
from goodnet.results import Cost, DirectionRecord, Rates
from goodnet.types import Proportion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from goodnet.report.facts import Run, Trial
    from goodnet.results import TargetRecord

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # Two of these would become one other mark.
        "-": "-{}",
        "`": "`{}",
        "'": "'{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    }
)
_ENDS = ("", "_low", "_high")


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
        header = [*_BEFORE, *(f"success{end}" for end in _ENDS), *_AFTER]
        return _csv(header, map(_target_cells, run.scan.targets))
    rows = list(_rows(run))
    columns = _columns(rows)
    names = (name for column in columns for name in column.names)
    header = ["trial", "model", "network", *names, "reason"]
    return _csv(header, (_csv_row(row, columns) for row in rows))


def trials_latex(run: Run) -> str:
    r"""The same table for a paper, in percent with 95 % intervals in brackets.

    Args:
        run: What to list.

    Returns:
        A `tabular` in ASCII; it needs `\usepackage{booktabs}`.
    """
    if run.scan and not run.trials:
        lines = [r"\midrule", *map(_target_line, run.scan.targets)]
        return _tabular("rrrlrrrr", [_line(map(_escape, _HEADS)), *lines])
    rows = list(_rows(run))
    columns = _columns(rows)
    lines = [_line(map(_escape, ["", "network", *(column.heading for column in columns)]))]
    for before, row in zip([None, *rows], rows, strict=False):
        starts = before is None or before.trial is not row.trial
        name, model, _ = _texts(row.trial) if starts else ("", "", "")
        lines += [r"\midrule"] if starts else []
        names = [_escape(f"{model}: {name}" if model else name), _escape(row.name)]
        lines.append(_line([*names, *_latex_cells(columns, row)]))
    return _tabular(f"ll{'r' * max(len(columns), 1)}", lines)


def text_cell(text: str) -> str:
    """A cell with nothing hidden in it that no spreadsheet takes for a formula."""
    shown = visible(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([text_cell(name) for name in header])
    writer.writerows([text_cell(x) if isinstance(x, str) else x for x in row] for row in rows)
    return text.getvalue()


def _share_cells(share: Proportion | None) -> list[float | None]:
    return [None] * 3 if share is None else [share.value, share.low, share.high]


def _tabular(columns: str, lines: Iterable[str]) -> str:
    begin = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    return "\n".join([*begin, *lines, r"\bottomrule", r"\end{tabular}", ""])


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _escape(text: str) -> str:
    """A text that is no command in LaTeX, in ASCII."""
    return printable(text, limit=120).translate(_SPECIAL)


class _Row(NamedTuple):
    """A network of a trial; B itself belongs to none."""

    trial: Trial | None
    name: str
    rates: Rates

    @property
    def made(self) -> Trial | None:
        """The trial, in the one row that says what making B' took."""
        return None if self.trial is None or self.name == "G" else self.trial


class _Column(NamedTuple):
    """A column: for LaTeX its heading and how a value is written, for CSV its names."""

    heading: str
    names: tuple[str, ...]
    read: Callable[[_Row], Any]
    written: Callable[[Any], str] = str


def _rows(run: Run) -> Iterator[_Row]:
    if run.baseline:
        yield _Row(None, "B", run.baseline)
    for trial in run.trials:
        yield _Row(trial, "B'", trial.repaired or Rates())
        if trial.guarded:
            yield _Row(trial, "G", trial.guarded)


def _texts(trial: Trial | None) -> tuple[str, str, str]:
    return (trial.name, trial.model, trial.reason) if trial else ("", "", "")


def _columns(rows: Sequence[_Row]) -> list[_Column]:
    """The columns in which something is known."""
    sets = dict.fromkeys(key for row in rows for key in row.rates.backdoor)
    columns = [
        _share("clean accuracy", "clean_accuracy", lambda one: one.test),
        *(column for key in sets for column in _columns_of_set(key)),
        _share("false alarms", "false_alarms", lambda one: one.guarded.false_alarms),
        _Column("DER", ("rating",), lambda row: row.made and row.made.rating, _percent),
        _Column("seconds", ("seconds",), lambda row: _cost(row).seconds, "{:.1f}".format),
        _Column("MB", ("peak_memory_bytes",), lambda row: _cost(row).peak_memory, _megabytes),
    ]
    return [column for column in columns if any(column.read(row) is not None for row in rows)]


def _columns_of_set(key: str) -> Iterator[_Column]:
    yield _share("ASR", "attack_success", lambda one: one.backdoor.get(key), f" {key}")
    yield _share("true class", "robust", lambda one: one.robust.get(key), f" {key}")
    yield _share("detected", "detected", lambda one: one.guarded.detected.get(key), f" {key}")


def _share(
    heading: str, name: str, read: Callable[[Rates], Proportion | None], suffix: str = ""
) -> _Column:
    names = tuple(f"{name}{end}{suffix}" for end in _ENDS)
    return _Column(f"{heading}{suffix}", names, lambda row: read(row.rates))


def _cost(row: _Row) -> Cost:
    return row.made.cost if row.made else Cost()


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"


def _csv_row(row: _Row, columns: Sequence[_Column]) -> list[object]:
    name, model, reason = _texts(row.trial)
    cells: list[object] = []
    for column in columns:
        value = column.read(row)
        cells += _share_cells(value) if len(column.names) > 1 else [value]
    return [name, model, row.name, *cells, reason]


def _latex_cells(columns: Sequence[_Column], row: _Row) -> list[str]:
    if row.made and not row.made.repaired:
        return [rf"\multicolumn{{{max(len(columns), 1)}}}{{l}}{{{_escape(row.made.reason)}}}"]
    values = [(column, column.read(row)) for column in columns]
    return ["--" if value is None else column.written(value) for column, value in values]


_BEFORE = ("label", "score", "p_value", "family")
_AFTER = ("images", "margin", "changed", "area", "own_class", "layer", "families", "file")
_HEADS = ("label", "score", "p", "trigger", "success", "pixels", "RMS", "own class")


def _target_cells(target: TargetRecord) -> list[object]:
    trigger, direction = target.trigger, target.direction or DirectionRecord()
    return [
        *(target.label, target.score, target.p_value, trigger.family if trigger else ""),
        *_share_cells(trigger.success if trigger else None),
        *((trigger.success.total, trigger.margin) if trigger else (None, None)),
        *((trigger.changed, trigger.area) if trigger else (None, None)),
        *(direction.own, direction.layer, "; ".join(target.families), target.file),
    ]


def _target_line(target: TargetRecord) -> str:
    trigger = target.trigger
    about = ["--"] * 4
    if trigger:
        sizes = [f"{100 * share:.1f}" for share in (trigger.area, trigger.changed)]
        about = [_escape(trigger.family), str(trigger.success), *sizes]
    numbers = [str(target.label), f"{target.score:.2f}", _short(target.p_value)]
    own = target.direction.own if target.direction else None
    return _line([*numbers, *about, _short(own)])


def _short(value: float | None) -> str:
    return "--" if value is None else f"{value:.2g}"
