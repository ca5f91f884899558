"""The order in which Keras itself lists the layers of a model; weights are stored in this order.

Keras numbers layers from the output backwards: by depth (the longest way to the output), and
within a depth by a depth-first walk. A file's own list mostly has the same order, but only this one
counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from goodnet.errors import InvalidInput

__all__ = ["Node", "keras_order"]

# A layer and which of its calls: a layer may be applied more than once.
Node = tuple[str, int]


def keras_order(parents: Mapping[Node, Sequence[Node]], output: Node) -> list[Node]:
    """Sort the calls a model's output depends on.

    Args:
        parents: For each call, the calls whose values it reads.
        output: The call whose value is the model's output.

    Returns:
        The calls in Keras' order, every call after all it reads; others are left out.

    Raises:
        InvalidInput: If the calls form a cycle.
    """
    finished, first_seen = _walk(parents, output)
    depths: dict[Node, int] = {}
    layer_depths: dict[str, int] = {}
    for node in reversed(finished):
        depth = max(depths.get(node, 0), layer_depths.get(node[0], 0))
        depths[node] = layer_depths[node[0]] = depth
        for parent in parents[node]:
            depths[parent] = max(depths.get(parent, 0), depth + 1)
    return sorted(finished, key=lambda node: (-depths[node], first_seen[node[0]], node[1]))


def _walk(
    parents: Mapping[Node, Sequence[Node]], output: Node
) -> tuple[list[Node], dict[str, int]]:
    """Depth first: calls in the order they are finished, and layers by when they are first seen."""
    finished: dict[Node, None] = {}
    first_seen = {output[0]: 0}
    path: dict[Node, Iterator[Node]] = {output: iter(parents[output])}
    while path:
        node = next(reversed(path))
        parent = next((p for p in path[node] if p not in finished), None)
        if parent is None:
            finished[node] = None
            del path[node]
        elif parent in path:
            raise InvalidInput(f"layer {parent[0]!r} reads its own value in a cycle")
        else:
            first_seen.setdefault(parent[0], len(first_seen))
            path[parent] = iter(parents[parent])
    return list(finished), first_seen
