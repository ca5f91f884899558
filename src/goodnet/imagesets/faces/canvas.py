"""A block of pictures to paint on, with soft shapes, in coordinates of the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goodnet.imagesets.faces.randomness import Floats

# How far pose and framing can carry a point of the face.
_SLACK_X, _SLACK_Y = 8.5, 7.0


@dataclass(frozen=True)
class Canvas:
    """Pictures that layers are painted on, one over another.

    Attributes:
        image: Colours 0..255, shape (n, 3, h, w), changed by painting.
        u: Where each pixel lies on the face from left to right, shape (n, h, w).
        v: The same from top to bottom.
        pixel: Size of a pixel in the units of `u` and `v`: edges are that soft.
    """

    image: Floats
    u: Floats
    v: Floats
    pixel: float

    def window(self, left: float, top: float, right: float, bottom: float) -> Canvas:
        """The part of the pictures where a box of the face can come to lie, however it is turned.

        Painting on the part paints on the whole; what lies outside the box may be cut off.
        """
        height, width = self.image.shape[2:]
        rows = self._span(top - _SLACK_Y, bottom + _SLACK_Y, height)
        columns = self._span(left - _SLACK_X, right + _SLACK_X, width)
        part = (slice(None), rows, columns)
        # Copies, for whole runs of memory are worked through faster than strips.
        u, v = self.u[part].copy(), self.v[part].copy()
        return Canvas(self.image[:, :, rows, columns], u, v, self.pixel)

    def _span(self, low: float, high: float, length: int) -> slice:
        """The pixels from `low` to `high`, in units of the face counted from the middle."""
        middle = (length - 1) / 2
        first, last = (int(np.rint(middle + edge / self.pixel)) for edge in (low, high))
        return slice(max(0, first), max(0, last + 1))

    def inside(self, distance: Floats, soft: float = 1.0) -> Floats:
        """1 where a distance to an edge is positive, 0 where negative, in between on the edge.

        Args:
            distance: In units of `u` and `v`; the array is used up.
            soft: Width of the edge, at least a pixel.
        """
        distance *= np.float32(1 / max(soft, self.pixel))
        distance += np.float32(0.5)
        return np.clip(distance, 0, 1, out=distance)

    def paint(self, mask: Floats, colour: Floats) -> None:
        """Lay a colour (n, 3, 1, 1) or (n, 3, h, w) over the pictures where `mask` is 1."""
        change = colour - self.image
        change *= mask[:, None]
        np.add(self.image, change, out=self.image)

    def shade(self, factor: Floats) -> None:
        """Make pictures darker or lighter, (n, h, w)."""
        np.multiply(self.image, factor[:, None], out=self.image)


def bump(x: Floats, y: Floats) -> Floats:
    """A smooth spot: 1 at the origin, 0 from distance 1 on."""
    return hill(x * x + y * y)


def hill(square: Floats) -> Floats:
    """1 at 0, falling smoothly to 0 at 1; of a squared distance."""
    rest = np.maximum(1 - square, 0)
    return rest * rest


def stretch(palette: tuple[tuple[float, float, float], ...], place: Floats) -> Floats:
    """Colours (n, 3, 1, 1) found between those of a palette at a place 0..1, shape (n, 1, 1)."""
    stops = np.linspace(0, 1, len(palette))
    channels = [np.interp(place, stops, channel) for channel in zip(*palette, strict=True)]
    return np.stack(channels, axis=1).astype(np.float32)
