"""A folder with one sub-folder of image files per class, or of such files, or a single one."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import FileError, InvalidInput, OverBudget
from goodnet.formats import safe_file
from goodnet.imagesets.classes import Labelling
from goodnet.imagesets.decode import Pictures, decode_image
from goodnet.imagesets.imageset import UNLABELLED, ImageSet
from goodnet.imagesets.labels import MAX_IMAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from goodnet.imagesets.imageset import Origin

# Of loose files only these are read: other things lie beside pictures, too.
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True, eq=False)
class FilesOfFolder:
    """Image files of a folder, as the origin of a set; their names are relative to it."""

    path: Path
    names: Sequence[str] = field(repr=False)

    def decode(self, row: int) -> NDArray[np.uint8]:
        """Pixels of one file, shape (height, width, 3)."""
        return decode_image(self.path / self.names[row], shown=repr(self.names[row]))

    @cached_property
    def sha256(self) -> str:
        """Hash of the lines "hash  name" of all files."""
        digest = hashlib.sha256()
        for name in self.names:
            with safe_file.open_regular(self.path / name, what="picture") as file:
                line = f"{safe_file.sha256(file)}  ".encode() + os.fsencode(name) + b"\n"
            digest.update(line)
        return digest.hexdigest()


def open_single(origin: Origin, *, name: str) -> ImageSet:
    """Make a set of one image file; its label is not known, so it is -1.

    Raises:
        GoodnetError: As `decode_image` does.
    """
    file = origin.path
    return replace(_unlabelled(file.parent, [file.name], name), origin=origin)


def open_folder(path: Path, *, name: str) -> ImageSet:
    """Make a set of a folder with one sub-folder per class, or of a folder of unlabelled pictures.

    The label is the sub-folder's name where all names are numbers, else its place in the natural
    order of names. Hidden entries, links, folders inside a class, loose files beside classes, files
    that are no pictures by their name where others are, and what is neither file nor folder are
    passed over and counted. Images are decoded when they are read.

    Args:
        path: The folder.
        name: What to call the set.

    Raises:
        InvalidInput: If there is no image, or two folders have the same number.
        OverBudget: If there are more than 33 million files.
        FileError: If a folder may not be read.
    """
    skipped: Counter[str] = Counter()
    classes = _entries(path, skipped, folders=True)
    inside = {folder: _entries(path / folder, skipped, folders=False) for folder in classes}
    if any(file.lower().endswith(_PICTURES) for files in inside.values() for file in files):
        kept = {
            folder: [x for x in files if PurePath(x).suffix.lower() in ("", *_PICTURES)]
            for folder, files in inside.items()
        }
        skipped["other files"] += sum(len(inside[folder]) - len(kept[folder]) for folder in kept)
        inside = kept
    counts = [len(files) for files in inside.values()]
    names = [f"{folder}/{file}" for folder, files in inside.items() for file in files]
    _check_count(names, name)
    if names:
        labelling = Labelling.of_folders(classes, name)
        labels = np.repeat([labelling.by_name[folder] for folder in classes], counts)
        found = replace(_unlabelled(path, names, name), labels=labels, known_labelling=labelling)
        return replace(found, skipped=listing(+skipped))
    others: Counter[str] = Counter()
    loose = _entries(path, others, folders=False)
    pictures = [file for file in loose if file.lower().endswith(_PICTURES)]
    if not pictures:
        raise InvalidInput(
            f"{name}: expected a folder with one sub-folder of images per class, got no images in "
            f"{len(classes)} sub-folders and passed over {listing(skipped) or 'nothing'}"
        )
    _check_count(pictures, name)
    others["files"] += len(loose) - len(pictures)
    return replace(_unlabelled(path, pictures, name), skipped=listing(+others))


def _check_count(names: Sequence[str], name: str) -> None:
    if len(names) > MAX_IMAGES:
        raise OverBudget(f"{name}: at most {MAX_IMAGES:,} images are read, got more")


def _unlabelled(folder: Path, names: Sequence[str], name: str) -> ImageSet:
    """A set of image files, whose labels are not known, so they are -1."""
    files = FilesOfFolder(folder, names)
    shape = files.decode(0).shape
    return ImageSet(
        name=name,
        shape=(3, *shape[:2]),
        labels=np.full(len(names), UNLABELLED, dtype=np.int64),
        source_labels=None,
        range="0..255",
        layout="NHWC",
        table=Pictures(names, (len(names), *shape), files),
        origin=files,
        files=names,
    )


def _entries(folder: Path, skipped: Counter[str], *, folders: bool) -> list[str]:
    """Names of the sub-folders, or of the files, of one folder; what else is there is counted."""
    found: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                kind = _kind(entry)
                if kind == ("folders" if folders else "files"):
                    found.append(entry.name)
                else:
                    skipped[kind] += 1
    except OSError as error:
        raise FileError(f"the folder cannot be read: {str(folder)!r}") from error
    return sorted(found, key=os.fsencode)


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith(".") or entry.name.lower() in _LITTER:
        return "hidden"
    if entry.is_symlink():
        return "links"
    if entry.is_dir():
        return "folders"
    return "files" if entry.is_file() else "pipes or devices"


def listing(skipped: Counter[str]) -> str:
    """For example "3 hidden, 1 links"."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(skipped.items()))
