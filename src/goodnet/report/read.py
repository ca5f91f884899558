"""Read a run folder: the only way a report comes to know anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.errors import GoodnetError, InvalidInput
from goodnet.files import RESULTS
from goodnet.report.reading.comparing import read_comparing
from goodnet.report.reading.fields import Fields, Unreadable
from goodnet.report.reading.folder import read_object
from goodnet.report.reading.pruning import read_pruning
from goodnet.report.reading.repairing import read_repairing
from goodnet.report.reading.scanning import read_scanning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from goodnet.report.facts import Run

__all__ = ["read_run"]

_SCHEMA = 1
_READERS: dict[str, Callable[[Path, Fields, str], Run]] = {
    "prune": read_pruning,
    "repair": read_repairing,
    "cure": read_repairing,
    "compare": read_comparing,
    "scan": read_scanning,
}


def read_run(folder: Path, *, name: str = "") -> Run:
    """Read what `goodnet prune`, `repair`, `cure`, `compare` or `scan` left in a folder.

    The folder may come from anyone: nothing outside it is read, every size is bounded, every
    number is checked and every picture is encoded anew. What an older version did not write is
    left empty.

    Args:
        folder: The run folder.
        name: What to call the run; "" for the folder's own name.

    Returns:
        The run.

    Raises:
        InvalidInput: If it is not such a folder, or something in it is broken.
    """
    shown = name or folder.resolve().name
    if not (folder / RESULTS).is_file():
        raise InvalidInput(
            f"expected a run folder, made by goodnet {_known()}; there is no {RESULTS} in {folder}"
        )
    try:
        found = read_object(folder, RESULTS)
        return _reader(found)(folder, found, shown)
    except (Unreadable, GoodnetError, OSError) as error:
        raise InvalidInput(f"cannot make a report of {folder}: {error}") from error


def _reader(found: Fields) -> Callable[[Path, Fields, str], Run]:
    schema, command = found.whole("schema"), found.text("command")
    if schema != _SCHEMA:
        raise Unreadable(f"its results have schema {schema}, this version reads {_SCHEMA}")
    if command not in _READERS:
        raise Unreadable(f"it is of the command {command[:40]!r}, expected {_known()}")
    return _READERS[command]


def _known() -> str:
    *others, last = _READERS
    return f"{', '.join(others)} or {last}"
