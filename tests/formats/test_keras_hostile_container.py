"""Model files and archives that are broken or lead out of themselves: each is refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hostile_keras import SECRET, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_samples import native_arrays, small_model, write_keras, write_small

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.keras import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHARES = [0.0, 0.01, 0.1, 0.5, 0.9, 0.99]


class TestContent:
    @pytest.mark.parametrize("zipped", [False, True])
    def test_a_broken_file_is_not_hashed_first(
        self, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x"
        write_keras(path, small_model(), native_arrays()) if zipped else write_small(path)
        path.write_bytes(path.read_bytes()[:-100])
        monkeypatch.setattr("goodnet.formats.keras.container.sha256", lambda _: 1 / 0)
        with pytest.raises(InvalidInput, match=r"ends early|damaged"):
            read(path)

    @pytest.mark.parametrize("suffix", [".h5", ".keras", ""])
    def test_pickle(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"model{suffix}"
        path.write_bytes(pickle.dumps({"a": 1}))
        refused(path, InvalidInput, r"\.onnx or weights of PyTorch, got a file whose first")

    def test_format_is_told_by_content(self, tmp_path: Path) -> None:
        write_small(tmp_path / "model.keras")
        write_keras(tmp_path / "model.h5", small_model(), native_arrays())
        sources = [read(tmp_path / name).file for name in ("model.keras", "model.h5")]
        assert [s.format for s in sources if s] == ["keras-h5", "keras-zip"]

    @pytest.mark.parametrize("share", SHARES)
    @pytest.mark.parametrize("suffix", [".h5", ".keras"])
    def test_truncated(self, share: float, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"model{suffix}"
        if suffix == ".h5":
            write_small(path)
        else:
            write_keras(path, small_model(), native_arrays())
        data = path.read_bytes()
        path.write_bytes(data[: max(1, int(share * len(data)))])
        refused(path, InvalidInput, "ends early|starts with its first member")

    def test_empty_missing_and_not_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "empty", InvalidInput, "the model file is empty")
        refused(tmp_path / "nothing", FileError, "there is no model file at")
        refused(tmp_path, InvalidInput, "expected a model file, got a directory")
        refused(tmp_path / "pipe", InvalidInput, "expected a model file, got a named pipe")

    def test_file_with_a_hole_of_10_terabytes(self, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        with path.open("wb") as file:
            with contextlib.suppress(OSError):
                file.truncate(10 * 2**40)
            if file.seek(0, os.SEEK_END) == 0:
                file.truncate(3 * 2**30)
        refused(path, OverBudget, r"the model file '.*' may take at most 2\.0 GiB")

    def test_hdf5_without_a_model(self, tmp_path: Path) -> None:
        for name, keys, match in (
            ("a", ["data", "label"], "got a set of images"),
            ("b", [], "got an HDF5 file without one"),
        ):
            with h5py.File(tmp_path / name, "w") as file:
                for key in keys:
                    file[key] = np.zeros(3)
            refused(tmp_path / name, InvalidInput, match)

    def test_polyglot(self, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("config.json", "{}")
        refused(path, UnsafeInput, "an HDF5 file and a zip archive at once")

    @pytest.mark.parametrize("suffix", [".h5", ".keras"])
    @settings(max_examples=100)
    @given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
    def test_changed_bytes_never_crash(
        self,
        suffix: str,
        changes: list[tuple[int, int]],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        path = tmp_path_factory.getbasetemp() / f"changed{suffix}"
        if suffix == ".h5":
            write_small(path)
        else:
            write_keras(path, small_model(), native_arrays())
        content = bytearray(path.read_bytes())
        for place, byte in changes:
            content[place % len(content)] = byte
        path.write_bytes(content)
        with contextlib.suppress(GoodnetError):
            read(path)


class TestReach:
    """HDF5 links and storage, in a legacy file and inside a `.keras` archive."""

    def both(self, tmp_path: Path, change: Callable[[h5py.File, str], object], match: str) -> None:
        secret = tmp_path / "secret.h5"
        with h5py.File(secret, "w") as file:
            file["x"] = np.zeros(4, np.float32)
            file.attrs["token"] = SECRET
        path = write_small(tmp_path / "model.h5")
        with h5py.File(path, "r+") as file:
            change(file, "model_weights/conv/conv/bias:0")
        refused(path, UnsafeInput, match)
        archive = write_keras(tmp_path / "model.keras", small_model(), native_arrays())
        with zipfile.ZipFile(archive) as members:
            content = {name: members.read(name) for name in members.namelist()}
        memory = io.BytesIO(content["model.weights.h5"])
        with h5py.File(memory, "r+") as file:
            change(file, "layers/conv2d/vars/1")
        content["model.weights.h5"] = memory.getvalue()
        with zipfile.ZipFile(archive, "w") as members:
            for name, data in content.items():
                members.writestr(name, data)
        refused(archive, UnsafeInput, match)

    @pytest.mark.parametrize("target", ["secret.h5", "/dev/zero", "nothing.h5"])
    def test_external_link(self, target: str, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            file[name] = h5py.ExternalLink(target, "/x")

        self.both(tmp_path, change, "is a link to another file")

    def test_soft_link(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            file["aside"] = file[name][()]
            del file[name]
            file[name] = h5py.SoftLink("/aside")

        self.both(tmp_path, change, "is a soft link")

    def test_external_storage(self, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text(SECRET)

        def change(file: h5py.File, name: str) -> None:
            del file[name]
            place = [(str(tmp_path / "secret.txt"), 0, 16)]
            file.create_dataset(name, (4,), "f4", external=place)

        self.both(tmp_path, change, "keeps its numbers in another file")

    def test_virtual_dataset(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (4,))
            file.create_virtual_dataset(name, layout)

        self.both(tmp_path, change, "is a virtual data set")

    def test_unknown_filter(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((4,))
            plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)

        self.both(tmp_path, change, "packed with the HDF5 filter 32015")

    def test_settings_of_the_system_change_nothing(self, tmp_path: Path) -> None:
        write_small(tmp_path / "model.h5")
        code = "from goodnet.formats import read_spec as r; print(r('model.h5').count_parameters())"
        settings = {"HDF5_PLUGIN_PATH": ".", "KERAS_BACKEND": "nothing", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True,
            env={**os.environ, **settings},
        )  # fmt: skip
        assert done.stdout.strip() == b"313"


class TestArchive:
    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    def test_member_is_missing(self, name: str, tmp_path: Path) -> None:
        path = write_keras(tmp_path / "model.keras", small_model(), native_arrays())
        with zipfile.ZipFile(path) as archive:
            kept = {n: archive.read(n) for n in archive.namelist() if n != name}
        with zipfile.ZipFile(path, "w") as archive:
            for other, data in kept.items():
                archive.writestr(other, data)
        refused(path, InvalidInput, r"expected config\.json and model\.weights\.h5 in the \.keras")

    @pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "assets/../../evil"])
    def test_names_that_lead_out(self, name: str, tmp_path: Path) -> None:
        more = {name: b"x"}
        path = write_keras(tmp_path / "m.keras", small_model(), native_arrays(), more=more)
        refused(path, UnsafeInput, "a member with an unsafe name")

    def test_assets_are_not_read(self, tmp_path: Path) -> None:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("x", SECRET)
        more = {"assets/vocabulary.txt": b"x", "assets/more.zip": inner.getvalue()}
        spec = read(write_keras(tmp_path / "m.keras", small_model(), native_arrays(), more=more))
        assert spec.file is not None
        assert "assets not read" in spec.file.notes

    def test_bomb(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", json.dumps(small_model()))
            archive.writestr("model.weights.h5", bytes(80 * 2**20))
        refused(path, OverBudget, "unpacks .* to 80.0 MiB; more than 100 times is refused")

    def test_packed_archive_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        packing = zipfile.ZIP_DEFLATED
        read(write_keras(path, small_model(), native_arrays(), compression=packing))

    def test_weights_that_are_not_hdf5(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(small_model()))
            archive.writestr("model.weights.h5", pickle.dumps([1]))
        refused(path, InvalidInput, "expected an HDF5 model.weights.h5 in the .keras archive")
