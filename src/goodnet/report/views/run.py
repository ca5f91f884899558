"""All that a page says of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from goodnet.report.charts.towers import towers_of
from goodnet.report.key_figures import KeyFigure, key_figures
from goodnet.report.verdict import Verdict, judge
from goodnet.report.views import words
from goodnet.report.views.comparison import comparison_table
from goodnet.report.views.drawn import (
    Drawn,
    draw_channels,
    draw_curves,
    draw_epochs,
    draw_towers,
)
from goodnet.report.views.network import NetworkView, network_view
from goodnet.report.views.pictures import Group, picture_groups
from goodnet.report.views.scan import ScanView, left_table, scan_view
from goodnet.report.views.steps import Readout, home, readout, start_drop, step_data
from goodnet.report.views.table import Cell, Column, Table, amount_cell, share_cell, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from goodnet.report.facts import Curve, FileFact, Run
    from goodnet.report.views.table import Table

__all__ = [
    "CurveView",
    "FileRow",
    "RunView",
    "epochs_table",
    "file_rows",
    "run_view",
    "steps_table",
]


def steps_table(curves: Sequence[Curve]) -> Table:
    """A row for each channel that falls silent, of one curve after the other."""
    sets = list(dict.fromkeys(key for curve in curves for key in curve.success))
    columns = [
        Column("Channels silenced"),
        Column("Order", False),
        Column("Channel"),
        Column("Mean activation"),
        Column("Clean accuracy (validation)"),
        *(Column(f"ASR: {words.name(key, 40)}") for key in sets),
    ]
    several = len(curves) > 1
    rows = [row for curve in curves for row in _steps(curve, sets, several=several)]
    return table("Every step of the curve", columns, rows)


def epochs_table(run: Run) -> Table:
    """A row for each epoch; the one B' is from is marked."""
    columns = [Column("Epoch"), Column("Mean loss"), Column("Accuracy, images held back")]
    rows = [
        (
            Cell(str(number), "B\u2032 is from here" if number == run.chosen else "", number),
            Cell(f"{epoch.loss:.4g}", value=epoch.loss),
            share_cell(epoch.accuracy),
        )
        for number, epoch in enumerate(run.epochs, start=1)
    ]
    return table("Every epoch", columns, rows)


def _steps(curve: Curve, sets: Sequence[str], *, several: bool) -> Iterator[tuple[Cell, ...]]:
    order = Cell(curve.order if several else "")
    columns = [curve.success.get(key) for key in sets]
    for step, accuracy in enumerate(curve.accuracy):
        channel = curve.channels[step - 1] if step else None
        mean = curve.mean_activation[channel] if channel is not None else None
        yield (
            amount_cell(step),
            order,
            amount_cell(channel),
            Cell("") if mean is None else Cell(f"{mean:.4g}", value=mean),
            share_cell(accuracy),
            *(share_cell(shares[step] if shares else None) for shares in columns),
        )


@dataclass(frozen=True)
class FileRow:
    """A file: what it is for, its name, where it is, its images and its hash."""

    role: str
    name: str
    link: str
    images: str
    sha256: str


def file_rows(facts: Iterable[FileFact], folder: str | None = None) -> tuple[FileRow, ...]:
    """Rows of a table of files.

    Args:
        facts: The files.
        folder: The way from the page to them, "" for beside it; None for no links.
    """
    return tuple(
        FileRow(
            words.network(words.name(fact.role)),
            words.name(fact.name, 120),
            "" if folder is None else f"./{quote(folder)}{quote(fact.name)}",
            words.amount(fact.images) if fact.images is not None else "",
            words.name(fact.sha256, 64),
        )
        for fact in facts
    )


_HEADINGS = {"left": "What is left"}
_DONE = {"prune": "Pruning", "compare": "Repairs compared", "scan": "Scan", "cure": "Cure"}


@dataclass(frozen=True)
class CurveView:
    """The pruning curve.

    Attributes:
        drawn: The chart.
        data: For the script.
        start: The drop the page opens with, as text.
        readouts: What that drop gives, one for each curve in the chart.
        steps: Every step as a table.
    """

    drawn: Drawn
    data: dict[str, Any]
    start: str
    readouts: tuple[Readout, ...]
    steps: Table


