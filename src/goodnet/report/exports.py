"""Pictures for papers: every chart of a run as a PNG and an SVG file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report import canvas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from goodnet.report.facts import Run

__all__ = ["export_charts", "export_figure"]


def export_charts(run: Run, folder: Path) -> list[Path]:
    """Write the charts a run has something for, with real colours and a headline.

    Args:
        run: What to show.
        folder: Where to write curve, channels, comparison, epochs and scores, each as .png and
            .svg.

    Returns:
        The files written.

    Raises:
        OSError: If the system refuses.
    """
    written: list[Path] = []
    with canvas.look():
        for name, draw in _charts(run):
            written += export_figure(draw(), folder / f"{name}.png")
    return written


def export_figure(figure: Figure, destination: Path) -> tuple[Path, Path]:
    """Write a figure as the PNG named and as an SVG beside it. To be called inside `look`.

    Raises:
        OSError: If the system refuses.
    """
    vector = destination.with_suffix(".svg")
    canvas.save(figure, destination)
    canvas.save_vector(figure, vector)
    return destination, vector


def _charts(run: Run) -> Iterator[tuple[str, Callable[[], Figure]]]:
    from goodnet.report.charts.channels import draw_channels
    from goodnet.report.charts.curve import draw_curve
    from goodnet.report.charts.epochs import draw_epochs
    from goodnet.report.charts.scores import draw_scores, is_spread
    from goodnet.report.charts.towers import draw_towers, towers_of

    if curve := run.curve:
        yield "curve", lambda: draw_curve([curve], headline=True)
        yield "channels", lambda: draw_channels(curve, headline=True)
    if groups := towers_of(run):
        yield "comparison", lambda: draw_towers(groups, headline=True)
    if run.epochs:
        yield "epochs", lambda: draw_epochs(run.epochs, run.chosen, headline=True)
    if (scan := run.scan) and is_spread(scan):
        yield "scores", lambda: draw_scores(scan, headline=True)
