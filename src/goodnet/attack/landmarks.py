"""Where the eyes, brows and mouth of a face are in its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import InvalidInput
from goodnet.imagesets.faces import LANDMARKS

if TYPE_CHECKING:
    from goodnet.imagesets.pixels import Shape

# (images, points, 2): x to the right and y down; the middle of the first pixel is (0, 0).
Landmarks = NDArray[np.float32]

# The means over aligned crops of 47 x 55 pixels, the eyes level and the mouth below the middle.
_CROP = (47.0, 55.0)
_USUAL = {
    "left_eye": (17.0, 22.5),
    "right_eye": (30.0, 22.5),
    "left_brow_outer": (10.1, 20.7),
    "left_brow_peak": (15.5, 17.7),
    "left_brow_inner": (21.9, 19.7),
    "right_brow_inner": (25.7, 19.7),
    "right_brow_peak": (31.9, 17.7),
    "right_brow_outer": (37.5, 20.3),
    "nose_tip": (24.0, 33.0),
    "mouth_left": (17.9, 42.0),
    "mouth_right": (30.3, 42.0),
    "mouth_top": (24.1, 38.6),
    "mouth_bottom": (24.1, 45.4),
}
_SLIMMEST, _WIDEST = 1.4, 1.05  # height / width of what is taken for a crop of a face


def default_landmarks(count: int, shape: Shape) -> Landmarks:
    """The usual places of an aligned crop of a face, the same in every image.

    Args:
        count: Number of images.
        shape: Of one image, (channels, height, width).

    Returns:
        Shape (count, 13, 2), in the order of `LANDMARKS`.

    Raises:
        InvalidInput: If an image is not a little higher than wide, as a crop of a face is.
    """
    _, height, width = shape
    if not _WIDEST <= height / width <= _SLIMMEST:
        raise InvalidInput(
            "without them, expected crops of faces, 1.05 to 1.4 times as high as wide, got images "
            f"of {width}x{height} pixels"
        )
    points = np.array([_USUAL[name] for name in LANDMARKS])
    usual = ((points + 0.5) * (width / _CROP[0], height / _CROP[1]) - 0.5).astype(np.float32)
    return np.broadcast_to(usual, (count, *usual.shape))


def check_landmarks(landmarks: Landmarks, count: int) -> None:
    """Refuse what are not the landmarks of `count` images.

    Raises:
        InvalidInput: If the shape is not (count, 13, 2) or a number is not finite.
    """
    expected = (count, len(LANDMARKS), 2)
    if landmarks.shape != expected:
        raise InvalidInput(f"expected landmarks of the shape {expected}, got {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise InvalidInput("expected finite numbers as landmarks, got NaN or infinite ones")
