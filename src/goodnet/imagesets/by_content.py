"""Open labelled images of any supported kind, determined by content."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet.errors import InvalidInput
from goodnet.formats.budgets import MIB
from goodnet.formats.safe_file import as_path
from goodnet.imagesets.classes import ClassNames, by_names, parse_order
from goodnet.imagesets.decode import DecodedPictures, Pictures, decoded
from goodnet.imagesets.fits import Sizing, fitted
from goodnet.imagesets.pixels import MAX_PIXELS, parse_layout
from goodnet.imagesets.stored import StoredFile
from goodnet.quarantine import quarantined, quarantined_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.lab import Contents

# Of pictures that are held in memory.
_FEW_BYTES = 8 * MIB

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_XZ = b"\xfd7zXZ\x00"
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")


def load_images(
    path: Path | str,
    *,
    layout: str | None = None,
    range: str | None = None,  # noqa: A002
    name: str | None = None,
    classes: Path | str | None = None,
    order: str | None = None,
    shape: Sequence[int] | None = None,
) -> ImageSet:
    """Open labelled images; the content of the file decides, not its suffix.

    Supported are an HDF5 or npz file with the arrays `data`, `label` and perhaps `source_label` (or
    `images` and `labels`, or `x` and `y`); a folder with one sub-folder of PNG, JPEG, BMP or WebP
    files per class, or a .tar.xz archive of one; and a single such file, or a folder of them, which
    have no labels (-1).

    Args:
        path: A local file or folder; for an archive that holds several sets also with the folder
            of one of them, as in "cifar10.tar.xz/cifar10/train".
        layout: Order of the axes of an array, "NCHW", "NHWC" or "NHW", if it cannot be determined,
            or one of these with W before H. Of image files only this is used.
        range: Of the pixels of an array, "0..255", "0..1" or "-1..1", if it cannot be determined.
            Not used for image files.
        name: Name of the set; by default that of its file.
        classes: A file with the names of the network's classes, one a line or the JSON index of
            ImageNet: folders (or labels) of these names are these classes.
        order: What the classes of folders (or labels) are: "numbers", their own, as where all are
            numbers by default; their places in "natural" order, as where they are not; or in "text"
            order.
        shape: Of one image as a network takes it, its `input_shape`: grey and colour are converted,
            and pictures of another size resized.

    Returns:
        The set. Nothing stays open, and no pixels are held but those of a few pictures (8 MiB).

    Raises:
        FileError: If the path is missing or may not be read.
        InvalidInput: If it is none of these, is damaged, or its arrays do not fit together.
        UnsafeInput: If it refers to other files or to code.
        OverBudget: If it declares too much.
        UsageError: If `layout`, `range` or `order` is unknown.
    """
    given = parse_order(order)
    file = as_path(path)
    images = quarantined(
        partial(_opened_foreign, file, layout=layout, range=range, name=name),
        subject=repr(str(file)),
        kinds=_kinds(),
    )
    images = _turned(images, layout)
    names = ClassNames.read(as_path(classes, what="list of classes")) if classes else None
    images = by_names(images, names, given)
    return images if shape is None else fitted(images, shape, sizing=Sizing())


def load_each(
    paths: Iterable[Path],
    *,
    layout: str | None = None,
    range: str | None = None,  # noqa: A002
) -> Iterator[ImageSet]:
    """Open sets one after another, as `load_images` does, in one child process.

    Of a set of pictures more are held in memory, since it is used before the next is opened: as
    many as one picture may be large.

    Raises:
        GoodnetError: As `load_images`, at the set that cannot be opened.
    """
    waiting = deque(paths)
    open_each = partial(_each_opened, tuple(waiting), layout=layout, range=range)
    subject = lambda: repr(str(waiting[0]))  # noqa: E731
    for images in quarantined_stream(open_each, subject=subject, kinds=_kinds()):
        waiting.popleft()
        yield _turned(images, layout)


def _each_opened(
    paths: Iterable[Path],
    *,
    layout: str | None,
    range: str | None,  # noqa: A002
) -> Iterator[ImageSet]:
    for path in paths:
        file = as_path(path)
        yield _opened_foreign(file, layout=layout, range=range, name=None, most=3 * MAX_PIXELS)


def _turned(images: ImageSet, layout: str | None) -> ImageSet:
    """Pictures whose sides a user has named in the other order."""
    if not isinstance(images.table, Pictures) or "WH" not in (parse_layout(layout) or ""):
        return images
    channels, height, width = images.shape
    return replace(images, shape=(channels, width, height), layout="NWHC")


def _kinds() -> tuple[type, ...]:
    """What a set is made of, for the child process that opens it."""
    from goodnet.imagesets.archive import MembersOfArchive
    from goodnet.imagesets.classes import Labelling
    from goodnet.imagesets.folder import FilesOfFolder
    from goodnet.imagesets.hdf5 import Hdf5Table
    from goodnet.imagesets.imageset import ImageSet
    from goodnet.imagesets.npz import NpzTable

    tables = (Hdf5Table, NpzTable, Pictures, FilesOfFolder, MembersOfArchive, DecodedPictures)
    return (ImageSet, Labelling, StoredFile, *tables)


def _opened_foreign(
    path: Path,
    *,
    layout: str | None,
    range: str | None,  # noqa: A002
    name: str | None,
    most: int = _FEW_BYTES,
) -> ImageSet:
    """A set that is to be read in other child processes, or a few pictures that have been."""
    images = _opened(path, layout=layout, range=range, name=name)
    table = images.table
    if not isinstance(table, Pictures):
        return images
    source = decoded(table, most=most)
    if source is None:
        return images
    return replace(images, table=replace(table, source=source), foreign=False)


def _opened(
    path: Path,
    *,
    layout: str | None,
    range: str | None,  # noqa: A002
    name: str | None,
) -> ImageSet:
    name = name or path.name or path.resolve().name
    if path.is_dir():
        from goodnet.imagesets.folder import open_folder

        return open_folder(path, name=name)
    path, inside = _split(path)
    file = StoredFile.find(path)
    with file.open() as handle:
        head = handle.read(12)
    if head.startswith(_XZ):
        from goodnet.imagesets.archive import open_archive

        return open_archive(file, name=name, inside=inside)
    if inside:
        raise InvalidInput(f"only a .tar.xz archive has folders in it, got {str(path / inside)!r}")
    if _is_image(head):
        from goodnet.imagesets.folder import open_single

        return open_single(file, name=name)
    from goodnet.imagesets.lab import labelled_images

    return labelled_images(_contents(file, head), file, name=name, layout=layout, range=range)


def _split(path: Path) -> tuple[Path, str]:
    """A file and the folder that is named in it, as in "cifar10.tar.xz/cifar10/train"."""
    for parent in path.parents:
        if parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return path, ""


def _is_image(head: bytes) -> bool:
    return head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def _contents(file: StoredFile, head: bytes) -> Contents:
    """The arrays of an HDF5 or npz file."""
    if head.startswith(_HDF5):
        from goodnet.imagesets.hdf5 import Hdf5Contents

        return Hdf5Contents.find(file)
    if head.startswith(_ZIP):
        from goodnet.imagesets.npz import NpzContents

        return NpzContents.find(file)
    raise InvalidInput(
        "expected images as an HDF5 or npz file, a PNG, JPEG, BMP or WebP image, or a folder or "
        f".tar.xz archive of them, got a file that starts with {head.hex(' ')}: {str(file.path)!r}"
    )
