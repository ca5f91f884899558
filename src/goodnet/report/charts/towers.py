"""Networks side by side: how often each is right, is fooled, or says that it was attacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodnet.report import canvas
from goodnet.report.charts.bars import Rows, draw_bars, frame, name_groups
from goodnet.report.charts.panels import Panel, Series, panels_of, series_of
from goodnet.report.charts.stack import Stack
from goodnet.report.charts.svg import Chart, to_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from goodnet.report.facts import Run, Tower

    Towers = Mapping[str, Sequence[Tower]]
    Looks = Mapping[Series, dict[str, Any]]

__all__ = ["draw_towers", "towers_chart", "towers_of"]

_NOTHING = "There is no network to compare."
_COLOURS = (canvas.NEUTRAL, canvas.CLEAN, canvas.HUES[1], canvas.HUES[0], *canvas.HUES[2:])
_MOST_BESIDE, _LEAST_WIDTH = 4, 170.0  # panels beside each other, and how wide each is at least
_MOST_TALL = 60  # bars of a panel that are tall enough to have their value beside them
_LONGEST_BESIDE = {False: 200.0, True: 84.0}  # name of a group, by whether it is narrow
_TITLE, _FOOT, _GUTTER = 42.0, 40.0, 28.0


def towers_of(run: Run) -> dict[str, list[Tower]]:
    """The networks of a run by trial: B where there is one, B' and G; without what failed."""
    groups = {}
    for trial in run.trials:
        name = f"{trial.model}: {trial.name}" if trial.model else trial.name
        before = run.baseline or run.baselines.get(trial.model)
        made = [tower for tower in (before, trial.repaired, trial.guarded) if tower]
        if trial.repaired or trial.guarded:
            groups[name] = made
    return groups


def towers_chart(towers: Towers, *, prefix: str, narrow: bool = False) -> Chart:
    """Bars with 95 % intervals: a panel for clean images and one for each poisoned set.

    A bar is how often a network gives the label: right on clean images, fooled on poisoned ones.
    A network with a class N has a second, hatched bar: false alarms on clean images, detection
    on poisoned ones. The chart grows downwards, so that any number of groups stays legible.

    Args:
        towers: The networks to compare, by what their group is called, for instance
            `{"X = 2": [original, repaired, guarded]}`. Without groups the chart says so.
        prefix: What every id begins with.
        narrow: Draw for a phone.
    """
    with canvas.look(narrow=narrow):
        return to_chart(
            draw_towers(towers, narrow=narrow),
            prefix=prefix,
            title="Clean accuracy and attack success of the networks, with 95 % intervals",
            description=_description(towers),
        )


def draw_towers(towers: Towers, *, narrow: bool = False, headline: bool = False) -> Figure:
    """The figure of `towers_chart`, with a headline if it is to stand alone. Inside `look`."""
    panels = list(panels_of(towers))
    stack = Stack(narrow=narrow, left=8.0)
    names = [canvas.name(name, limit=28) for name in towers]
    widest = max((canvas.text_width(stack.figure, name) for name in names), default=0.0)
    beside = widest <= _LONGEST_BESIDE[narrow]
    stack.left += widest + 12 if beside else 8
    looks = _looks(series_of(panels))
    if headline:
        stack.headline("Networks compared", _subtitle(looks))
    if not panels:
        return _say_nothing(stack)
    stack.legend(_handles(looks))
    tall = len(towers) * len(looks) <= _MOST_TALL
    rows = Rows(
        groups=len(towers),
        bars=len(looks),
        above=0.0 if beside else 18.0,
        **({"bar": 15.0, "gap": 14.0} if tall else {"bar": 5.0, "gap": 9.0}),
    )
    _draw_panels(stack, panels, looks, rows=rows, names=names)
    return stack.finish()


def _subtitle(looks: Looks) -> str:
    note = "  ·  N is the answer “backdoored”" if any(one.refused for one in looks) else ""
    return f"with 95 % intervals{note}"


def _say_nothing(stack: Stack) -> Figure:
    stack.text(_NOTHING)
    axes = stack.axes()
    stack.put(axes, 1)
    axes.set_axis_off()
    stack.depth += 20
    return stack.finish()


def _looks(series: Sequence[Series]) -> Looks:
    networks = list(dict.fromkeys(one.network for one in series))
    looks: dict[Series, dict[str, Any]] = {}
    for one in series:
        colour = _COLOURS[networks.index(one.network) % len(_COLOURS)]
        if one.refused:
            looks[one] = {"facecolor": canvas.PAPER, "edgecolor": colour, "hatch": "////"}
        else:
            looks[one] = {"facecolor": colour, "edgecolor": colour}
    return looks


def _handles(looks: Looks) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(label=one.label, **look) for one, look in looks.items()]


def _draw_panels(
    stack: Stack, panels: Sequence[Panel], looks: Looks, *, rows: Rows, names: Sequence[str]
) -> None:
    most = min(int((stack.room + _GUTTER) / (_LEAST_WIDTH + _GUTTER)), _MOST_BESIDE)
    columns = -(-len(panels) // -(-len(panels) // max(most, 1)))
    width = (stack.room - _GUTTER * (columns - 1)) / columns
    for index, panel in enumerate(panels):
        column = index % columns
        if index and not column:
            stack.depth += _TITLE + rows.head + rows.height + _FOOT
        left = stack.left + column * (width + _GUTTER)
        _write_title(stack, panel, left=left, room=width)
        axes = stack.axes()
        down = _TITLE + rows.head
        stack.depth += down
        stack.put(axes, rows.height, left=left, width=width)
        stack.depth -= down
        frame(axes, rows, width=width)
        name_groups(axes, rows, names if not column else [])
        draw_bars(axes, panel, looks, rows=rows)
    stack.depth += _TITLE + rows.head + rows.height + _FOOT - 16


def _write_title(stack: Stack, panel: Panel, *, left: float, room: float) -> None:
    title = panel.heading(int(room / 7.6))
    stack.text(title, at=left, fontweight="bold", color=canvas.INK, fontsize=None)
    stack.depth += 17
    stack.text(panel.hint, at=left)
    stack.depth -= 17


def _description(towers: Towers) -> str:
    parts = []
    for panel in panels_of(towers):
        what = panel.heading(40)
        for name, shares in zip(towers, panel.groups, strict=True):
            values = ", ".join(f"{one.label} {share}" for one, share in shares.items())
            parts.append(f"{what}, {canvas.name(name)}: {values or 'no result'}.")
    return " ".join(parts[:_MOST_TALL]) or _NOTHING
