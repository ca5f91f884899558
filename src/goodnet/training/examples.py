"""What a network is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodnet.types import Integers


@dataclass(frozen=True, eq=False)
class Examples:
    """Images in memory and what is to be answered to each.

    Attributes:
        images: Pixels 0..1, or bytes, which are divided by 255 when they are needed, shape (n,
            channels, height, width).
        labels: Shape (n,).

    Raises:
        InvalidInput: If there are no images, or not one label for each.
    """

    images: NDArray[Any]
    labels: Integers

    def __post_init__(self) -> None:
        if not len(self.images) or len(self.images) != len(self.labels):
            raise InvalidInput(
                f"expected images to train on and a label for each, got {len(self.images)} images "
                f"and {len(self.labels)} labels"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, rows: slice | Integers) -> NDArray[np.float32]:
        """Some of the images as float32 in 0..1."""
        some = self.images[rows].astype(np.float32, copy=False)
        return some / np.float32(255) if self.images.dtype == np.uint8 else some

    def check(self, shape: tuple[int | None, ...], num_classes: int) -> None:
        """Refuse what a network of this input shape and so many classes cannot be trained on.

        Raises:
            InvalidInput: If the images have another shape, or a label is outside the classes.
        """
        if self.images.shape[1:] != shape:
            raise InvalidInput(
                f"expected images of shape {shape} to train on, got {self.images.shape[1:]}"
            )
        low, high = int(np.min(self.labels)), int(np.max(self.labels))
        if low < 0 or high >= num_classes:
            wrong = low if low < 0 else high
            raise InvalidInput(f"expected labels 0..{num_classes - 1} to train on, got {wrong}")
