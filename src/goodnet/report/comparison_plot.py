"""Networks side by side as picture files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report import canvas
from goodnet.report.charts.towers import draw_towers
from goodnet.report.exports import export_figure
from goodnet.report.facts import Tower

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodnet.types import Evaluation

__all__ = ["plot_comparison"]


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
