"""The command line as it was typed, for the record of a run."""

from __future__ import annotations

import shlex

import typer
from typer.core import TyperGroup

__all__ = ["Commands", "typed"]

_WORDS = "goodnet.words"


class Commands(TyperGroup):
    """The commands, each of which can tell how it was called."""

    # Typer keeps the class of contexts it is called with to itself.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Note the words before they are taken apart."""
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)


def typed(context: typer.Context) -> str:
    """The command as one types it in a shell, on one line."""
    words = (word.encode("utf-8", "replace").decode() for word in context.meta[_WORDS])
    return f"goodnet {shlex.join(words)}"
