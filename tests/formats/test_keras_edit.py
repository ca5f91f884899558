from __future__ import annotations

import errno
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from spec_samples import RELU, Draft

from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.formats import read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.keras.edit import patched
from goodnet.formats.keras.write import write
from goodnet.formats.silence import silence, silent_channels

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodnet.formats.spec import Array, NetworkSpec, SourceFile

# Keras' own, on its torch backend with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KERNEL = "model_weights/conv/conv/kernel:0"


def sample(path: Path) -> NetworkSpec:
    draft = Draft(3, 8, 8)
    draft.conv(4, name="conv", activation=RELU)
    draft.norm(name="norm")
    write(draft.ended(), path)
    return read_spec(path)


def source(spec: NetworkSpec) -> SourceFile:
    assert spec.file is not None
    return spec.file


def rewrite(source: SourceFile, changed: dict[str, Array], path: Path) -> None:
    path.write_bytes(patched(source, changed))


def check(spec: NetworkSpec, changed: dict[str, Array], path: Path) -> None:
    """Rewrite, read again, compare every array."""
    rewrite(source(spec), changed, path)
    found = read_spec(path)
    assert found.layers == spec.layers
    for key, array in spec.with_arrays(changed).arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array)


def differing(one: bytes, other: bytes) -> list[int]:
    assert len(one) == len(other)
    found = np.frombuffer(one, np.uint8) != np.frombuffer(other, np.uint8)
    return [int(index) for index in np.flatnonzero(found)]


def restore(path: Path, name: str, make: Callable[[h5py.Group, str, Array], Any]) -> None:
    """Store one data set of a file in another way."""
    with h5py.File(path, "r+") as file:
        data = file[name][()]
        del file[name]
        make(file, name, data)


