from __future__ import annotations

import resource
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from goodnet.errors import FileError, UsageError
from goodnet.imagesets import load_images
from goodnet.imagesets.faces import LANDMARKS, draw_faces
from goodnet.runs import faces as job
from goodnet.runs.faces import FacesRequest, face_blocks, write_faces

SMALL = FacesRequest(5, 3, size=(16, 20), seed=7)


def test_a_file_has_the_layout_of_the_lab_and_landmarks(tmp_path: Path) -> None:
    path = tmp_path / "faces.h5"
    done: list[int] = []
    write_faces(path, SMALL, progress=done.append)
    assert sum(done) == 15
    with h5py.File(path) as file:
        assert {name: (item.shape, str(item.dtype)) for name, item in file.items()} == {
            "data": ((15, 3, 16, 20), "uint8"),
            "label": ((15,), "int64"),
            "landmarks": ((15, 13, 2), "float32"),
        }
        assert tuple(file["landmarks"].attrs["names"]) == LANDMARKS
        places = file["landmarks"][:]
    images = load_images(path)
    assert images.labels.tolist() == [0, 1, 2, 3, 4] * 3
    expected = draw_faces(images.labels, np.arange(15) // 5, seed=7, size=(16, 20))
    np.testing.assert_array_equal(255 * next(images.blocks(15)).images, expected.images)
    np.testing.assert_array_equal(places, expected.landmarks)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = next(face_blocks(SMALL))
    monkeypatch.setattr(job, "_BLOCK_BYTES", 4 * SMALL.image_bytes)
    parts = list(face_blocks(SMALL))
    assert [len(part.labels) for part in parts] == [4, 4, 4, 3]
    np.testing.assert_array_equal(np.concatenate([part.images for part in parts]), whole.images)


def test_a_first_shot_goes_on_where_another_set_ended() -> None:
    longer = next(face_blocks(FacesRequest(4, 5, size=(16, 16))))
    rest = next(face_blocks(FacesRequest(4, 2, first_shot=3, size=(16, 16))))
    np.testing.assert_array_equal(longer.images[12:], rest.images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 0}, "expected at least 1 person, got 0"),
        ({"per_person": 0}, "expected at least 1 picture of each person, got 0"),
        ({"first_shot": -1}, "expected a first shot from 0, got -1"),
        ({"people": 2**62, "per_person": 2}, r"expected fewer than 2\*\*63 faces"),
        ({"first_shot": 2**63}, r"expected fewer than 2\*\*63 faces"),
        ({"size": (8, 8)}, "expected faces of 16 to 2048 pixels each way, got 8x8"),
        ({"seed": -1}, "expected a seed from 0"),
    ],
)
def test_impossible_sets_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FacesRequest(**{"people": 1, "per_person": 1, **options})


def test_a_file_that_is_there_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "faces.h5"
    path.write_text("old")
    with pytest.raises(UsageError, match="the output exists already"):
        write_faces(path, SMALL)
    assert path.read_text() == "old"
    write_faces(path, SMALL, force=True)
    assert len(load_images(path)) == 15


def test_too_small_a_disk_is_found_before_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(free=1000))
    with pytest.raises(FileError, match=r"no room for the faces: they take .* GB"):
        write_faces(tmp_path / "faces.h5", SMALL)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def limit_files() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may become; lifted again at the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_may_not_be_so_large_leaves_nothing(
    tmp_path: Path, limit_files: Callable[[int], None]
) -> None:
    limit_files(8192)
    with pytest.raises(FileError, match=r"no room to write the output .*faces\.h5"):
        write_faces(tmp_path / "faces.h5", SMALL)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_on_the_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_files: Callable[[int], None]
) -> None:
    monkeypatch.setattr(job, "_BLOCK_BYTES", 4 * SMALL.image_bytes)
    with pytest.raises(FileError, match=r"no room to write the output .*faces\.h5"):
        write_faces(tmp_path / "faces.h5", SMALL, progress=lambda _: limit_files(4096))
    assert not list(tmp_path.iterdir())
