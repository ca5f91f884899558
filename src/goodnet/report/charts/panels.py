"""What a comparison of networks shows: one panel for each set of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from goodnet.report import canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from goodnet.report.facts import Tower
    from goodnet.types import Proportion

__all__ = ["Panel", "Series", "panels_of", "series_of"]


class Series(NamedTuple):
    """The bars of one look: how often a network gives the label, or answers N."""

    network: str
    refused: bool

    @property
    def label(self) -> str:
        """What a legend says."""
        name = canvas.name(self.network, limit=18)
        return f"{name} answers N: false alarms, detections" if self.refused else name


class Panel(NamedTuple):
    """One set of images.

    Attributes:
        title: What is measured; of a poisoned set "Attack".
        subject: The poisoned set's name; "" for the clean images.
        hint: Which values are good.
        groups: The bars of each group.
    """

    title: str
    subject: str
    hint: str
    groups: list[dict[Series, Proportion]]

    def heading(self, limit: int) -> str:
        """The title in at most about so many characters."""
        if not self.subject:
            return self.title
        return f"{self.title}: {canvas.name(self.subject, limit=max(limit - 8, 8))}"


def panels_of(towers: Mapping[str, Sequence[Tower]]) -> Iterator[Panel]:
    """A panel for the clean images and one for each poisoned set, if a network was judged by it."""
    groups = list(towers.values())
    if any(tower.clean for group in groups for tower in group):
        shares = [_bars((t.name, t.clean, t.false_alarms) for t in group) for group in groups]
        yield Panel("Clean accuracy", "", "high is good", shares)
    for key in dict.fromkeys(key for group in groups for tower in group for key in tower.success):
        shares = [
            _bars((t.name, t.success.get(key), t.detected.get(key)) for t in group)
            for group in groups
        ]
        yield Panel("Attack", key, "success rate, low is good", shares)


def series_of(panels: Sequence[Panel]) -> list[Series]:
    """Every kind of bar there is to draw, the networks in the order they come."""
    found = dict.fromkeys(one for panel in panels for group in panel.groups for one in group)
    networks = dict.fromkeys(one.network for one in found)
    pairs = [Series(network, refused) for network in networks for refused in (False, True)]
    return [one for one in pairs if one in found]


def _bars(
    results: Iterator[tuple[str, Proportion | None, Proportion | None]],
) -> dict[Series, Proportion]:
    return {
        Series(network, refused): share
        for network, given, refusals in results
        for refused, share in ((False, given), (True, refusals))
        if share is not None
    }
