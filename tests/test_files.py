from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from goodnet import files
from goodnet.errors import FileError, UsageError
from goodnet.files import atomic_path, remove_folder, run_folder, sha256, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = {"schema": 1, "command": "prune"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail(code: int) -> Any:
    def call(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def throw(error: type[BaseException]) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def write_file(destination: Path, then: Callable[[], object], *, force: bool = True) -> None:
    """Write a file; `then` happens before the block ends."""
    with atomic_path(destination, force=force) as path:
        path.write_bytes(b"new")
        then()


def write_folder(destination: Path, then: Callable[[], object]) -> None:
    """Fill a run folder; `then` happens before the block ends."""
    with run_folder(destination, force=True) as folder:
        (folder / "new").write_bytes(b"new")
        then()


def old_run(folder: Path) -> Path:
    folder.mkdir()
    write_json(folder / "results.json", OURS)
    return folder


class TestAtomicPath:
    def test_writes_the_file_and_nothing_else(self, tmp_path: Path) -> None:
        with atomic_path(tmp_path / "out.h5") as path:
            assert path.parent.parent == tmp_path
            path.write_bytes(b"new")
            assert not (tmp_path / "out.h5").exists()
        assert (tmp_path / "out.h5").read_bytes() == b"new"
        assert names(tmp_path) == ["out.h5"]

    def test_permissions_follow_the_umask(self, tmp_path: Path) -> None:
        with atomic_path(tmp_path / "out") as path:
            path.write_bytes(b"new")
        (tmp_path / "plain").write_bytes(b"")
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode

    def test_an_existing_file_stays_without_force(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_bytes(b"old")
        with pytest.raises(UsageError, match="--force"), atomic_path(tmp_path / "out"):
            pass
        assert (tmp_path / "out").read_bytes() == b"old"

    def test_force_replaces(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_bytes(b"old")
        with atomic_path(tmp_path / "out", force=True) as path:
            path.write_bytes(b"new")
        assert (tmp_path / "out").read_bytes() == b"new"

    def test_a_file_that_appears_meanwhile_stays(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        with pytest.raises(UsageError, match="--force"):
            write_file(out, lambda: out.write_bytes(b"other"), force=False)
        assert (tmp_path / "out").read_bytes() == b"other"
        assert names(tmp_path) == ["out"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
    @pytest.mark.parametrize("existed", [False, True])
    def test_an_exception_leaves_everything_as_it_was(
        self, tmp_path: Path, error: type[BaseException], existed: bool
    ) -> None:
        if existed:
            (tmp_path / "out").write_bytes(b"old")
        before = names(tmp_path)
        with pytest.raises(error):
            write_file(tmp_path / "out", throw(error))
        assert names(tmp_path) == before
        assert not existed or (tmp_path / "out").read_bytes() == b"old"

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (errno.ENOSPC, "no room .* before is unchanged"),
            (errno.EACCES, "permission denied"),
            (errno.EROFS, "read-only file system"),
        ],
    )
    def test_the_system_refusing_anywhere_is_one_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, said: str
    ) -> None:
        (tmp_path / "out").write_bytes(b"old")
        monkeypatch.setattr(os, call, fail(code))
        with (
            pytest.raises(FileError, match=said),
        ):
            write_file(tmp_path / "out", lambda: None)
        monkeypatch.undo()
        assert (tmp_path / "out").read_bytes() == b"old"
        assert names(tmp_path) == ["out"]

    def test_a_full_disk_keeps_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_bytes(b"old")
        program = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "from goodnet.errors import FileError\n"
            "from goodnet.files import atomic_path\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try:\n"
            "    with atomic_path(Path(sys.argv[1]), force=True) as path:\n"
            "        path.write_bytes(bytes(5000))\n"
            "except FileError as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "no room" in done.stdout
        assert (tmp_path / "out").read_bytes() == b"old"
        assert names(tmp_path) == ["out"]

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with (
            pytest.raises(FileError, match=r"no such folder for the output.*absent$"),
            atomic_path(tmp_path / "absent" / "out"),
        ):
            pass

    def test_a_folder_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        with (
            pytest.raises(FileError, match="expected a file name"),
            atomic_path(tmp_path / "out", force=True),
        ):
            pass

    def test_a_symbolic_link_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_bytes(b"old")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with (
            pytest.raises(UsageError, match="symbolic link"),
            atomic_path(tmp_path / "link", force=True),
        ):
            pass
        assert (tmp_path / "real").read_bytes() == b"old"

    def test_a_closed_pipe_is_not_blamed_on_the_output(self, tmp_path: Path) -> None:
        with pytest.raises(BrokenPipeError), atomic_path(tmp_path / "out"):
            raise BrokenPipeError
        assert names(tmp_path) == []


class TestRunFolder:
    def test_fills_a_folder(self, tmp_path: Path) -> None:
        with run_folder(tmp_path / "run") as folder:
            (folder / "models").mkdir()
            (folder / "models" / "a.h5").write_bytes(b"a")
            assert not (tmp_path / "run").exists()
        assert (tmp_path / "run" / "models" / "a.h5").read_bytes() == b"a"
        assert names(tmp_path) == ["run"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_an_exception_leaves_nothing(self, tmp_path: Path, error: type[BaseException]) -> None:
        with pytest.raises(error):
            write_folder(tmp_path / "run", throw(error))
        assert names(tmp_path) == []

    def test_a_full_disk_within_names_the_folder_that_was_asked_for(self, tmp_path: Path) -> None:
        with (
            pytest.raises(FileError, match=r"no room.*: .*/run/model\.h5$"),
            run_folder(tmp_path / "run") as folder,
            atomic_path(folder / "model.h5"),
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert names(tmp_path) == []

    def test_an_existing_folder_stays_without_force(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        with pytest.raises(UsageError, match="--force"), run_folder(tmp_path / "run"):
            pass

    @pytest.mark.parametrize("empty", [True, False])
    def test_force_replaces_an_empty_folder_and_a_run(self, tmp_path: Path, empty: bool) -> None:
        (tmp_path / "run").mkdir() if empty else old_run(tmp_path / "run")
        with run_folder(tmp_path / "run", force=True) as folder:
            (folder / "new").write_bytes(b"new")
        assert names(tmp_path / "run") == ["new"]
        assert names(tmp_path) == ["run"]

    @pytest.mark.parametrize("text", [None, "{}", "[1]", "not json", '{"schema": 1}'])
    def test_force_never_removes_a_folder_that_is_not_ours(
        self, tmp_path: Path, text: str | None
    ) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "thesis.tex").write_text("years of work")
        if text is not None:
            (tmp_path / "run" / "results.json").write_text(text)
        before = names(tmp_path / "run")
        with (
            pytest.raises(UsageError, match="only an empty folder or a run folder"),
            run_folder(tmp_path / "run", force=True),
        ):
            pass
        assert names(tmp_path / "run") == before

    @pytest.mark.parametrize("call", ["fsync", "rename"])
    def test_the_old_run_survives_a_failure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        old_run(tmp_path / "run")
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
        with pytest.raises(FileError, match="no room"):
            write_folder(
                tmp_path / "run", lambda: monkeypatch.setattr(os, call, fail(errno.ENOSPC))
            )
        monkeypatch.undo()
        assert names(tmp_path) == ["run"]
        assert names(tmp_path / "run") == ["results.json"]

    def test_the_old_run_comes_back_when_the_second_rename_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old_run(tmp_path / "run")
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
        rename, calls = Path.rename, []

        def second_fails(self: Path, target: Path) -> Path:
            calls.append(target)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return rename(self, target)

        with pytest.raises(KeyboardInterrupt):
            write_folder(
                tmp_path / "run", lambda: monkeypatch.setattr(Path, "rename", second_fails)
            )
        assert names(tmp_path) == ["run"]
        assert names(tmp_path / "run") == ["results.json"]

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems exchange otherwise")
    def test_at_no_time_is_there_no_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old_run(tmp_path / "run")
        monkeypatch.setattr(Path, "rename", fail(errno.EIO))
        one, other = tmp_path / "run", tmp_path / "new"
        other.mkdir()
        files._put_in_place(other, one)
        assert names(one) == []
        assert names(other) == ["results.json"]

    def test_what_a_killed_process_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        code = (
            "import os, sys, pathlib\n"
            "from goodnet.files import atomic_path, run_folder\n"
            "with run_folder(pathlib.Path(sys.argv[1]) / 'run') as folder:\n"
            "    with atomic_path(folder.parent / 'file') as file:\n"
            "        os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
        assert [name[:9] for name in names(tmp_path)] == [".goodnet-", ".goodnet-"]
        with run_folder(tmp_path / "run") as folder:
            assert names(tmp_path) == [folder.name]

    def test_who_is_killed_removing_a_folder_leaves_no_part_of_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old_run(tmp_path / "partial")
        with monkeypatch.context() as patched:
            patched.setattr("shutil.rmtree", fail(errno.EINTR))
            remove_folder(tmp_path / "partial")
        assert [name[:9] for name in names(tmp_path)] == [".goodnet-"]
        remove_folder(tmp_path / "partial")  # is not there
        with run_folder(tmp_path / "run"):
            pass
        assert names(tmp_path) == ["run"]

    @pytest.mark.slow
    @pytest.mark.parametrize("exchanges", [True, False])
    def test_a_process_that_replaces_runs_may_be_killed_at_any_time(
        self, tmp_path: Path, exchanges: bool
    ) -> None:
        out = tmp_path / "run"
        code = (
            "import itertools, pathlib, sys\n"
            "from goodnet import files\n"
            f"if not {exchanges}:\n"
            "    files._exchanged = lambda *_: False\n"
            "for number in itertools.count():\n"
            "    with files.run_folder(pathlib.Path(sys.argv[1]), force=True) as folder:\n"
            f"        files.write_json(folder / 'results.json', {{**{OURS}, 'number': number}})\n"
            "        files.write_json(folder / 'again.json', number)\n"
            "    if not number:\n"
            "        print(flush=True)\n"
        )
        chance = random.Random(0)
        for _ in range(12):
            command = [sys.executable, "-c", code, str(out)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                assert process.stdout.readline()
                time.sleep(chance.uniform(0, 0.03))
                process.kill()
            with pytest.raises(UsageError, match="--force"), run_folder(out):
                pass
            assert names(tmp_path) == ["run"]
            found = json.loads((out / "results.json").read_text())
            assert json.loads((out / "again.json").read_text()) == found["number"]

    @pytest.mark.parametrize("moment", ["mkdir", "rename"])
    def test_a_run_put_aside_by_a_killed_process_comes_back(
        self, tmp_path: Path, moment: str
    ) -> None:
        old_run(tmp_path / "run")
        code = (
            "import os, sys, pathlib\n"
            "from goodnet import files\n"
            f"real = pathlib.Path.{moment}\n"
            "def once(*given, **options):\n"
            "    real(*given, **options)\n"
            "    os.kill(os.getpid(), 9)\n"
            "files._exchanged = lambda *_: False\n"
            f"pathlib.Path.{moment} = once\n"
            "with files.run_folder(pathlib.Path(sys.argv[1]) / 'run', force=True):\n"
            "    pass\n"
        )
        subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
        assert ("run" in names(tmp_path)) == (moment == "mkdir")
        with pytest.raises(UsageError, match="--force"), run_folder(tmp_path / "run"):
            pass
        assert names(tmp_path) == ["run"]
        assert names(tmp_path / "run") == ["results.json"]

    def test_what_was_put_aside_goes_once_the_new_run_is_there(self, tmp_path: Path) -> None:
        old_run(tmp_path / "run")
        old_run(tmp_path / ".goodnet-run.old")
        with atomic_path(tmp_path / "other") as path:
            path.touch()
        assert names(tmp_path) == ["other", "run"]

    def test_a_new_folder_that_another_process_takes_for_litter_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make, made = Path.mkdir, []

        def taken(path: Path, *given: Any, **options: Any) -> None:
            make(path, *given, **options)
            made.append(path)
            if len(made) == 1:
                path.rmdir()

        monkeypatch.setattr(Path, "mkdir", taken)
        with files.hidden_folder(tmp_path / "x") as folder:
            assert [folder] == made[1:]
        assert names(tmp_path) == []

    def test_what_others_still_write_is_left_alone(self, tmp_path: Path) -> None:
        with (
            run_folder(tmp_path / "one") as one,
            run_folder(tmp_path / "other") as other,
            atomic_path(tmp_path / "file") as file,
        ):
            assert names(tmp_path) == sorted([one.name, other.name, file.parent.name])
        assert names(tmp_path) == ["file", "one", "other"]

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_bytes(b"old")
        with (
            pytest.raises(UsageError, match=r"expected a folder .* got a file"),
            run_folder(tmp_path / "run", force=True),
        ):
            pass

    def test_a_missing_parent_is_named(self, tmp_path: Path) -> None:
        with (
            pytest.raises(FileError, match="no such folder"),
            run_folder(tmp_path / "absent" / "run"),
        ):
            pass

    def test_a_parent_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with (
            pytest.raises(FileError, match="no such folder"),
            run_folder(tmp_path / "file" / "run"),
        ):
            pass

    def test_a_symbolic_link_is_refused(self, tmp_path: Path) -> None:
        old_run(tmp_path / "real")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with (
            pytest.raises(UsageError, match="symbolic link"),
            run_folder(tmp_path / "link", force=True),
        ):
            pass
        assert names(tmp_path / "real") == ["results.json"]

    def test_it_needs_a_name(self) -> None:
        with pytest.raises(UsageError, match="a name of its own"), run_folder(Path("..")):
            pass


class TestWriteJson:
    def test_keeps_the_order_and_ends_the_line(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", {"b": 1, "a": [None, "é"]})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert text.endswith("}\n")
        assert list(json.loads(text)) == ["b", "a"]

    def test_nan_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(tmp_path / "a.json", {"value": float("nan")})
        assert names(tmp_path) == []


class TestSha256:
    def test_is_the_hash(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="no such file"):
            sha256(tmp_path / "a")
