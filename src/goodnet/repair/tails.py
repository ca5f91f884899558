"""The part of a network behind a layer, smaller and smaller as the layer's channels fall silent.

A silent channel costs as much as any other until it is removed. So whenever half of the channels
are gone, the tail is made anew without them. A softmax at the end is left out altogether: it does
not change which output is largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.compact import compact
from goodnet.formats.softmax import without_softmax
from goodnet.network import Cut, Network

__all__ = ["Tail", "plan_tails"]


@dataclass(frozen=True)
class Tail:
    """What runs behind a layer from one step on.

    Attributes:
        step: The first group of channels it is used for.
        channels: Channels of the layer that it reads, in order.
        cut: The network it is the tail of.
    """

    step: int
    channels: tuple[int, ...]
    cut: Cut


def plan_tails(network: Network, layer: str, groups: Sequence[Sequence[int]]) -> list[Tail]:
    """The tails to use as groups of channels fall silent; the first reads all channels.

    There is only one where values pass by the layer or its channels are tied to others.
    """
    everything = tuple(range(network.channels(layer)))
    spec = without_softmax(network.spec)
    tails = [Tail(0, everything, build(spec).to(network.device).cut(layer))]
    silent: list[int] = []
    for step, group in enumerate(groups):
        silent.extend(group)
        left = tuple(channel for channel in everything if channel not in silent)
        if not left or tails[0].cut.values > 1 or 2 * len(left) > len(tails[-1].channels):
            continue
        try:
            smaller = build(compact(spec, layer, silent))
        except InvalidInput:
            break
        tails.append(Tail(step, left, smaller.to(network.device).cut(layer)))
    return tails
