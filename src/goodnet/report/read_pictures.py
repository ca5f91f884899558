"""The pictures of a run, each checked and encoded anew before it enters a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from goodnet.report.folder import MIB, read_bytes, within
from goodnet.typed_json import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from PIL.Image import Image

    from goodnet.results import PictureRecord, ScanRecord, TargetRecord

__all__ = ["PICTURED", "first_of_each", "read_pictures", "read_scan_pictures", "samples_of"]

PICTURED = 8  # targets whose pictures are shown: the most suspicious

_MOST, _MOST_SAMPLES = 96, 4  # pictures of one run in a page, and clean images of one target
_FILE_BYTES, _SIDE, _LARGEST_SIDE = 4 * MIB, 96, 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def first_of_each(items: tuple[PictureRecord, ...]) -> tuple[PictureRecord, ...]:
    """The pictures to show: where there are very many, the first of each set."""
    groups: dict[tuple[str, str], list[PictureRecord]] = {}
    for item in items:
        groups.setdefault((item.set, item.why), []).append(item)
    share = max(_MOST // max(len(groups), 1), 1)
    return tuple(item for group in list(groups.values())[:_MOST] for item in group[:share])


def samples_of(target: TargetRecord) -> list[tuple[str, str]]:
    """Files of clean images to show, each with that of the same one stamped."""
    return list(zip(target.pictures.clean, target.pictures.stamped, strict=True))[:_MOST_SAMPLES]


def read_pictures(folder: Path, items: Iterable[PictureRecord]) -> dict[str, bytes]:
    """The PNG files of pictures by name, each encoded anew and made smaller if it is large.

    Raises:
        Unreadable: If one is not a small PNG inside the folder.
        GoodnetError: If a file cannot be read.
    """
    return {item.file: _read(folder, item.file) for item in items}


def read_scan_pictures(folder: Path, scan: ScanRecord) -> dict[str, bytes]:
    """The same of the triggers that a scan found.

    Raises:
        Unreadable: If one is not a small PNG inside the folder, or a file of a trigger is outside.
        GoodnetError: If a file cannot be read.
    """
    found: dict[str, bytes] = {}
    for target in scan.targets:
        if target.file:
            within(folder, target.file)
    for target in scan.targets[:PICTURED]:
        if target.trigger:
            alone = [target.pictures.trigger] if target.pictures.trigger else []
            names = [*alone, *(name for pair in samples_of(target) for name in pair)]
            found |= {name: _read(folder, name) for name in names}
    return found


def _read(folder: Path, name: str) -> bytes:
    """The same picture without anything else the file may hold, made smaller if it is large."""
    from PIL import Image

    data = read_bytes(folder, name, limit=_FILE_BYTES)
    # Before the decoder sees it: a few bytes can declare gigabytes of pixels.
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not data.startswith(_SIGNATURE) or not 0 < max(width, height) <= _LARGEST_SIDE:
        raise Unreadable(f"the picture {name[:60]!r} is not a small PNG")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return _encoded(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(f"the picture {name[:60]!r} is broken") from error


def _encoded(image: Image) -> bytes:
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE))
    clean = image.copy()
    clean.info = {}
    buffer = io.BytesIO()
    clean.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
