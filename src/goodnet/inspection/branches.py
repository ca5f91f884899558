"""A way from the image to the answer that passes by most of the network.

A backdoor may be in the architecture itself: a branch that sees a trigger in the image, often
without any weights, and meets the value that the answer is made of. Retraining does not remove it.
In networks as they are published, branches begin behind a stem that all share, or meet again at
once; one that shares nothing with the rest, is far shorter than it, and meets it near the answer is
named here.

References:
    Bober-Irizar, Shumailov, Zhao, Mullins, Papernot, "Architectural Backdoors in Neural Networks",
    CVPR 2023 (arXiv:2206.07840): a path without weights from the image to the classifier.
    Langford, Shumailov, Zhao, Mullins, Papernot, "Architectural Neural Backdoors from First
    Principles", arXiv:2402.06957, 2024: separate, interleaved and shared paths, of which the
    separate ones are named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_

from goodnet.formats.channels import Graph, passing
from goodnet.formats.spec import Layer
from goodnet.inspection.finding import Finding, Oddity, Rule, Subject
from goodnet.ops.op import Joined, Merged

RULE = Rule(
    "side-branch",
    "warning",
    "A branch from the image meets the logits",
    "A short branch depends on the image, shares no layer with the rest of the network and meets "
    "it near the answer, as the detector of an architectural backdoor does. Retraining does not "
    "remove it: ask who built the network what the branch is for.",
)
# The other way is more than so many times as long.
_LONGER = 2


@dataclass(frozen=True)
class _Way:
    """How the image reaches a value.

    Attributes:
        learned: The most layers with weights on the way.
        layers: Those on all ways that have, or come after, weights: a bit for each place.
    """

    learned: int
    layers: int


def _find(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    ways, ahead = _ways(graph), _ahead(graph)
    for layer in graph.spec.layers:
        if not isinstance(passing(layer), Merged | Joined) or layer.name not in ahead:
            continue
        read = [name for name in dict.fromkeys(layer.inputs) if name in ways]
        rest = max(read, key=lambda name: ways[name].learned, default="")
        for branch in read:
            one, other = ways[branch], ways[rest]
            longer = other.learned > max(_LONGER * one.learned, ahead[layer.name], 1)
            if longer and not one.layers & other.layers:
                yield RULE.finding(
                    f"{branch!r} depends on the image through {_count(one.learned)} of its own and "
                    f"meets {rest!r}, which passed {_count(other.learned)}, in {layer.name!r} with "
                    f"{_count(ahead[layer.name])} ahead: a backdoor of the architecture looks so",
                    layer.name,
                )
                break


def _count(layers: int) -> str:
    return "no learned layer" if not layers else f"{layers} learned layer{'s' * (layers > 1)}"


def _learned(graph: Graph, layer: Layer) -> bool:
    weight = graph.spec.arrays.get(f"{layer.name}/weight")
    return layer.op in ("attention", "opaque") or weight is not None


def _ways(graph: Graph) -> dict[str, _Way]:
    """The ways to all values that depend on the image."""
    found = {graph.spec.layers[0].name: _Way(0, 0)}
    for place, layer in enumerate(graph.spec.layers[1:]):
        given = [found[name] for name in layer.inputs if name in found]
        weight = graph.spec.arrays.get(f"{layer.name}/weight")
        if not given or (weight is not None and not weight.any()):
            continue  # the same whatever the image
        learned = max(each.learned for each in given) + _learned(graph, layer)
        layers = reduce(or_, (each.layers for each in given))
        found[layer.name] = _Way(learned, layers | (bool(learned) << place))
    return found


def _ahead(graph: Graph) -> dict[str, int]:
    """The most layers with weights between each value and the answer, of those it reaches."""
    found = {graph.spec.output: 0}
    for layer in reversed(graph.spec.layers):
        if layer.name in found:
            count = found[layer.name] + _learned(graph, layer)
            for name in layer.inputs:
                found[name] = max(found.get(name, 0), count)
    return found


ODDITY = Oddity((RULE,), _find)
