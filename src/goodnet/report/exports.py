"""Pictures for papers: charts as PNG and SVG files, with real colours and a headline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.charts import (
    WIDE,
    channels_chart,
    comparison_chart,
    curve_chart,
    epochs_chart,
    groups_of,
    is_spread,
    save,
    scores_chart,
)
from goodnet.report.facts import Curve
from goodnet.results import GuardedRates, PruneDrop
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from goodnet.report.charts import Chart
    from goodnet.report.facts import Run
    from goodnet.types import Evaluation, Integers, Proportion, PruneCurve


def export_charts(run: Run, folder: Path) -> list[Path]:
    """Write the charts a run has something for.

    Args:
        run: What to show.
        folder: Where to write curve, channels, comparison, epochs and scores, each as .png and
            .svg.

    Returns:
        The files written.

    Raises:
        OSError: If the system refuses.
    """
    charts = _charts(run)
    return [path for name, chart in charts for path in save(chart, folder / f"{name}.png")]


def _charts(run: Run) -> Iterator[tuple[str, Chart]]:
    if run.curve:
        yield "curve", curve_chart([run.curve], WIDE)
        yield "channels", channels_chart(run.curve, WIDE)
    if groups := groups_of(run):
        yield "comparison", comparison_chart(groups, WIDE)
    if run.epochs:
        yield "epochs", epochs_chart(run.epochs, run.chosen, WIDE)
    if run.scan and is_spread(run.scan):
        yield "scores", scores_chart(run.scan, WIDE)


def plot_comparison(groups: Mapping[str, Sequence[Evaluation]], destination: Path) -> None:
    """Draw `comparison_chart` of evaluations.

    Args:
        groups: The networks to compare, by what their group is called, for instance
            `{"X = 2": [original, repaired, guarded]}`. Without groups the picture says so.
        destination: The PNG to write; an SVG is written beside it.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    measured = {
        name: {one.network: GuardedRates.of(one) for one in group} for name, group in groups.items()
    }
    save(comparison_chart(measured, WIDE), destination)


def plot_curve(curve: PruneCurve, *, drops: Mapping[float, int | None], destination: Path) -> None:
    """Draw `curve_chart` of a pruning curve.

    Args:
        curve: The curve.
        drops: For each drop in percentage points the channels silenced to reach it, or None.
        destination: The PNG to write; an SVG is written beside it.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    facts = Curve(
        layer=curve.layer,
        order=curve.order,
        channels=tuple(int(channel) for channel in curve.channels),
        mean_activation=tuple(float(mean) for mean in curve.mean_activation),
        dead=tuple(curve.dead_channels),
        accuracy=_shares(curve.correct, curve.total),
        success={
            name: _shares(successes, curve.success_totals[name])
            for name, successes in curve.successes.items()
        },
        drops=tuple(PruneDrop(drop=drop, channels_pruned=n) for drop, n in drops.items()),
    )
    save(curve_chart([facts], WIDE), destination)


def _shares(counts: Integers, total: int) -> tuple[Proportion, ...]:
    return tuple(proportion(int(count), total) for count in counts)
