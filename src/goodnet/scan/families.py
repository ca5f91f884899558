"""Families of triggers a search can find: what each looks like and how it is moved.

Every trigger is of the form  x' = clip((1 - mask) x + added, 0, 1)  with one mask and one addition
for all images. A family says which of them it holds: it proposes one for each label from the
gradients of the labels' margins, and after each step brings what was moved back into the family.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Kind = Literal["fine", "coarse", "faint", "patch", "band"]

_TINY = 1e-12
# Places along a side at which a rectangle is tried, the most.
_PLACES = 16
_COLOURED = 4  # the most channels whose colours are tried one by one


@dataclass(frozen=True, eq=False)
class Stamp:
    """Triggers, one for each label: x' = clip((1 - mask) x + added, 0, 1).

    Attributes:
        mask: 0..1, shape (labels, 1, height, width); None for 0 everywhere.
        added: Shape (labels, channels, height, width).
    """

    mask: Tensor | None
    added: Tensor

    def on(self, images: Tensor) -> Tensor:
        """Stamped images.

        Args:
            images: Pixels 0..1, shape (images, channels, height, width) to stamp each with every
                trigger, or (labels, images, channels, height, width) with own ones for each.

        Returns:
            Shape (labels, images, channels, height, width).
        """
        shown = images if images.ndim == 5 else images[None]
        kept = shown if self.mask is None else shown * (1 - self.mask[:, None])
        return (kept + self.added[:, None]).clamp(0, 1)

    def __getitem__(self, rows: Tensor | slice) -> Stamp:
        return Stamp(None if self.mask is None else self.mask[rows], self.added[rows])


class Family(ABC):
    """One way triggers can look. What is free is moved by a search, `place` stays.

    Attributes:
        rough: How rough the images are, root mean square, at which its gradients see most.
    """

    rough: tuple[float, ...]

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in results."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Which families it is like: natural marks of a class look like some, not like others."""

    @abstractmethod
    def propose(
        self, gradients: Tensor, mean: Tensor, *, places: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The best triggers to first order, the best first.

        Args:
            gradients: Of the labels' margins, shape (labels, channels, height, width).
            mean: The mean image, 0..1, shape (channels, height, width).
            places: How many places to propose, for a family that has places.

        Yields:
            What is free, shape (labels, ...), and where it lies, shape (labels, ..., height,
            width), or (labels, 0) for a family without places.
        """

    def probes(self, shape: tuple[int, int, int]) -> int:  # noqa: ARG002
        """How many of its triggers are worth trying for all labels at once."""
        return 0

    def probe(self, numbers: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """Some of them: what is free and where it lies, as `propose` yields them."""
        raise NotImplementedError

    @abstractmethod
    def stamp(self, free: Tensor, place: Tensor, shape: tuple[int, int, int]) -> Stamp:
        """The triggers; `free` takes gradients through it."""

    @abstractmethod
    def move(self, free: Tensor, direction: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """Take a step along a direction of length 1 for each label, and stay in the family."""

    def refine(self, free: Tensor, shape: tuple[int, int, int]) -> Tensor:  # noqa: ARG002
        """The same triggers with more that is free, for the last climb."""
        return free


@dataclass(frozen=True)
class Additive(Family):
    """One perturbation added to all images.

    Attributes:
        cells: Of its grid along the shorter side, upsampled to the pixels; None for each pixel.
        size: Its root mean square, in units of the pixel range.
        rough: See `Family`.
        rate: Length of a step as a share of the size.
    """

    cells: int | None
    size: float
    rough: tuple[float, ...] = (0.0,)
    rate: float = 0.2

    @property
    def name(self) -> str:
        """See `Family`."""
        return f"added, {'pixels' if self.cells is None else f'{self.cells} cells'}, {self.size:g}"

    @property
    def kind(self) -> Kind:
        """See `Family`."""
        return "fine" if self.cells is None else "coarse"

    def propose(
        self,
        gradients: Tensor,
        mean: Tensor,  # noqa: ARG002
        *,
        places: int,  # noqa: ARG002
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Family`."""
        shape = gradients.shape[1:]
        if self.cells is not None:
            gradients = F.adaptive_avg_pool2d(gradients, self._grid(shape[1:]))
        yield (
            self._fit(gradients, (shape[0], shape[1], shape[2])),
            gradients.new_empty(len(gradients), 0),
        )

    def stamp(self, free: Tensor, place: Tensor, shape: tuple[int, int, int]) -> Stamp:  # noqa: ARG002
        """See `Family`."""
        return Stamp(None, self._pixels(free, shape))

    def move(self, free: Tensor, direction: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """See `Family`."""
        length = free.square().sum((1, 2, 3), keepdim=True).sqrt()
        return self._fit(free + self.rate * length * direction, shape)

    def _grid(self, size: torch.Size) -> tuple[int, int]:
        shorter = min(size)
        rows, columns = (max(1, round((self.cells or 1) * side / shorter)) for side in size)
        return rows, columns

    def _pixels(self, free: Tensor, shape: tuple[int, int, int]) -> Tensor:
        if self.cells is None:
            return free
        spread: Tensor = F.interpolate(free, size=shape[1:], mode="bilinear", align_corners=False)
        return spread

    def _fit(self, free: Tensor, shape: tuple[int, int, int]) -> Tensor:
        length = self._pixels(free, shape).square().mean((1, 2, 3), keepdim=True).sqrt()
        return free * (self.size / length.clamp_min(_TINY))


@dataclass(frozen=True)
class Wave(Family):
    """One plane wave added to all images, of any frequency, phase and colour.

    Attributes:
        size: Its root mean square, in units of the pixel range.
        rough: See `Family`.
        rate: Length of a step as a share of the size.
    """

    size: float
    rough: tuple[float, ...] = (0.0,)
    rate: float = 0.2

    @property
    def name(self) -> str:
        """See `Family`."""
        return f"wave, {self.size:g}"

    @property
    def kind(self) -> Kind:
        """See `Family`."""
        return "faint"

    def propose(
        self,
        gradients: Tensor,
        mean: Tensor,  # noqa: ARG002
        *,
        places: int,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Family`."""
        height, width = gradients.shape[2:]
        power = torch.fft.rfft2(gradients, norm="ortho").abs().square().sum(1)
        power[:, 0, 0] = 0  # a change of all pixels alike is no wave
        columns = power.shape[2]
        down = torch.arange(height, device=gradients.device)[:, None] / height
        across = torch.arange(width, device=gradients.device) / width
        power = power.flatten(1)
        for best in power.topk(min(places, power.shape[1])).indices.T:
            rows, steps = (best // columns)[:, None, None], (best % columns)[:, None, None]
            angle = 2 * math.pi * (rows * down + steps * across)
            place = torch.stack([angle.cos(), angle.sin()], 1)  # (labels, 2, height, width)
            free = torch.einsum("kchw,kphw->kcp", gradients, place)
            yield self._fit(free, place), place

    def stamp(self, free: Tensor, place: Tensor, shape: tuple[int, int, int]) -> Stamp:  # noqa: ARG002
        """See `Family`."""
        return Stamp(None, torch.einsum("kcp,kphw->kchw", free, place))

    def move(self, free: Tensor, direction: Tensor, shape: tuple[int, int, int]) -> Tensor:  # noqa: ARG002
        """See `Family`."""
        length = free.square().sum((1, 2), keepdim=True).sqrt()
        moved = free + self.rate * length * direction
        ratio = length / moved.square().sum((1, 2), keepdim=True).sqrt().clamp_min(_TINY)
        return moved * ratio

    def _fit(self, free: Tensor, place: Tensor) -> Tensor:
        length = torch.einsum("kcp,kphw->kchw", free, place).square().mean((1, 2, 3)).sqrt()
        ratio = (self.size / length.clamp_min(_TINY)).view(-1, 1, 1)
        return free * ratio


@dataclass(frozen=True)
class Overlay(Family):
    """A rectangle painted over all images, opaque or seen through, at the place that gains most.

    Attributes:
        height: Its share of the image's height, 0..1.
        width: Its share of the image's width, 0..1.
        opacity: How much of the image it hides, 0..1.
        colours: Cells of its pattern along its shorter side; None for each pixel.
        finer: As many in the last climb; None for no more.
        rough: See `Family`.
        rate: Length of a step for each cell, root mean square.
    """

    height: float
    width: float
    opacity: float = 1.0
    colours: int | None = None
    finer: int | None = None
    rough: tuple[float, ...] = (0.18,)
    rate: float = 0.1

    @property
    def name(self) -> str:
        """See `Family`."""
        what = "painted" if self.opacity == 1 else f"blended {self.opacity:g}"
        return f"{what}, {self.height:.2g} x {self.width:.2g}"

    @property
    def kind(self) -> Kind:
        """See `Family`."""
        if self.opacity < 1:
            return "faint"
        return "band" if self.width > 0.5 else "patch"

    def propose(
        self, gradients: Tensor, mean: Tensor, *, places: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Family`."""
        rows, columns = self._size(gradients.shape[2:])
        gains = torch.maximum(gradients * (1 - mean), -gradients * mean).sum(1, keepdim=True)
        sums = F.avg_pool2d(gains, (rows, columns), stride=1)[:, 0]
        down = torch.arange(sums.shape[1], device=sums.device)[:, None]
        across = torch.arange(sums.shape[2], device=sums.device)
        free = self._cells((gradients > 0).to(gradients.dtype), gradients.shape[2:])
        for _ in range(min(places, sums[0].numel())):
            best = sums.flatten(1).argmax(1)
            top, left = best // sums.shape[2], best % sums.shape[2]
            yield free, self._place(top, left, gradients.shape[2:])
            # The next place overlaps with this one by a half at most.
            beside = (down - top[:, None, None]).abs() * 2 < rows
            above = (across - left[:, None, None]).abs() * 2 < columns
            sums = sums.masked_fill(beside & above, -torch.inf)

    def probes(self, shape: tuple[int, int, int]) -> int:
        """The rectangle in each of the pure colours, at places that overlap by half or more."""
        return len(self._corners(shape)) * len(_colours(shape[0]))

    def probe(self, numbers: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """See `Family`."""
        colours = _colours(shape[0]).to(numbers.device)
        corners = torch.tensor(self._corners(shape), device=numbers.device)
        corner = corners[numbers // len(colours)]
        colour = colours[numbers % len(colours)][:, :, None, None]
        free = self._cells(colour.expand(-1, -1, *shape[1:]), torch.Size(shape[1:]))
        return free, self._place(corner[:, 0], corner[:, 1], torch.Size(shape[1:]))

    def stamp(self, free: Tensor, place: Tensor, shape: tuple[int, int, int]) -> Stamp:
        """See `Family`."""
        pattern = free
        if free.shape[2:] != shape[1:]:
            pattern = F.interpolate(free, size=shape[1:], mode="nearest")
        mask = self.opacity * place
        return Stamp(mask, mask * pattern)

    def move(self, free: Tensor, direction: Tensor, shape: tuple[int, int, int]) -> Tensor:  # noqa: ARG002
        """See `Family`."""
        cells = self.height * self.width * free[0].numel()
        return (free + self.rate * math.sqrt(cells) * direction).clamp(0, 1)

    def refine(self, free: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """See `Family`."""
        if self.finer is None:
            return free
        return F.interpolate(free, size=self._grid(torch.Size(shape[1:]), self.finer))

    def _place(self, top: Tensor, left: Tensor, size: torch.Size) -> Tensor:
        """1 in the rectangle with each of these corners, 0 elsewhere."""
        rows, columns = self._size(size)
        down = torch.arange(size[0], device=top.device)[:, None]
        across = torch.arange(size[1], device=top.device)
        top, left = top[:, None, None, None], left[:, None, None, None]
        inside = (down >= top) & (down < top + rows) & (across >= left) & (across < left + columns)
        return inside.to(torch.float32)

    def _corners(self, shape: tuple[int, int, int]) -> list[tuple[int, int]]:
        rows, columns = self._size(torch.Size(shape[1:]))
        return list(product(_raster(shape[1], rows), _raster(shape[2], columns)))

    def _size(self, size: torch.Size) -> tuple[int, int]:
        rows = min(size[0], max(1, round(self.height * size[0])))
        return rows, min(size[1], max(1, round(self.width * size[1])))

    def _cells(self, pattern: Tensor, size: torch.Size) -> Tensor:
        """The pattern on its grid."""
        if self.colours is None:
            return pattern
        return F.adaptive_avg_pool2d(pattern, self._grid(size, self.colours))

    def _grid(self, size: torch.Size, colours: int) -> tuple[int, int]:
        """Cells of the grid, which spans the whole image."""
        cell = max(1, round(min(self._size(size)) / colours))
        return math.ceil(size[0] / cell), math.ceil(size[1] / cell)


def _colours(channels: int) -> Tensor:
    """Black, white and what lies between in corners of the colour cube, shape (colours, channels).

    Of images with more channels than colours and transparency have, black and white alone.
    """
    corners = list(product((0.0, 1.0), repeat=channels)) if channels <= _COLOURED else []
    return torch.tensor(corners or [(0.0,) * channels, (1.0,) * channels])


def _raster(side: int, length: int) -> list[int]:
    """Where to begin so that pieces of a length cover a side and overlap by half or more."""
    steps = max(1, min(_PLACES, math.ceil(2 * (side - length) / length)))
    return sorted({round(step * (side - length) / steps) for step in range(steps + 1)})


FAMILIES: tuple[Family, ...] = (
    Additive(None, 0.057),
    Additive(None, 0.114),
    Additive(6, 0.15, rough=(0.09,)),
    Additive(4, 0.2, rough=(0.18,)),
    Additive(3, 0.3, rough=(0.18,)),
    Wave(0.08),
    Overlay(0.11, 0.125),
    Overlay(0.19, 0.19),
    Overlay(0.15, 0.34, colours=4),
    Overlay(0.22, 0.68, colours=1, finer=4),
    Overlay(0.29, 1.0, colours=1, finer=4),
    Overlay(0.44, 1.0, colours=4),
    Overlay(1.0, 1.0, opacity=0.2),
)
