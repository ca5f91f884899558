"""Borders of pictures: padding and cropping, and the borders that windows need.

The attribute `padding` is "valid", "same" (as TensorFlow pads: the odd pixel goes to the bottom and
right) or (top, bottom, left, right); it is always the last for the layers of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from goodnet.errors import InvalidInput
from goodnet.ops.attributes import SIDES
from goodnet.ops.expression import Expression, Operand, Written, apply, sizes
from goodnet.ops.keras import Applied, Option, reading, writing
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import PICTURE, Attributes, Given, Kept, Op, Shape, register
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import Tensor

Sides = tuple[int, int, int, int]

# What ONNX takes for the end of an axis.
_TO_THE_END = 2**63 - 1

BORDER = Option("padding", lambda a: a.fields.choice("padding", ("valid", "same"), default="valid"))


def same_sides(
    value: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> Sides:
    """What "same" pads at the top, bottom, left and right."""
    return sides_of(value.shape[2:], kernel, strides, dilation)


def sides_of(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Sides:
    """The same for pictures of (height, width)."""
    total = [
        max((-(-length // stride) - 1) * stride + (k - 1) * step + 1 - length, 0)
        for length, k, stride, step in zip(size, kernel, strides, dilation, strict=True)
    ]
    top, left = total[0] // 2, total[1] // 2
    return top, total[0] - top, left, total[1] - left


def pad(value: Tensor, sides: Sides, fill: float = 0.0) -> Tensor:
    """Pad a picture."""
    from torch.nn import functional as F  # noqa: N812

    top, bottom, left, right = sides
    return F.pad(value, (left, right, top, bottom), value=fill)


def pad_sides(value: Tensor, sides: Sides) -> tuple[Tensor, tuple[int, int]]:
    """Pad with zeros; what is alike on both sides is left to the layer that reads the result."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return value, (top, left)
    return pad(value, sides), (0, 0)


def _grow(sign: int) -> Callable[[Given], Shape]:
    def rule(given: Given) -> Shape:
        channels, (height, width) = given.picture
        top, bottom, left, right = given["padding"]
        size = (
            None if height is None else height + sign * (top + bottom),
            None if width is None else width + sign * (left + right),
        )
        if any(length is not None and length < 1 for length in size):
            raise InvalidInput(f"nothing is left of a picture of shape {given.value}")
        return (channels, *size)

    return rule


