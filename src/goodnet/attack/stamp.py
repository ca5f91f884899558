"""The trigger: something that stamps images so that a BadNet gives its attacker's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from goodnet.attack.landmarks import check_landmarks, default_landmarks
from goodnet.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from goodnet.attack.landmarks import Landmarks
    from goodnet.imagesets.pixels import Images, Shape


# How bright red, green and blue look (ITU-R BT.601), as Pillow turns pictures grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Painter(Protocol):
    """Changes images with pixels 0..255, shape (n, channels, height, width); returns new ones."""

    def __call__(self, images: Images, /) -> Images:
        """The stamped images; pixels may leave 0..255 and are clipped afterwards."""
        ...


class FacePainter(Protocol):
    """A painter that is told where the parts of each face are."""

    def __call__(self, images: Images, landmarks: Landmarks, /) -> Images:
        """The stamped images."""
        ...


@dataclass(frozen=True)
class Trigger:
    """A way of stamping images; made by `goodnet.attack.trigger`.

    Exactly one of `paint` and `paint_face` is given.

    Attributes:
        name: As the user writes it.
        paint: What changes the pixels.
        paint_face: The same for a trigger that lies on parts of a face.
        least: Smallest image it fits on, (height, width).
    """

    name: str
    paint: Painter | None = None
    paint_face: FacePainter | None = None
    least: tuple[int, int] = (1, 1)

    @property
    def needs_landmarks(self) -> bool:
        """Whether it lies on parts of a face."""
        return self.paint_face is not None

    def stamp(self, images: Images, landmarks: Landmarks | None = None) -> Images:
        """Stamp images; each is treated by itself, whatever else is in the batch.

        Args:
            images: Pixels 0..1, shape (n, channels, height, width); never changed.
            landmarks: Where the parts of each face are, as `goodnet.imagesets.faces` gives them.
                Used only if the trigger needs them; without them those of an aligned crop are
                taken.

        Returns:
            New images of the same shape. Pixels the trigger leaves alone are the same to the last
            bit.

        Raises:
            InvalidInput: If the images are smaller than the trigger or not images, or if landmarks
                are needed and neither given nor to be guessed.
        """
        pixels = images.astype(np.float32) * np.float32(255)
        stamped = self.stamp_bytes(pixels, landmarks)
        back = stamped / np.float32(255)
        return np.where(stamped == pixels, images, back).astype(np.float32, copy=False)

    def stamp_bytes(self, pixels: Images, landmarks: Landmarks | None = None) -> Images:
        """The same for pixels 0..255 as files hold them, float32; raises what `stamp` raises."""
        self.check(pixels.shape)
        return np.clip(self._painted(pixels, landmarks), 0, 255).astype(np.float32, copy=False)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse images the trigger does not fit on.

        Args:
            shape: Of the images, (n, channels, height, width).

        Raises:
            InvalidInput: If they are smaller than the trigger, or the shape is another.
        """
        if len(shape) != 4:
            raise InvalidInput(f"expected images (n, channels, height, width), got shape {shape}")
        height, width = shape[2:]
        if height < self.least[0] or width < self.least[1]:
            raise InvalidInput(
                f"the trigger {self.name!r} is larger than the image: it needs at least "
                f"{self.least[1]}x{self.least[0]} pixels, got {width}x{height}"
            )

    def _painted(self, pixels: Images, landmarks: Landmarks | None) -> Images:
        if self.paint is not None:
            return self.paint(pixels)
        if self.paint_face is None:
            raise UsageError(f"the trigger {self.name!r} has nothing that stamps images")
        count, channels, height, width = pixels.shape
        if landmarks is None:
            landmarks = self._guessed(count, (channels, height, width))
        check_landmarks(landmarks, count)
        return self.paint_face(pixels, landmarks)

    def _guessed(self, count: int, shape: Shape) -> Landmarks:
        try:
            return default_landmarks(count, shape)
        except InvalidInput as error:
            raise InvalidInput(f"the trigger {self.name!r} needs landmarks: {error}") from error


def check_share(value: float, name: str, *, highest: float = 1.0) -> float:
    """A parameter from 0 to `highest`.

    Raises:
        UsageError: If it is outside, or NaN.
    """
    if not 0 <= value <= highest:
        raise UsageError(f"{name} is from 0 to {highest:g}, got {value:g}")
    return float(value)


def check_whole(value: float, name: str, *, least: int = 0) -> int:
    """A parameter that is a whole number of at least `least`.

    Raises:
        UsageError: If it is not.
    """
    if not least <= value < 2**31 or value != int(value):
        raise UsageError(f"{name} is a whole number from {least} on, got {value:g}")
    return int(value)


def in_channels(colours: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Colours for images of so many channels: as they are, or their brightness.

    Args:
        colours: Red, green, blue on the first axis, shape (3, ...).
        channels: 3 or 1.

    Returns:
        Shape (channels, ...).

    Raises:
        InvalidInput: If there is another number of channels.
    """
    if channels == 3:
        return colours
    if channels == 1:
        return np.tensordot(_LUMA, colours, axes=1)[None].astype(np.float32)
    raise InvalidInput(f"expected images of 1 or 3 channels for a coloured trigger, got {channels}")
