"""What a page shows of a scan: each label that stands out with its trigger, and the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.charts.scores import is_spread
from goodnet.report.effect import TAGS
from goodnet.report.read import PICTURED
from goodnet.report.views import words
from goodnet.report.views.drawn import Drawn, draw_scores
from goodnet.report.views.pictures import Image, embed
from goodnet.report.views.table import Cell, Column, Table, name_cell, share_cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from goodnet.report.facts import Recovered, Run, Scan, Target
    from goodnet.results import Left

__all__ = ["ScanView", "TargetView", "left_table", "scan_view", "scans_table"]

_HIGHEST = 20  # scores in the table
_MOST_FAMILIES = 8
_NAMED = 5  # labels of a scan in a table of runs


@dataclass(frozen=True)
class TargetView:
    """A label that stands out.

    Attributes:
        label: Which.
        trigger: A picture of the trigger; None where there is none.
        samples: Clean images, each with the same one stamped.
        lines: What is known of it: in a word or two, the value, and what more there is to say.
    """

    label: int
    trigger: Image | None
    samples: tuple[tuple[Image, Image], ...]
    lines: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class ScanView:
    """What a scan found.

    Attributes:
        targets: The labels that stand out, the first few.
        more: How many there are beyond them.
        chart: All scores; None where all are the same.
        scores: The highest, as a table.
        labels: How many labels there are, as text.
        threshold: Above which a label is named, as text; "" where there is none.
    """

    targets: tuple[TargetView, ...]
    more: int
    chart: Drawn | None
    scores: Table
    labels: str
    threshold: str


def scan_view(scan: Scan, prefix: str) -> ScanView:
    """Lay out what a scan found; every id of its part of the page begins with the prefix."""
    shown = scan.targets[:PICTURED]
    return ScanView(
        tuple(map(_target, shown)),
        len(scan.targets) - len(shown),
        draw_scores(scan, f"{prefix}-scores") if is_spread(scan) else None,
        _scores_table(scan),
        words.amount(len(scan.scores)),
        "" if scan.threshold is None else f"{scan.threshold:.4g}",
    )


def left_table(left: Sequence[Left]) -> Table:
    """What is left of each backdoor."""
    columns = (
        Column("Label"),
        Column("Found trigger, B"),
        Column("Found trigger, B\u2032"),
        Column("Searched on B\u2032"),
        Column("The same for other labels"),
    )
    rows = [
        (
            Cell(str(one.label), value=one.label),
            *map(share_cell, (one.before, one.after, one.again, one.innocent)),
        )
        for one in left
    ]
    return table("What is left of each backdoor", columns, rows)


def scans_table(runs: Sequence[Run]) -> Table:
    """A row for each scan among runs: its verdict, and of the first label what its trigger does."""
    columns = (
        Column("Run", False),
        Column("Verdict", False),
        Column("Labels that stand out", False),
        Column("Success of the first trigger"),
        Column("p"),
    )
    return table("Every scan", columns, [_summary(run, run.scan) for run in runs if run.scan])


def _summary(run: Run, scan: Scan) -> tuple[Cell, ...]:
    model = next((fact.name for fact in run.inputs if fact.role == "model"), "")
    trigger = scan.targets[0].trigger if scan.targets else None
    return (
        name_cell(run.name, words.name(model)),
        Cell(TAGS[scan.verdict]),
        Cell(_listed([str(target.label) for target in scan.targets], _NAMED)),
        share_cell(trigger.success if trigger else None),
        _p_cell(scan.p_value),
    )


def _listed(texts: Sequence[str], most: int) -> str:
    """Texts with commas between them, the first few."""
    more = [f"{words.amount(len(texts) - most)} more"] if len(texts) > most else []
    return ", ".join([*texts[:most], *more])


def _p_cell(p_value: float | None) -> Cell:
    return Cell("") if p_value is None else Cell(words.p_value(p_value), value=p_value)


def _target(target: Target) -> TargetView:
    trigger = target.trigger
    samples = trigger.samples if trigger else ()
    return TargetView(
        target.label,
        embed(trigger.png) if trigger and trigger.png else None,
        tuple((embed(clean), embed(stamped)) for clean, stamped in samples),
        (*(_trigger_lines(trigger) if trigger else ()), *_target_lines(target)),
    )


def _trigger_lines(trigger: Recovered) -> Iterator[tuple[str, str, str]]:
    success = trigger.success
    of = f"{words.amount(success.count)} of {words.amount(success.total)} images"
    counted = [words.interval(success), of] if success.total else ["no images of other classes"]
    yield "Kind of trigger", words.name(trigger.family, 60), ""
    yield "Success", words.percent(success), ", ".join(counted)
    changed = f"{100 * trigger.changed:.3g}\u00a0% of the pixel range (RMS)"
    yield "Size", f"{100 * trigger.area:.3g}\u00a0% of the pixels", f"changes images by {changed}"
    if trigger.margin is not None:
        yield "Logit margin", f"{trigger.margin:.4g}", "of the label over the next, on average"


def _target_lines(target: Target) -> Iterator[tuple[str, str, str]]:
    sure = "" if target.p_value is None else words.chance(target.p_value)
    yield "Score", f"{target.score:.4g}", sure
    if target.layer or target.own is not None:
        where = f"the layer {words.name(target.layer, 40)}" if target.layer else "the logits"
        own = "not known" if target.own is None else f"{target.own:.2f}"
        yield "Its own class", own, f"clean images lie at 0, stamped ones at 1, in {where}"
    others = [f for f in target.families if not target.trigger or f != target.trigger.family]
    if others:
        listed = _listed([words.name(family, 60) for family in others], _MOST_FAMILIES)
        yield "Also stands out in" if target.trigger else "Stands out in", listed, ""
    if target.file:
        yield "File", words.name(target.file, 60), ""


def _scores_table(scan: Scan) -> Table:
    """The highest scores, with what is known of the labels that stand out."""
    named = {target.label: target for target in scan.targets}
    known = {label: score for label, score in enumerate(scan.scores) if score is not None}
    highest = sorted(known, key=lambda label: -known[label])[:_HIGHEST]
    columns = [
        Column("Label", False),
        Column("Score"),
        Column("p"),
        Column("Success of the trigger"),
    ]
    rows = [_row(label, known[label], named.get(label)) for label in highest]
    all_of_them = len(highest) == len(scan.scores)
    count = words.amount(len(scan.scores))
    caption = "All scores" if all_of_them else f"The {len(highest)} highest of {count} scores"
    return table(caption, columns, rows)


def _row(label: int, score: float, target: Target | None) -> tuple[Cell, ...]:
    trigger = target.trigger if target else None
    return (
        Cell(str(label), "stands out" if target else "", float(label)),
        Cell(f"{score:.4g}", value=score),
        _p_cell(target.p_value if target else None),
        share_cell(trigger.success if trigger else None),
    )
