"""What a layer is written as, found again in a graph operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from goodnet.formats.onnx.model import GraphNode
from goodnet.ops.expression import Expression, Operand, Parameter
from goodnet.ops.op import Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """Of an expression with a graph.

    Attributes:
        giver: The operation that gives each value of the graph.
        array: The numbers of a name; None where it has none.
        names: What the values and parameters of the expression are called in the graph, as far as
            it has been compared.
    """

    giver: Mapping[str, GraphNode]
    array: Callable[[str], Array | None]
    names: dict[str, str] = field(default_factory=dict)

    def fits(self, operand: Operand, name: str) -> bool:
        """Whether a name of the graph stands for the same, down to every number."""
        if isinstance(operand, Expression):
            return self._is_given(operand, name)
        if isinstance(operand, np.ndarray):
            found = self.array(name)
            return found is not None and _same(operand, found)
        if operand is None:
            return not name
        called = operand.name if isinstance(operand, Parameter) else operand
        return self.names.setdefault(called, name) == name

    def _is_given(self, expression: Expression, name: str) -> bool:
        node = self.giver.get(name)
        return (
            node is not None
            and node.kind == expression.kind
            and node.attributes == expression.attributes
            and len(node.inputs) == len(expression.operands)
            and all(map(self.fits, expression.operands, node.inputs))
        )


def _same(one: Array, two: Array) -> bool:
    return one.dtype == two.dtype and one.shape == two.shape and np.array_equal(one, two)
