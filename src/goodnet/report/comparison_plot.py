"""Networks side by side: how often each is right, is fooled, or says that it was attacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from goodnet.report import canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from goodnet.types import Evaluation, Proportion, SetResult

    Groups = Mapping[str, Sequence[Evaluation]]

__all__ = ["plot_comparison"]

_COLOURS = ("#7F7F7F", canvas.CLEAN, "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
_SUBTITLE = "with 95 % intervals"
_SUBTITLE_N = f"{_SUBTITLE}  ·  N is the answer “backdoored”"
_NOTHING = "there is no network to compare: no drop was reached"
# Inches.
_LEFT, _RIGHT, _HEAD, _FOOT, _LEGEND_ROW = 0.75, 0.3, 1.3, 0.45, 0.22
_PANEL, _GAP, _BAR, _WIDEST = 1.8, 0.95, 0.3, 0.6
_MIN_WIDTH, _MAX_WIDTH = 9.0, 30.0
_LEGEND_COLUMNS = 4


class _Series(NamedTuple):
    """The bars of one look: how often a network gives the label, or answers N."""

    network: str
    refused: bool

    @property
    def label(self) -> str:
        name = canvas.name(self.network, limit=18)
        return f"{name} answers N" if self.refused else name

    def share(self, result: SetResult) -> Proportion | None:
        return result.refused if self.refused else result.correct


class _Panel(NamedTuple):
    title: str
    hint: str
    refused_hint: str
    groups: list[dict[str, SetResult]]  # what each network did, by its name


def plot_comparison(groups: Groups, destination: Path) -> None:
    """Draw a panel for the clean images and one for each backdoor set, with grouped bars.

    A bar is how often a network gives the label: right on clean images, fooled on poisoned ones.
    A network with a class N has a second, hatched bar: false alarms on clean images, detection
    on poisoned ones. Whiskers are 95 % intervals.

    Args:
        groups: The networks to compare, by what their group is called, for instance
            `{"X = 2": [original, repaired, guarded]}`. Without groups the picture says so.
        destination: The PNG to write.

    Raises:
        OSError: If the system refuses; `goodnet.files.atomic_path` turns it into one sentence.
    """
    with canvas.look():
        canvas.save(_draw(groups), destination)


def _draw(groups: Groups) -> Figure:
    panels = list(_panels(groups))
    series = _series(panels)
    refuses = any(one.refused for one in series)
    slots = max(len(groups) * (len(series) + 1), 1)
    width = min(max(_MIN_WIDTH, _LEFT + slots * _BAR + _RIGHT), _MAX_WIDTH)
    foot = _FOOT + _LEGEND_ROW * -(-len(series) // _LEGEND_COLUMNS)
    height = _HEAD + len(panels) * (_PANEL + _GAP) - _GAP + foot if panels else _HEAD
    figure = canvas.blank()
    figure.set_size_inches(width, height)
    plot_width = min(width - _LEFT - _RIGHT, slots * _WIDEST)
    bottom = height - _HEAD
    for panel in panels:
        bottom -= _PANEL
        place = (_LEFT / width, bottom / height, plot_width / width, _PANEL / height)
        axes = figure.add_axes(place)
        _title(axes, panel, refuses=refuses)
        _frame(axes, list(groups), len(series))
        _fill(axes, panel, series, upright=plot_width / slots > 0.38)
        bottom -= _GAP
    subtitle = (_SUBTITLE_N if refuses else _SUBTITLE) if panels else _NOTHING
    canvas.headline(figure, "Networks compared", subtitle, left=_LEFT)
    _legend(figure, series)
    return figure


def _panels(groups: Groups) -> Iterator[_Panel]:
    every = [evaluation for group in groups.values() for evaluation in group]
    if any(evaluation.clean for evaluation in every):
        yield _Panel(
            "Clean accuracy",
            "high is good",
            "answers N are false alarms",
            [{e.network: e.clean for e in group if e.clean} for group in groups.values()],
        )
    for key in dict.fromkeys(key for evaluation in every for key in evaluation.backdoor):
        yield _Panel(
            f"Attack success: {canvas.name(key)}",
            "low is good",
            "answers N are detections",
            [
                {e.network: e.backdoor[key] for e in group if key in e.backdoor}
                for group in groups.values()
            ],
        )


def _series(panels: Sequence[_Panel]) -> list[_Series]:
    """Every bar there is to draw, the networks in the order they come."""
    refuses: dict[str, bool] = {}
    for panel in panels:
        for group in panel.groups:
            for network, result in group.items():
                refuses[network] = refuses.get(network, False) or result.refused is not None
    return [
        _Series(network, refused)
        for network, has_refusal in refuses.items()
        for refused in ((False, True) if has_refusal else (False,))
    ]


def _fill(axes: Axes, panel: _Panel, series: Sequence[_Series], *, upright: bool) -> None:
    looks = _looks(series)
    for start, group in enumerate(panel.groups):
        if not group:
            _write(axes, start * (len(series) + 1) + (len(series) - 1) / 2, 3, "no result")
        for slot, one in enumerate(series):
            result = group.get(one.network)
            share = one.share(result) if result else None
            if share is not None:
                _bar(axes, start * (len(series) + 1) + slot, share, looks[one], upright=upright)


def _bar(
    axes: Axes, place: float, share: Proportion, look: dict[str, Any], *, upright: bool
) -> None:
    if share.value is None:
        _write(axes, place, 3, "no images", rotation=90)
        return
    value, low, high = 100 * share.value, 100 * share.low, 100 * share.high
    axes.bar(place, value, width=0.86, **look)
    axes.vlines(place, low, high, color=canvas.INK, linewidth=1.1, zorder=3)
    axes.hlines([low, high], place - 0.14, place + 0.14, color=canvas.INK, linewidth=1.1, zorder=3)
    _write(axes, place, high + 3, f"{value:.1f}", rotation=0 if upright else 90)


def _write(axes: Axes, place: float, height: float, text: str, *, rotation: float = 0) -> None:
    axes.text(
        place,
        height,
        text,
        ha="center",
        va="bottom",
        fontsize=7.5,
        rotation=rotation,
        zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _looks(series: Sequence[_Series]) -> dict[_Series, dict[str, Any]]:
    networks = list(dict.fromkeys(one.network for one in series))
    looks = {}
    for one in series:
        colour = _COLOURS[networks.index(one.network) % len(_COLOURS)]
        if one.refused:
            looks[one] = {"facecolor": "white", "edgecolor": colour, "hatch": "/////"}
        else:
            looks[one] = {"facecolor": colour, "edgecolor": colour}
    return looks


def _title(axes: Axes, panel: _Panel, *, refuses: bool) -> None:
    corner: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(panel.title, (0, 1), (0, 18), **corner, fontsize=10.5, fontweight="bold")
    hint = f"{panel.hint}; {panel.refused_hint}" if refuses else panel.hint
    axes.annotate(hint, (0, 1), (0, 4), **corner, fontsize=8.5, color=canvas.MUTED)


def _frame(axes: Axes, names: Sequence[str], bars: int) -> None:
    step = bars + 1
    axes.set_xlim(-1, len(names) * step - 1)
    axes.set_xticks(
        [index * step + (bars - 1) / 2 for index in range(len(names))],
        [canvas.name(name, limit=24) for name in names],
    )
    axes.tick_params(axis="x", length=0)
    axes.spines["left"].set_bounds(0, 100)
    canvas.percent_axis(axes, bottom=0.0, top=130.0)


def _legend(figure: Figure, series: Sequence[_Series]) -> None:
    from matplotlib.patches import Patch

    figure.legend(
        handles=[Patch(label=one.label, **look) for one, look in _looks(series).items()],
        loc="lower left",
        bbox_to_anchor=(_LEFT, 0.14),
        bbox_transform=figure.dpi_scale_trans,
        ncols=_LEGEND_COLUMNS,
    )
