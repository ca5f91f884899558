"""Operations that exporters write as several smaller ones, put together again.

GELU before version 20 of the operations, and layer normalisation before version 17. What is left
of the smaller ones leads nowhere and is not read.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from goodnet.formats.onnx.model import Graph, GraphNode, Tensor

_CLOSE = 1e-3


def recognised(graph: Graph, folder: Path) -> Graph:
    """The same model with fewer operations."""
    found = _Patterns(graph, folder)
    made = {new.outputs[0]: new for node in graph.nodes for new in found.of(node)}
    nodes = tuple(made.get(next(iter(node.outputs), ""), node) for node in graph.nodes)
    return replace(graph, nodes=nodes)


class _Patterns:
    def __init__(self, graph: Graph, folder: Path) -> None:
        self._graph, self._folder = graph, folder
        self._giver = {name: node for node in graph.nodes for name in node.outputs}
        self._readers: dict[str, list[GraphNode]] = defaultdict(list)
        for node in graph.nodes:
            for name in node.inputs:
                self._readers[name].append(node)

    def of(self, node: GraphNode) -> list[GraphNode]:
        """What a pattern is in which an operation stands at its place."""
        looked_for = {"Erf": self._gelu, "Sqrt": self._layer_norm}.get(node.kind)
        made = looked_for(node) if looked_for and node.inputs and node.outputs else None
        return [made] if made else []

    def _gelu(self, erf: GraphNode) -> GraphNode | None:
        """`x / 2 * (1 + erf(x / sqrt(2)))`."""
        inner = self._given(erf.inputs[0], "Div")
        if inner is None or not self._is_number(inner.inputs[1], 2**0.5):
            return None
        x = inner.inputs[0]
        added = self._next(erf, "Add")
        if added is None or not self._is_number(_other(added, erf), 1):
            return None
        product = self._next(added, "Mul")
        if product is None:
            return None
        factor = _other(product, added)
        half = self._given(factor, "Mul")
        if half is not None and x in half.inputs and self._is_number(_not(half, x), 0.5):
            return replace(product, kind="Gelu", inputs=(x,), attributes={})
        last = self._next(product, "Mul")
        if factor != x or last is None or not self._is_number(_other(last, product), 0.5):
            return None
        return replace(last, kind="Gelu", inputs=(x,), attributes={})

    def _layer_norm(self, root: GraphNode) -> GraphNode | None:
        """(x - mean) / sqrt(variance + epsilon), and perhaps a scale and an offset."""
        added = self._given(root.inputs[0], "Add")
        if added is None:
            return None
        variance = next((v for x in added.inputs if (v := self._given(x, "ReduceMean"))), None)
        epsilon = None if variance is None else self._number(_other(added, variance))
        square = None if variance is None else self._given(variance.inputs[0], "Pow", "Mul")
        if variance is None or epsilon is None or square is None:
            return None
        less = self._given(square.inputs[0], "Sub")
        squares = square.inputs[1] == square.inputs[0] or self._is_number(square.inputs[1], 2)
        mean = None if less is None else self._given(less.inputs[1], "ReduceMean")
        if less is None or mean is None or not squares or mean.inputs[0] != less.inputs[0]:
            return None
        axes = mean.attributes.get("axes")
        whole = self._next(root, "Div")
        if (
            not isinstance(axes, tuple)
            or axes != variance.attributes.get("axes")
            or whole is None
            or whole.inputs != (less.outputs[0], root.outputs[0])
        ):
            return None
        last, factors = whole, list[str]()
        for kind in ("Mul", "Add"):
            following = self._next(last, kind)
            if following is None or not self._is_constant(_other(following, last)):
                break
            factors.append(_other(following, last))
            last = following
        attributes = {"axis": axes[0], "epsilon": epsilon}
        inputs = (less.inputs[0], *factors)
        return replace(last, kind="LayerNormalization", inputs=inputs, attributes=attributes)

    def _given(self, name: str, *kinds: str) -> GraphNode | None:
        """What gives a value, if it is one of these operations of two inputs or a mean."""
        node = self._giver.get(name)
        if node is None or node.kind not in kinds or not node.outputs:
            return None
        return node if len(node.inputs) == 2 or node.kind == "ReduceMean" else None

    def _next(self, node: GraphNode, kind: str) -> GraphNode | None:
        """The only operation that reads a value, if it is of this kind and has two inputs."""
        readers = self._readers[node.outputs[0]]
        if len(readers) != 1 or readers[0].kind != kind or len(readers[0].inputs) != 2:
            return None
        return readers[0]

    def _number(self, name: str) -> float | None:
        tensor = self._graph.initializers.get(name)
        giver = self._giver.get(name)
        if tensor is None and giver is not None and giver.kind == "Constant":
            tensor = giver.attributes.get("value")
        if not isinstance(tensor, Tensor) or tensor.size != 1:
            return None
        return float(tensor.array(self._folder).item())

    def _is_constant(self, name: str) -> bool:
        giver = self._giver.get(name)
        if giver is not None and giver.kind == "Identity":  # of arrays that are the same
            name = giver.inputs[0]
        return name in self._graph.initializers or (giver is not None and giver.kind == "Constant")

    def _is_number(self, name: str, wanted: float) -> bool:
        found = self._number(name)
        return found is not None and abs(found - wanted) < _CLOSE


def _other(node: GraphNode, one: GraphNode) -> str:
    """What else it reads than the value of another."""
    return _not(node, one.outputs[0])


def _not(node: GraphNode, name: str) -> str:
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]
