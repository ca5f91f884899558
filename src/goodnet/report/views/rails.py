"""A network as rails beside its list of layers: lines part where it branches and meet again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import LayerFact

__all__ = ["LANE", "ROW", "Rail", "lay_rails"]

ROW, LANE = 36, 18  # pixels: height of a row, distance of two rails
_MOST = 12  # rails beside each other; a network with more has the rest left out


@dataclass(frozen=True)
class Rail:
    """The rails in one row.

    Attributes:
        node: Where the layer's dot is, pixels from the left.
        lines: SVG paths from the top of the row, or to its bottom.
    """

    node: float
    lines: tuple[str, ...]


def lay_rails(layers: Sequence[LayerFact]) -> tuple[Rail, ...]:
    """Lay a rail from each layer to each that reads it.

    A rail keeps its lane from row to row. A layer stands in the first lane that ends at it, or
    in the first free one; what leaves it starts in its lane and in free ones.

    Args:
        layers: In running order: each comes after those it reads.

    Returns:
        The rails of each row.
    """
    readers = _readers(layers)
    lanes: list[str | None] = []  # by lane: the layer at which the rail in it ends
    rows = []
    for layer in layers:
        ending = [i for i, end in enumerate(lanes) if end == layer.name]
        node = ending[0] if ending else _free(lanes)
        passing = [i for i, end in enumerate(lanes) if end not in (None, layer.name)]
        for lane in ending:
            lanes[lane] = None
        leaving = _leave(lanes, node, readers.get(layer.name, ()))
        lines = [
            *(_line(lane, 0, node, ROW / 2) for lane in ending),
            *(_line(lane, 0, lane, ROW) for lane in passing),
            *(_line(node, ROW / 2, lane, ROW) for lane in leaving),
        ]
        rows.append(Rail(_centre(node), tuple(line for line in lines if line)))
    return tuple(rows)


def _readers(layers: Sequence[LayerFact]) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    seen: set[str] = set()
    for layer in layers:
        for source in dict.fromkeys(layer.inputs):
            if source in seen:
                known.setdefault(source, []).append(layer.name)
        seen.add(layer.name)
    return known


def _leave(lanes: list[str | None], node: int, ends: Sequence[str]) -> list[int]:
    """Start a rail to each reader, the first in the node's own lane; their lanes."""
    taken = []
    for end in ends:
        lane = node if lanes[node] is None else _free(lanes)
        lanes[lane] = end
        taken.append(lane)
    return taken


def _free(lanes: list[str | None]) -> int:
    if None in lanes:
        return lanes.index(None)
    lanes.append(None)
    return len(lanes) - 1


def _centre(lane: int) -> float:
    return LANE * (min(lane, _MOST - 1) + 0.5)


def _line(start: int, top: float, end: int, bottom: float) -> str:
    """A curve from lane to lane; nothing for a lane that is left out."""
    if max(start, end) >= _MOST:
        return ""
    left, right = _centre(start), _centre(end)
    if left == right:
        return f"M{left:g} {top:g}V{bottom:g}"
    middle = (top + bottom) / 2
    return f"M{left:g} {top:g}C{left:g} {middle:g} {right:g} {middle:g} {right:g} {bottom:g}"
