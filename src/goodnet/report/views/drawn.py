"""The charts of a page, each drawn wide and, for a phone, narrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report.charts.channels import channels_chart
from goodnet.report.charts.curve import curve_chart
from goodnet.report.charts.epochs import epochs_chart
from goodnet.report.charts.scores import scores_chart
from goodnet.report.charts.towers import towers_chart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from goodnet.report.charts.svg import Chart
    from goodnet.report.facts import Curve, Run, Scan, Tower

__all__ = [
    "Drawn",
    "draw_channels",
    "draw_curves",
    "draw_epochs",
    "draw_scores",
    "draw_towers",
]


@dataclass(frozen=True)
class Drawn:
    """One chart in two widths; a page shows the one that fits."""

    wide: Chart
    narrow: Chart


def draw_curves(curves: Sequence[Curve], prefix: str) -> Drawn:
    """One curve, or two in one picture."""
    return _both(lambda name, narrow: curve_chart(curves, prefix=name, narrow=narrow), prefix)


def draw_channels(curve: Curve, prefix: str) -> Drawn:
    """Activation by channel."""
    return _both(lambda name, narrow: channels_chart(curve, prefix=name, narrow=narrow), prefix)


def draw_towers(towers: Mapping[str, Sequence[Tower]], prefix: str) -> Drawn:
    """B, B' and G side by side."""
    return _both(lambda name, narrow: towers_chart(towers, prefix=name, narrow=narrow), prefix)


def draw_epochs(run: Run, prefix: str) -> Drawn:
    """Loss and accuracy by epoch."""
    return _both(
        lambda name, narrow: epochs_chart(run.epochs, run.chosen, prefix=name, narrow=narrow),
        prefix,
    )


def draw_scores(scan: Scan, prefix: str) -> Drawn:
    """How many labels have which score."""
    return _both(lambda name, narrow: scores_chart(scan, prefix=name, narrow=narrow), prefix)


def _both(draw: Callable[[str, bool], Chart], prefix: str) -> Drawn:
    return Drawn(draw(f"{prefix}-wide", False), draw(f"{prefix}-narrow", True))
