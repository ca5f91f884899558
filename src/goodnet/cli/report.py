"""`goodnet report`: run folders as one page to look at, and as figures and tables for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.errors import UsageError


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders of scan, cure, prune, repair or compare."
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="The page to write; default: RUN/report.html."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the charts (PNG, SVG) and the table (CSV, LaTeX) of one run here instead.",
        ),
    ] = None,
    force: opt.Force = False,
) -> None:
    """Write one HTML page of a run folder, or of several side by side."""
    from goodnet.runs import report as job

    if export is not None:
        if len(runs) > 1 or out is not None:
            raise UsageError("--export takes one run and goes without --out")
        for path in job.export(runs[0], export, force=force):
            print(path)
        return
    print(job.write_report(runs, out, force=force))