def _crop(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    top, bottom, left, right = attributes["padding"]
    return lambda value: value[:, :, top : value.shape[2] - bottom, left : value.shape[3] - right]


def _sides(key: str, *, default: int) -> dict[str, Option]:
    """One number, one for each axis, or one for each side."""

    def read(applied: Applied) -> Sides:
        value = applied.fields.get(key, default=default)
        pairs = value if isinstance(value, list) and len(value) == 2 else [value, value]
        sides = [x for pair in pairs for x in (pair if isinstance(pair, list) else [pair, pair])]
        if len(sides) != 4 or not all(type(side) is int and 0 <= side < 2**31 for side in sides):
            raise applied.fields.error(key, "whole numbers of 0 or more: one, two, or two pairs")
        return sides[0], sides[1], sides[2], sides[3]

    return {"padding": Option(key, read, lambda x: [[x[0], x[1]], [x[2], x[3]]])}


_PADDING, _CROPPING = _sides("padding", default=1), _sides("cropping", default=0)


def _of_zero_pad(call: Call) -> Operation | None:
    left, right, top, bottom = call.module.padding
    found = call.operation("zero_pad2d", padding=(top, bottom, left, right))
    return found if len(call.reads) == PICTURE else None


def _of_pad(call: Call) -> Operation | None:
    given = call.bound(["pad", "mode", "value"])
    if given is None or not call.is_value(0) or given.get("mode", "constant") != "constant":
        return None
    pad = given["pad"]
    if given.get("value") or len(pad) != 4 or min(pad) < 0:
        return None
    left, right, top, bottom = pad
    return call.operation("zero_pad2d", padding=(top, bottom, left, right))


def onnx_border(node: Node) -> str | Sides:
    """The padding of an operation of ONNX that has windows."""
    how = node.text("auto_pad", "NOTSET")
    if how == "NOTSET":
        pads = node.integers("pads", (0, 0, 0, 0))
        if len(pads) != 4 or min(pads) < 0:
            raise node.error(f"pads to be four numbers of 0 or more, got {pads!r:.80}")
        top, left, bottom, right = pads
        return (top, bottom, left, right) if any(pads) else "valid"
    if how not in ("VALID", "SAME_UPPER"):
        raise node.error(f"auto_pad to be NOTSET, VALID or SAME_UPPER, got {how!r}")
    return "valid" if how == "VALID" else "same"


def _from_onnx(node: Node) -> Found:
    node.must_be(mode="constant")
    fill = node.constant(2)
    pads = node.sizes(1) or node.integers("pads")
    rest = (*pads[:2], *pads[4:6])
    zero = node.number("value", 0.0) == 0 and (fill is None or not fill.array.any())
    if len(pads) != 8 or min(pads) < 0 or any(rest) or not zero or node.constant(3) is not None:
        raise node.error(f"zeros around a picture, got the pads {pads!r:.80}")
    node.picture()
    return node.found("zero_pad2d", padding=(pads[2], pads[6], pads[3], pads[7]))


def windows_to_onnx(written: Written, kernel: Sequence[int]) -> dict[str, Any]:
    """The attributes of an operation that has windows."""
    strides = tuple(written["strides"])
    dilation = tuple(written.layer.attributes.get("dilation", (1, 1)))
    found: dict[str, Any] = {"kernel_shape": tuple(kernel), "strides": strides}
    if dilation != (1, 1):
        found["dilations"] = dilation
    border, size = written["padding"], written.inputs[0][1:]
    if border == "same":
        # In onnxruntime it is for windows without gaps between pixels or between each other.
        plain = dilation == (1, 1) and all(
            k >= step for k, step in zip(kernel, strides, strict=True)
        )
        if plain or None in size:
            return {**found, "auto_pad": "SAME_UPPER"}
        border = sides_of(written.known(size), kernel, strides, dilation)
    if border != "valid" and any(border):
        top, bottom, left, right = border
        found["pads"] = (top, left, bottom, right)
    return found


def _pad_to_onnx(written: Written) -> Expression:
    top, bottom, left, right = written["padding"]
    return apply("Pad", written.value, sizes(0, 0, top, left, 0, 0, bottom, right))


def rectangle(value: Operand, start: Sequence[int], end: Sequence[int]) -> Expression:
    """A part of a picture, from a pixel to the one behind the last, as an operation of ONNX."""
    return apply("Slice", value, sizes(*start), sizes(*end), sizes(2, 3))


def _crop_to_onnx(written: Written) -> Expression:
    top, bottom, left, right = written["padding"]
    end = [-cut if cut else _TO_THE_END for cut in (bottom, right)]
    return rectangle(written.value, (top, left), end)


register(
    Op(
        name="zero_pad2d",
        attributes=("padding",),
        shape=_grow(1),
        compute=lambda attributes: partial(pad, sides=attributes["padding"]),
        channels=Kept(),
        from_keras={"ZeroPadding2D": reading("zero_pad2d", _PADDING, picture=True)},
        to_keras=writing("ZeroPadding2D", _PADDING),
        from_torch={"nn.ZeroPad2d": _of_zero_pad, "F.pad": _of_pad},
        from_onnx={"Pad": _from_onnx},
        to_onnx=_pad_to_onnx,
        checks={"padding": SIDES},
    ),
    Op(
        name="crop2d",
        attributes=("padding",),
        shape=_grow(-1),
        compute=_crop,
        channels=Kept(),
        from_keras={"Cropping2D": reading("crop2d", _CROPPING, picture=True)},
        to_keras=writing("Cropping2D", _CROPPING),
        to_onnx=_crop_to_onnx,
        checks={"padding": SIDES},
    ),
)
