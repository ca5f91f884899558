"""A sequence in other places: reshaped, transposed and cut, perhaps with its images not in front.

Between the layers of attention exporters move numbers to and fro. What comes out is followed as
NumPy follows its views, by strides, so that moves that undo each other leave no layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from goodnet.formats import budgets

IMAGE, STEP, FEATURE = 0, 1, 2


class Digit(NamedTuple):
    """A number that counts along an axis of the sequence.

    Attributes:
        source: That axis: `IMAGE`, `STEP` or `FEATURE`.
        stride: How far one more leads along it.
        size: How far it counts.
    """

    source: int
    stride: int
    size: int


class NoStrides(ValueError):
    """What is asked for is no view."""


Axis = tuple[Digit, ...]  # the digits of a place along an axis of the view, the highest first


def axis(digits: Iterable[Digit]) -> Axis:
    """An axis with as few digits as there can be."""
    found: list[Digit] = []
    for digit in digits:
        if found and _continues(found[-1], digit):
            found[-1] = Digit(digit.source, digit.stride, found[-1].size * digit.size)
        elif digit.size > 1:
            found.append(digit)
    return tuple(found)


def _continues(outer: Digit, inner: Digit) -> bool:
    return outer.source == inner.source and outer.stride == inner.stride * inner.size


@dataclass(frozen=True)
class View:
    """Which number of a batch of sequences stands where.

    Attributes:
        images: In the batch.
        axes: What is counted along each axis.
        starts: The image, step and feature of the first number.
    """

    images: int
    axes: tuple[Axis, ...]
    starts: tuple[int, ...] = (0, 0, 0)

    @staticmethod
    def whole(images: int, steps: int, features: int) -> View:
        """A batch of sequences as it is."""
        sizes = ((IMAGE, images), (STEP, steps), (FEATURE, features))
        return View(images, tuple(axis([Digit(source, 1, size)]) for source, size in sizes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of its axes."""
        return tuple(math.prod(digit.size for digit in each) for each in self.axes)

    def reshaped(self, sizes: Sequence[int]) -> View:
        """With the same numbers in the same order.

        Raises:
            NoStrides: If an axis would be cut where it has no joint.
            ValueError: If there are more or fewer.
        """
        rest = [digit for each in self.axes for digit in each][::-1]
        if len(sizes) > budgets.MAX_RANK:
            raise ValueError(f"{len(sizes):,} axes, of which at most {budgets.MAX_RANK} are read")
        if math.prod(sizes) != math.prod(self.shape):
            raise ValueError(
                f"{math.prod(self.shape)} numbers do not make a shape of {sizes!r:.80}"
            )
        return replace(self, axes=tuple(axis(_taken(rest, size)) for size in sizes))

    def transposed(self, order: Sequence[int]) -> View:
        """With its axes in another order.

        Raises:
            ValueError: If it is none.
        """
        if sorted(order) != list(range(len(self.axes))):
            raise ValueError(f"{len(self.axes)} axes cannot be put in the order {tuple(order)}")
        return replace(self, axes=tuple(self.axes[place] for place in order))

    def cut(self, place: int, start: int, size: int) -> View:
        """A part of an axis, inside it.

        Raises:
            ValueError: If it counts along several axes of the sequence.
        """
        digits, starts = self.axes[place], list(self.starts)
        if len(digits) > 1:
            raise ValueError("a part is taken of what counts steps and features together")
        for source, stride, _ in digits:
            starts[source] += start * stride
            digits = axis([Digit(source, stride, size)])
        axes = (*self.axes[:place], digits, *self.axes[place + 1 :])
        return replace(self, axes=axes, starts=tuple(starts))

    def with_features(self, count: int) -> View:
        """The same rows, of another number of features."""
        return replace(self, axes=(*self.axes[:-1], axis([Digit(FEATURE, 1, count)])))


def _taken(rest: list[Digit], size: int) -> Iterable[Digit]:
    """Digits from the end of a list that together count so far; one may be taken apart."""
    while size > 1:
        digit = rest.pop()
        if digit.size > size and not digit.size % size:
            inner = digit.size // size
            rest.append(Digit(digit.source, digit.stride, inner))
            digit = Digit(digit.source, digit.stride * inner, size)
        if size % digit.size:
            raise NoStrides(f"an axis of {digit.size} is not cut into parts of {size}")
        size //= digit.size
        yield digit


Step = tuple[str, Mapping[str, Any]]  # kind of a layer and its attributes


def steps_to(views: Sequence[View], steps: int, features: int) -> list[Step] | None:
    """Layers that bring a sequence into the places of a view.

    Args:
        views: One for each of several sizes of the batch.
        steps: Of the sequence.
        features: Of each step.

    Returns:
        The layers; None if images are not in front, or rows or columns of it are left out.
    """
    first = views[0]
    if any(not _has_images_in_front(x) or _rest(x) != _rest(first) for x in views):
        return None
    digits = axis(digit for each in first.axes[1:] for digit in each)
    order = sorted(digits, key=lambda digit: (digit.source, -digit.stride))
    counts = [_counted([x for x in order if x.source == source]) for source in (STEP, FEATURE)]
    if None in counts:
        return None
    (count, width), found = (x or 1 for x in counts), list[Step]()
    if count < steps:
        found.append(_cropped(first.starts[STEP], steps, count))
    if width < features:
        turn: Step = ("permute", {"dims": (2, 1), "order": "chw"})
        found += [turn, _cropped(first.starts[FEATURE], features, width), turn]
    shape: tuple[int, ...] = (count, width)
    if list(digits) != order:
        sizes = tuple(digit.size for digit in order)
        if sizes != shape:
            found.append(("reshape", {"shape": sizes, "order": "chw"}))
        dims = tuple(order.index(digit) + 1 for digit in digits)
        found.append(("permute", {"dims": dims, "order": "chw"}))
        shape = tuple(digit.size for digit in digits)
    target = first.shape[1:]
    if target != shape:
        is_flat = len(target) == 1
        found.append(("flatten", {"order": "chw"}) if is_flat else _reshape(target))
    return found


def _reshape(shape: tuple[int, ...]) -> Step:
    return "reshape", {"shape": shape, "order": "chw"}


def _cropped(start: int, whole: int, count: int) -> Step:
    return "crop1d", {"cropping": (start, whole - start - count)}


def _has_images_in_front(view: View) -> bool:
    images, *others = view.axes
    alone = all(digit.source != IMAGE for each in others for digit in each)
    return images == axis([Digit(IMAGE, 1, view.images)]) and alone and not view.starts[IMAGE]


def _rest(view: View) -> tuple[Any, ...]:
    return view.axes[1:], view.starts


def _counted(digits: Sequence[Digit]) -> int | None:
    """How far digits of one source count together without a gap; None if there are gaps."""
    count = 1
    for digit in reversed(digits):
        if digit.stride != count:
            return None
        count *= digit.size
    return count
