"""Functions run in a child process, as hostile files would make them run."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest

from goodnet.errors import FileError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.budgets import GIB, MIB
from goodnet.quarantine import allow_for, limits, quarantined, quarantined_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock is of Linux")


def crash() -> None:
    ctypes.string_at(0)


def run(function: Callable[..., T], *given: object) -> T:
    return quarantined(function, *given, subject="the file 'x'")


def test_the_result_comes_back() -> None:
    assert run(lambda: {"a": [1, (2.5, None)], "b": b"x"}) == {"a": [1, (2.5, None)], "b": b"x"}


def test_nothing_changes_here() -> None:
    seen: list[int] = []
    run(seen.append, 1)
    assert not seen
    assert run(os.getpid) != os.getpid()


def test_within_a_child_no_other_is_made() -> None:
    assert run(lambda: quarantined(os.getpid, subject="") == os.getpid())


def test_its_errors_are_errors_here() -> None:
    def refuse() -> None:
        raise InvalidInput("no such thing")

    with pytest.raises(InvalidInput, match="no such thing"):
        run(refuse)


def test_a_bug_is_a_bug_here_with_its_place() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: ") as caught:
        run(lambda: 1 // 0)
    assert "1 // 0" in str(caught.value.__cause__)


def test_a_crash_is_one_sentence() -> None:
    with pytest.raises(UnsafeInput, match=r"the file 'x' made the library .* crash \(signal 11\)"):
        run(crash)


def test_a_child_that_is_killed_is_told() -> None:
    with pytest.raises(OverBudget, match="ended from outside"):
        run(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_time_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.1)

    def forever() -> None:
        while True:
            pass

    with pytest.raises(OverBudget, match="takes more time to read"):
        run(forever)


def test_memory_without_end() -> None:
    with pytest.raises(OverBudget, match="takes more memory to read"):
        run(lambda: np.ones(limits.MEMORY_BYTES + 64 * MIB, np.uint8))


def test_memory_and_time_grow_with_the_files_that_are_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.1)

    def work() -> int:
        allow_for(64 * MIB)
        start = time.process_time()
        while time.process_time() < start + 0.5:
            pass
        return int(np.ones(limits.MEMORY_BYTES + 64 * MIB, np.uint8).nbytes)

    assert run(work) == limits.MEMORY_BYTES + 64 * MIB


def test_no_file_is_written(tmp_path: Path) -> None:
    def write() -> None:
        with suppress(OSError):
            (tmp_path / "found").write_bytes(b"x")

    run(write)
    assert not list(tmp_path.glob("found")) or not (tmp_path / "found").stat().st_size


@linux
@pytest.mark.skipif(limits.landlock_version() < 6, reason="the system has no or an old Landlock")
@pytest.mark.parametrize(
    "deed",
    [
        lambda folder: (folder / "new").touch(),
        lambda folder: (folder / "old").unlink(),
        lambda folder: (folder / "old").rename(folder / "new"),
        lambda folder: (folder / "new").mkdir(),
        lambda folder: (folder / "new").symlink_to("old"),
        lambda folder: subprocess.run([sys.executable, "-c", ""], check=True),
        lambda folder: os.kill(os.getppid(), 0),
        lambda folder: socket.create_connection(("127.0.0.1", 9)),
    ],
    ids=["make", "remove", "rename", "folder", "link", "execute", "signal", "connect"],
)
def test_what_a_child_may_not(tmp_path: Path, deed: Callable[[Path], object]) -> None:
    (tmp_path / "old").write_text("x")

    def tried() -> str:
        try:
            deed(tmp_path)
        except OSError as error:
            return type(error).__name__
        return "done"

    assert run(tried) == "PermissionError"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_it_holds_none_of_our_files() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(RuntimeError, match="Bad file descriptor"):
            run(os.write, writer, b"x")
    finally:
        os.close(reader)
        os.close(writer)


def test_what_it_prints_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    run(lambda: os.write(1, b"out") + os.write(2, b"err"))
    assert capfd.readouterr() == ("", "")


def test_a_stream_comes_piece_by_piece() -> None:
    def pieces() -> Iterator[Any]:
        for number in range(3):
            yield np.full((2, 3), number)

    found = list(quarantined_stream(pieces, subject="x"))
    np.testing.assert_array_equal(np.stack(found), np.arange(3)[:, None, None] * np.ones((2, 3)))


def test_a_stream_that_breaks_off_has_given_what_came_before() -> None:
    def pieces() -> Iterator[int]:
        yield 1
        crash()

    stream = quarantined_stream(pieces, subject="x")
    assert next(stream) == 1
    with pytest.raises(UnsafeInput, match="crash"):
        next(stream)


def test_a_stream_that_nobody_reads_on_ends_its_child() -> None:
    def pieces() -> Iterator[int]:
        while True:
            yield os.getpid()

    stream = quarantined_stream(pieces, subject="x")
    child = next(stream)
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_each_part_of_a_stream_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1.0)

    def pieces() -> Iterator[int]:
        for number in range(4):
            start = time.process_time()
            while time.process_time() < start + 0.3:
                pass
            yield number

    assert list(quarantined_stream(pieces, subject="x")) == [0, 1, 2, 3]


def test_several_threads_have_a_child_each() -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(run(bytes, 3 * MIB)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == 4 * [3 * MIB]


def test_a_child_that_speaks_for_itself_is_refused() -> None:
    def lie() -> None:
        for each in range(3, 64):
            with suppress(OSError):
                os.write(each, b"\xff" * 32)
        os._exit(0)

    with pytest.raises(UnsafeInput, match="answer nonsense"):
        run(lie)


@linux
def test_the_most_that_a_child_may_take_is_bounded() -> None:
    def limit() -> int:
        import resource

        allow_for(100 * GIB)
        return resource.getrlimit(resource.RLIMIT_AS)[0] - (limits._before or 0)

    assert run(limit) == limits.MOST_MEMORY_BYTES


def test_a_lower_limit_that_was_there_before_leaves_ours_in_place() -> None:
    code = (
        "import resource, numpy as np\n"
        "from goodnet.errors import OverBudget\n"
        "from goodnet.quarantine import limits, quarantined\n"
        "resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))\n"
        "try:\n"
        "    quarantined(np.ones, limits.MEMORY_BYTES // 8 + 2**23, subject='x')\n"
        "except OverBudget as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "takes more memory to read" in found.stdout


def test_a_path_that_the_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot use the path '.*gone': No such file"):
        run(lambda: (tmp_path / "gone").read_bytes())


def test_a_stream_says_which_of_its_files_it_was(tmp_path: Path) -> None:
    waiting = ["first", "second"]

    def pieces() -> Iterator[int]:
        yield 1
        crash()

    stream = quarantined_stream(pieces, subject=lambda: waiting[0])
    next(stream)
    waiting.pop(0)
    with pytest.raises(UnsafeInput, match="second made the library"):
        next(stream)
