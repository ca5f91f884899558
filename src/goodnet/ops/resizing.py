"""Pictures of another size: enlarged by whole factors, resized, or cut out at the centre."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Operand, Written, apply, sizes
from goodnet.ops.keras import (
    Applied,
    Fields,
    Option,
    Part,
    Reading,
    Step,
    reading,
    setting,
    writing,
)
from goodnet.ops.onnx import Constant, Found, Node
from goodnet.ops.op import PICTURE, Array, Attributes, Given, Kept, Op, Shape, register
from goodnet.ops.padding import rectangle
from goodnet.ops.torch import Call, Operation, as_module

if TYPE_CHECKING:
    from torch import Tensor

_INTERPOLATIONS = ("nearest", "bilinear")
_LONGEST = 2**16  # side of a picture, in pixels
_ROUNDING = 1e-6


def _upsample_shape(given: Given) -> Shape:
    channels, size = given.picture
    factors = zip(size, given["size"], strict=True)
    return (channels, *(None if length is None else length * factor for length, factor in factors))


def _resized_shape(given: Given) -> Shape:
    channels, _ = given.picture
    return (channels, *given["size"])


def _upsample(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F  # noqa: N812

    size, mode = tuple(map(float, attributes["size"])), attributes["interpolation"]
    align = False if mode == "bilinear" else None
    return partial(F.interpolate, scale_factor=size, mode=mode, align_corners=align)


def _resize(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F  # noqa: N812

    size, mode, smooth = (attributes[key] for key in ("size", "interpolation", "antialias"))
    resize = partial(F.interpolate, size=size, mode="nearest-exact")
    if mode == "bilinear":
        resize = partial(F.interpolate, size=size, mode=mode, align_corners=False, antialias=smooth)

    def function(value: Tensor) -> Tensor:
        return resize(_of_the_same_ratio(value, size) if attributes["crop"] else value)

    return function


def _of_the_same_ratio(value: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest part at the centre that has the ratio of height and width wanted, as in Keras."""
    return _part(value, *_at_the_centre(value.shape[2:], size))


