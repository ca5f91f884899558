"""Operations that exporters write as several smaller ones, put together again.

GELU before version 20 of the operations, layer normalisation before version 17, and a softmax that
gives no NaN, vectors of length one and local response normalisation, as PyTorch has them. What is
left of the smaller ones leads nowhere and is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from goodnet.formats.onnx.model import Graph, GraphNode, Tensor

_CLOSE = 1e-3
# The squares of channels pooled, the last operation first.
_POOLED = ("Squeeze", "AveragePool", "Pad", "Reshape", "Mul")
_LEAST = 1e-6  # by which a vector may be divided at least


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
        looked_for = {
            "Erf": self._gelu,
            "IsNaN": self._softmax,
            "Pow": self._local_response_norm,
            "ReduceL2": self._unit_norm,
            "Sqrt": self._layer_norm,
        }.get(node.kind)
        made = looked_for(node) if looked_for and node.outputs and _has_inputs(node) else None
        return [made] if made else []

    def _gelu(self, erf: GraphNode) -> GraphNode | None:
        """`x / 2 * (1 + erf(x / sqrt(2)))`."""
        inner = self._given(erf.inputs[0], "Div", "Mul")
        if inner is None or not self._is_number(
            inner.inputs[1], 2**0.5 if inner.kind == "Div" else 0.5**0.5
        ):
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
        if last is None:
            return None
        rest = _other(last, product)
        if (factor == x and self._is_number(rest, 0.5)) or (
            rest == x and self._is_number(factor, 0.5)
        ):
            return replace(last, kind="Gelu", inputs=(x,), attributes={})
        return None

    def _softmax(self, test: GraphNode) -> GraphNode | None:
        """A softmax with zeros in place of NaN, which it gives where all is masked."""
        name, chosen = test.inputs[0], self._reader(test)
        giver = self._giver.get(name)
        if chosen is None or chosen.kind != "Where" or giver is None or giver.kind != "Softmax":
            return None
        first, zero, last = chosen.inputs if len(chosen.inputs) == 3 else ("", "", "")
        if (first, last) != (test.outputs[0], name) or self._number(zero) != 0:
            return None
        return replace(chosen, kind="Identity", inputs=(name,), attributes={})

    def _unit_norm(self, length: GraphNode) -> GraphNode | None:
        """`x / max(|x|, epsilon)`, the length perhaps expanded to the shape of x."""
        axes, x, shape, last = self._axes(length), length.inputs[0], "", length
        following = self._reader(last)
        if following is not None and following.kind in ("Clip", "Max"):
            ends = following.inputs[1:]
            least = self._number(ends[0]) if ends and not any(ends[1:]) else None
            if least is None or not 0 <= least <= _LEAST or following.attributes:
                return None
            last, following = following, self._reader(following)
        if following is not None and following.kind == "Expand" and len(following.inputs) == 2:
            last, shape = following, following.inputs[1]
        whole = self._next(last, "Div")
        kept = length.attributes.get("keepdims", 1)
        if whole is None or whole.inputs[0] != x or len(axes) != 1 or not kept:
            return None
        attributes = {"axis": axes[0], "p": 2}
        return replace(whole, kind="LpNormalization", inputs=(x, shape), attributes=attributes)

    def _local_response_norm(self, power: GraphNode) -> GraphNode | None:
        """`x / (k + alpha * mean(squares of neighbouring channels)) ** beta`."""
        beta, added = self._number(power.inputs[1]), self._given(power.inputs[0], "Add")
        scaled = (
            next((v for x in added.inputs if (v := self._given(x, "Mul"))), None) if added else None
        )
        whole = self._next(power, "Div")
        if beta is None or added is None or scaled is None or whole is None:
            return None
        mean = next((x for x in scaled.inputs if not self._is_constant(x)), "")
        alpha, bias = self._number(_not(scaled, mean)), self._number(_other(added, scaled))
        x = whole.inputs[0]
        reshaped = self._giver.get(mean)
        back = reshaped is not None and reshaped.kind == "Reshape"
        row = self._row(mean, (*["Reshape"] * back, *_POOLED))
        if row is None or alpha is None or bias is None or row[-1].inputs != (x, x):
            return None
        squeeze, pool, pad, first, _ = row[back:]
        window = _integers(pool, "kernel_shape")
        if (
            len(window) != 3
            or window[1:] != (1, 1)
            or _integers(pool, "strides") != (1, 1, 1)
            or any(_integers(pool, "pads"))
            or pool.attributes.get("auto_pad", "NOTSET") != "NOTSET"
            or pad.attributes.get("mode", "constant") != "constant"
            or any(self._number(fill) != 0 for fill in pad.inputs[2:] if fill)
            or self._axes(squeeze) != (1,)
            or whole.inputs[1] != power.outputs[0]
        ):
            return None
        attributes = {"size": window[0], "alpha": alpha, "beta": beta, "bias": bias}
        inputs = (x, first.inputs[1], pad.inputs[1], *(row[0].inputs[1:2] if back else ()))
        return replace(whole, kind="LRN", inputs=inputs, attributes=attributes)

    def _row(self, name: str, kinds: Sequence[str]) -> list[GraphNode] | None:
        """The operations of some kinds that give a value, one behind another, the last first."""
        found: list[GraphNode] = []
        for kind in kinds:
            node = self._giver.get(name)
            if node is None or node.kind != kind or not node.inputs:
                return None
            if kind in ("Pad", "Reshape") and len(node.inputs) < 2:
                return None
            found.append(node)
            name = node.inputs[0]
        return found

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
        axes, whole = self._axes(mean), self._next(root, "Div")
        if (
            not axes
            or axes != self._axes(variance)
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
        reader = self._reader(node)
        fits = reader is not None and reader.kind == kind and len(reader.inputs) == 2
        return reader if fits else None

    def _reader(self, node: GraphNode) -> GraphNode | None:
        """The only operation that reads a value."""
        readers = self._readers[node.outputs[0]]
        return readers[0] if len(readers) == 1 and readers[0].outputs else None

    def _axes(self, node: GraphNode) -> tuple[int, ...]:
        """Those along which an operation goes, an attribute or an operand."""
        if len(node.inputs) == 1:
            return _integers(node, "axes")
        tensor = self._tensor(node.inputs[1])
        return () if tensor is None else tuple(tensor.array(self._folder).ravel().tolist())

    def _number(self, name: str) -> float | None:
        tensor = self._tensor(name)
        if tensor is None or tensor.size != 1:
            return None
        return float(tensor.array(self._folder).item())

    def _tensor(self, name: str) -> Tensor | None:
        tensor = self._graph.initializers.get(name)
        giver = self._giver.get(name)
        if tensor is None and giver is not None and giver.kind == "Constant":
            tensor = giver.attributes.get("value")
        return tensor if isinstance(tensor, Tensor) else None

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


def _integers(node: GraphNode, name: str) -> tuple[int, ...]:
    found = node.attributes.get(name, ())
    whole = isinstance(found, tuple) and all(isinstance(x, int) for x in found)
    return found if whole else ()


def _has_inputs(node: GraphNode) -> bool:
    return len(node.inputs) == 2 if node.kind == "Pow" else bool(node.inputs)
