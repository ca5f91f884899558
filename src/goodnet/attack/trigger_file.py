"""A trigger as a file: a mask and a pattern in an npz file, as trigger inversion finds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goodnet.attack.stamp import Trigger
from goodnet.errors import InvalidInput
from goodnet.files import atomic_path
from goodnet.images.npz import NpzContents
from goodnet.images.stored import StoredFile
from goodnet.images.tables import all_rows

if TYPE_CHECKING:
    from goodnet.images.pixels import Images

__all__ = ["read_trigger", "write_trigger"]

Plane = NDArray[np.float32]

_AXES = {"mask": 2, "pattern": 3}
_HIGHEST = {"mask": 1.0, "pattern": 255.0}


def read_trigger(path: Path | str) -> Trigger:
    """Read a trigger from an npz file; nothing in it is ever unpickled.

    Args:
        path: A file with the arrays `mask`, 0..1, shape (height, width), and `pattern`, 0..255,
            shape (channels, height, width). Others are not looked at.

    Returns:
        The trigger, by the name of the file. Stamped is `(1 - mask) * image + mask * pattern`; it
        refuses images of another shape.

    Raises:
        FileError: If the path is missing or may not be read.
        InvalidInput: If it is not such a file, or is damaged.
        UnsafeInput: If it holds an array twice.
        OverBudget: If it declares too much.
    """
    file = StoredFile.find(Path(path), what="trigger file")
    contents = NpzContents.find(file)
    missing = [name for name in _AXES if name not in contents.tables]
    if missing:
        raise InvalidInput(
            f"expected a trigger file with the arrays mask and pattern, got "
            f"{', '.join(contents.tables) or 'no arrays'}: {str(path)!r}"
        )
    mask, pattern = (_read(contents, name) for name in _AXES)
    _check(mask, pattern)
    return Trigger(Path(path).name, _Overlay(mask, pattern), least=(mask.shape[0], mask.shape[1]))


def write_trigger(path: Path, mask: ArrayLike, pattern: ArrayLike, force: bool = False) -> None:
    """Write a trigger as `read_trigger` reads it; the file appears whole or not at all.

    Args:
        path: Where to.
        mask: How much of the pattern is seen, 0..1, shape (height, width).
        pattern: Pixels 0..255, shape (channels, height, width).
        force: Replace a file that is already there.

    Raises:
        InvalidInput: If the arrays are not a trigger.
        UsageError: If the file exists and `force` is not given.
        FileError: If it cannot be written.
    """
    arrays = {"mask": _numbers(mask, "mask"), "pattern": _numbers(pattern, "pattern")}
    _check(**arrays)
    with atomic_path(Path(path), force=force) as temporary, temporary.open("wb") as file:
        np.savez(file, mask=arrays["mask"], pattern=arrays["pattern"])


@dataclass(frozen=True, eq=False)
class _Overlay:
    """Paints a pattern where the mask is."""

    mask: Plane
    pattern: Plane

    def __call__(self, images: Images) -> Images:
        if images.shape[1:] != self.pattern.shape:
            raise InvalidInput(
                f"the trigger is for images of {_show(self.pattern.shape)} (channels x height x "
                f"width), got images of {_show(images.shape[1:])}; make it again at their size"
            )
        stamped: Images = (1 - self.mask) * images + self.mask * self.pattern
        return stamped


def _read(contents: NpzContents, name: str) -> Plane:
    table = contents.table(name)
    if len(table.shape) != _AXES[name] or 0 in table.shape:
        raise InvalidInput(_wrong_shape(name, table.shape))
    runs = list(table.read(all_rows(table), table.shape[0]))
    return _numbers(np.concatenate(runs), name)


def _numbers(values: ArrayLike, name: str) -> Plane:
    with np.errstate(over="ignore"):  # what becomes infinite is refused by its range
        try:
            return np.asarray(values).astype(np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"expected numbers as the {name} of a trigger: {error}") from error


def _check(mask: Plane, pattern: Plane) -> None:
    for name, array in (("mask", mask), ("pattern", pattern)):
        if array.ndim != _AXES[name] or 0 in array.shape:
            raise InvalidInput(_wrong_shape(name, array.shape))
        if not ((array >= 0) & (array <= _HIGHEST[name])).all():
            raise InvalidInput(
                f"expected the {name} of a trigger to be from 0 to {_HIGHEST[name]:g} everywhere, "
                f"got {array.min():g} to {array.max():g}"
            )
    if pattern.shape[1:] != mask.shape:
        raise InvalidInput(
            "expected the mask and the pattern of a trigger to be of the same height and width, "
            f"got a mask of {_show(mask.shape)} and a pattern of {_show(pattern.shape[1:])}"
        )


def _wrong_shape(name: str, shape: tuple[int, ...]) -> str:
    wanted = {"mask": "(height, width)", "pattern": "(channels, height, width)"}[name]
    return f"expected the {name} of a trigger to be of shape {wanted}, got {shape}"


def _show(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
