"""The pruning curve for the script: which network an allowed drop gives, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goodnet.report.views import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.charts.svg import Chart
    from goodnet.report.facts import Curve, Run
    from goodnet.types import Proportion

__all__ = ["Readout", "home", "largest_drop", "readout", "start_drop", "step_data"]

_ORDERS = {
    "ascending": "Least active first",
    "descending": "Most active first",
    "given": "In the order given",
}


NEVER, NOTHING, UNSAVED = "never falls so far", "\u2013", "not saved"


@dataclass(frozen=True)
class Readout:
    """One network on the curve, in words: by label, what is known of it."""

    title: str
    lines: tuple[tuple[str, str], ...]


def step_data(runs: Sequence[Run], charts: Sequence[Chart]) -> dict[str, Any]:
    """Plain data for the script.

    Args:
        runs: Of which the curves are drawn.
        charts: The drawings of the same curves, wide and narrow.

    Returns:
        Under "curves" for each run and step what its network does, as text; under "charts" where
        the plots lie; under "start" and "most" the first and the largest drop to show.
    """
    curves = [run.curve for run in runs if run.curve]
    return {
        "curves": [_curve_data(run, run.curve, home(run, runs)) for run in runs if run.curve],
        "charts": [{"plot": chart.plot, "x": chart.x, "y": chart.y} for chart in charts],
        "start": start_drop(runs[0]),
        "most": max(map(largest_drop, curves)),
        "words": {"never": NEVER, "nothing": NOTHING, "unsaved": UNSAVED},
        "orders": [_ORDERS[curve.order].lower() for curve in curves],
    }


def readout(run: Run, curve: Curve, drop: float, folder: str = "") -> Readout:
    """What the script shows of a drop, for the first view and for readers without scripts."""
    step = _steps_to(curve, drop)
    silent = NEVER if step is None else f"{step} of {len(curve.mean_activation)}"
    lines = [("Channels silenced", silent)]
    for label, shares in _series(curve):
        lines.append((label, NOTHING if step is None else words.rate(shares[step])))
    saved = _saved(run, folder).get(str(step), UNSAVED)
    return Readout(_ORDERS[curve.order], (*lines, ("Saved as", saved)))


def _steps_to(curve: Curve, drop: float) -> int | None:
    """Channels to silence until accuracy is `drop` points lower; None where it never is."""
    first = curve.accuracy[0]
    for step, share in enumerate(curve.accuracy):
        if (first.count - share.count) * 100 >= drop * first.total:
            return step
    return None


def home(run: Run, runs: Sequence[Run]) -> str:
    """What to write before the names of a run's files: nothing where there is one run."""
    return f"{run.name}/" if len(runs) > 1 else ""


def start_drop(run: Run) -> float:
    """The drop to show first: that of the numbers at the top."""
    curve, trial = run.curve, run.trials[run.shown] if run.shown is not None else None
    drops = {f"X = {drop.drop:g}": drop.drop for drop in curve.drops} if curve else {}
    return drops.get(trial.name, 0.0) if trial else 0.0


def largest_drop(curve: Curve) -> float:
    """The largest loss on the curve in percentage points, rounded down to a tenth."""
    lost = max(curve.accuracy[0].count - share.count for share in curve.accuracy)
    return lost * 1000 // max(curve.accuracy[0].total, 1) / 10


def _curve_data(run: Run, curve: Curve, folder: str) -> dict[str, Any]:
    first = curve.accuracy[0]
    return {
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
            for label, shares in _series(curve)
        ],
        "saved": _saved(run, folder),
    }


def _series(curve: Curve) -> list[tuple[str, tuple[Proportion, ...]]]:
    named = [
        (f"Attack success: {words.name(key, 40)}", curve.success[key]) for key in curve.success
    ]
    return [("Clean accuracy (validation)", curve.accuracy), *named]


def _value(share: Proportion) -> float | None:
    return None if share.value is None else round(100 * share.value, 3)


def _saved(run: Run, folder: str) -> dict[str, str]:
    """Names of the files of B' by step; several drops may have led to the same network."""
    files = {trial.name: trial.files.get("model", "") for trial in run.trials}
    saved: dict[str, list[str]] = {}
    for drop in run.curve.drops if run.curve else ():
        name = files.get(f"X = {drop.drop:g}")
        if drop.steps is not None and name:
            saved.setdefault(str(drop.steps), []).append(words.name(f"{folder}{name}"))
    return {step: ", ".join(names) for step, names in saved.items()}
