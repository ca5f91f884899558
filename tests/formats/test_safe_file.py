from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from goodnet.errors import FileError, InvalidInput, OverBudget, UsageError
from goodnet.formats.safe_file import as_path, open_regular, sha256, size

needs_holes = pytest.mark.skipif(
    not hasattr(os, "SEEK_DATA"), reason="the system does not tell where a file has holes"
)


def test_hash_and_bytes_come_from_one_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before" * 10**6)
    with open_regular(path) as file:
        path.unlink()
        path.write_bytes(b"after")
        assert sha256(file) == hashlib.sha256(b"before" * 10**6).hexdigest()
        assert size(file) == 6 * 10**6
        assert file.read(6) == b"before"


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    with open_regular(str(tmp_path / "b")) as file:
        assert file.read() == b"x"


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no model file at '.*nothing'"):
        open_regular(tmp_path / "nothing", what="model file")
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(FileError, match="cannot be opened: Not a directory"):
        open_regular(tmp_path / "a" / "b")
    with pytest.raises(FileError, match=r"cannot be opened: .*null"):
        open_regular("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_path(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        open_regular(path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InvalidInput, match="the model file is empty"):
        open_regular(tmp_path / "a", what="model file")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected a file, got a directory"):
        open_regular(tmp_path)


def test_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="got a named pipe"):
        open_regular(tmp_path / "pipe")


def test_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(InvalidInput, match="got a socket"):
            open_regular("s")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_device(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"there is no {path}")
    with pytest.raises(InvalidInput, match="got a device"):
        open_regular(path)


def test_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidInput, match="loop of symbolic links"):
        open_regular(tmp_path / "a")


@pytest.mark.parametrize("path", ["https://example.org/model.h5", "s3://bucket/model.h5"])
@pytest.mark.parametrize("kind", [str, Path])
def test_address(path: str, kind: type[str | Path]) -> None:
    with pytest.raises(UsageError, match="only local files are read"):
        open_regular(kind(path))


def test_file_with_holes_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(OverBudget, match=r"may take at most 1.0 KiB, got 2.0 GiB"):
        open_regular(path, limit=1024)


@pytest.mark.parametrize("given", ["a" * 5000, "a/" * 3000, "a\0b"])
def test_a_path_that_the_system_does_not_take(given: str) -> None:
    with pytest.raises(FileError, match=r"the model file '.*' cannot be opened: "):
        as_path(given, what="model file")


def test_a_path_at_which_there_is_nothing_may_still_be_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("nothing", "a/b", "loop"):
        assert as_path(str(tmp_path / name)) == tmp_path / name
    with pytest.raises(UsageError, match="expected the path of a file or folder, got int"):
        as_path(1)


def sparse(path: Path, length: int, *, stored: int = 0) -> Path:
    """A file that stores some bytes at its end, and nothing before."""
    with path.open("wb") as file:
        file.seek(length - stored)
        file.write(b"x" * stored)
        file.truncate(length)
    return path


@needs_holes
def test_a_long_file_that_is_nearly_all_holes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverBudget, match=r"is 2.0 GiB long, but only 8.0 KiB of it are stored"):
        open_regular(sparse(tmp_path / "x", 2 << 30, stored=8192))
    with pytest.raises(OverBudget, match="only 0 bytes of it are stored"):
        open_regular(sparse(tmp_path / "y", 2 << 30))


@needs_holes
def test_a_file_with_holes_is_read(tmp_path: Path) -> None:
    for name, length, stored in (("short", 1 << 20, 0), ("half", 80 << 20, 20 << 20)):
        with open_regular(sparse(tmp_path / name, length, stored=stored)) as file:
            assert file.tell() == 0
            assert size(file) == length


@needs_holes
def test_holes_give_no_time_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("goodnet.formats.safe_file.allow_for", given.append)
    open_regular(sparse(tmp_path / "holes", 40 << 20, stored=8192)).close()
    open_regular(sparse(tmp_path / "full", 8192, stored=8192)).close()
    assert given == [8192, 8192]
