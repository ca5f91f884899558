"""Networks side by side as grouped bars: how often each is right, is fooled, or answers N."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from goodnet.report.charts.chart import (
    CLEAN,
    HUES,
    INK,
    NEUTRAL,
    SMALL,
    Axis,
    Boxes,
    Caption,
    Chart,
    Line,
    Note,
    Panel,
    Width,
    name,
)
from goodnet.report.charts.figure import text_width
from goodnet.report.evidence import networks_of

if TYPE_CHECKING:
    from goodnet.report.charts.chart import Mark
    from goodnet.report.facts import Run
    from goodnet.results import Rates
    from goodnet.types import Proportion

Groups = Mapping[str, Mapping[str, "Rates"]]

_NOTHING = "There is no network to compare."
_COLOURS = (NEUTRAL, CLEAN, HUES[1], HUES[0], *HUES[2:])
_MOST_BESIDE, _LEAST_WIDTH = 4, 170.0  # plots beside each other, and how wide each is at least
_MOST_TALL = 60  # bars of a plot that are tall enough to have their value beside them
_TITLE, _FOOT, _GUTTER, _VALUE = 42.0, 40.0, 28.0, 42.0
_LOW = 800.0  # a plot that a screen shows as a whole


class _Series(NamedTuple):
    """The bars of one look: how often a network gives the label, or answers N."""

    network: str
    refused: bool

    @property
    def label(self) -> str:
        shown = name(self.network, limit=18)
        return f"{shown} answers N: false alarms, detections" if self.refused else shown


class _Set(NamedTuple):
    """One set of images: what is measured, its name, which values are good, the bars by group."""

    title: str
    subject: str
    hint: str
    groups: list[dict[_Series, Proportion]]

    def heading(self, limit: int) -> str:
        """The title in at most about so many characters."""
        if not self.subject:
            return self.title
        return f"{self.title}: {name(self.subject, limit=max(limit - 8, 8))}"


class _Rows(NamedTuple):
    """Where the bars of each group are, in pixels from the top of a plot.

    Attributes:
        groups: How many.
        bars: In a group.
        bar: From one to the next.
        above: For the name of a group, if it stands above its bars.
        gap: Between groups.
    """

    groups: int
    bars: int
    bar: float
    above: float
    gap: float

    @property
    def height(self) -> float:
        """Of the plot."""
        return self.groups * self._step + self.gap / 2

    @property
    def head(self) -> float:
        """Above the plot: for percents there too where it is too high to see those below."""
        return 20.0 if self.height > _LOW else 0.0

    @property
    def pitch(self) -> float:
        """From one plot to the next below."""
        return _TITLE + self.head + self.height + _FOOT

    @property
    def _step(self) -> float:
        return self.above + self.bars * self.bar + self.gap

    def middle(self, group: int, bar: float | None = None) -> float:
        """Of a bar, or of all bars of a group."""
        place = (self.bars - 1) / 2 if bar is None else bar
        return group * self._step + self.gap / 2 + self.above + (place + 0.5) * self.bar


def groups_of(run: Run) -> dict[str, dict[str, Rates]]:
    """The networks of a run by trial: B where there is one, B' and G; without what failed."""
    return {
        f"{trial.model}: {trial.name}" if trial.model else trial.name: networks_of(run, trial)
        for trial in run.trials
        if trial.repaired or trial.guarded
    }


def comparison_chart(groups: Groups, width: Width) -> Chart:
    """Bars with 95 % intervals: a plot for clean images and one for each poisoned set.

    A bar is how often a network gives the label: right on clean images, fooled on poisoned ones.
    A network with a class N has a second, hatched bar: false alarms on clean images, detection
    on poisoned ones. The chart grows downwards, so that any number of groups stays legible.

    Args:
        groups: The networks to compare, by what their group is called, for instance
            `{"X = 2": {"B": original, "G": guarded}}`. Without groups the chart says so.
        width: How wide it is to be.
    """
    sets = list(_sets(groups))
    series = _series(sets)
    names = [name(group, limit=28) for group in groups]
    longest = text_width(names, width)
    beside = longest <= width.pick(200.0, 84.0)
    left = 8.0 + (longest + 12 if beside else 8)
    tall = len(groups) * len(series) <= _MOST_TALL
    bar, gap = (15.0, 14.0) if tall else (5.0, 9.0)
    rows = _Rows(len(groups), len(series), bar, 0.0 if beside else 18.0, gap)
    panels: list[Panel] = []
    captions = [] if sets else [Caption(_NOTHING, 0, left)]
    places = _places(len(sets), rows, left, width)
    for one, (at, top, across) in zip(sets, places, strict=True):
        captions.append(Caption(one.heading(int(across / 7.6)), top, at, title=True))
        captions.append(Caption(one.hint, top + 17, at))
        marks = _marks(one, series, rows, legend=not panels)
        panels.append(_panel(marks, rows, names if at == left else [], (at, top, across)))
    refused = any(one.refused for one in series)
    note = "  ·  N is the answer “backdoored”" if refused else ""
    return Chart(
        width=width,
        title="Clean accuracy and attack success of the networks, with 95 % intervals",
        description=_description(groups),
        headline=("Networks compared", f"with 95 % intervals{note}"),
        panels=panels,
        depth=places[-1][1] + rows.pitch - 16 if places else 20,
        left=left,
        captions=captions,
    )


