"""The pruning curve as picture files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report import canvas
from goodnet.report.charts.curve import draw_curve
from goodnet.report.exports import export_figure
from goodnet.report.facts import Curve, Drop
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from goodnet.types import Integers, Proportion, PruneCurve

__all__ = ["plot_curve"]


def plot_curve(curve: PruneCurve, *, drops: Mapping[float, int | None], destination: Path) -> None:
    """Draw clean accuracy and attack success against the share of channels silenced.

    Each line has a band, its 95 % interval. Each drop is marked where it is first reached.
    Channels that are dead on clean images are shaded.

    Args:
        curve: The curve.
        drops: For each drop in percentage points the channels silenced to reach it, or None.
        destination: The PNG to write; an SVG is written beside it.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    with canvas.look():
        export_figure(draw_curve([_facts(curve, drops)], headline=True), destination)


def _facts(curve: PruneCurve, drops: Mapping[float, int | None]) -> Curve:
    return Curve(
        layer=curve.layer,
        order=curve.order,
        channels=tuple(int(channel) for channel in curve.channels),
        mean_activation=tuple(float(mean) for mean in curve.mean_activation),
        dead=tuple(curve.dead_channels),
        accuracy=_shares(curve.correct, curve.total),
        success={name: _shares(hits, curve.hit_totals[name]) for name, hits in curve.hits.items()},
        drops=tuple(Drop(drop, steps) for drop, steps in drops.items()),
    )


def _shares(counts: Integers, total: int) -> tuple[Proportion, ...]:
    return tuple(proportion(int(count), total) for count in counts)
