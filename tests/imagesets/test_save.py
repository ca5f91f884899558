from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.imagesets import load_images, save_images

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 7), dtype=np.uint8)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "bd.h5"
    save_images(path, PIXELS, [0.0, 1, 2, 3, 4], source_labels=[4, 3, 2, 1, 0])
    images = load_images(path)
    np.testing.assert_array_equal(255 * next(images.blocks(5)).images, PIXELS)
    assert images.labels.tolist() == [0, 1, 2, 3, 4]
    assert images.source_labels is not None
    assert images.source_labels.tolist() == [4, 3, 2, 1, 0]


def test_the_file_has_the_layout_of_the_lab(tmp_path: Path) -> None:
    save_images(tmp_path / "cl.h5", PIXELS, np.arange(5))
    with h5py.File(tmp_path / "cl.h5") as file:
        assert {name: (item.shape, str(item.dtype)) for name, item in file.items()} == {
            "data": ((5, 3, 8, 7), "uint8"),
            "label": ((5,), "int64"),
        }


@pytest.mark.parametrize(
    ("data", "labels", "source", "message"),
    [
        (PIXELS, [0, 1], None, r"N labels, got uint8 and the shapes .*'label': \(2,\)"),
        (PIXELS, np.zeros(5), np.zeros(4), r"'source_label': \(4,\)"),
        (PIXELS[0], np.zeros(3), None, r"expected numbers of the shape \(N, channels"),
        (PIXELS, np.zeros((5, 2)), None, r"'label': \(5, 2\)"),
        (PIXELS * 1j, np.zeros(5), None, "got complex128"),
        (PIXELS, [0, 1, 2, 3, 0.5], None, "'label': expected labels 0, 1, 2, .*; row 4 holds 0"),
        (PIXELS, ["a"] * 5, None, "'label': expected one number per image .* got <U1"),
        (PIXELS, np.zeros(5), [np.nan] * 5, "'source_label': .* row 0 holds nan"),
    ],
)
def test_arrays_that_do_not_belong_together_are_not_written(
    tmp_path: Path, data: Any, labels: Any, source: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        save_images(tmp_path / "x.h5", data, labels, source)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("old")
    with pytest.raises(UsageError, match="exists"):
        save_images(path, PIXELS, np.zeros(5))
    assert path.read_text() == "old"
    save_images(path, PIXELS, np.zeros(5), force=True)
    assert len(load_images(path)) == 5


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(FileError, match="no room to write the images"):
            save_images(path, np.zeros((50, 3, 32, 32)), np.zeros(50), force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x.h5", "old")]
