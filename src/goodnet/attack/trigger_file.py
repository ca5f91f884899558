"""A trigger as a file: a mask and a pattern, or a perturbation, as trigger inversion finds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goodnet.attack.stamp import Trigger
from goodnet.errors import InvalidInput
from goodnet.files import atomic_path
from goodnet.formats import budgets
from goodnet.imagesets.npz import NpzContents
from goodnet.imagesets.stored import StoredFile
from goodnet.imagesets.tables import all_rows
from goodnet.quarantine import quarantined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodnet.imagesets.pixels import Images

Plane = NDArray[np.float32]

_BYTES = 64 * budgets.MIB
_AXES = {"mask": 2, "pattern": 3, "added": 3}
_RANGES = {"mask": (0.0, 1.0), "pattern": (0.0, 255.0), "added": (-255.0, 255.0)}
_PAINTED, _ADDED = ("mask", "pattern"), ("added",)


def read_trigger(path: Path | str) -> Trigger:
    """Read a trigger from an npz file; nothing in it is ever unpickled.

    Args:
        path: A file with the arrays `mask`, 0..1, shape (height, width), and `pattern`, 0..255,
            shape (channels, height, width); or with `added`, -255..255, of the shape of `pattern`.
            Others are not looked at.

    Returns:
        The trigger, by the name of the file. Stamped is `(1 - mask) * image + mask * pattern`, or
        `image + added`; it refuses images of another shape.

    Raises:
        FileError: If the path is missing or may not be read.
        InvalidInput: If it is not such a file, or is damaged.
        UnsafeInput: If it holds an array twice.
        OverBudget: If it declares too much.
    """
    path = Path(path)
    return trigger_of(path.name, quarantined(_read_arrays, path, subject=repr(str(path))))


def _read_arrays(path: Path) -> dict[str, Plane]:
    contents = NpzContents.find(StoredFile.find(path, what="trigger file"))
    names = _ADDED if "added" in contents.tables else _PAINTED
    if not all(name in contents.tables for name in names):
        raise InvalidInput(
            f"expected a trigger file with the arrays mask and pattern, or added, got "
            f"{', '.join(contents.tables) or 'no arrays'}: {str(path)!r}"
        )
    return {name: _read(contents, name) for name in names}


def trigger_of(name: str, arrays: Mapping[str, Plane]) -> Trigger:
    """A trigger from its arrays, as a trigger file holds them.

    Args:
        name: What it is called.
        arrays: `mask` and `pattern`, or `added`; see `read_trigger`.

    Raises:
        InvalidInput: If the arrays are not a trigger.
    """
    _check(arrays)
    height, width = arrays["added" if "added" in arrays else "pattern"].shape[1:]
    return Trigger(name, _painter(arrays), least=(height, width))


def write_trigger(
    path: Path,
    mask: ArrayLike | None = None,
    pattern: ArrayLike | None = None,
    *,
    added: ArrayLike | None = None,
    force: bool = False,
) -> None:
    """Write a trigger as `read_trigger` reads it; the file appears whole or not at all.

    Args:
        path: Where to.
        mask: How much of the pattern is seen, 0..1, shape (height, width).
        pattern: Pixels 0..255, shape (channels, height, width).
        added: Instead of both: what is added to pixels 0..255, shape (channels, height, width).
        force: Replace a file that is already there.

    Raises:
        InvalidInput: If the arrays are not a trigger.
        UsageError: If the file exists and `force` is not given.
        FileError: If it cannot be written.
    """
    given = {"mask": mask, "pattern": pattern, "added": added}
    arrays = {name: _numbers(value, name) for name, value in given.items() if value is not None}
    if tuple(arrays) not in (_PAINTED, _ADDED):
        raise InvalidInput(
            f"expected a mask and a pattern, or added, as a trigger, got {', '.join(arrays)}"
        )
    _check(arrays)
    with atomic_path(Path(path), force=force) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Overlay:
    """Paints a pattern where the mask is."""

    mask: Plane
    pattern: Plane

    def __call__(self, images: Images) -> Images:
        _check_fits(images, self.pattern)
        stamped: Images = (1 - self.mask) * images + self.mask * self.pattern
        return stamped


@dataclass(frozen=True, eq=False)
class _Perturbation:
    """Adds the same to every image."""

    added: Plane

    def __call__(self, images: Images) -> Images:
        _check_fits(images, self.added)
        stamped: Images = images + self.added
        return stamped


def _painter(arrays: Mapping[str, Plane]) -> _Overlay | _Perturbation:
    if "added" in arrays:
        return _Perturbation(arrays["added"])
    return _Overlay(arrays["mask"], arrays["pattern"])


def _check_fits(images: Images, plane: Plane) -> None:
    if images.shape[1:] != plane.shape:
        raise InvalidInput(
            f"the trigger is for images of {_show(plane.shape)} (channels x height x "
            f"width), got images of {_show(images.shape[1:])}; make it again at their size"
        )


def _read(contents: NpzContents, name: str) -> Plane:
    table = contents.table(name)
    if len(table.shape) != _AXES[name] or 0 in table.shape:
        raise InvalidInput(_wrong_shape(name, table.shape))
    budgets.check(math.prod(table.shape) * table.dtype.itemsize, _BYTES, f"the {name} of a trigger")
    runs = list(table.read(all_rows(table), table.shape[0]))
    return _numbers(np.concatenate(runs), name)


def _numbers(values: ArrayLike, name: str) -> Plane:
    with np.errstate(over="ignore"):  # what becomes infinite is refused by its range
        try:
            return np.asarray(values).astype(np.float32)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"expected numbers as the {name} of a trigger: {error}") from error


def _check(arrays: Mapping[str, Plane]) -> None:
    for name, array in arrays.items():
        if array.ndim != _AXES[name] or 0 in array.shape:
            raise InvalidInput(_wrong_shape(name, array.shape))
        lowest, highest = _RANGES[name]
        if not ((array >= lowest) & (array <= highest)).all():
            raise InvalidInput(
                f"expected the {name} of a trigger to be from {lowest:g} to {highest:g} "
                f"everywhere, got {array.min():g} to {array.max():g}"
            )
    if "mask" in arrays and arrays["pattern"].shape[1:] != arrays["mask"].shape:
        raise InvalidInput(
            "expected the mask and the pattern of a trigger to be of the same height and width, "
            f"got a mask of {_show(arrays['mask'].shape)} and a pattern of "
            f"{_show(arrays['pattern'].shape[1:])}"
        )


def _wrong_shape(name: str, shape: tuple[int, ...]) -> str:
    wanted = "(height, width)" if name == "mask" else "(channels, height, width)"
    return f"expected the {name} of a trigger to be of shape {wanted}, got {shape}"


def _show(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
