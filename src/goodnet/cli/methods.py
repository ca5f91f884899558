"""`goodnet methods`: all ways of scanning, repairing and screening, with papers and needs."""

from __future__ import annotations

from typing import Annotated

import typer

from goodnet.cli.text import table


def methods(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of the README.")
    ] = False,
) -> None:
    """List all methods, what they need and their papers."""
    from goodnet.runs import methods as job

    if markdown:
        print(job.markdown())
        return
    header = ["method", "what it does", "needs", "paper"]
    rows = [[f"{m.kind} {m.name}", m.summary, m.needs, m.paper] for m in job.all_methods()]
    print(table(header, rows, words=True))
