"""The pruning curve, and what networks answer beside each other, as picture files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report import canvas
from goodnet.report.charts.curve import draw_curve
from goodnet.report.charts.towers import draw_towers
from goodnet.report.exports import export_figure
from goodnet.report.facts import Curve, Drop, Tower
from goodnet.stats import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodnet.types import Evaluation, Integers, Proportion, PruneCurve

__all__ = ["plot_comparison", "plot_curve"]


def plot_comparison(groups: Mapping[str, Sequence[Evaluation]], destination: Path) -> None:
    """Draw a panel for the clean images and one for each backdoor set, with grouped bars.

    A bar is how often a network gives the label: right on clean images, fooled on poisoned ones.
    A network with a class N has a second, hatched bar: false alarms on clean images, detection
    on poisoned ones. Whiskers are 95 % intervals.

    Args:
        groups: The networks to compare, by what their group is called, for instance
            `{"X = 2": [original, repaired, guarded]}`. Without groups the picture says so.
        destination: The PNG to write; an SVG is written beside it.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    towers = {name: [_tower(one) for one in group] for name, group in groups.items()}
    with canvas.look():
        export_figure(draw_towers(towers, headline=True), destination)


def _tower(evaluation: Evaluation) -> Tower:
    clean, backdoor = evaluation.clean, evaluation.backdoor
    return Tower(
        name=evaluation.network,
        clean=clean.correct if clean else None,
        success={name: result.correct for name, result in backdoor.items()},
        false_alarms=clean.refused if clean else None,
        detected={name: result.refused for name, result in backdoor.items() if result.refused},
    )


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
