"""The operations of ONNX that move the numbers of a sequence, as views of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats.onnx.views import NoStrides, View
from goodnet.ops.onnx import Constant, Node


def moved(node: Node, view: View) -> View | None:
    """The view that an operation gives of one; None if it moves numbers out of any view.

    Raises:
        InvalidInput: If it cannot be applied to it.
    """
    try:
        return MOVES[node.kind](node, view)
    except NoStrides:
        return None
    except (ValueError, IndexError, OverflowError) as error:
        raise InvalidInput(f"operation {node.name!r} ({node.kind}): {error}") from error


def _integers(node: Node, view: View, place: int, name: str) -> tuple[int, ...]:
    """Whole numbers that are an attribute, or an operand, which may depend on the batch."""
    found = node.operands[place] if place < len(node.operands) else None
    if found is None:
        return node.integers(name)
    if not isinstance(found, Constant):
        raise node.error(f"operand {place} to be constant")
    return tuple(map(int, found.of(view.images).reshape(-1).tolist()))


def _place(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} among {rank}")
    return axis % rank


def _reshape(node: Node, view: View) -> View:
    target = list(_integers(node, view, 1, "shape"))
    if not node.integer("allowzero", 0):
        target = [view.shape[at] if size == 0 else size for at, size in enumerate(target)]
    return view.reshaped(_filled(target, math.prod(view.shape)))


def _filled(target: list[int], total: int) -> list[int]:
    """A shape with what is left for its size of -1."""
    rest = math.prod(size for size in target if size != -1)
    if target.count(-1) > 1 or min(target, default=1) < -1 or rest < 1 or total % rest:
        raise ValueError(f"{total} numbers do not make a shape of {target[:8]}")
    return [total // rest if size == -1 else size for size in target]


def _flatten(node: Node, view: View) -> View:
    axis = node.integer("axis", 1)
    place = axis if axis == len(view.axes) else _place(axis, len(view.axes))
    return view.reshaped([math.prod(view.shape[:place]), math.prod(view.shape[place:])])


def _transpose(node: Node, view: View) -> View:
    return view.transposed(node.integers("perm", range(len(view.axes))[::-1]))


def _squeeze(node: Node, view: View) -> View:
    given = _integers(node, view, 1, "axes")
    axes = {_place(axis, len(view.axes)) for axis in given}
    kept = [size for at, size in enumerate(view.shape) if at not in axes and (given or size > 1)]
    return view.reshaped(kept)


def _unsqueeze(node: Node, view: View) -> View:
    given = _integers(node, view, 1, "axes")
    rank = len(view.axes) + len(given)
    shape = list(view.shape)
    for place in sorted(_place(axis, rank) for axis in given):
        shape.insert(place, 1)
    return view.reshaped(shape)


def _gather(node: Node, view: View) -> View:
    """One of the parts along an axis, or all numbers of a row, in their order."""
    place, given = _place(node.integer("axis", 0), len(view.axes)), node.operands[1]
    if not isinstance(given, Constant):
        raise node.error("operand 1 to be constant")
    size, index = view.shape[place], given.of(view.images)
    if len(view.axes) == 1 and np.array_equal(index.reshape(-1), np.arange(size)):
        return view.reshaped(index.shape)
    if index.size != 1:
        raise ValueError("one part of a sequence is read, not several in any order")
    cut = view.cut(place, range(size)[int(index.item())], 1)
    return cut.reshaped([*view.shape[:place], *index.shape, *view.shape[place + 1 :]])


def _slice(node: Node, view: View) -> View:
    names = enumerate(("starts", "ends", "axes", "steps"), start=1)
    starts, ends, axes, steps = (_integers(node, view, place, name) for place, name in names)
    axes, steps = axes or tuple(range(len(starts))), steps or (1,) * len(starts)
    if any(step != 1 for step in steps):
        raise ValueError("some steps or features are left out between others")
    for axis, start, end in zip(axes, starts, ends, strict=True):
        place = _place(axis, len(view.axes))
        part = range(view.shape[place])[start:end]
        if not part:
            raise ValueError(f"nothing of {view.shape[place]} is left from {start} to {end}")
        if len(part) < view.shape[place]:
            view = view.cut(place, part.start, len(part))
    return view


MOVES: Mapping[str, Callable[[Node, View], View]] = {
    "Flatten": _flatten,
    "Gather": _gather,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