class TestHdf5:
    def test_only_the_changed_numbers_differ(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        changed = silence(spec, "norm", [1, 2])
        check(spec, changed, tmp_path / "copy.h5")
        before, after = ((tmp_path / name).read_bytes() for name in ("model.h5", "copy.h5"))
        with h5py.File(tmp_path / "model.h5") as file:
            group = file["model_weights/norm/norm"]
            starts = [group[name].id.get_offset() for name in ("gamma:0", "beta:0")]
        allowed = {
            start + 4 * channel + k for start in starts for channel in (1, 2) for k in range(4)
        }
        found = differing(before, after)
        assert found
        assert set(found) <= allowed

    def test_no_change_gives_the_same_bytes(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        rewrite(source(spec), dict(spec.arrays), tmp_path / "copy.h5")
        assert (tmp_path / "copy.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()

    @pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f8"])
    def test_the_number_type_stays_and_so_do_equal_numbers(
        self, tmp_path: Path, dtype: str
    ) -> None:
        path = tmp_path / "model.h5"
        sample(path)
        data = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(dtype)
        restore(path, KERNEL, lambda file, name, _: file.create_dataset(name, data=data))
        spec = read_spec(path)
        check(spec, silence(spec, "conv", [1]), tmp_path / "copy.h5")
        with h5py.File(tmp_path / "copy.h5") as file:
            stored = file[KERNEL]
            assert stored.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(stored[..., [0, 2, 3]], data[..., [0, 2, 3]])
            assert not stored[..., 1].any()

    @pytest.mark.parametrize(
        "options",
        [
            {"chunks": (3, 3, 3, 1)},
            {"chunks": (2, 2, 3, 4), "compression": "gzip", "shuffle": True},
            {"compression": "lzf", "fletcher32": True},
        ],
    )
    def test_chunked_and_packed_numbers(self, tmp_path: Path, options: dict[str, Any]) -> None:
        path = tmp_path / "model.h5"
        sample(path)
        restore(path, KERNEL, lambda file, name, x: file.create_dataset(name, data=x, **options))
        spec = read_spec(path)
        check(spec, silence(spec, "conv", [1]), tmp_path / "copy.h5")
        with h5py.File(path) as old, h5py.File(tmp_path / "copy.h5") as new:
            assert new[KERNEL].chunks == old[KERNEL].chunks
            assert new[KERNEL].compression == old[KERNEL].compression

    def test_numbers_kept_in_the_header(self, tmp_path: Path) -> None:
        def compact(file: h5py.Group, name: str, data: Array) -> None:
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple(data.shape)
            dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=plan)
            h5py.Dataset(dataset)[...] = data

        path = tmp_path / "model.h5"
        sample(path)
        restore(path, "model_weights/conv/conv/bias:0", compact)
        spec = read_spec(path)
        check(spec, silence(spec, "conv", [1]), tmp_path / "copy.h5")

    def test_a_file_written_by_keras(self, tmp_path: Path) -> None:
        keras_sample().save(tmp_path / "model.h5")
        spec = read_spec(tmp_path / "model.h5")
        check(spec, silence(spec, "conv", [0, 3]), tmp_path / "copy.h5")


def keras_sample() -> Any:
    import keras

    image = keras.Input((8, 8, 3))
    value = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    value = keras.layers.Dense(5)(keras.layers.Flatten()(value))
    return keras.Model(image, value)


class TestKerasZip:
    def test_only_the_changed_numbers_and_their_sums_differ(self, tmp_path: Path) -> None:
        keras_sample().save(tmp_path / "model.keras")
        spec = read_spec(tmp_path / "model.keras")
        changed = silence(spec, "conv", [1])
        check(spec, changed, tmp_path / "copy.keras")
        before, after = ((tmp_path / x).read_bytes() for x in ("model.keras", "copy.keras"))
        sums = 2 * 4
        assert 0 < len(differing(before, after)) <= 4 * (3 * 3 * 3 + 1) + sums
        with zipfile.ZipFile(tmp_path / "copy.keras") as archive:
            assert archive.testzip() is None

    def test_keras_opens_the_copy(self, tmp_path: Path) -> None:
        import keras

        keras_sample().save(tmp_path / "model.keras")
        spec = read_spec(tmp_path / "model.keras")
        changed = silence(spec, "conv", [1])
        rewrite(source(spec), changed, tmp_path / "copy.keras")
        kernel, bias = keras.models.load_model(tmp_path / "copy.keras").get_layer("conv").weights
        expected = spec.with_arrays(changed).arrays
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(kernel), expected["conv/weight"].transpose(2, 3, 1, 0)
        )
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(bias), expected["conv/bias"])

    def test_packed_members_stay_packed(self, tmp_path: Path) -> None:
        sample(tmp_path / "plain.keras")
        dates = [(1999, 12, 31, 23, 59, 58), (2024, 2, 29, 1, 2, 4), (2011, 1, 1, 0, 0, 0)]
        with (
            zipfile.ZipFile(tmp_path / "plain.keras") as old,
            zipfile.ZipFile(tmp_path / "model.keras", "w") as new,
        ):
            for name, date in zip(reversed(old.namelist()), dates, strict=True):
                info = zipfile.ZipInfo(name, date)
                info.compress_type = zipfile.ZIP_DEFLATED
                new.writestr(info, old.read(name))
        spec = read_spec(tmp_path / "model.keras")
        check(spec, silence(spec, "conv", [1]), tmp_path / "copy.keras")
        with (
            zipfile.ZipFile(tmp_path / "model.keras") as old,
            zipfile.ZipFile(tmp_path / "copy.keras") as new,
        ):
            assert new.testzip() is None
            for one, other in zip(old.infolist(), new.infolist(), strict=True):
                assert one.filename == other.filename
                assert one.date_time == other.date_time
                assert one.compress_type == other.compress_type
                if one.filename != "model.weights.h5":
                    assert old.read(one) == new.read(other)

    def test_no_change_gives_the_same_bytes(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.keras")
        rewrite(source(spec), {}, tmp_path / "copy.keras")
        assert (tmp_path / "copy.keras").read_bytes() == (tmp_path / "model.keras").read_bytes()


class TestRealNetworks:
    @pytest.mark.parametrize("drop", [2, 4, 10, 30])
    def test_silencing_gives_the_file_others_made(
        self, shared: Path, tmp_path: Path, drop: int
    ) -> None:
        spec = read_spec(shared / "csaw/models/lab3_bd_net.h5")
        made = read_spec(shared / f"csaw/students/pruned_drop_{drop}.h5")
        channels = silent_channels(made, "pool_3")
        rewrite(source(spec), silence(spec, "pool_3", channels), tmp_path / "copy.h5")
        found = read_spec(tmp_path / "copy.h5")
        for key, array in made.arrays.items():
            np.testing.assert_array_equal(found.arrays[key], array)


class TestErrors:
    def test_the_file_changed_meanwhile(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        with (tmp_path / "model.h5").open("ab") as file:
            file.write(b"\0")
        with pytest.raises(InvalidInput, match="has changed since it was read"):
            rewrite(source(spec), {}, tmp_path / "copy.h5")

    def test_the_file_is_gone(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        (tmp_path / "model.h5").unlink()
        with pytest.raises(FileError, match="no model file"):
            rewrite(source(spec), {}, tmp_path / "copy.h5")

    def test_an_array_that_is_not_in_the_file(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        with pytest.raises(InvalidInput, match=r"'con/weight' is not stored .* conv/weight"):
            rewrite(source(spec), {"con/weight": np.zeros(1)}, tmp_path / "copy.h5")

    def test_another_shape(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        with pytest.raises(InvalidInput, match=r"'conv/bias' has the shape \(4,\), got \(5,\)"):
            rewrite(source(spec), {"conv/bias": np.zeros(5, np.float32)}, tmp_path / "copy.h5")

    def test_numbers_that_do_not_fit_the_type(self, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        sample(path)
        restore(
            path,
            "model_weights/conv/conv/bias:0",
            lambda file, name, x: file.create_dataset(name, data=x.astype(np.float16)),
        )
        spec = read_spec(path)
        with pytest.raises(InvalidInput, match="'conv/bias' is stored as float16"):
            rewrite(source(spec), {"conv/bias": np.full(4, 1e6)}, tmp_path / "copy.h5")

    def test_two_layers_with_one_place(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        origins = {**source(spec).origins, "twin/bias": source(spec).origins["conv/bias"]}
        shared = replace(source(spec), origins=origins)
        changed = {"conv/bias": np.zeros(4, np.float32)}
        with pytest.raises(InvalidInput, match="used by more than one layer"):
            rewrite(shared, changed, tmp_path / "copy.h5")
        rewrite(shared, {**changed, "twin/bias": changed["conv/bias"]}, tmp_path / "copy.h5")
        assert not read_spec(tmp_path / "copy.h5").arrays["conv/bias"].any()

    def test_two_names_for_one_data_set(self, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        sample(path)
        with h5py.File(path, "r+") as file:
            group = file["model_weights/norm/norm"]
            del group["beta:0"]
            group["beta:0"] = group["gamma:0"]
        spec = read_spec(path)
        with pytest.raises(InvalidInput, match="used by more than one layer"):
            rewrite(source(spec), {"norm/gamma": np.zeros(4, np.float32)}, tmp_path / "copy.h5")

    def test_an_existing_file_stays(self, tmp_path: Path) -> None:
        spec = sample(tmp_path / "model.h5")
        before = (tmp_path / "model.h5").read_bytes()
        changed = silence(spec, "conv", [0])
        with pytest.raises(UsageError, match="--force"):
            save_spec(spec.with_arrays(changed), tmp_path / "model.h5")
        assert (tmp_path / "model.h5").read_bytes() == before
        save_spec(spec.with_arrays(changed), tmp_path / "model.h5", force=True)
        assert silent_channels(read_spec(tmp_path / "model.h5"), "conv") == [0]

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = sample(tmp_path / "model.h5")
        shutil.copy(tmp_path / "model.h5", tmp_path / "copy.h5")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        changed = spec.with_arrays(silence(spec, "conv", [0]))
        with pytest.raises(FileError, match="no room"):
            save_spec(changed, tmp_path / "copy.h5", force=True)
        assert (tmp_path / "copy.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()
        assert len(list(tmp_path.iterdir())) == 2