def _places(plots: int, rows: _Rows, left: float, width: Width) -> list[tuple[float, float, float]]:
    """Left, top and width of each plot with its title, in as many columns as there is room for."""
    room = width.pixels - left - width.right
    most = max(min(int((room + _GUTTER) / (_LEAST_WIDTH + _GUTTER)), _MOST_BESIDE), 1)
    columns = -(-plots // -(-plots // most)) if plots else 1
    across = (room - _GUTTER * (columns - 1)) / columns
    step = across + _GUTTER
    return [(left + i % columns * step, i // columns * rows.pitch, across) for i in range(plots)]


def _panel(
    marks: list[Mark], rows: _Rows, names: Sequence[str], place: tuple[float, float, float]
) -> Panel:
    """A plot in its place, with the names of the groups at its left or above their bars."""
    (left, top, across), beside = place, not rows.above
    if not beside:
        tops = [rows.middle(group, 0) - rows.bar / 2 for group in range(len(names))]
        marks = [
            Note(0, y - 5, text, beside=False) for y, text in zip(tops, names, strict=True)
        ] + marks
    ticks = {rows.middle(group): text for group, text in enumerate(names) if beside}
    # A full bar leaves room for its value.
    x = Axis((0, 100 * across / (across - _VALUE)), ticks=_percents(across), twice=rows.head > 0)
    return Panel(
        marks,
        x,
        Axis((rows.height, 0), ticks=ticks),
        rows.height,
        top + _TITLE + rows.head,
        left,
        across,
        sides=("left",) if beside else (),
        grid="x",
        flush=True,
    )


def _sets(groups: Groups) -> Iterator[_Set]:
    """One for the clean images and one for each poisoned set, if a network was judged by it."""
    networks = [network for group in groups.values() for network in group.values()]
    if any(network.test for network in networks):
        yield _Set("Clean accuracy", "", "high is good", _bars(groups, None))
    for key in dict.fromkeys(key for network in networks for key in network.backdoor):
        yield _Set("Attack", key, "success rate, low is good", _bars(groups, key))


def _bars(groups: Groups, key: str | None) -> list[dict[_Series, Proportion]]:
    """By group what is known of each network on a poisoned set, or on the clean images."""
    found: list[dict[_Series, Proportion]] = []
    for group in groups.values():
        found.append({})
        for network, one in group.items():
            given = one.test if key is None else one.backdoor.get(key)
            good = one.guarded
            refused = good.false_alarms if key is None else good.detected.get(key)
            pair = {_Series(network, False): given, _Series(network, True): refused}
            found[-1] |= {kind: share for kind, share in pair.items() if share}
    return found


def _series(sets: Sequence[_Set]) -> dict[_Series, str]:
    """Every kind of bar there is to draw with its colour, the networks in the order they come."""
    found = dict.fromkeys(one for each in sets for group in each.groups for one in group)
    networks = list(dict.fromkeys(one.network for one in found))
    pairs = [_Series(network, refused) for network in networks for refused in (False, True)]
    colours = {network: _COLOURS[i % len(_COLOURS)] for i, network in enumerate(networks)}
    return {one: colours[one.network] for one in pairs if one in found}


def _percents(across: float) -> dict[float, str]:
    return {tick: f"{tick} %" for tick in range(0, 101, 50 if across < 260 else 25)}


def _marks(one: _Set, series: Mapping[_Series, str], rows: _Rows, *, legend: bool) -> list[Mark]:
    """All bars of a plot, a path for each kind; their intervals are one more."""
    marks: list[Mark] = []
    whiskers: list[tuple[float, float]] = []
    half = 0.4 * rows.bar
    for bar, (kind, colour) in enumerate(series.items()):
        places = []
        for group, shares in enumerate(one.groups):
            share, middle = shares.get(kind), rows.middle(group, bar)
            if share is None:
                continue
            if share.value is None:
                marks.append(Note(0, middle, "no images"))
                continue
            places.append((0.0, middle - half, 100 * share.value, middle + half))
            whiskers += _whisker(share, middle, cap=half / 2)
            if rows.bar > SMALL:
                marks.append(Note(100 * share.high, middle, f"{100 * share.value:.1f}"))
        label = kind.label if legend else ""
        marks.append(Boxes(places, colour, label, hatched=kind.refused))
    empty = [group for group, shares in enumerate(one.groups) if not shares]
    marks += [Note(0, rows.middle(group), "no result") for group in empty]
    if whiskers:
        across, down = zip(*whiskers, strict=True)
        marks.append(Line(across, down, INK, thick=1.1, order=3))
    return marks


def _whisker(share: Proportion, middle: float, *, cap: float) -> list[tuple[float, float]]:
    """The strokes of one interval, as points of a line that breaks at NaN."""
    low, high, end = 100 * share.low, 100 * share.high, (np.nan, np.nan)
    top, bottom = middle - cap, middle + cap
    return [
        *((low, top), (low, bottom), end),
        *((low, middle), (high, middle), end),
        *((high, top), (high, bottom), end),
    ]


def _description(groups: Groups) -> str:
    parts = []
    for one in _sets(groups):
        for group, shares in zip(groups, one.groups, strict=True):
            values = ", ".join(f"{kind.label} {share}" for kind, share in shares.items())
            parts.append(f"{one.heading(40)}, {name(group)}: {values or 'no result'}.")
    return " ".join(parts[:_MOST_TALL]) or _NOTHING
