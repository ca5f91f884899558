"""Taking a traced graph apart: which values a cut crosses, its head and its tail, its shapes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn


def identifier(name: str, index: int, root: nn.Module) -> str:
    """A submodule name that is free in `root` and safe in code: `name` itself where possible."""
    # torch.fx writes targets into generated code, so a name of the file is used only when it is
    # a harmless identifier; the layer keeps its true name in `Network.layers`.
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name)
    if plain and not keyword.iskeyword(name) and not hasattr(root, name):
        return name
    candidate = f"layer_{index}"
    while hasattr(root, candidate):
        candidate += "_"
    return candidate


def record_shapes(graph: fx.GraphModule, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Run a graph once; the shape of each node's value, without the batch axis."""
    recorder = _ShapeRecorder(graph)
    with torch.inference_mode():
        recorder.run(image)
    return recorder.shapes


class _ShapeRecorder(fx.Interpreter):
    """Runs a graph once and notes the shape of each value, without the batch axis."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape[1:])
        return value


def named(graph: fx.GraphModule, name: str) -> fx.Node:
    """The node of that name."""
    found: fx.Node = next(node for node in graph.graph.nodes if node.name == name)
    return found


def output_node(graph: fx.GraphModule) -> fx.Node:
    """The node that returns the answer."""
    found: fx.Node = next(node for node in graph.graph.nodes if node.op == "output")
    return found


@dataclass(frozen=True)
class Halves:
    """A graph split behind one node.

    Attributes:
        head: Images -> the values that cross.
        tail: Those values -> the output.
        crossing: The nodes whose values cross, the one cut behind first.
        behind: The nodes of the tail.
    """

    head: fx.GraphModule
    tail: fx.GraphModule
    crossing: tuple[fx.Node, ...]
    behind: frozenset[fx.Node]


def split(whole: fx.GraphModule, node: fx.Node) -> Halves | None:
    """Split a graph so that its tail is all that depends on a node; None if the output does not."""
    behind = frozenset(_reach([node], lambda n: n.users) - {node})
    if output_node(whole) not in behind:
        return None
    others = [
        other
        for other in whole.graph.nodes
        if other is not node
        and other not in behind
        and other.op != "get_attr"
        and any(user in behind for user in other.users)
    ]
    crossing = (node, *others)
    return Halves(_head(whole, crossing), _tail(whole, crossing, behind), crossing, behind)


def _reach(
    start: Iterable[fx.Node], neighbours: Callable[[fx.Node], Iterable[fx.Node]]
) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(neighbours(node))
    return found


def _head(whole: fx.GraphModule, crossing: Sequence[fx.Node]) -> fx.GraphModule:
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    needed = _reach(crossing, lambda n: n.all_input_nodes)
    for node in whole.graph.nodes:
        if node.op == "placeholder" or node in needed:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in crossing))
    return fx.GraphModule(whole, graph)


def _tail(
    whole: fx.GraphModule, crossing: Sequence[fx.Node], behind: AbstractSet[fx.Node]
) -> fx.GraphModule:
    graph = fx.Graph()
    copies = {node: graph.placeholder(f"crossing_{i}") for i, node in enumerate(crossing)}
    for node in whole.graph.nodes:
        if node.op == "get_attr" or (node in behind and node.op != "output"):
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[output_node(whole).all_input_nodes[0]])
    return fx.GraphModule(whole, graph)


def last_linear(graph: fx.GraphModule) -> fx.Node | None:
    """The module with a matrix as its weight that gives the output, if one does.

    What has no weights of its own and reads one value only, such as a softmax, is passed over.
    """
    node = output_node(graph).all_input_nodes[0]
    while len(node.all_input_nodes) == 1:
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 2:
            return node
        if module is not None and any(True for _ in module.parameters()):
            return None
        node = node.all_input_nodes[0]
    return None