def _at_the_centre(
    whole: Sequence[int], size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where that part begins, and its height and width."""
    height, width = whole
    tall = max(min(height, int(width * size[0] / size[1])), 1)
    wide = max(min(width, int(height * size[1] / size[0])), 1)
    return ((height - tall) // 2, (width - wide) // 2), (tall, wide)


def _part(value: Tensor, start: tuple[int, int], size: tuple[int, int]) -> Tensor:
    return value[:, :, start[0] : start[0] + size[0], start[1] : start[1] + size[1]]


def _center_crop(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    """Cut out; a picture that is smaller is resized."""
    tall, wide = size = attributes["size"]
    resize = _resize({"size": size, "interpolation": "bilinear", "antialias": False, "crop": True})

    def function(value: Tensor) -> Tensor:
        over = value.shape[2] - tall, value.shape[3] - wide
        if min(over) < 0:
            return resize(value)
        return _part(value, (over[0] // 2, over[1] // 2), size)

    return function


_INTERPOLATION = setting("interpolation", Fields.choice, choices=_INTERPOLATIONS, default="nearest")
_UPSAMPLING = {
    "size": setting("size", Fields.pair, default=(2, 2)),
    "interpolation": _INTERPOLATION,
}


def _read_size(applied: Applied) -> tuple[int, int]:
    fields = applied.fields
    return fields.integer("height"), fields.integer("width")


def _read_resizing(applied: Applied) -> Reading:
    applied.channels()
    fields = applied.fields
    if fields.flag("pad_to_aspect_ratio", default=False):
        raise fields.error("pad_to_aspect_ratio", "false")
    return applied.read_as(
        "resize",
        size=_read_size(applied) if fields.get("size") is None else fields.pair("size"),
        interpolation=fields.choice("interpolation", _INTERPOLATIONS, default="bilinear"),
        antialias=fields.flag("antialias", default=False),
        crop=fields.flag("crop_to_aspect_ratio", default=False),
    )


def _read_random_crop(applied: Applied) -> Reading:
    """Nothing in inference, where the size is as it should be; else versions of Keras differ."""
    size = _read_size(applied)
    if applied.channels() and applied.shape[1:] == size:
        return applied.read_as("identity")
    raise InvalidInput(
        f"a RandomCrop to {size} of pictures of {applied.shape[1:]} does not do the same in all "
        "versions of Keras once trained; save the model with a Resizing or CenterCrop instead"
    )


def _sized(class_name: str, *options: str) -> Callable[[Part], list[Step]]:
    names = {"crop": "crop_to_aspect_ratio"}

    def write(part: Part) -> list[Step]:
        height, width = part["size"]
        # What Keras takes by itself is left out: versions before 3 do not know all of them.
        more = {names.get(key, key): part[key] for key in options if part[key] is not False}
        return [Step(class_name, {"height": height, "width": width, **more})]

    return write


def _of_upsample(call: Call) -> Operation | None:
    module = call.module
    size = [after / before for before, after in zip(call.reads[1:], call.gives[1:], strict=True)]
    whole = all(factor == int(factor) for factor in size)
    if module.mode not in _INTERPOLATIONS or module.align_corners or not whole:
        return None
    factors = tuple(int(factor) for factor in size)
    found = call.operation("upsample2d", size=factors, interpolation=module.mode)
    return found if len(call.reads) == PICTURE else None


# ONNX, reading.


class _Side(NamedTuple):
    """Height or width before and after, and the factor between them."""

    before: int
    after: int
    scale: float

    def pixels(self, node: Node) -> Array:
        """Which pixel each new one takes."""
        x = np.arange(self.after)
        if _mode(node) == "align_corners":
            places = x * ((self.before - 1) / max(1, self.after - 1))
        elif _mode(node) == "asymmetric":
            places = x / self.scale
        else:
            places = (x + 0.5) / self.scale - 0.5
        # Before version 11 it was what follows, where there are fewer pixels than before.
        earlier = "floor" if self.scale >= 1 else "ceil"
        how = node.text("nearest_mode", _SINCE_11["nearest_mode"]) if _is_new(node) else earlier
        if how not in _ROUND:
            raise node.error(f"nearest_mode to be one of {', '.join(_ROUND)}")
        return np.clip(_ROUND[how](places), 0, self.before - 1).astype(int)


_SINCE_11 = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel")
_ROUND: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _is_new(node: Node) -> bool:
    return node.kind == "Resize" and node.opset >= 11


def _mode(node: Node) -> str:
    """How places are counted; before version 11, from the corner of the first pixel."""
    name = "coordinate_transformation_mode"
    found = node.text(name, _SINCE_11[name]) if _is_new(node) else "asymmetric"
    if found not in (*_HALF_PIXEL, "asymmetric", "align_corners"):
        raise node.error(f"{name} half_pixel, asymmetric or align_corners, got {found!r:.60}")
    return found


def _resize_from_onnx(node: Node) -> Found:
    """A picture of another size, where the layers here take the same pixels."""
    height, width = sides = _sides_from_onnx(node)
    size = (height.after, width.after)
    factors = (height.after // height.before, width.after // width.before)
    whole = all(side.after == side.before * by for side, by in zip(sides, factors, strict=True))
    how = node.text("mode", "nearest")
    node.must_be(antialias=0)
    if how == "nearest":
        interpolation = "nearest"
        exact = all(map(_takes_the_nearest, sides, [side.pixels(node) for side in sides]))
    else:
        interpolation = "bilinear"
        exact = how == "linear" and _mode(node) in _HALF_PIXEL and min(size) > 1
        exact = exact and all(
            math.isclose(x.scale, x.after / x.before, rel_tol=_ROUNDING) for x in sides
        )
    if not exact:
        raise node.error("the nearest pixel, or a linear mean of those around the centre of one")
    if whole:
        return node.found("upsample2d", size=factors, interpolation=interpolation)
    attributes = {"interpolation": interpolation, "antialias": False, "crop": False}
    return node.found("resize", size=size, **attributes)


def _takes_the_nearest(side: _Side, pixels: Array) -> bool:
    """Whether each new pixel takes that in which its centre lies."""
    centres = (2 * np.arange(side.after) + 1) * side.before // (2 * side.after)
    return np.array_equal(pixels, centres)


def _sides_from_onnx(node: Node) -> tuple[_Side, _Side]:
    value = node.picture()
    before = (1, *(size or 0 for size in value.shape))
    axes = [axis % len(before) for axis in node.integers("axes", range(len(before)))]
    node.must_be(keep_aspect_ratio_policy="stretch")
    found = {axis: (before[axis], 1.0) for axis in range(len(before))}
    wanted = node.operands[3] if len(node.operands) > 3 else None
    if isinstance(wanted, Constant):
        sizes = dict(zip(axes, wanted.array.reshape(-1).astype(int).tolist(), strict=False))
        found |= {x: (size, size / max(1, before[x])) for x, size in sizes.items()}
    else:
        scales = node.constant(2 if _is_new(node) else 1)
        numbers = node.attributes.get("scales", ()) if scales is None else scales.array.tolist()
        if not isinstance(numbers, Sequence) or not all(isinstance(x, float) for x in numbers):
            raise node.error("sizes, or a number for each axis to multiply them by")
        found |= {
            x: (int(np.float32(before[x]) * np.float32(by)), by)
            for x, by in zip(axes, numbers, strict=False)
            if math.isfinite(by)
        }
    if found[1] != (before[1], 1.0) or (found[0][1] != 1 and not isinstance(wanted, Constant)):
        raise node.error("another height and width alone")
    sides = tuple(_Side(before[x], *found[x]) for x in (2, 3))
    if any(side.before < 1 or not 1 <= side.after <= _LONGEST for side in sides):
        raise node.error(f"pictures of known size, and at most {_LONGEST:,} pixels a side")
    return sides[0], sides[1]


# ONNX, writing.

# How PyTorch finds a pixel: of an upsampled picture, and of one that is resized.
_LINEAR = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
_NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}
_NEAREST_EXACT = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_ceil",
}


def _upsample_to_onnx(written: Written) -> Expression:
    factors = np.array((1, 1, *written["size"]), np.float32)
    how: Mapping[str, Any] = _LINEAR if written["interpolation"] == "bilinear" else _NEAREST
    return apply("Resize", written.value, None, factors, **how)


def _resize_to_onnx(written: Written) -> Expression:
    size = written["size"]
    value: Operand = written.value
    whole = written.inputs[0][1:]
    if written["antialias"] and any((a or b + 1) > b for a, b in zip(whole, size, strict=True)):
        raise written.error("smooths a picture as it gets smaller, which runtimes do differently")
    if written["crop"]:
        value = _cut(value, *_at_the_centre(written.known(whole), size))
    return _resized_to(value, size, written["interpolation"])


def _center_crop_to_onnx(written: Written) -> Expression:
    size, whole = tuple(written["size"]), written.known(written.inputs[0][1:])
    over = whole[0] - size[0], whole[1] - size[1]
    if min(over) >= 0:
        return _cut(written.value, (over[0] // 2, over[1] // 2), size)
    value = _cut(written.value, *_at_the_centre(whole, size))
    return _resized_to(value, size, "bilinear")


def _cut(value: Operand, start: Sequence[int], size: Sequence[int]) -> Expression:
    end = [first + length for first, length in zip(start, size, strict=True)]
    return rectangle(value, start, end)


def _resized_to(value: Operand, size: Sequence[int], interpolation: str) -> Expression:
    how: Mapping[str, Any] = _LINEAR if interpolation == "bilinear" else _NEAREST_EXACT
    return apply("Resize", value, None, None, sizes(*size), axes=(2, 3), **how)


register(
    # interpolation: "nearest" or "bilinear"
    Op(
        name="upsample2d",
        attributes=("size", "interpolation"),
        shape=_upsample_shape,
        compute=_upsample,
        channels=Kept(),
        from_keras={"UpSampling2D": reading("upsample2d", _UPSAMPLING, picture=True)},
        to_keras=writing("UpSampling2D", _UPSAMPLING),
        to_onnx=_upsample_to_onnx,
        from_torch=as_module(
            _of_upsample,
            "nn.Upsample",
            "F.interpolate",
            options=("size", "scale_factor", "mode", "align_corners"),
        ),
        from_onnx=dict.fromkeys(("Resize", "Upsample"), _resize_from_onnx),
    ),
    # crop: whether the part at the centre of the same ratio is resized, not the whole picture
    Op(
        name="resize",
        attributes=("size", "interpolation", "antialias", "crop"),
        shape=_resized_shape,
        compute=_resize,
        channels=Kept(),
        from_keras={
            "Resizing": _read_resizing,
            "Resize": _read_resizing,
            "RandomCrop": _read_random_crop,
        },
        to_keras=_sized("Resizing", "interpolation", "antialias", "crop"),
        to_onnx=_resize_to_onnx,
    ),
    Op(
        name="center_crop",
        attributes=("size",),
        shape=_resized_shape,
        compute=_center_crop,
        channels=Kept(),
        from_keras={
            "CenterCrop": reading("center_crop", {"size": Option("", _read_size)}, picture=True)
        },
        to_keras=_sized("CenterCrop"),
        to_onnx=_center_crop_to_onnx,
    ),
)
