from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest

from goodnet.errors import FileError, InvalidInput
from goodnet.imagesets.stored import StoredFile


def test_a_file_is_opened_as_often_as_needed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"pixels")
    file = StoredFile.find(path)
    for _ in range(2):
        with file.open() as handle:
            assert handle.read() == b"pixels"
    assert file.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert pickle.loads(pickle.dumps(file)) == file


@pytest.mark.parametrize("change", ["longer", "touched", "replaced"])
def test_a_file_that_changed_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"pixels")
    os.utime(path, ns=(1, 1))
    file = StoredFile.find(path)
    if change == "replaced":
        (tmp_path / "y").write_bytes(b"PIXELS")
        os.utime(tmp_path / "y", ns=(1, 1))
        (tmp_path / "y").replace(path)
    elif change == "longer":
        path.write_bytes(b"pixels!")
        os.utime(path, ns=(1, 1))
    else:
        path.touch()
    with pytest.raises(InvalidInput, match="the images changed while they were being used"):
        file.open().__enter__()


def test_a_file_that_went_away_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"pixels")
    file = StoredFile.find(path)
    path.unlink()
    with pytest.raises(FileError, match="there is no set of images at"):
        file.open().__enter__()
