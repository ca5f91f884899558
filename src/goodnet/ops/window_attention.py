"""Attention of pixels within windows of a picture, with a learned bias for each way between two.

With a shift the windows lie over the picture as if its ends met; pixels that do not meet in it do
not read each other.

References:
    Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.ops.attributes import WHOLE, Kind
from goodnet.ops.expression import Expression, Operand, Written, apply, number, sizes
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import (
    PICTURE,
    Array,
    Attributes,
    Cost,
    Given,
    Layer,
    Op,
    Shape,
    product,
    register,
)

if TYPE_CHECKING:
    from torch import Tensor

# What is added where two pixels do not read each other, as in the authors' code.
_APART = -100.0


def _shape(given: Given) -> Shape:
    window, heads, shift = given["window"], given["heads"], given["shift"]
    first = given.inputs[0] if len(given.inputs) == 3 else ()
    if len(first) != PICTURE or any(shape != first for shape in given.inputs):
        raise InvalidInput(f"expected three pictures of one shape, got {[*given.inputs]}")
    channels, *size = first
    if (channels or 0) % heads or any((side or 0) % window for side in size):
        raise InvalidInput(
            f"a picture of shape {first} does not make {heads} heads and windows of {window} pixels"
        )
    bias = ((2 * window - 1) ** 2, heads)
    if given.parameters.get("bias") != bias or not 0 <= shift < window:
        raise InvalidInput(f"expected a bias of shape {bias}, got {given.parameters.get('bias')}")
    return first


def _cost(given: Given, shape: Shape) -> Cost:
    """How much each pixel reads of each in its window, head by head."""
    pairs = (product(shape[1:]) or 0) * given["window"] ** 2
    return Cost(pairs * given["heads"], 2 * pairs * (shape[0] or 0))


def ways(window: int) -> NDArray[np.int64]:
    """For two pixels of a window, which row of the bias is for the way between them.

    Returns:
        Shape (pixels, pixels), pixels row by row.
    """
    rows, columns = (x.ravel() for x in np.indices((window, window)))
    down = rows[:, None] - rows + window - 1
    return down * (2 * window - 1) + columns[:, None] - columns + window - 1


def pixels(size: tuple[int, int], window: int, shift: int) -> NDArray[np.int64]:
    """Which pixels of a picture lie in each window.

    Returns:
        Shape (windows, pixels), windows and pixels row by row.
    """
    height, width = size
    places = np.roll(np.arange(height * width).reshape(size), (-shift, -shift), (0, 1))
    cut = places.reshape(height // window, window, width // window, window)
    found: NDArray[np.int64] = cut.swapaxes(1, 2).reshape(-1, window**2)
    return found


def apart(size: tuple[int, int], window: int, shift: int) -> NDArray[np.float32]:
    """What is added where two pixels of a shifted window do not meet in the picture.

    Returns:
        Shape (windows, pixels, pixels).
    """
    rows, columns = (np.zeros(side, int) for side in size)
    for axis in (rows, columns):
        axis[-window:] += 1
        axis[-shift:] += 1
    parts = 3 * rows[:, None] + columns
    cut = parts.ravel()[pixels(size, window, 0)]
    return np.where(cut[:, :, None] == cut[:, None], 0, _APART).astype(np.float32)


def _attend(attributes: Attributes) -> Callable[..., Tensor]:
    import torch
    from torch.nn import functional as F  # noqa: N812

    window, shift, heads = (attributes[name] for name in ("window", "shift", "heads"))
    places = torch.from_numpy(ways(window))

    def windows(value: Tensor) -> Tensor:
        """Of shape (images, windows, heads, pixels, features)."""
        if shift:
            value = value.roll((-shift, -shift), (2, 3))
        images, channels, height, width = value.shape
        rows, columns = height // window, width // window
        cut = value.reshape(images, heads, channels // heads, rows, window, columns, window)
        return cut.permute(0, 3, 5, 1, 4, 6, 2).reshape(
            images, rows * columns, heads, window**2, channels // heads
        )

    def picture(found: Tensor, like: Tensor) -> Tensor:
        images, channels, height, width = like.shape
        rows, columns = height // window, width // window
        cut = found.reshape(images, rows, columns, heads, window, window, channels // heads)
        whole = cut.permute(0, 3, 6, 1, 4, 2, 5).reshape(like.shape)
        return whole.roll((shift, shift), (2, 3)) if shift else whole

    def function(own: Any, query: Tensor, value: Tensor, key: Tensor) -> Tensor:
        bias = own.bias[places.to(own.bias.device)].permute(2, 0, 1)
        if shift:
            more = torch.from_numpy(apart((value.shape[2], value.shape[3]), window, shift))
            bias = bias + more[:, None].to(bias)
        found = F.scaled_dot_product_attention(
            windows(query), windows(key), windows(value), attn_mask=bias
        )
        return picture(found, query)

    return function


# ONNX has no operation for it: `formats.onnx.patterns` compares a graph with what is written here.


def _from_onnx(node: Node) -> Found:
    shape, (query, value, key) = node.integers("shape"), map(node.value, range(3))
    if any(x.shape != shape or x.axes.order != "chw" for x in (query, value, key)):
        raise node.error(f"three pictures of the shape {shape}")
    least = {"heads": 1, "window": 1, "shift": 0}
    attributes = {name: max(node.integer(name, x), x) for name, x in least.items()}
    return Found("window_attention", (query, value, key), attributes, node.arrays(bias=3))


def as_written(arrays: Sequence[Array], more: Array | None) -> Written | None:
    """The layer, if there is one, whose operations could have arrays like these.

    Args:
        arrays: The shape that the last of them gives, the bias, where among the pixels of all
            windows each of the picture lies, and which row of the bias is for which two.
        more: What is added to the bias.
    """
    size, bias, back, rows = arrays
    shape = tuple(size.ravel()[1:].tolist())
    if size.dtype != np.int64 or min(shape, default=0) < 1 or bias.ndim != 2 or not bias.size:
        return None
    window, count = (math.isqrt(len(bias)) + 1) // 2, math.prod(shape[1:])
    if (rows.size, back.size) != (window**4, count):
        return None
    shift = int(back.argmin()) // shape[-1]
    attributes = {"heads": bias.shape[1], "window": window, "shift": shift}
    layer = Layer("", "window_attention", ("query", "value", "key"), attributes)
    given = Given(attributes, (shape,) * 3, {"bias": bias.shape})
    with contextlib.suppress(InvalidInput):
        written = Written(layer, {"bias": bias}, given.inputs, _shape(given))
        wanted = count * window**2 if shift else 0
        return written if wanted == (0 if more is None else more.size) else None
    return None


def to_onnx(written: Written) -> Expression:
    """Attention of five axes (images, windows, heads, pixels, features)."""
    query, value, key = written.layer.inputs
    channels, *size = shape = written.known(written.shape)
    heads, window, shift = (written[name] for name in ("heads", "window", "shift"))
    places = pixels((size[0], size[1]), window, shift)

    def windows(read: str, *perm: int) -> Expression:
        flat = apply("Reshape", read, sizes(0, heads, channels // heads, places.size))
        return apply("Transpose", apply("Gather", flat, places, axis=3), perm=(0, 3, 1, *perm))

    scores = apply("MatMul", windows(query, 4, 2), windows(key, 2, 4))
    scaled = apply("Mul", scores, number((channels // heads) ** -0.5))
    by_way = apply("Gather", written.array("bias"), ways(window), axis=0)
    bias: Operand = apply("Transpose", by_way, perm=(2, 0, 1))
    if shift:
        bias = apply("Add", bias, apart((size[0], size[1]), window, shift)[:, None])
    shares = apply("Softmax", apply("Add", scaled, bias), axis=-1)
    found = apply("Transpose", apply("MatMul", shares, windows(value, 4, 2)), perm=(0, 2, 4, 1, 3))
    flat = apply("Reshape", found, sizes(0, channels, places.size))
    back = apply("Gather", flat, places.ravel().argsort(), axis=2)
    return apply("Reshape", back, sizes(0, *shape))


register(
    # of query, value and key, pictures of one shape, which windows of pixels cover;
    # bias, (ways between two pixels, heads)
    Op(
        name="window_attention",
        attributes=("heads", "window", "shift"),
        parameters=("bias",),
        shape=_shape,
        cost=_cost,
        compute=_attend,
        from_onnx={"WindowAttention": _from_onnx},
        to_onnx=to_onnx,
        checks={
            "window": WHOLE,
            "shift": Kind("0 or more, below the window", lambda x: type(x) is int and x >= 0),
        },
    ),
)
