"""Run a function in a child process, and take what it returns or yields."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from goodnet.errors import (
    FileError,
    GoodnetError,
    InvalidInput,
    NotFinite,
    OverBudget,
    UnsafeInput,
    UsageError,
    path_refused,
)
from goodnet.quarantine import limits, message

T = TypeVar("T")

_FAMILY = (GoodnetError, UsageError, UnsafeInput, InvalidInput, NotFinite, OverBudget, FileError)
_ERRORS = {each.__name__: each for each in _FAMILY}
_SET_PIPE_SIZE, _PIPE_BYTES = 1031, 2**20
_VALUE, _END, _ERROR, _BUG = "value", "end", "error", "bug"


def quarantined(
    function: Callable[..., T], *given: object, subject: str, kinds: Sequence[type] = ()
) -> T:
    """What a function returns that is run in a child process.

    Args:
        function: What to run; it sees everything this process has, but changes nothing here.
        given: Its arguments.
        subject: What it reads, for messages: "the file 'model.h5'".
        kinds: The dataclasses that its result may be made of, besides plain values and arrays.

    Raises:
        UnsafeInput: If a library crashed over what it read.
        OverBudget: If it used too much time or memory.
        GoodnetError: As the function does.
    """
    if not needed():
        return function(*given)

    def once() -> Iterator[T]:
        yield function(*given)

    with contextlib.closing(_run(once, subject, kinds)) as values:
        return cast("T", next(values))


def quarantined_stream(
    function: Callable[..., Iterator[T]],
    *given: object,
    subject: str | Callable[[], str],
    kinds: Sequence[type] = (),
) -> Iterator[T]:
    """The same of a function that yields; the child works ahead while a value is used.

    Where it reads one thing after another, `subject` says which of them the next value is of.

    Raises:
        GoodnetError: As `quarantined`.
    """
    if not needed():
        return function(*given)
    return cast("Iterator[T]", _run(lambda: function(*given), subject, kinds))


def needed() -> bool:
    """Whether a child is to be made: not within one, nor where the system cannot fork."""
    return hasattr(os, "fork") and not limits.inside()


def _run(
    work: Callable[[], Iterator[Any]], subject: str | Callable[[], str], kinds: Sequence[type]
) -> Generator[object, None, None]:
    known = {kind.__name__: kind for kind in kinds}
    ours, theirs = os.pipe()
    with contextlib.suppress(OSError, ImportError):
        import fcntl

        fcntl.fcntl(theirs, _SET_PIPE_SIZE, _PIPE_BYTES)
    with warnings.catch_warnings():
        # Other threads may hold locks for ever in the child, but none that reading takes.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _work(work, theirs, known)
    os.close(theirs)
    pipe = _Pipe(ours, child, subject)
    try:
        yield from pipe.values(known)
    finally:
        pipe.close()


def _work(work: Callable[[], Iterator[Any]], pipe: int, kinds: message.Kinds) -> NoReturn:
    """All that a child does."""
    try:
        _let_go(pipe)
        limits.confine()
        _answer(work, lambda data: _write(pipe, data), kinds)
    finally:
        os._exit(0)


def _let_go(pipe: int) -> None:
    """Keep nothing of the parent but the pipe: no open files, no handlers of signals."""
    faulthandler.disable()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it too, and ends the child
    for number in (signal.SIGTERM, signal.SIGPROF, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    for each in limits.open_files():
        if each > 2 and each != pipe:
            with contextlib.suppress(OSError):
                os.close(each)


def _answer(
    work: Callable[[], Iterator[Any]],
    write: Callable[[bytes | memoryview], object],
    kinds: message.Kinds,
) -> None:
    answer: tuple[Any, ...] = (_END,)
    try:
        for value in work():
            message.send(write, (_VALUE, value), kinds)
            limits.renew_time()
    except GoodnetError as error:
        answer = _ERROR, type(error).__name__, str(error)
    except MemoryError:
        answer = _ERROR, OverBudget.__name__, ""
    except BaseException as error:
        refused = path_refused(error) if isinstance(error, OSError) else None
        if refused is None:
            answer = _BUG, f"{type(error).__name__}: {error}", traceback.format_exc()
        else:
            answer = _ERROR, FileError.__name__, str(refused)
    message.send(write, answer, {})


def _write(pipe: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


class _Pipe:
    """The parent's end of the pipe of a child."""

    def __init__(self, descriptor: int, child: int, subject: str | Callable[[], str]) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._child: int | None = child
        self._given = subject

    @property
    def _subject(self) -> str:
        return self._given if isinstance(self._given, str) else self._given()

    def values(self, kinds: message.Kinds) -> Iterator[object]:
        while True:
            try:
                answer = message.receive(self._read, kinds)
            except message.Broken as error:
                raise UnsafeInput(
                    f"{self._subject} made the process that read it answer nonsense ({error}); "
                    "it is refused"
                ) from error
            match answer:
                case ("value", value):
                    yield value
                case ("end",):
                    return
                case ("error", str(kind), str(text)) if kind in _ERRORS:
                    raise _ERRORS[kind](text or self._too_much("memory"))
                case ("bug", str(text), str(trace)):
                    raise RuntimeError(text) from RuntimeError(trace)
                case _:
                    raise UnsafeInput(f"{self._subject} is refused: its reader answered nonsense")

    def close(self) -> None:
        """End the child, if it has not ended by itself."""
        self._file.close()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self._wait()

    def _read(self, length: int) -> NDArray[np.uint8]:
        data = np.empty(length, dtype=np.uint8)
        view = data.data
        while view:
            count = self._file.readinto(view)
            if not count:
                raise self._died()
            view = view[count:]
        return data

    def _died(self) -> GoodnetError:
        """Why a child ended in the middle."""
        number = self._wait()
        if number == signal.SIGPROF:
            return OverBudget(self._too_much("time"))
        if number in (None, signal.SIGKILL, signal.SIGTERM):
            return OverBudget(
                f"the process that read {self._subject} was ended from outside; the machine may be "
                "out of memory"
            )
        return UnsafeInput(
            f"{self._subject} made the library that reads it crash (signal {number}), as damaged "
            "and hostile files do; it is refused"
        )

    def _too_much(self, what: str) -> str:
        return (
            f"{self._subject} takes more {what} to read than files of its size should; it is "
            "refused, as files that are made to exhaust a machine are"
        )

    def _wait(self) -> int | None:
        """The signal that ended the child, once it has ended; None if there was none."""
        child, self._child = self._child, None
        if child is None:
            return None
        try:
            status = os.waitpid(child, 0)[1]
        except ChildProcessError:
            return None
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
