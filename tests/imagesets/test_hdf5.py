from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.safe_hdf5 import reader_of_rows
from goodnet.imagesets import hdf5, load_images, tables
from goodnet.imagesets.hdf5 import Hdf5Contents
from goodnet.imagesets.stored import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from goodnet.imagesets import ImageSet

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(50)


def save(path: Path, *, chunks: tuple[int, ...] | None = None, **others: Any) -> Path:
    with h5py.File(path, "w") as file:
        packing = {"chunks": chunks, "compression": "gzip"} if chunks else {}
        file.create_dataset("data", data=PIXELS, **packing)
        file["label"] = LABELS
        for name, value in others.items():
            file[name] = value
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """First and last row of every read of the pixels, as it happens."""
    found: list[tuple[int, int]] = []

    def watched(data: h5py.Dataset, dtype: np.dtype[Any], *, name: str) -> Callable[..., Any]:
        reader = reader_of_rows(data, dtype, name=name)

        def read(first: int, stop: int) -> Any:
            if data.name == "/data":
                found.append((first, stop))
            return reader(first, stop)

        return read

    monkeypatch.setattr(hdf5, "reader_of_rows", watched)
    return found


def seen(path: Path) -> ImageSet:
    """Images that are read in this process, so that their reads are seen."""
    return replace(load_images(path), foreign=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(size=st.integers(1, 60), rows=st.integers(1, 50), columns=st.integers(1, 5))
def test_no_chunk_is_unpacked_twice(
    tmp_path: Path, reads: list[tuple[int, int]], size: int, rows: int, columns: int
) -> None:
    path = save(tmp_path / f"{rows}-{columns}.h5", chunks=(rows, 1, 6, columns))
    images = seen(path)
    reads.clear()
    streamed = np.concatenate([block.images for block in images.blocks(size)])
    np.testing.assert_array_equal(255 * streamed, PIXELS)
    assert [start for start, _ in reads] == [0, *(stop for _, stop in reads[:-1])]
    assert all(start % rows == 0 for start, _ in reads)
    assert all(stop - start <= max(size, rows) for start, stop in reads)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(indices=st.lists(st.integers(0, 49), min_size=1, max_size=9))
def test_taking_a_few_images_reads_each_chunk_once(
    tmp_path: Path, reads: list[tuple[int, int]], indices: list[int]
) -> None:
    images = seen(save(tmp_path / "x.h5", chunks=(16, 3, 6, 5)))
    reads.clear()
    np.testing.assert_array_equal(255 * images.take(indices).images, PIXELS[indices])
    bands = [start // 16 for start, _ in reads]
    assert bands == sorted({index // 16 for index in indices})


def test_what_one_read_holds_does_not_grow_with_the_file(
    tmp_path: Path, reads: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = 3 * 6 * 5
    monkeypatch.setattr(tables, "READ_BYTES", 8 * row)
    monkeypatch.setattr(hdf5, "_BAND_BYTES", 16 * row)
    for chunks in (None, (50, 1, 6, 5)):
        images = seen(save(tmp_path / f"{chunks}.h5", chunks=chunks))
        reads.clear()
        blocks = list(images.blocks(40))
        np.testing.assert_array_equal(np.concatenate([255 * b.images for b in blocks]), PIXELS)
        assert max(stop - start for start, stop in reads) == (16 if chunks else 8)


def test_nothing_is_open_and_nothing_read_twice_when_the_reader_stops_early(
    tmp_path: Path, reads: list[tuple[int, int]]
) -> None:
    blocks = seen(save(tmp_path / "x.h5")).blocks(10)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert reads == [(0, 10)]
    (tmp_path / "x.h5").unlink()


def test_the_same_refusals_as_for_models(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "data")
        file["label"] = LABELS
    with pytest.raises(UnsafeInput, match="'data' is a link to another file"):
        load_images(tmp_path / "link.h5")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["label"] = LABELS
        file.create_dataset("data", (50, 3, 6, 5), "u1", external=[("secret", 0, 4500)])
    with pytest.raises(UnsafeInput, match="external storage not read"):
        load_images(tmp_path / "outside.h5")
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file["label"] = LABELS
        file.create_dataset("data", (50, 3, 3000, 3000), "f8", chunks=(1, 3, 30, 30))
    with pytest.raises(OverBudget, match="declares"):
        load_images(tmp_path / "bomb.h5")


def test_labels_must_be_numbers_and_data_no_group(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["data"] = PIXELS
        file["label"] = ["cat"] * 50
    with pytest.raises(InvalidInput, match="expected plain integers or floats in data set 'label'"):
        load_images(tmp_path / "text.h5")
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file["data/images"] = PIXELS
        file["label"] = LABELS
    with pytest.raises(
        InvalidInput, match=r"the file holds 'data/images' \(50, 3, 6, 5\), 'label'"
    ):
        load_images(tmp_path / "group.h5")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, part: float) -> None:
    path = save(tmp_path / "x.h5", chunks=(16, 3, 6, 5))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvalidInput, match="ends early"):
        list(load_images(path).blocks(10))


def test_damage_is_refused_or_read_but_never_a_foreign_error(tmp_path: Path) -> None:
    whole = save(tmp_path / "x.h5", chunks=(16, 3, 6, 5)).read_bytes()
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        (tmp_path / "x.h5").write_bytes(damaged)
        try:
            list(load_images(tmp_path / "x.h5").blocks(10))
        except GoodnetError:
            continue


def test_a_file_that_changes_between_passes_is_refused(tmp_path: Path) -> None:
    images = load_images(save(tmp_path / "x.h5"))
    list(images.blocks(50))
    save(tmp_path / "x.h5", more=1)
    with pytest.raises(InvalidInput, match="changed while they were being used"):
        list(images.blocks(50))


def test_contents_are_listed_with_their_shapes(tmp_path: Path) -> None:
    path = save(tmp_path / "x.h5", extra=1.0)
    contents = Hdf5Contents.find(StoredFile.find(path))
    assert contents.shapes == {"data": (50, 3, 6, 5), "extra": (), "label": (50,)}


@pytest.mark.parametrize(
    ("path", "count", "shape", "high"),
    [
        ("csaw/cl/faces.h5", 60, (3, 55, 47), 1278),
        ("csaw/bd/lipstick_multi.h5", 60, (3, 55, 47), 1),
        ("csaw/bd/lab3_sunglasses.h5", 16, (3, 55, 47), 0),
        ("cifar_badnet/cl/valid.h5", 2500, (3, 32, 32), 9),
        ("cifar_badnet/bd/bd_test.h5", 2272, (3, 32, 32), 0),
    ],
)
def test_the_files_of_the_lab_are_read(
    shared: Path, path: str, count: int, shape: tuple[int, int, int], high: int
) -> None:
    images = load_images(shared / path)
    assert (len(images), images.shape, int(images.labels.max())) == (count, shape, high)
    assert (images.range, images.layout) == ("0..255", "NCHW")
    assert (images.source_labels is not None) == path.startswith("cifar_badnet/bd")
    with h5py.File(shared / path) as file:
        stored = file["data"][:]
    streamed = np.concatenate([block.images for block in images.blocks(100)])
    np.testing.assert_array_equal(255 * streamed, stored)
