"""The pruning curve for a reader and a script: which network an allowed drop gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goodnet.report import words
from goodnet.report.charts import both_widths, curve_chart
from goodnet.report.charts.curve import order_text
from goodnet.report.evidence import drop_of, shown_trial
from goodnet.report.views.tables import Table, steps_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Curve, Run
    from goodnet.types import Proportion

NEVER, NOTHING, UNSAVED = "never falls so far", "\u2013", "not saved"


@dataclass(frozen=True)
class Readout:
    """One network on the curve, in words: by label, what is known of it."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CurveView:
    """The pruning curve, or two of them in one picture.

    Attributes:
        chart: By width.
        data: For the script.
        readouts: What the drop gives that the page opens with, one for each curve in the chart.
        steps: Every step as a table.
    """

    chart: dict[str, str]
    data: dict[str, Any]
    readouts: tuple[Readout, ...]
    steps: Table


def curve_view(runs: Sequence[Run], prefix: str) -> CurveView:
    """Put together what is shown of the curves of one or two runs."""
    curves = [run.curve for run in runs if run.curve]
    data = step_data(runs)
    return CurveView(
        both_widths(lambda width: curve_chart(curves, width), prefix),
        data,
        tuple(map(readout, data["curves"], [data["start"]] * len(curves))),
        steps_table(curves),
    )


def step_data(runs: Sequence[Run]) -> dict[str, Any]:
    """Plain data for the script.

    Args:
        runs: Of which the curves are drawn.

    Returns:
        Under "curves" for each run and step what its network does, as text; under "start" and
        "most" the first and the largest drop to show.
    """
    drop = drop_of(runs[0], shown_trial(runs[0]))
    curves = [run.curve for run in runs if run.curve]
    several = len(runs) > 1
    return {
        "curves": [_curve_data(run, run.curve, several=several) for run in runs if run.curve],
        "start": drop.drop if drop else 0.0,
        "most": max(map(largest_drop, curves)),
        "words": {"never": NEVER, "nothing": NOTHING, "unsaved": UNSAVED},
    }


def readout(curve: dict[str, Any], drop: float) -> Readout:
    """What the script shows of a drop, for the first view and for readers without scripts."""
    lost = enumerate(curve["lost"])
    step = next((step for step, n in lost if n * 100 >= drop * curve["total"]), None)
    lines = [("Channels silenced", NEVER if step is None else f"{step} of {curve['width']}")]
    lines += [
        (series["label"], NOTHING if step is None else series["texts"][step])
        for series in curve["series"]
    ]
    saved = curve["saved"].get(str(step), UNSAVED)
    return Readout(curve["order"], (*lines, ("Saved as", saved)))


def largest_drop(curve: Curve) -> float:
    """The largest loss on the curve in percentage points, rounded down to a tenth."""
    lost = max(curve.accuracy[0].count - share.count for share in curve.accuracy)
    return lost * 1000 // max(curve.accuracy[0].total, 1) / 10


def _curve_data(run: Run, curve: Curve, *, several: bool) -> dict[str, Any]:
    first = curve.accuracy[0]
    series = [("Clean accuracy (validation)", curve.accuracy)]
    series += [(f"Attack success: {words.name(k, 40)}", v) for k, v in curve.success.items()]
    return {
        "order": order_text(curve),
        "channels": list(curve.channels),
        "width": len(curve.mean_activation),
        "lost": [first.count - share.count for share in curve.accuracy],
        "total": first.total,
        "series": [
            {
                "label": label,
                "values": [_value(share) for share in shares],
                "texts": [words.rate(share) for share in shares],
            }
            for label, shares in series
        ],
        "saved": _saved(run, f"{run.name}/" if several else ""),
    }


def _value(share: Proportion) -> float | None:
    return None if share.value is None else round(100 * share.value, 3)


def _saved(run: Run, folder: str) -> dict[str, str]:
    """Names of the files of B' by step; several drops may have led to the same network."""
    saved: dict[str, list[str]] = {}
    for trial in run.trials:
        drop, file = drop_of(run, trial), trial.files.get("model", "")
        if drop and drop.channels_pruned is not None and file:
            saved.setdefault(str(drop.channels_pruned), []).append(words.name(f"{folder}{file}"))
    return {step: ", ".join(names) for step, names in saved.items()}
