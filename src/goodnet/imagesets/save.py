"""Write images in the lab's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodnet.errors import FileError, InvalidInput
from goodnet.files import atomic_path
from goodnet.imagesets.labels import read_labels
from goodnet.imagesets.memory import ArrayTable
from goodnet.imagesets.rows import write_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray


def save_images(
    path: Path,
    data: NDArray[Any],
    labels: ArrayLike,
    source_labels: ArrayLike | None = None,
    *,
    force: bool = False,
) -> None:
    """Write an HDF5 file with the data sets `data`, `label` and perhaps `source_label`.

    The file appears whole or not at all.

    Args:
        path: Where to.
        data: Pixels in any numeric type, kept as it is, shape (N, channels, height, width).
        labels: Class of each image, shape (N,).
        source_labels: What poisoned images really show, shape (N,).
        force: Replace a file that is already there.

    Raises:
        InvalidInput: If the arrays do not belong together, or a label is no class index.
        UsageError: If the file exists and `force` is not given.
        FileError: If it cannot be written.
    """
    arrays = {"data": np.asarray(data), "label": np.asarray(labels)}
    if source_labels is not None:
        arrays["source_label"] = np.asarray(source_labels)
    _check(arrays)
    for key in arrays.keys() - {"data"}:
        arrays[key] = read_labels(ArrayTable(arrays[key]), name=repr(key))
    with atomic_path(path, force=force) as temporary:
        _write(temporary, arrays, path)


def _check(arrays: Mapping[str, NDArray[Any]]) -> None:
    shapes = {key: array.shape for key, array in arrays.items()}
    data = arrays["data"]
    lengths = {shape[:1] for shape in shapes.values()}
    ranks = [len(shape) for shape in shapes.values()]
    if data.dtype.kind not in "biuf" or ranks[0] != 4 or set(ranks[1:]) != {1} or len(lengths) > 1:
        raise InvalidInput(
            "expected numbers of the shape (N, channels, height, width) and N labels, got "
            f"{data.dtype} and the shapes {shapes}"
        )


def _write(path: Path, arrays: Mapping[str, NDArray[Any]], destination: Path) -> None:
    try:
        write_arrays(path, arrays)
    except (OSError, RuntimeError) as error:  # HDF5 reports a full disk as either
        raise FileError(
            f"no room to write the images, or the system refused: {destination}"
        ) from error
