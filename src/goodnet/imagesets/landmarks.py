"""The array `landmarks` that lies beside images of faces in an HDF5 file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.imagesets.tables import all_rows
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from goodnet.attack import Landmarks
    from goodnet.imagesets import ImageSet
    from goodnet.imagesets.hdf5 import Hdf5Table

# The points of a face, in the order of the array.
LANDMARKS = (
    "left_eye",
    "right_eye",
    "left_brow_outer",
    "left_brow_peak",
    "left_brow_inner",
    "right_brow_inner",
    "right_brow_peak",
    "right_brow_outer",
    "nose_tip",
    "mouth_left",
    "mouth_right",
    "mouth_top",
    "mouth_bottom",
)


def find_landmarks(images: ImageSet) -> Landmarks | None:
    """The landmarks in the file the images are in, shape (N, points, 2); None if it has none.

    Raises:
        InvalidInput: If the array of that name cannot be landmarks of these images.
    """
    from goodnet.imagesets.hdf5 import Hdf5Table

    if not isinstance(images.table, Hdf5Table):
        return None
    subject = repr(str(images.path))
    return quarantined(_read_landmarks, images, images.table, subject=subject)


def _read_landmarks(images: ImageSet, pixels: Hdf5Table) -> Landmarks | None:
    from goodnet.imagesets.hdf5 import Hdf5Contents

    contents = Hdf5Contents.find(pixels.file)
    if "landmarks" not in contents.shapes:
        return None
    table = contents.table("landmarks")
    if table.dtype.kind != "f" or len(table.shape) != 3 or table.shape[0] != len(images):
        raise InvalidInput(
            f"expected landmarks of the shape ({len(images)}, points, 2), got {table.dtype} "
            f"{table.shape} in {images.name}"
        )
    runs = list(table.read(all_rows(table), len(images)))
    return np.concatenate(runs).astype(np.float32)
