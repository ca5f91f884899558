"""The network as a picture: for each layer a row with its edges, a block and its size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from goodnet.report import words
from goodnet.report.evidence import drop_of, shown_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Run
    from goodnet.results import LayerRecord

ROW, LANE = 36, 18  # pixels: height of a row, distance of two edges
_MOST = 12  # edges beside each other; a network with more has the rest left out


@dataclass(frozen=True)
class Edges:
    """The edges in one row.

    Attributes:
        node: Where the layer's dot is, pixels from the left.
        lines: SVG paths from the top of the row, or to its bottom.
    """

    node: float
    lines: tuple[str, ...]


def route_edges(layers: Sequence[LayerRecord]) -> tuple[Edges, ...]:
    """Lay an edge from each layer to each that reads it.

    An edge keeps its lane from row to row. A layer stands in the first lane that ends at it, or
    in the first free one; what leaves it starts in its lane and in free ones.

    Args:
        layers: In running order: each comes after those it reads.

    Returns:
        The edges of each row.
    """
    readers = _readers(layers)
    lanes: list[str | None] = []  # by lane: the layer at which the edge in it ends
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
        rows.append(Edges(_centre(node), tuple(line for line in lines if line)))
    return tuple(rows)


def _readers(layers: Sequence[LayerRecord]) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    seen: set[str] = set()
    for layer in layers:
        for source in dict.fromkeys(layer.inputs):
            if source in seen:
                known.setdefault(source, []).append(layer.name)
        seen.add(layer.name)
    return known


def _leave(lanes: list[str | None], node: int, ends: Sequence[str]) -> list[int]:
    """Start an edge to each reader, the first in the node's own lane; their lanes."""
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


_BLOCK = (34, 26)  # the largest block, pixels
_KINDS = {
    "conv2d": "conv",
    "depthwise_conv2d": "conv",
    "separable_conv2d": "conv",
    "dense": "dense",
    "input": "input",
}


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        layer: What the file says of it.
        kind: "conv", "dense", "pool", "input" or "other": its colour.
        share: Of all parameters, 0..100.
        block: Width and height that stand for its channels and its pixels.
        edges: The lines beside it.
        pruned: Whether its channels were silenced.
    """

    layer: LayerRecord
    kind: str
    share: float
    block: tuple[float, float]
    edges: Edges
    pruned: bool

    @property
    def shape(self) -> str:
        """Of its value."""
        return " \u00d7 ".join("?" if size is None else str(size) for size in self.layer.shape)


def layer_rows(run: Run) -> tuple[LayerRow, ...]:
    """The layers in running order; none where the folder does not tell of them."""
    total = max(sum(layer.parameters for layer in run.layers), 1)
    sizes = [_sizes(layer) for layer in run.layers]
    wide, high = (max((size[i] for size in sizes), default=1.0) for i in (0, 1))
    return tuple(
        LayerRow(
            layer,
            _KINDS.get(layer.op) or ("pool" if "pool" in layer.op else "other"),
            100 * layer.parameters / total,
            (round(max(_BLOCK[0] * w / wide, 3), 1), round(max(_BLOCK[1] * h / high, 4), 1)),
            beside,
            bool(run.pruned_layer) and layer.name == run.pruned_layer,
        )
        for layer, (w, h), beside in zip(run.layers, sizes, route_edges(run.layers), strict=True)
    )


def _sizes(layer: LayerRecord) -> tuple[float, float]:
    """Channels on a logarithmic scale, and the side of its pixels; both at least 1."""
    channels, *pixels = [size or 1 for size in layer.shape] or [1]
    return math.log2(channels + 1), math.sqrt(min(math.prod(pixels), 1e12))


def size_text(run: Run) -> str:
    """How many parameters the network has and which of them pruning makes needless."""
    before, after = run.parameters
    text = f"{words.amount(before)} parameters"
    if after is not None:
        saved = f" (\u2212{100 * (1 - after / before):.1f}\u00a0%)" if before and after else ""
        text += f"; {words.amount(after)} with the silent channels removed{saved}"
    trial = shown_trial(run)
    drop = drop_of(run, trial)
    if trial is None or run.curve is None or drop is None or drop.channels_pruned is None:
        return f"{text}."
    channels = f"{drop.channels_pruned} of the {len(run.curve.mean_activation)} channels"
    layer = words.name(run.pruned_layer)
    return f"{text}. At {words.unbroken(trial.name)}, {channels} of {layer} are silent."
