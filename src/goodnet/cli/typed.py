"""The commands: made when they are called, and able to tell how they were typed."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from goodnet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDS = "goodnet.words"
# What typer makes of an argument that is hidden.
_HIDDEN = ("[]", "[]...")
_NOTHING_GIVEN = re.compile("--[a-z-]+=")
# Of all groups of commands.
APPEARANCE: dict[str, Any] = {
    "no_args_is_help": True,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# What makes each command, when it is called: of those that are not, options need not be looked at,
# nor the methods imported that some come from.
LATER: dict[str, Callable[[], Any]] = {}


class Command(TyperCommand):
    """One command, whose usage names only what a user gives."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Without what is hidden, and without the braces of what is required."""
        pieces = (re.sub("[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [piece.replace("......", "...") for piece in pieces if piece not in _HIDDEN]


class Commands(TyperGroup):
    """The commands, each of which can tell how it was called."""

    # Typer keeps the class of contexts it is called with to itself.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Note the words before they are taken apart.

        Raises:
            UsageError: If one is empty, as a variable of a shell is that is not set: as a path it
                would be the current folder.
        """
        ctx.meta[_WORDS] = list(args)
        for before, word in zip(["goodnet", *args], args, strict=False):
            if not word or _NOTHING_GIVEN.fullmatch(word):
                raise UsageError(f"expected a value after {word or before!r}, got an empty text")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Make a command that is made when it is called."""
        if args and args[0] in LATER:
            self.commands[args[0]] = LATER[args[0]]()
        return super().resolve_command(ctx, args)


def alone(function: Callable[..., None]) -> Any:
    """A function as a command."""
    made = typer.Typer(**APPEARANCE)
    made.command(function.__name__, cls=Command)(function)
    return typer.main.get_command(made)


def typed(context: typer.Context) -> str:
    """The command as one types it in a shell, on one line."""
    words = (word.encode("utf-8", "replace").decode() for word in context.meta[_WORDS])
    return f"goodnet {shlex.join(words)}"
