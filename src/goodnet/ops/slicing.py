"""Parts of a value: some of its channels, or some of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.ops.expression import Expression, Written, apply, sizes
from goodnet.ops.keras import Applied, Option, Part, Reading, Step, reading, writing
from goodnet.ops.layouts import to_file
from goodnet.ops.onnx import Found, Node
from goodnet.ops.op import PICTURE, Attributes, Given, Layer, Op, Shape, register
from goodnet.ops.torch import Call, Operation

if TYPE_CHECKING:
    from torch import Tensor

_STEPS = 2  # axes of a sequence (steps, features)
_ALL = 2**31 - 1  # more images than there are


def _selected_shape(given: Given) -> Shape:
    channels, size = given.picture
    if channels is None or not all(0 <= channel < channels for channel in given["channels"]):
        raise InvalidInput(f"there are no channels {given['channels']} among {channels}")
    return (len(given["channels"]), *size)


def _select(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    channels = list(attributes["channels"])
    return lambda value: value[:, channels]


def _select_to_keras(part: Part) -> list[Step]:
    """A convolution over single pixels, with ones and zeros."""
    channels = part["channels"]
    weight = np.zeros((len(channels), part.inputs[0][0] or 0, 1, 1), np.float32)
    weight[np.arange(len(channels)), list(channels)] = 1
    config = {"filters": len(channels), "kernel_size": [1, 1], "use_bias": False}
    return [Step("Conv2D", config, (("kernel", to_file(weight, "hwio")),))]


def _steps_left(given: Given) -> Shape:
    if len(given.value) != _STEPS:
        raise InvalidInput(f"expected a value of shape (steps, features), got {given.value}")
    steps, features = given.value
    left = None if steps is None else steps - sum(given["cropping"])
    if left is not None and left < 1:
        raise InvalidInput(f"nothing is left of a value of shape {given.value}")
    return (left, features)


def _crop_steps(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    start, end = attributes["cropping"]
    return lambda value: value[:, start : value.shape[1] - end]


def _read_cropping(applied: Applied) -> tuple[int, int]:
    found = applied.fields.integers("cropping") or (1,)
    found = found * 2 if len(found) == 1 else found
    if len(found) != 2 or min(found) < 0:
        raise applied.fields.error("cropping", "one or two whole numbers of 0 or more")
    return found[0], found[1]


_CROPPING = {"cropping": Option("cropping", _read_cropping)}


@dataclass(frozen=True, slots=True)
class _Chain:
    """Layers in a row that give what an index of a value names."""

    applied: Applied
    layers: list[Layer] = field(default_factory=list)

    def add(self, op: str, **attributes: Any) -> None:
        read = self.layers[-1].name if self.layers else self.applied.operands[0].layer
        name = f"{self.applied.name}/{len(self.layers) + 1}"
        self.layers.append(Layer(name, op, (read,), attributes))

    def reading(self) -> Reading:
        """With the last layer under the name of the layer in the file."""
        if not self.layers:
            self.add("identity")
        *before, last = self.layers
        named = Layer(self.applied.name, last.op, last.inputs, last.attributes)
        return Reading((*before, named))


def _read_item(applied: Applied) -> Reading:
    """Channels or a rectangle of a picture, or steps of a sequence."""
    value = applied.operands[0]
    key = applied.operands[1] if len(applied.operands) > 1 else applied.fields.get("slice_spec")
    shape = applied.axes.shape_to_file(value.shape)
    index = _by_axis(key, len(shape) + 1)
    if index is None or not _is_everything(index[0], None) or len(shape) not in (PICTURE, _STEPS):
        raise InvalidInput(f"the index {key!r:.80} is not read")
    ranges = [_range(given, size) for given, size in zip(index[1:], shape, strict=True)]
    chain = _Chain(applied)
    if len(shape) == PICTURE:
        _read_picture(chain, ranges, index[1:])
    else:
        _read_steps(chain, ranges, index[1:])
    return chain.reading()


def _read_picture(chain: _Chain, ranges: Sequence[range | None], index: Sequence[Any]) -> None:
    to_spec = chain.applied.axes.shape_to_spec
    (channels, *rectangle), given = to_spec(tuple(ranges)), to_spec(tuple(index))
    shape = chain.applied.operands[0].shape
    sides = [_sides(x, size) for x, size in zip(rectangle, shape[1:], strict=True)]
    if any(isinstance(x, int) for x in given[1:]):
        raise InvalidInput("a row or column of a picture is not read")
    if any(sum(pair) for pair in sides):
        chain.add("crop2d", padding=(*sides[0], *sides[1]))
    if channels is not None and channels != range(shape[0]):
        chain.add("select", channels=tuple(channels))
    if isinstance(given[0], int):
        height, width = (len(x) if x is not None else -1 for x in rectangle)
        chain.add("reshape", shape=(height, width), order="chw")


def _read_steps(chain: _Chain, ranges: Sequence[range | None], index: Sequence[Any]) -> None:
    steps, features = chain.applied.operands[0].shape
    if not _is_everything(index[1], features):
        raise InvalidInput("some features of each step are not read")
    sides = _sides(ranges[0], steps)
    if any(sides):
        chain.add("crop1d", cropping=sides)
    if isinstance(index[0], int):
        chain.add("flatten", order="chw")


def _by_axis(key: Any, rank: int) -> list[Any] | None:
    """An index of one entry for each axis: a whole number or a slice; None if it is another."""
    entries = list(key) if isinstance(key, list) else [key]
    dots = [place for place, entry in enumerate(entries) if _is_class(entry, "__ellipsis__")]
    missing = rank - len(entries) + len(dots)
    everything = {"start": None, "stop": None, "step": None}
    place = dots[0] if dots else len(entries)
    if len(dots) > 1 or missing < 0:
        return None
    entries[place : place + len(dots)] = [everything] * missing
    found = [x.get("config", x) if isinstance(x, dict) else x for x in entries]
    return found if all(map(_is_index, found)) else None


def _is_class(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("class_name") == name


def _is_index(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return type(entry) is int
    return set(entry) == {"start", "stop", "step"} and all(
        x is None or type(x) is int for x in entry.values()
    )


def _is_everything(entry: Any, size: int | None) -> bool:
    """Whether an entry of an index leaves an axis as it is."""
    if isinstance(entry, int):
        return False
    start, stop, step = (entry[key] for key in ("start", "stop", "step"))
    return start in (None, 0) and stop in (None, size) and step in (None, 1)


def _range(entry: Any, size: int | None) -> range | None:
    """What an entry of an index takes of an axis; None for all of an axis of any length."""
    if size is None:
        if not _is_everything(entry, None):
            raise InvalidInput("an index along an axis of any length is not read")
        return None
    if isinstance(entry, int):
        place = range(size)[entry] if -size <= entry < size else size
        found = range(place, place + 1)
    else:
        found = range(size)[slice(entry["start"], entry["stop"], entry["step"] or None)]
    if not found or found[-1] >= size:
        raise InvalidInput(f"the index {entry!r:.80} names nothing of {size}")
    return found


def _sides(found: range | None, size: int | None) -> tuple[int, int]:
    """What is left out before and after a part without gaps."""
    if found is None or size is None:
        return 0, 0
    if found.step != 1:
        raise InvalidInput("every second row, or rows in reverse, are not read")
    return found.start, size - found.stop


def _read_stack(applied: Applied) -> Reading:
    """Values without channels as the channels of one picture."""
    size, *others = applied.shapes
    if len(size) != 2 or None in size or any(other != size for other in others):
        raise InvalidInput(f"expected pictures of one size without channels, got {applied.shapes}")
    axis = applied.fields.integers("axis") or (0,)
    if applied.axes.to_spec(axis[0], PICTURE) != 1:
        raise applied.fields.error("axis", "that of the channels")
    names = [f"{applied.name}/{place + 1}" for place in range(len(applied.inputs))]
    parts = [
        Layer(name, "reshape", (read,), {"shape": (1, *size), "order": "chw"})
        for name, read in zip(names, applied.inputs, strict=True)
    ]
    return Reading((*parts, Layer(applied.name, "concatenate", tuple(names), {"axis": 1})))


def _of_item(call: Call) -> Operation | None:
    """Steps of a sequence one behind another: `value[:, 1:]`."""
    index = call.args[1] if len(call.args) > 1 and call.is_value(0) else None
    if not isinstance(index, tuple) or len(index) != _STEPS or len(call.reads) != _STEPS:
        return None
    batch, kept = index
    if batch != slice(None) or not isinstance(kept, slice) or kept.step not in (None, 1):
        return None
    ends = (kept.start, kept.stop)
    if any(end is not None and type(end) is not int for end in ends):
        return None
    found = range(call.reads[0])[kept]
    cropping = (found.start, call.reads[0] - found.stop)
    return call.operation("crop1d", cropping=cropping) if found else None


def _slice_from_onnx(node: Node) -> Found:
    """Channels or a rectangle of a picture."""
    value = node.value()
    starts, ends = (
        node.sizes(place) or node.integers(name) for place, name in ((1, "starts"), (2, "ends"))
    )
    axes = node.sizes(3) or node.integers("axes", range(len(starts)))
    steps = node.sizes(4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.error("as many starts as ends, axes and steps")
    if None in value.shape or value.rank != PICTURE:
        raise node.error(f"a picture or a sequence of known size, got {value.shape}")
    kept = [range(size or 0) for size in value.shape]
    for axis, *ends_of in zip(axes, starts, ends, steps, strict=True):
        if (axis, ends_of[0], ends_of[2]) == (0, 0, 1) and ends_of[1] >= _ALL:
            continue  # of all images
        place = node.axis(axis, value) - 1
        kept[place] = kept[place][slice(*ends_of)]
    return _parts(node, kept)


def _gather_from_onnx(node: Node) -> Found:
    """Some channels of a picture, in any order."""
    value, given = node.value(), node.constant(1)
    axis = node.axis(node.integer("axis", 0), value)
    channels = value.shape[0]
    if value.rank != PICTURE or axis != 1 or given is None or given.array.ndim != 1 or not channels:
        raise node.error("some channels of a picture, or a step of a sequence")
    chosen = given.array.astype(int).tolist()
    if not all(-channels <= channel < channels for channel in chosen) or not chosen:
        raise node.error(f"some of {channels} channels")
    return Found("select", (value,), {"channels": tuple(x % channels for x in chosen)})


def _parts(node: Node, kept: Sequence[range]) -> Found:
    """A picture without what is outside ranges of its axes as laid out here."""
    value = node.value()
    channels, height, width = (
        (one.start, (size or 0) - one.stop) if one.step == 1 and len(one) else None
        for one, size in zip(kept, value.shape, strict=True)
    )
    if height is None or width is None or not len(kept[0]):
        raise node.error("pixels one behind another, and channels")
    chosen = {"channels": tuple(kept[0])}
    if channels == (0, 0):
        return Found("crop2d", (value,), {"padding": (*height, *width)})
    if height == width == (0, 0):
        return Found("select", (value,), chosen)
    return Found(
        "crop2d",
        (value,),
        {"padding": (*height, *width)},
        then=lambda rectangle: Found("select", (rectangle,), chosen),
    )


def _select_to_onnx(written: Written) -> Expression:
    return apply("Gather", written.value, sizes(*written["channels"]), axis=1)


def _crop_steps_to_onnx(written: Written) -> Expression:
    start, end = written["cropping"]
    last = -end if end else np.iinfo(np.int64).max
    return apply("Slice", written.value, sizes(start), sizes(last), sizes(1))


register(
    # of a picture, in that order
    Op(
        name="select",
        attributes=("channels",),
        shape=_selected_shape,
        compute=_select,
        from_keras={
            "GetItem": _read_item,
            "tf.__operators__.getitem": _read_item,
            "Stack": _read_stack,
        },
        to_keras=_select_to_keras,
        from_onnx={"Slice": _slice_from_onnx, "Gather": _gather_from_onnx},
        to_onnx=_select_to_onnx,
    ),
    # (batch, steps, features): steps left out at the start and at the end
    Op(
        name="crop1d",
        attributes=("cropping",),
        shape=_steps_left,
        compute=_crop_steps,
        from_keras={"Cropping1D": reading("crop1d", _CROPPING)},
        to_keras=writing("Cropping1D", _CROPPING),
        from_torch={"operator.getitem": _of_item},
        to_onnx=_crop_steps_to_onnx,
    ),
)