@dataclass(frozen=True)
class RunView:
    """One run.

    Attributes:
        id: What every id of its part of the page begins with.
        run: The facts.
        name: Of the run, fit to be shown.
        title: What was done to which network.
        shown: Of what the first numbers are: "at X = 10"; "" where there is one repair.
        verdict: The sentence.
        figures: The first numbers.
        curve: Of a pruning.
        drawn_with: The id of the run whose picture has this curve, too; "" for none.
        channels: Activation by channel.
        pictures: Groups of images.
        scan: What a scan found.
        comparison: The table; None where there is one repair and one set.
        towers: Bars of it.
        epochs: Training history.
        epochs_table: The same as numbers.
        network: Its layers.
        inputs: Files that went in.
        outputs: Files that came out, with links.
    """

    id: str
    run: Run
    name: str
    title: str
    shown: str
    verdict: Verdict
    figures: tuple[KeyFigure, ...]
    curve: CurveView | None
    drawn_with: str
    channels: Drawn | None
    pictures: tuple[Group, ...]
    scan: ScanView | None
    left: Table | None
    comparison: Table | None
    towers: Drawn | None
    epochs: Drawn | None
    epochs_table: Table | None
    network: NetworkView | None
    inputs: tuple[FileRow, ...]
    outputs: tuple[FileRow, ...]

    @property
    def contents(self) -> list[tuple[str, str]]:
        """The sections there are: id and heading."""
        parts = {
            "curve": self.curve or self.drawn_with,
            "channels": self.channels,
            "pictures": self.pictures,
            "triggers": self.scan and self.scan.targets,
            "left": self.left,
            "scores": self.scan and self.scan.chart,
            "comparison": self.comparison,
            "training": self.epochs,
            "network": self.network,
            "details": True,
            "files": self.outputs,
        }
        return [
            (f"{self.id}-{part}", _HEADINGS.get(part, part.capitalize()))
            for part, there in parts.items()
            if there
        ]


def run_view(
    run: Run,
    prefix: str,
    *,
    beside: Run | None = None,
    drawn_with: str = "",
    folder: str | None = "",
) -> RunView:
    """Put together what a page says of a run.

    Args:
        run: The facts.
        prefix: What every id begins with.
        beside: A run in the other order, to be drawn in the same picture.
        drawn_with: The id of the run in whose picture this one's curve is drawn.
        folder: The way from the page to the run folder; None for no links.
    """
    runs = [run, *([beside] if beside else [])]
    towers = towers_of(run)
    return RunView(
        id=prefix,
        run=run,
        name=words.name(run.name),
        title=_title(run),
        shown=_shown(run),
        verdict=judge(run),
        figures=key_figures(run),
        curve=_curve_view(runs, prefix) if run.curve and not drawn_with else None,
        drawn_with=drawn_with,
        channels=draw_channels(run.curve, f"{prefix}-channels") if run.curve else None,
        pictures=picture_groups(run),
        scan=scan_view(run.scan, prefix) if run.scan else None,
        left=left_table(run.left) if run.left else None,
        comparison=comparison_table(run) if run.trials else None,
        towers=draw_towers(towers, f"{prefix}-towers") if towers else None,
        epochs=draw_epochs(run, f"{prefix}-epochs") if run.epochs else None,
        epochs_table=epochs_table(run) if run.epochs else None,
        network=network_view(run),
        inputs=file_rows(run.inputs),
        outputs=file_rows(run.outputs, folder),
    )


def _curve_view(runs: Sequence[Run], prefix: str) -> CurveView:
    curves = [run.curve for run in runs if run.curve]
    drawn = draw_curves(curves, f"{prefix}-curve")
    start = start_drop(runs[0])
    return CurveView(
        drawn,
        step_data(runs, (drawn.wide, drawn.narrow)),
        f"{start:g}",
        tuple(readout(run, run.curve, start, home(run, runs)) for run in runs if run.curve),
        steps_table(curves),
    )


def _title(run: Run) -> str:
    models = [words.name(fact.name) for fact in run.inputs if fact.role == "model"]
    what = _DONE.get(run.command) or f"Repair by {words.name(run.method, 40)}"
    return f"{what}: {', '.join(models)}" if models else what


def _shown(run: Run) -> str:
    if run.shown is None or run.single:
        return ""
    trial = run.trials[run.shown]
    preposition = "at" if run.command == "prune" else "after"
    network = f", network {words.name(trial.model)}" if trial.model else ""
    return f"{preposition} {words.unbroken(words.name(trial.name))}{network}"
