"""All that a page says of one run: plain data, section by section, that the templates lay out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report import words
from goodnet.report.charts import (
    both_widths,
    channels_chart,
    comparison_chart,
    epochs_chart,
    groups_of,
    is_spread,
    scores_chart,
)
from goodnet.report.evidence import KeyFigure, key_figures, shown_trial
from goodnet.report.folder import PICTURED
from goodnet.report.scan_verdict import Verdict
from goodnet.report.verdict import judge
from goodnet.report.views import tables
from goodnet.report.views.curve import curve_view
from goodnet.report.views.network import LANE, ROW, layer_rows, size_text
from goodnet.report.views.pictures import picture_groups, target_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from goodnet.report.facts import Run
    from goodnet.results import ScanRecord

_DONE = {"prune": "Pruning", "compare": "Repairs compared", "scan": "Scan", "cure": "Cure"}


@dataclass(frozen=True)
class Section:
    """A part of what is said of a run.

    Attributes:
        part: The end of its id, and the name of the macro that lays it out.
        heading: Above it.
        shown: What the macro lays out, by name.
    """

    part: str
    heading: str
    shown: Mapping[str, object]

    @property
    def short(self) -> str:
        """What a list of contents calls it."""
        return self.heading if self.part == "left" else self.part.capitalize()


@dataclass(frozen=True)
class RunView:
    """One run.

    Attributes:
        id: What every id of its part of the page begins with.
        run: The facts.
        name: Of the run, fit to be shown.
        title: What was done to which network.
        measured: Of what the first numbers are: "at X = 10"; "" where there is one repair.
        verdict: The sentence.
        figures: The first numbers.
        sections: All else.
    """

    id: str
    run: Run
    name: str
    title: str
    measured: str
    verdict: Verdict
    figures: tuple[KeyFigure, ...]
    sections: tuple[Section, ...]


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
    return RunView(
        id=prefix,
        run=run,
        name=words.name(run.name),
        title=_title(run),
        measured=_measured(run),
        verdict=judge(run),
        figures=key_figures(run),
        sections=(
            *_of_curve(run, prefix, beside, drawn_with),
            *_of_pictures(run),
            *(_of_scan(run, run.scan, prefix) if run.scan else ()),
            *_of_repairs(run, prefix),
            *_of_files(run, folder),
        ),
    )


def _of_curve(run: Run, prefix: str, beside: Run | None, drawn_with: str) -> Iterator[Section]:
    curve = run.curve
    if curve is None:
        return
    runs = [run, *([beside] if beside else [])]
    view = None if drawn_with else curve_view(runs, f"{prefix}-curve")
    yield Section("curve", "The curve", {"view": view, "drawn_with": drawn_with})
    chart = both_widths(lambda width: channels_chart(curve, width), f"{prefix}-channels")
    yield Section("channels", "The channels", {"chart": chart})


def _of_pictures(run: Run) -> Iterator[Section]:
    if groups := picture_groups(run):
        yield Section("pictures", "Pictures", {"groups": groups})


def _of_scan(run: Run, scan: ScanRecord, prefix: str) -> Iterator[Section]:
    if scan.targets:
        shown = scan.targets[:PICTURED]
        more = len(scan.targets) - len(shown)
        found = {"targets": [target_view(target, run) for target in shown], "more": more}
        yield Section("triggers", "Recovered triggers", found)
    if run.left:
        yield Section("left", "What is left", {"table": tables.left_table(run.left)})
    if is_spread(scan):
        chart = both_widths(lambda width: scores_chart(scan, width), f"{prefix}-scores")
        yield Section("scores", "Scores", {"chart": chart, "table": tables.scores_table(scan)})


def _of_repairs(run: Run, prefix: str) -> Iterator[Section]:
    if run.trials:
        groups = groups_of(run)
        name = f"{prefix}-comparison"
        chart = both_widths(lambda width: comparison_chart(groups, width), name) if groups else None
        shown = {"table": tables.comparison_table(run), "chart": chart}
        yield Section("comparison", "Comparison", shown)
    if run.epochs:
        chart = both_widths(
            lambda width: epochs_chart(run.epochs, run.chosen, width), f"{prefix}-epochs"
        )
        yield Section("training", "Training", {"chart": chart, "table": tables.epochs_table(run)})
    if run.layers:
        size = {"height": ROW, "lane": LANE, "text": size_text(run)}
        yield Section("network", "The network", {"rows": layer_rows(run), **size})


def _of_files(run: Run, folder: str | None) -> Iterator[Section]:
    made = tables.files_table("Files it was made from", run.inputs, role_first=True)
    yield Section("details", "Details", {"inputs": made if run.inputs else None})
    if run.outputs:
        files = tables.files_table("Files of the run", run.outputs, folder)
        yield Section("files", "Files", {"table": files})


def _title(run: Run) -> str:
    models = [words.name(fact.name) for fact in run.inputs if fact.role == "model"]
    what = _DONE.get(run.command) or f"Repair by {words.name(run.method, 40)}"
    return f"{what}: {', '.join(models)}" if models else what


def _measured(run: Run) -> str:
    trial = shown_trial(run)
    if trial is None or run.single:
        return ""
    preposition = "at" if run.command == "prune" else "after"
    network = f", network {words.name(trial.model)}" if trial.model else ""
    return f"{preposition} {words.unbroken(words.name(trial.name))}{network}"
