from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from goodnet.imagesets.rows import Column, outline, write_arrays


@pytest.mark.parametrize("dtype", ["u1", ">i4", "<f2", "f8", "?"])
def test_what_is_written_hdf5_reads(tmp_path: Path, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, 2, (5, 3, 4)).astype(dtype)
    arrays = {"data": data[:, ::-1], "label": np.arange(5), "none": np.zeros((0, 2))}
    write_arrays(tmp_path / "x.h5", arrays, names={"label": ["a", "b"]})
    with h5py.File(tmp_path / "x.h5") as file:
        assert set(file) == set(arrays)
        for name, array in arrays.items():
            assert file[name].dtype == array.dtype
            np.testing.assert_array_equal(file[name][()], array)
        assert list(file["label"].attrs["names"]) == ["a", "b"]
        assert not file["data"].attrs


def test_rows_are_written_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    place = outline(path, {"data": Column((6, 2), "<f4")})["data"]
    rows = np.arange(12.0).reshape(6, 2)
    with path.open("r+b") as file:
        for start, stop in ((4, 6), (0, 4), (6, 6)):
            place.write(file, start, rows[start:stop])
    with h5py.File(path) as found:
        np.testing.assert_array_equal(found["data"][()], rows)


def test_a_full_disk_is_an_ordinary_error(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np;"
        "from goodnet.imagesets.rows import write_arrays;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000));\n"
        "try: write_arrays(Path(sys.argv[1]), {'data': np.zeros((50, 3, 8, 8))})\n"
        "except OSError as error: print(error.strerror)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "File too large\n", "")
