"""Entry point: runs a command and turns every error into one line and an exit code."""

from __future__ import annotations

import io
import math
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import typer

from goodnet.cli import (
    attack,
    compare,
    convert,
    cure,
    demo,
    diff,
    evaluate,
    faces,
    guard,
    inspect,
    methods,
    poison,
    predict,
    prune,
    repair,
    report,
    scan,
    screen,
    show,
)
from goodnet.cli.method_options import expanded
from goodnet.cli.text import brief, plain
from goodnet.cli.typed import APPEARANCE, LATER, Command, Commands, alone
from goodnet.errors import FileError, GoodnetError, OverBudget, is_out_of_memory, path_refused

INTERRUPTED = 130
_STOPS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU")
    if hasattr(signal, name)
)
_PATIENCE = 1.0  # seconds in which another signal says the same
INTERNAL = 70

app = typer.Typer(
    name="goodnet",
    help="Inspect an image classifier without executing its file, scan it for a backdoor, repair "
    "it and guard it.",
    cls=Commands,
    epilog="Exit codes: 0 done, 1 a scan has a finding, a cure could not remove what it found, two "
    "models differ, or a screened image is suspicious, 2 wrong usage, 3 refused as unsafe, 4 "
    "invalid or unsupported input, 5 resource limit, 6 file cannot be read or written, 8 a scan or "
    "a cure is inconclusive, 70 a bug in GoodNet, 130 interrupted.",
    **APPEARANCE,
)


def _version(wanted: bool) -> None:
    if wanted:
        import goodnet

        print(f"goodnet {goodnet.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    del version


def _nothing() -> None:
    """Stand in for a command that is made when it is called."""


def _made(function: Callable[..., None]) -> Any:
    return alone(expanded(function))


LATER |= {"cure": cure.make_cure, "repair": repair.make_repair}
for function in (
    inspect.inspect,
    scan.scan,
    cure.cure,
    prune.prune,
    repair.repair,
    compare.compare,
    methods.methods,
    guard.guard,
    convert.convert,
    diff.diff,
    screen.screen,
    evaluate.evaluate,
    predict.predict,
    report.report,
    show.show,
    faces.faces,
    poison.poison,
    attack.attack,
    demo.demo,
):
    LATER.setdefault(function.__name__, partial(_made, function))
    # Here it needs no more than to be listed.
    app.command(function.__name__, cls=Command, help=function.__doc__)(_nothing)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    _listen()
    if sys.stdout is None:  # closed by who started us: nobody wants to read
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    _spell_out_what_the_encoding_lacks()
    code = run(sys.argv[1:] if arguments is None else arguments)
    for each in _STOPS:  # nothing is to be interrupted any more
        signal.signal(each, signal.SIG_IGN)
    if code == INTERRUPTED:
        # Python would end by SIGINT where the interruption came through text that is evaluated.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _spell_out_what_the_encoding_lacks() -> None:
    """A name of a layer or file is no reason to fail where the terminal knows only ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except GoodnetError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        return _unwritten(error)
    except SystemExit as stop:
        # Typer leaves this way when the reader of our output has gone.
        if isinstance(stop.__context__, BrokenPipeError):
            return _unwritten(stop.__context__)
        raise
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(
                "out of memory; close other programs or use a larger machine", OverBudget.exit_code
            )
        return _unexpected(error)
    if code == INTERRUPTED:
        return _fail("interrupted; nothing was left half written", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _unwritten(error: OSError) -> int:
    """The system refuses a path before it is opened, or what was printed did not arrive."""
    refused = path_refused(error)
    if refused is not None:
        if os.environ.get("GOODNET_DEBUG"):
            raise error
        return _fail(str(refused), refused.exit_code)
    # What is left is dropped, or Python would try once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 0
    return _fail(f"cannot write to the standard output: {error.strerror}", FileError.exit_code)


def _unexpected(error: Exception) -> int:
    message = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError" and message is not None:
        print(message(), file=sys.stderr)
        return 2
    if message is not None:
        return _fail(f"{message()} (see --help)", getattr(error, "exit_code", 2))
    if os.environ.get("GOODNET_DEBUG"):
        raise error
    return _fail(
        f"internal error, {type(error).__name__}: {error}; please report it "
        "(GOODNET_DEBUG=1 shows where)",
        INTERNAL,
    )


def _fail(message: str, code: int) -> int:
    # Names in a message come from files: no control character reaches the terminal.
    print(f"goodnet: {brief(plain(' '.join(message.split())))}", file=sys.stderr)
    return code


def _listen() -> None:
    """Let a signal end the command by way of its clean-up; ten at once are one."""
    heard = -math.inf

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal heard
        before, heard = heard, monotonic()
        if heard - before > _PATIENCE:
            raise KeyboardInterrupt

    for each in _STOPS:
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, stop)
