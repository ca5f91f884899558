"""Make the page of one or more run folders, and the figures and tables of one for a paper."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from goodnet import files
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = "report.html"


def write_report(
    folders: Sequence[Path],
    destination: Path | None = None,
    *,
    name: str = "",
    force: bool = False,
) -> Path:
    """Write the page of one run, or of several side by side.

    Args:
        folders: Run folders, as `goodnet scan`, `prune`, `repair` or `compare` leave them.
        destination: The file to write; None for `report.html` in the folder, if there is one.
        name: What to call the run while its folder does not have its name yet.
        force: Replace a file that is already there.

    Returns:
        The file written.

    Raises:
        UsageError: If several folders come without a destination, one comes twice, or the file
            exists already.
        InvalidInput: If a folder does not hold a run.
        FileError: If a folder cannot be looked at, or the file cannot be written.
    """
    from goodnet.formats.safe_file import as_path
    from goodnet.report.page import render
    from goodnet.report.read import read_run

    folders = [as_path(folder, what="run folder") for folder in folders]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("the same run folder is given twice")
    if destination is None:
        if len(folders) != 1:
            raise UsageError("several runs in one page need a file to write it to: --out page.html")
        destination = folders[0] / REPORT
    runs = [read_run(folder, name=name) for folder in folders]
    with files.atomic_path(destination, force=force) as path:
        ways = [_way(destination.parent, folder) for folder in folders]
        path.write_text(render(runs, folders=ways), encoding="utf-8", newline="\n")
    return destination


def export(folder: Path, destination: Path, *, force: bool = False) -> list[Path]:
    """Write the figures of a run as PNG and SVG, and its table as CSV and LaTeX.

    Args:
        folder: The run folder.
        destination: Where to write; made if it is not there.
        force: Replace files that are already there.

    Returns:
        The files written.

    Raises:
        UsageError: If a file exists already.
        InvalidInput: If the folder does not hold a run.
        FileError: If something cannot be written.
    """
    from goodnet.formats.safe_file import as_path
    from goodnet.report.exports import export_charts
    from goodnet.report.read import read_run
    from goodnet.report.tables import trials_csv, trials_latex

    run = read_run(as_path(folder, what="run folder"))
    files.make_folder(destination)
    with files.hidden_folder(destination / "table.csv") as made:
        export_charts(run, made)
        (made / "table.csv").write_text(trials_csv(run), encoding="utf-8", newline="\n")
        (made / "table.tex").write_text(trials_latex(run), encoding="utf-8", newline="\n")
        sources = sorted(made.iterdir())
        return [_place(source, destination / source.name, force=force) for source in sources]


def _place(source: Path, destination: Path, *, force: bool) -> Path:
    with files.atomic_path(destination, force=force) as path:
        shutil.copyfile(source, path)
    return destination


def _way(start: Path, folder: Path) -> str | None:
    """From the page to a run folder, with a slash at the end; None where there is no way."""
    try:
        way = Path(os.path.relpath(folder.resolve(), start.resolve())).as_posix()
    except ValueError:  # on another drive
        return None
    return "" if way == "." else f"{way}/"
