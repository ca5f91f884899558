"""Attention as graphs have it: a product of two values, a softmax, and a product with a third.

What lies between the layers around it, reshapes and transposes above all, is followed by
`formats.onnx.views`, so that the layer reads whole sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from goodnet.formats.onnx.moves import MOVES, moved
from goodnet.formats.onnx.views import FEATURE, IMAGE, STEP, Axis, Digit, View, axis, steps_to
from goodnet.ops.activations import FIRST_SOFTMAX
from goodnet.ops.ends import PASSED_ON, check_passed_on
from goodnet.ops.onnx import BATCHES, Constant, Found, Node, Value
from goodnet.ops.op import product

_SEQUENCE = 2  # axes of a sequence (steps, features)
# Operations that treat every row for itself.
_BY_ROW = ("Add", "Gemm", "MatMul")
_ROUNDING = 1e-6

Add = Callable[[str, Found], Value]


@dataclass(frozen=True, eq=False)
class Viewed:
    """A sequence in other places.

    Attributes:
        name: Of the operation that gives it.
        value: The sequence.
        views: Of batches of `BATCHES` images.
        factor: What all its numbers are multiplied by.
    """

    name: str
    value: Value
    views: tuple[View, ...]
    factor: float = 1.0

    def shape(self, images: int) -> tuple[int, ...]:
        """Of a batch of so many."""
        return self.views[BATCHES.index(images)].shape

    def settled(self, add: Add) -> Value | None:
        """The value of layers that give it; None if images do not come first in it."""
        own = self.value.shape
        shape = own if len(own) == _SEQUENCE else (1, product(own))
        found = steps_to(self.views, *(size or 0 for size in shape))
        if found is None:
            return None
        if shape != own and len(found) > 1:
            found.insert(0, ("reshape", {"shape": shape, "order": "chw"}))
        if self.views[0].shape[1:] == own and len(found) == 1:
            found = []  # what it is already
        if self.factor != 1:
            found.append(("rescale", {"scale": self.factor, "offset": 0.0}))
        value = self.value
        for place, (op, attributes) in enumerate(found, start=1):
            name = self.name if place == len(found) else f"{self.name}/{place}"
            value = add(name, Found(op, (value,), attributes))
        return value


@dataclass(frozen=True, eq=False)
class Scores:
    """How much each step of a sequence reads of each of another, head by head.

    Attributes:
        query: What reads.
        key: What is read.
        factor: What the products are multiplied by.
        weighed: Whether a softmax has made shares of them.
    """

    query: Viewed
    key: Viewed
    factor: float = 1.0
    weighed: bool = False

    def shape(self, images: int) -> tuple[int, ...]:
        """Of a batch of so many."""
        return (*self.query.shape(images)[:-1], self.key.shape(images)[-2])


Moved = Viewed | Scores
Operands = Sequence[Value | Constant | Moved | None]


def is_read(node: Node, operands: Operands) -> bool:
    """Whether an operation moves a sequence, or is a part of attention."""
    if any(isinstance(x, Scores) for x in operands) or node.kind in ("Attention", *MOVES):
        first = operands[0]
        apart = node.kind in MOVES and not isinstance(first, Moved) and not _is_sequence(first)
        return not apart or _mixes_images(node, first)
    if node.kind == "MatMul":
        return not any(isinstance(x, Constant) for x in operands)
    return isinstance(operands[0], Viewed) and _scale(node, operands) is not None


def read(node: Node, operands: Operands, add: Add) -> Value | Moved | None:
    """What such an operation gives; None where it is to be read as a layer.

    Raises:
        InvalidInput: If it is of another kind than attention takes.
    """
    first = operands[0]
    if node.kind == "Attention":
        return _of_attention(node, operands, add)
    if isinstance(first, Scores) or any(isinstance(x, Scores) for x in operands):
        return _of_scores(node, operands, add)
    if node.kind == "MatMul":
        if len(operands) != 2:
            raise node.error(f"two values, got {len(operands)}")
        left, right = (_viewed(node, x) for x in operands)
        ranks = [len(x.views[0].axes) for x in (left, right)]
        if min(ranks) < _SEQUENCE + 1:
            raise node.error("sequences of images, or of their heads")
        order = [*range(ranks[1])]
        turned = [*order[:-2], *order[:-3:-1]]
        key = replace(right, views=tuple(x.transposed(turned) for x in right.views))
        return Scores(left, key, left.factor * right.factor)
    viewed, scale = _viewed(node, first), _scale(node, operands)
    if scale is not None:
        return replace(viewed, name=node.name, factor=viewed.factor * scale)
    views = tuple(x for view in viewed.views if (x := moved(node, view)) is not None)
    return replace(viewed, name=node.name, views=views) if len(views) == len(BATCHES) else None


def rows(node: Node, operands: Operands) -> Viewed | None:
    """The sequence whose rows an operation reads, in whatever order; None if it does not."""
    viewed = next((x for x in operands if isinstance(x, Viewed)), None)
    constants = [x for x in operands if isinstance(x, Constant)]
    if viewed is None or viewed.factor != 1 or node.kind not in _BY_ROW or not constants:
        return None
    flat = node.kind != "Add" or all(x.array.ndim == 1 for x in constants)
    whole = axis([Digit(FEATURE, 1, viewed.value.shape[-1] or 0)])
    fits = all(x.axes[-1:] == (whole,) and not x.starts[FEATURE] for x in viewed.views)
    return viewed if flat and fits else None


def _is_sequence(operand: object) -> bool:
    return (
        isinstance(operand, Value)
        and operand.rank == _SEQUENCE
        and all(size for size in operand.shape)
    )


def _mixes_images(node: Node, operand: object) -> bool:
    """Whether all numbers of a batch become one row, out of which exporters may take them again."""
    target = node.operands[1] if node.kind == "Reshape" and len(node.operands) == 2 else None
    return (
        isinstance(operand, Value)
        and isinstance(target, Constant)
        and target.array.shape == (1,)
        and bool(product(operand.shape))
        and operand.axes.order == "chw"
    )


def _viewed(node: Node, operand: object) -> Viewed:
    """A sequence as it is; another value that is to be moved as a sequence of one step."""
    if isinstance(operand, Viewed):
        return operand
    if not isinstance(operand, Value) or not (_is_sequence(operand) or node.kind in MOVES):
        raise node.error("attention of sequences (steps, features) of known size")
    whole = (1, product(operand.shape))
    steps, features = (size or 0 for size in (operand.shape if _is_sequence(operand) else whole))
    views = tuple(View.whole(images, steps, features) for images in BATCHES)
    return Viewed(operand.layer, operand, views)


def _scale(node: Node, operands: Operands) -> float | None:
    """What an operation multiplies by, where it does that."""
    numbers = [x for x in operands if isinstance(x, Constant)]
    if node.kind not in ("Mul", "Div") or len(operands) != 2 or len(numbers) != 1:
        return None
    one = numbers[0].array.size == 1 and numbers[0].other is None
    number = float(numbers[0].array.item()) if one else 0.0
    inverse = node.kind == "Div"
    if not math.isfinite(number) or not number or (inverse and numbers[0] is operands[0]):
        return None
    return 1 / number if inverse else number


def _of_scores(node: Node, operands: Operands, add: Add) -> Value | Moved:
    """A factor, a softmax along what is read, and the product with what is given for it."""
    scores = next(x for x in operands if isinstance(x, Scores))
    scale = _scale(node, operands)
    if scale is not None and not scores.weighed:
        return replace(scores, factor=scores.factor * scale)
    last, usual = len(scores.shape(BATCHES[0])) - 1, -1 if node.opset >= FIRST_SOFTMAX else 1
    if node.kind == "Softmax" and node.integer("axis", usual) in (-1, last):
        return replace(scores, weighed=True)
    if node.kind == "MatMul" and scores.weighed and operands[0] is scores and len(operands) == 2:
        return _attended(node, scores, _viewed(node, operands[1]), add)
    if node.kind in PASSED_ON:
        check_passed_on(node)
        return scores
    if _adds_nothing(node, scores, operands):
        return scores
    raise node.error(
        "a factor, a softmax and a product in attention, of which a mask or an offset is not read"
    )


def _adds_nothing(node: Node, scores: Scores, operands: Operands) -> bool:
    """Whether it is the sum with a mask that masks nothing."""
    masks = [x for x in operands if isinstance(x, Constant)]
    return (
        (node.kind, len(operands), len(masks)) == ("Add", 2, 1)
        and not any(masks[0].of(images).any() for images in BATCHES)
        and all(_fits(masks[0].of(x).shape, scores.shape(x)) for x in BATCHES)
    )


def _fits(mask: tuple[int, ...], scores: tuple[int, ...]) -> bool:
    pairs = zip(mask[::-1], scores[::-1], strict=False)
    return len(mask) <= len(scores) and all(x in (1, y) for x, y in pairs)


def _of_attention(node: Node, operands: Operands, add: Add) -> Value | Moved:
    """The operation of version 23, whose heads are an axis, or are counted by an attribute."""
    node.must_be(is_causal=0, softcap=0.0, qk_matmul_output_mode=0)
    if len(operands) < 3 or any(operands[3:]):
        raise node.error("a query, a key and a value, no mask")
    heads = node.integer("q_num_heads", 0)
    if heads != node.integer("kv_num_heads", heads):
        raise node.error("as many heads for the key as for the query")
    query, key, value = (_by_head(node, _viewed(node, x), heads) for x in operands[:3])
    width = query.shape(BATCHES[0])[-1]
    factor = query.factor * key.factor * node.number("scale", width**-0.5)
    found = _attended(node, Scores(query, key, factor), value, add)
    return replace(_viewed(node, found.value), factor=found.factor) if heads else found


def _by_head(node: Node, viewed: Viewed, heads: int) -> Viewed:
    """A sequence (images, steps, features) as (images, heads, steps, features)."""
    if not heads:
        return viewed
    try:
        views = tuple(_split(view, heads) for view in viewed.views)
    except ValueError as error:
        raise node.error(f"{heads} heads of equal size") from error
    return replace(viewed, views=views)


def _split(view: View, heads: int) -> View:
    images, steps, features = view.shape
    return view.reshaped((images, steps, heads, features // heads)).transposed((0, 2, 1, 3))


def _attended(node: Node, scores: Scores, value: Viewed, add: Add) -> Viewed:
    """The layer, whose value is a sequence with the features of all heads."""
    given = (scores.query, value, scores.key)
    (heads, width), (others, features), _ = sizes = [_heads(node, x) for x in given]
    if any(len({x.shape(images)[:-2] for x in given}) > 1 for images in BATCHES):
        raise node.error(f"the same heads of each, got {heads} and {others}")
    factor = scores.factor * width**0.5
    near = abs(factor - 1) < _ROUNDING  # what the layer multiplies by itself
    factors = (1.0 if near else factor, 1.0, 1.0)
    read = [
        _flat(x, count * size, factor).settled(add)
        for x, (count, size), factor in zip(given, sizes, factors, strict=True)
    ]
    inputs = tuple(x for x in read if x is not None)
    if len(inputs) < len(read):
        raise node.error("whole sequences of each image")
    made = add(node.name, Found("attention", inputs, {"heads": heads}))
    views = tuple(
        View(x.images, _by_heads(x, made.shape[0] or 0, features)) for x in scores.query.views
    )
    return Viewed(node.name, made, views, value.factor)


def _heads(node: Node, viewed: Viewed) -> tuple[int, int]:
    """How many heads there are, and the features of each."""
    found = {_counted(view) for view in viewed.views}
    if len(found) == 1 and (counts := found.pop()):
        return counts
    raise node.error("images, heads, steps and the features of each head, in that order")


def _counted(view: View) -> tuple[int, int] | None:
    if len(view.axes) < _SEQUENCE + 1:
        return None
    *lead, steps, features = view.axes
    width = view.shape[-1]
    images, heads = axis(lead[0])[:1], [digit for each in lead for digit in each][1:]
    plain = steps == axis([Digit(STEP, 1, view.shape[-2])])
    plain = plain and features == axis([Digit(FEATURE, 1, width)])
    if not plain or images != (Digit(IMAGE, 1, view.images),) or len(heads) > 1:
        return None
    count = heads[0].size if heads else 1
    return (count, width) if axis(heads) == axis([Digit(FEATURE, width, count)]) else None


def _flat(viewed: Viewed, features: int, factor: float) -> Viewed:
    """The sequence whose features are those of all heads."""
    views = tuple(
        replace(
            x,
            axes=(
                axis([Digit(IMAGE, 1, x.images)]),
                x.axes[-2],
                axis([Digit(FEATURE, 1, features)]),
            ),
        )
        for x in viewed.views
    )
    return replace(viewed, views=views, factor=factor)


def _by_heads(view: View, steps: int, features: int) -> tuple[Axis, ...]:
    """The axes of what attention gives for a query that is viewed like this."""
    lead = (
        axis(x if x.source == IMAGE else Digit(FEATURE, features, x.size) for x in each)
        for each in view.axes[:-2]
    )
    return (*lead, axis([Digit(STEP, 1, steps)]), axis([Digit(FEATURE, 1, features)]))
