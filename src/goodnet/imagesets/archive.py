"""A .tar.xz archive with one folder of image files per class, read without unpacking it to disk."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.budgets import GIB, MIB
from goodnet.imagesets.classes import Labelling
from goodnet.imagesets.decode import Pictures, decode_stream
from goodnet.imagesets.folder import listing
from goodnet.imagesets.imageset import ImageSet
from goodnet.quarantine import renew_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from goodnet.imagesets.stored import StoredFile

# Compressed image files are held in memory, so a random pass costs no more than one in order.
MAX_HELD = 2 * GIB
_MEMBER_BYTES = 64 * MIB
_DICTIONARY_BYTES = 256 * MIB
_PACKED_BYTES = MIB // 16
_RECORD = 512
_PAD = bytes(_RECORD)


@dataclass(frozen=True, eq=False)
class MembersOfArchive:
    """Image files in memory, with their names in the archive."""

    names: Sequence[str] = field(repr=False)
    files: Sequence[bytes] = field(repr=False)

    def decode(self, row: int) -> NDArray[np.uint8]:
        """Pixels of one file, shape (height, width, 3)."""
        return decode_stream(io.BytesIO(self.files[row]), shown=repr(self.names[row]))


def open_archive(file: StoredFile, *, name: str, inside: str = "") -> ImageSet:
    """Make a set of a .tar.xz archive that holds a folder with one sub-folder per class.

    The archive is read once, and its image files are held in memory as they are stored (2 GiB at
    most). They are decoded when they are read. Labels and names are those a folder would give.

    Args:
        file: The archive.
        name: What to call the set.
        inside: The folder in the archive that holds the sub-folders; needed only where there are
            several such folders.

    Raises:
        InvalidInput: If it is damaged, holds no images, several sets, or unusual entries.
        UnsafeInput: If a name in it leads out of it.
        OverBudget: If it holds more than 2 GiB or a file of more than 64 MiB.
    """
    skipped: Counter[str] = Counter()
    sets: dict[str, dict[str, bytes]] = defaultdict(dict)
    with file.open() as handle:
        for path, content in _regular_files(handle, name, skipped):
            renew_time()
            if len(path.parts) < 2 or any(part.startswith(".") for part in path.parts):
                skipped["hidden" if path.name.startswith(".") else "files"] += 1
                continue
            _keep(sets[str(path.parent.parent)], path, content, name)
    chosen = sets[_choose(sets, inside.strip("/"), name)]
    return _image_set(chosen, file, name, skipped)


def _keep(files: dict[str, bytes], path: PurePosixPath, content: bytes, name: str) -> None:
    key = f"{path.parent.name}/{path.name}"
    if key in files:
        raise InvalidInput(f"{name}: two files of the archive have the same name, {str(path)!r}")
    files[key] = content


def _choose(sets: Mapping[str, object], inside: str, name: str) -> str:
    """The folder that holds the classes."""
    listed = ", ".join(repr(folder) for folder in sorted(sets)[:6])
    if not sets:
        raise InvalidInput(
            f"{name}: expected an archive with one folder of images per class, got no images"
        )
    if inside:
        if inside not in sets:
            raise InvalidInput(
                f"{name}: the archive has sets of images in {listed}, not in {inside!r}"
            )
        return inside
    if len(sets) > 1:
        raise InvalidInput(
            f"{name}: the archive has several sets of images, add the folder of one to its path: "
            f"{listed}"
        )
    return next(iter(sets))


def _image_set(
    files: Mapping[str, bytes], file: StoredFile, name: str, skipped: Counter[str]
) -> ImageSet:
    names = sorted(files, key=lambda key: [os.fsencode(part) for part in key.split("/")])
    counts = Counter(key.split("/")[0] for key in names)
    labelling = Labelling.of_folders(list(counts), name)
    labels = [labelling.by_name[folder] for folder in counts]
    members = MembersOfArchive(names, [files[key] for key in names])
    shape = members.decode(0).shape
    return ImageSet(
        name=name,
        shape=(3, *shape[:2]),
        labels=np.repeat(labels, list(counts.values())),
        source_labels=None,
        range="0..255",
        layout="NHWC",
        table=Pictures(names, (len(names), *shape), members),
        origin=file,
        known_labelling=labelling,
        files=names,
        skipped=listing(skipped),
    )


def _regular_files(
    handle: BinaryIO, name: str, skipped: Counter[str]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Path and content of each regular file; folders are passed over, links and others counted."""
    stream = _Unpacked(handle, name)
    while (record := stream.read(_RECORD)) != _PAD:
        entry = _parse(record, name)
        if entry.size > _MEMBER_BYTES:
            raise OverBudget(
                f"{name}: a file of an archive may have 64 MiB, {entry.name!r} has more"
            )
        content = stream.read(-(-entry.size // _RECORD) * _RECORD)[: entry.size]
        if entry.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            _check_extra(content, name)
        elif entry.isreg():
            yield _safe_path(entry.name, name), content
        elif not entry.isdir():
            skipped["links or devices"] += 1


def _parse(record: bytes, name: str) -> tarfile.TarInfo:
    try:
        entry = tarfile.TarInfo.frombuf(record, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise InvalidInput(f"{name}: expected a tar archive, it is damaged ({error})") from error
    if entry.size < 0 or entry.type in (
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.GNUTYPE_SPARSE,
    ):
        raise InvalidInput(_unusual(name))
    return entry


def _check_extra(content: bytes, name: str) -> None:
    """Refuse an extended header that gives the next entry another name or size."""
    if any(f" {key}=".encode() in content for key in ("path", "size", "GNU.sparse.major")):
        raise InvalidInput(_unusual(name))


def _unusual(name: str) -> str:
    return (
        f"{name}: the archive has names over 100 letters or sparse files, which are not read from "
        "an archive; unpack it and give the folder"
    )


def _safe_path(text: str, name: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not text.isprintable():
        raise UnsafeInput(f"{name}: a name in the archive is not a plain path: {text!r}")
    return path


class _Unpacked:
    """The bytes of an .xz file, never more of them than `MAX_HELD`."""

    def __init__(self, handle: BinaryIO, name: str) -> None:
        self._handle, self._name = handle, name
        self._unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DICTIONARY_BYTES)
        self._total = 0

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        self._total += count
        if self._total > MAX_HELD:
            raise OverBudget(
                f"{self._name}: an archive may hold {MAX_HELD:,} bytes, it holds more; unpack it "
                "and give the folder"
            )
        pieces: list[bytes] = []
        while count:
            piece = self._piece(count)
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _piece(self, most: int) -> bytes:
        """Some bytes, at most `most`, at least one."""
        try:
            while not self._unpack.eof:
                wanted = self._unpack.needs_input
                packed = self._handle.read(_PACKED_BYTES) if wanted else b""
                if piece := self._unpack.decompress(packed, most):
                    return piece
                if wanted and not packed:
                    break
        except (lzma.LZMAError, EOFError) as error:
            raise InvalidInput(f"{self._name}: the archive is damaged ({error})") from error
        raise InvalidInput(f"{self._name}: the archive is damaged or ends early")
