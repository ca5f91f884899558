"""Channels that are zero for every image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goodnet.inspection.bounds import is_rectifier
from goodnet.inspection.finding import Finding, Oddity, Rule, Subject

SILENT = Rule(
    "silent-channels",
    "warning",
    "All weights of a channel are zero",
    "Channels that were pruned have no weights left. In a network that is said not to be pruned, "
    "they may be room that was left for something: ask who trained it.",
)
DEAD = Rule(
    "dead-channels",
    "note",
    "A channel can never be active",
    "What such a channel is given is never above zero, and its activation makes zero of that. "
    "Training leaves some such channels in many networks.",
)
DEAD_LAYER = Rule(
    "dead-layer",
    "warning",
    "A layer can never be active",
    "All of its channels are zero for every image, so that it adds nothing to the network. "
    "Training leaves no such layers: it was damaged, or is there for another reason.",
)
_WITH_WEIGHTS = ("conv2d", "dense", "batch_norm")


def _silent(subject: Subject) -> Iterator[Finding]:
    for layer in subject.spec.layers:
        count = int(subject.silent[layer.name].sum())
        if count and layer.op in _WITH_WEIGHTS:
            yield SILENT.finding(
                f"{count} of {subject.graph.shapes[layer.name][0]} channels of {layer.name} are "
                "all zero: the network was pruned, or room was left for something",
                layer.name,
            )


def _dead(subject: Subject) -> Iterator[Finding]:
    for name, given in subject.bounds.before.items():
        silent = subject.silent[name]
        if not silent.size or not is_rectifier(subject.graph.layers[name].attributes["activation"]):
            continue
        never = np.flatnonzero((given.over(silent.size).high <= 0) & ~silent).tolist()
        if never and len(never) + silent.sum() == silent.size:
            yield DEAD_LAYER.finding(
                f"none of the {silent.size} channels of {name} can ever be active: what they are "
                "given is never above 0",
                name,
            )
        elif never:
            yield DEAD.finding(
                f"{len(never)} of {silent.size} channels of {name} can never be active: what they "
                f"are given is never above 0 ({_listed(never)})",
                name,
            )


def _listed(channels: list[int], most: int = 8) -> str:
    shown = ", ".join(map(str, channels[:most]))
    return f"{shown}, ..." if len(channels) > most else shown


ODDITIES = (Oddity((SILENT,), _silent), Oddity((DEAD, DEAD_LAYER), _dead))
