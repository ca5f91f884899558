"""The files of a run folder, opened with care: JSON, the table of the curve, pictures.

Nothing outside the folder is read, and each picture is encoded anew before it enters a page.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import stat
from typing import TYPE_CHECKING

from goodnet.errors import GoodnetError
from goodnet.formats import budgets, safe_file
from goodnet.report.facts import Curve, FileFact
from goodnet.run_folder import path_within, read_bytes
from goodnet.stats import proportion
from goodnet.typed_json import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from PIL.Image import Image

    from goodnet.results import PictureRecord, PruneResults, ScanRecord, TargetRecord
    from goodnet.types import Proportion

PICTURED = 8  # targets whose pictures are shown: the most suspicious

_CSV_BYTES, _PNG_BYTES = 8 * budgets.MIB, 4 * budgets.MIB
_MOST_FILES = 1000
_MOST_PICTURES, _MOST_SAMPLES = 96, 4  # of one run in a page, and clean images of one target
_SIDE, _LARGEST_SIDE = 96, 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FIXED = ("step", "channel", "mean_activation", "fraction_pruned", "clean_accuracy")
_OURS = frozenset({"report.html"})
_ROLES = {
    "results.json": "everything measured",
    "run.json": "cost and versions",
    "curve.csv": "the curve, step by step",
    "comparison.csv": "the comparison as a table",
}
_STEMS = {
    "model": "B'",
    "goodnet": "G",
    "compact": "B' with the silent channels removed",
    "curve": "picture",
    "comparison": "picture",
    "channels": "picture",
    "epochs": "picture",
    "scores": "picture",
    "label": "trigger and direction",
}


def list_outputs(folder: Path) -> tuple[FileFact, ...]:
    """The regular files of the folder and of those in it, with their hashes; no report, no link."""
    return tuple(itertools.islice(_facts(folder, folder), _MOST_FILES))


def _facts(folder: Path, root: Path) -> Iterator[FileFact]:
    for path in sorted(folder.iterdir(), key=lambda path: (_is_folder(path), path.name)):
        name = path.relative_to(root).as_posix()
        if path.name.startswith(".") or name in _OURS or name == "pictures":
            continue
        if _is_folder(path):
            if folder == root:
                yield from _facts(path, root)
        elif stat.S_ISREG(os.lstat(path).st_mode):
            yield FileFact(_role(path), name, _hash(path))


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _role(path: Path) -> str:
    return _ROLES.get(path.name) or _STEMS.get(path.stem.partition("_")[0], "")


def _hash(path: Path) -> str:
    try:
        with safe_file.open_regular(path, limit=budgets.MODEL_BYTES) as file:
            return safe_file.sha256(file)
    except GoodnetError:
        return ""


def first_of_each(items: tuple[PictureRecord, ...]) -> tuple[PictureRecord, ...]:
    """The pictures to show: where there are very many, the first of each set."""
    groups: dict[tuple[str, str], list[PictureRecord]] = {}
    for item in items:
        groups.setdefault((item.set, item.why), []).append(item)
    share = max(_MOST_PICTURES // max(len(groups), 1), 1)
    return tuple(item for group in list(groups.values())[:_MOST_PICTURES] for item in group[:share])


def samples_of(target: TargetRecord) -> list[tuple[str, str]]:
    """Files of clean images to show, each with that of the same one stamped."""
    return list(zip(target.pictures.clean, target.pictures.stamped, strict=True))[:_MOST_SAMPLES]


def read_pictures(folder: Path, items: Iterable[PictureRecord]) -> dict[str, bytes]:
    """The PNG files of pictures by name, each encoded anew and made smaller if it is large.

    Raises:
        Unreadable: If one is not a small PNG inside the folder.
        GoodnetError: If a file cannot be read.
    """
    return {item.file: _read_png(folder, item.file) for item in items}


def read_scan_pictures(folder: Path, scan: ScanRecord) -> dict[str, bytes]:
    """The same of the triggers that a scan found.

    Raises:
        Unreadable: If one is not a small PNG inside the folder, or a file of a trigger is outside.
        GoodnetError: If a file cannot be read.
    """
    found: dict[str, bytes] = {}
    for target in scan.targets:
        if target.file:
            path_within(folder, target.file)
    for target in scan.targets[:PICTURED]:
        if target.trigger:
            alone = [target.pictures.trigger] if target.pictures.trigger else []
            names = [*alone, *(name for pair in samples_of(target) for name in pair)]
            found |= {name: _read_png(folder, name) for name in names}
    return found


def _read_png(folder: Path, name: str) -> bytes:
    """The same picture without anything else the file may hold, made smaller if it is large."""
    from PIL import Image

    data = read_bytes(folder, name, limit=_PNG_BYTES)
    # Before the decoder sees it: a few bytes can declare gigabytes of pixels.
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if not data.startswith(_SIGNATURE) or not 0 < max(width, height) <= _LARGEST_SIDE:
        raise Unreadable(f"the picture {name[:60]!r} is not a small PNG")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return _encoded(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except MemoryError:
        raise
    except Exception as error:  # on hostile bytes a decoder may raise anything
        raise Unreadable(f"the picture {name[:60]!r} is broken") from error


def _encoded(image: Image) -> bytes:
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE))
    clean = image.copy()
    clean.info = {}
    buffer = io.BytesIO()
    clean.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def read_curve(folder: Path, found: PruneResults) -> Curve | None:
    """Put a curve together; None where the folder has no `curve.csv`.

    Raises:
        Unreadable: If the two files do not fit each other.
        GoodnetError: If the table cannot be read.
    """
    if not os.path.lexists(folder / "curve.csv"):
        return None
    before, poisoned = found.baseline.validation, found.baseline.backdoor
    rows = _csv_rows(folder, 1 + len(poisoned))
    most = max(found.channels, default=0)
    if before is None or len(rows) != len(found.channels) or most >= len(found.mean_activation):
        raise Unreadable("curve.csv and results.json do not speak of the same channels")
    columns = [
        _column(share, [row[i] for row in rows])
        for i, share in enumerate((before, *poisoned.values()))
    ]
    return Curve(
        layer=found.layer,
        order=found.order,
        channels=found.channels,
        mean_activation=found.mean_activation,
        dead=found.dead_channels,
        accuracy=columns[0],
        success=dict(zip(poisoned, columns[1:], strict=True)),
        poisoned_activation=found.poisoned_activation,
        drops=found.drops,
    )


def _csv_rows(folder: Path, columns: int) -> list[list[float]]:
    """The shares of each row, clean first."""
    data = read_bytes(folder, "curve.csv", limit=_CSV_BYTES)
    try:
        header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""))
        shares = [[float(cell) for cell in row[len(_FIXED) - 1 :]] for row in rows]
    except (ValueError, csv.Error) as error:
        raise Unreadable("curve.csv is not a table as this program writes it") from error
    if tuple(header[: len(_FIXED)]) != _FIXED or any(len(row) != columns for row in shares):
        raise Unreadable("curve.csv has other columns than results.json has poisoned sets")
    if not all(0 <= share <= 1 for row in shares for share in row):
        raise Unreadable("curve.csv holds a share outside 0..1")
    return shares


def _column(first: Proportion, shares: list[float]) -> tuple[Proportion, ...]:
    """The file has shares; they are of as many images as the first one."""
    return first, *(proportion(round(share * first.total), first.total) for share in shares)
