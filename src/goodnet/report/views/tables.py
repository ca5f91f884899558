"""The tables of a page as plain data: a template lays them out, a script sorts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from goodnet.report import words
from goodnet.report.evidence import clean_shares, drop_of, shown_trial, worst_attack
from goodnet.report.verdict import judge
from goodnet.results import GuardedRates, Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from goodnet.report.facts import Curve, FileFact, Run, Trial
    from goodnet.results import Left, ScanRecord, TargetRecord
    from goodnet.types import Proportion

_SHORT = {"prune": "pruning"}
_HIGHEST = 20  # scores in the table
_NAMED = 5  # labels of a scan in the overview


@dataclass(frozen=True)
class Cell:
    """What stands in a cell.

    Attributes:
        text: The value; "" for nothing.
        small: Its interval, or a word more.
        value: What to sort by; None comes last.
        link: Where the text leads; "" for nowhere.
    """

    text: str
    small: str = ""
    value: float | None = None
    link: str = ""


@dataclass(frozen=True)
class Column:
    """What a column is called, and whether it holds numbers."""

    label: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells, one for each column; the first cell names the row."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def _table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table without the columns in which nothing stands."""
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i].text for row in rows)]
    return Table(
        caption,
        tuple(columns[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
    )


def _texts(*labels: str) -> list[Column]:
    return [Column(label, False) for label in labels]


def _numbers(*labels: str) -> list[Column]:
    return [Column(label) for label in labels]


def _name(text: str, small: str = "") -> Cell:
    return Cell(words.name(text) if text else "", small)


def _share(share: Proportion | None) -> Cell:
    """A share with its interval; an empty cell where it is not known."""
    if share is None or share.value is None:
        return Cell("")
    return Cell(words.percent(share), words.interval(share), 100 * share.value)


def _number(value: float | None, text: str) -> Cell:
    """A number in words; an empty cell where it is not known."""
    return Cell("") if value is None else Cell(text, value=float(value))


def _amount(number: int | None) -> Cell:
    return _number(number, words.amount(number))


def _p_value(value: float | None) -> Cell:
    return Cell("") if value is None else Cell(words.p_value(value), value=value)


def overview_table(runs: Sequence[Run]) -> Table:
    """A row for each run of a page, which leads to what is said of it."""
    numbers = _numbers("Clean accuracy", "Worst attack success", "False alarms of G")
    rows = [_overview(run, f"#run{number}") for number, run in enumerate(runs, start=1)]
    return _table("Every run", [*_texts("Run", "Command", "Verdict"), *numbers], rows)


def _overview(run: Run, link: str) -> tuple[Cell, ...]:
    trial = shown_trial(run)
    before, after, _ = clean_shares(run, trial) if trial else (None, None, "")
    attack = worst_attack(run, trial)
    alarms = trial.guarded.false_alarms if trial and trial.guarded else None
    named = words.name((trial.model if trial else "") or run.model)
    return (
        Cell(words.name(run.name), named, link=link),
        Cell(run.command, _how(run, trial)),
        Cell(judge(run).tag, _found(run.scan) if run.scan else ""),
        _changed(before, after),
        _changed(attack.before, attack.after) if attack else Cell(""),
        _share(alarms),
    )


def _how(run: Run, trial: Trial | None) -> str:
    """The method, and by which of several trials the run is shown."""
    if run.command == "scan" or run.single:
        return words.name(run.method, 40) if run.method != run.command else ""
    return words.unbroken(words.name(trial.name)) if trial else "no network made"


def _found(scan: ScanRecord) -> str:
    """The labels that stand out, and the p-value of the first."""
    labels = listed([str(target.label) for target in scan.targets], _NAMED)
    chance = words.chance(scan.p_value) if scan.p_value is not None else ""
    return ", ".join(filter(None, [f"label {labels}" if labels else "", chance]))


def _changed(before: Proportion | None, after: Proportion | None) -> Cell:
    """What B' has, with what B has."""
    cell = _share(after)
    if not cell.text or before is None:
        return cell
    return Cell(cell.text, f"{cell.small}, B\u00a0{words.percent(before)}", cell.value)


def listed(texts: Sequence[str], most: int) -> str:
    """Texts with commas between them, the first few."""
    more = [f"{words.amount(len(texts) - most)} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])


def comparison_table(run: Run) -> Table:
    """A row for B and for each repair, once for each poisoned set."""
    bases = {"": run.baseline} if run.baseline else run.baselines
    rows = [
        row
        for model, base in bases.items()
        for row in (
            *_rows_of_b(base, model, run),
            *(r for trial in run.trials if trial.model == model for r in _rows_of(trial, run)),
        )
    ]
    caption = "Every B\u2032 and its G"
    first = "Allowed drop" if run.command == "prune" else "Repair"
    columns = [
        *_texts(first, "Network", "Poisoned set"),
        *_numbers("B\u2032 clean accuracy", "B\u2032 ASR", "B\u2032 robust accuracy"),
        *_numbers("G clean accuracy", "G ASR", "G detection", "G false alarms"),
        *_numbers("DER", "Silent channels", "Parameters", "Time", "Memory"),
    ]
    sets = {row[2].text for row in rows if row[2].text}
    if len(sets) == 1:  # the caption names it, and no column
        caption = f"{caption}; the poisoned set is {sets.pop()}"
        rows = [(*row[:2], Cell(""), *row[3:]) for row in rows]
    return _table(caption, columns, rows)


def _rows_of_b(base: Rates, model: str, run: Run) -> Iterator[tuple[Cell, ...]]:
    parameters = run.parameters[0] if run.parameters[1] is not None else None
    blank = Cell("")
    for key in base.backdoor or [""]:
        shares = map(_share, (base.test, base.backdoor.get(key), base.robust.get(key)))
        named = (Cell("none", "B itself"), _name(model), _name(key))
        yield (*named, *shares, *[blank] * 6, _amount(parameters), blank, blank)


def _rows_of(trial: Trial, run: Run) -> Iterator[tuple[Cell, ...]]:
    repaired, good = trial.repaired or Rates(), trial.guarded or GuardedRates()
    named = _name(trial.name, words.name(trial.reason, 120)), _name(trial.model)
    for key in repaired.backdoor or [""]:
        measured = (
            *(repaired.test, repaired.backdoor.get(key), repaired.robust.get(key)),
            *(good.test, good.backdoor.get(key), good.detected.get(key), good.false_alarms),
        )
        yield (*named, _name(key), *map(_share, measured), *_costs(trial, run))


def _costs(trial: Trial, run: Run) -> tuple[Cell, ...]:
    drop = drop_of(run, trial)
    left = drop.parameters if drop else run.parameters[1] if run.single else None
    seconds, peak = trial.cost.seconds, trial.cost.peak_memory
    rating = None if trial.rating is None else 100 * trial.rating
    return (
        _number(rating, words.rating(trial.rating or 0)),
        _amount(drop.channels_pruned if drop else None),
        _amount(left),
        _number(seconds, words.time(seconds)),
        _number(peak, words.memory(peak)),
    )


def steps_table(curves: Sequence[Curve]) -> Table:
    """A row for each channel that falls silent, of one curve after the other."""
    sets = list(dict.fromkeys(key for curve in curves for key in curve.success))
    asr = (f"ASR: {words.name(key, 40)}" for key in sets)
    columns = [*_numbers("Channels silenced"), *_texts("Order")]
    columns += _numbers("Channel", "Mean activation", "Clean accuracy (validation)", *asr)
    rows = [row for curve in curves for row in _steps(curve, sets, several=len(curves) > 1)]
    return _table("Every step of the curve", columns, rows)


def _steps(curve: Curve, sets: Sequence[str], *, several: bool) -> Iterator[tuple[Cell, ...]]:
    order = Cell(curve.order if several else "")
    series = [curve.success.get(key) for key in sets]
    for step, accuracy in enumerate(curve.accuracy):
        channel = curve.channels[step - 1] if step else None
        mean = None if channel is None else curve.mean_activation[channel]
        shares = (accuracy, *(shares[step] if shares else None for shares in series))
        means = _number(mean, f"{mean or 0.0:.4g}")
        yield (_amount(step), order, _amount(channel), means, *map(_share, shares))


def epochs_table(run: Run) -> Table:
    """A row for each epoch; the one B' is from is marked."""
    rows = [
        (
            Cell(str(number), "B\u2032 is from here" if number == run.chosen else "", number),
            _number(epoch.loss, f"{epoch.loss:.4g}"),
            _share(epoch.accuracy),
        )
        for number, epoch in enumerate(run.epochs, start=1)
    ]
    columns = _numbers("Epoch", "Mean loss", "Accuracy, images held back")
    return _table("Every epoch", columns, rows)


def left_table(left: Sequence[Left]) -> Table:
    """What is left of each backdoor."""
    found = "Found trigger, B", "Found trigger, B\u2032", "Searched on B\u2032"
    columns = _numbers("Label", *found, "The same for other labels")
    rows = [
        (
            _number(one.label, str(one.label)),
            *map(_share, (one.before, one.after, one.again, one.innocent)),
        )
        for one in left
    ]
    return _table("What is left of each backdoor", columns, rows)


def scores_table(scan: ScanRecord) -> Table:
    """The highest scores, with what is known of the labels that stand out."""
    named = {target.label: target for target in scan.targets}
    known = {label: score for label, score in enumerate(scan.scores) if score is not None}
    highest = sorted(known, key=lambda label: -known[label])[:_HIGHEST]
    rows = [_score(label, known[label], named.get(label)) for label in highest]
    count = words.amount(len(scan.scores))
    some = f"The {len(highest)} highest of {count} scores"
    caption = "All scores" if len(highest) == len(scan.scores) else some
    columns = [*_texts("Label"), *_numbers("Score", "p", "Success of the trigger")]
    return _table(caption, columns, rows)


def _score(label: int, score: float, target: TargetRecord | None) -> tuple[Cell, ...]:
    trigger = target.trigger if target else None
    return (
        Cell(str(label), "stands out" if target else "", float(label)),
        _number(score, f"{score:.4g}"),
        _p_value(target.p_value if target else None),
        _share(trigger.success if trigger else None),
    )


def files_table(
    caption: str, facts: Iterable[FileFact], folder: str | None = None, *, role_first: bool = False
) -> Table:
    """A row for each file: its name, what it is for, how many images it holds, its hash.

    Args:
        caption: What the files are.
        facts: The files.
        folder: The way from the page to them, "" for beside it; None for no links.
        role_first: Begin with what each is for.
    """
    turn = -1 if role_first else 1
    rows = []
    for fact in facts:
        link = "" if folder is None else f"./{_quoted(folder)}{_quoted(fact.name)}"
        named = Cell(words.name(fact.name, 120), link=link)
        pair = [named, Cell(words.network(words.name(fact.role)))][::turn]
        rows.append((*pair, _amount(fact.images), Cell(words.name(fact.sha256, 64))))
    columns = [*_texts("File", "What")[::turn], *_numbers("Images"), *_texts("sha256")]
    return _table(caption, columns, rows)


def _quoted(path: str) -> str:
    """A path in a link; a name need not be text."""
    return quote(os.fsencode(path))
