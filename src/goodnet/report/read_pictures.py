"""The pictures of a run, each checked and encoded anew before it enters a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from goodnet.report.facts import Picture
from goodnet.report.folder import MIB, read_bytes
from goodnet.typed_json import Unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from goodnet.results import PictureRecord, Pictures

__all__ = ["read_picture", "read_pictures"]

_MOST = 96  # pictures of one run in a page
_FILE_BYTES, _SIDE, _LARGEST_SIDE = 4 * MIB, 96, 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NETWORKS = ("B", "B'", "G")


def read_pictures(folder: Path, found: Pictures) -> tuple[Picture, ...]:
    """Read pictures of a run folder; where there are very many, the first of each set.

    Raises:
        Unreadable: If one is not a small PNG inside the folder.
        GoodnetError: If a file cannot be read.
    """
    return tuple(_picture(folder, item) for item in _first_of_each(found.items))


def read_picture(folder: Path, name: str) -> bytes:
    """A PNG of the folder, encoded anew and made smaller if it is large.

    Raises:
        Unreadable: If it is not a small PNG inside the folder.
        GoodnetError: If the file cannot be read.
    """
    return _small_png(read_bytes(folder, name, limit=_FILE_BYTES), name)


def _first_of_each(items: tuple[PictureRecord, ...]) -> list[PictureRecord]:
    groups: dict[tuple[str, str], list[PictureRecord]] = {}
    for item in items:
        groups.setdefault((item.set, item.why), []).append(item)
    share = max(_MOST // max(len(groups), 1), 1)
    return [item for group in list(groups.values())[:_MOST] for item in group[:share]]


def _picture(folder: Path, item: PictureRecord) -> Picture:
    answers = {key: item.answers.get(key) for key in _NETWORKS}
    return Picture(
        png=read_picture(folder, item.file),
        set=item.set,
        index=item.index,
        label=item.label,
        source_label=item.source_label,
        answers={key: answer for key, answer in answers.items() if answer is not None},
        why=item.why,
    )


def _small_png(data: bytes, name: str) -> bytes:
    """The same picture without anything else the file may hold, made smaller if it is large."""
    from PIL import Image

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
