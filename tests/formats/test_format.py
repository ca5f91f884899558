"""A format is one value: what its files start with, how they are read, written and patched."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from keras_samples import functional, layer, write_small
from spec_samples import Draft
from tiny import plain_spec

from goodnet.errors import FileError, InvalidInput, UnsafeInput, UsageError
from goodnet.formats import format as registry
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.format import Format, formats, save_network, save_spec
from goodnet.formats.spec import NetworkSpec

TOY = b"TOY1"


def read_toy(path: Path, architecture: Path | None) -> NetworkSpec:
    """The network whose arrays are all a number that the file holds."""
    assert architecture is None
    number = json.loads(path.read_bytes().removeprefix(TOY))
    spec = plain_spec()
    arrays = {key: np.full_like(array, number) for key, array in spec.arrays.items()}
    return spec.with_arrays(arrays)


def write_toy(spec: NetworkSpec, path: Path, force: bool) -> None:
    assert not force
    first = next(iter(spec.arrays.values()))
    path.write_bytes(TOY + json.dumps(float(first.flat[0])).encode())


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**formats(), "toy": Format("toy", ".toy", write_toy, TOY, read_toy)}
    monkeypatch.setattr(registry, "formats", lambda: known)


def test_the_formats_are_told_apart_by_name_suffix_and_first_bytes() -> None:
    known = formats()
    assert list(known) == [
        *("keras-h5", "keras-zip", "onnx"),
        *("pytorch", "safetensors", "hugging-face"),
    ]
    assert {each.suffix for each in known.values()} == {".h5", ".keras", ".onnx", ".safetensors"}
    assert all(each.read for each in known.values())
    told = [(each.starts, each.holds, each.holds_folder) for each in known.values()]
    assert all(sum(map(bool, ways)) == 1 for ways in told)


def test_a_new_format_is_read_and_written_like_any_other(toy: None, tmp_path: Path) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(TOY + b"0.25")
    spec = read_spec(path)
    assert all((array == 0.25).all() for array in spec.arrays.values())
    save_network(load_network(path), tmp_path / "again.toy")
    assert (tmp_path / "again.toy").read_bytes() == TOY + b"0.25"
    save_spec(spec, tmp_path / "net.keras")
    same = read_spec(tmp_path / "net.keras").arrays
    assert all((same[key] == array).all() for key, array in spec.arrays.items())


def test_what_is_of_no_format_is_told_by_the_first(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"\x07 something")
    with pytest.raises(InvalidInput, match=r"expected a model, .*first bytes are 07"):
        read_spec(tmp_path / "net.bin")
    with pytest.raises(FileError, match="none"):
        read_spec(tmp_path / "none.h5")


# As torch.export packs it.
PROGRAM = ("program.pt2", "program/data/weights/weight_0")
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 123456\n"
OTHERS: dict[str, tuple[bytes, str]] = {
    "pointer": (LFS, "a Git LFS pointer, .*run `git lfs pull`"),
    "page": (b"\n\n<!DOCTYPE html><html>", "an HTML page .*'Download raw file'"),
    "error": (b'<?xml version="1.0"?><Error>', "an XML page"),
    "model": (
        b'{"module": "keras", "class_name": "Functional"}',
        "the layers of a Keras model as JSON.*--architecture",
    ),
    "numbers": (b"[1, 2, 3]", "JSON, which holds no weights"),
    "lite": (b"\x1c\0\0\0TFL3\x14\0", "a TensorFlow Lite model"),
    "pickle": (
        pickle.dumps({"a": 1}),
        r"a pickle, which is never opened.*torch\.save\(model\.state_dict",
    ),
    "packed": (b"\x1f\x8b\x08\0", "a packed file.*unpack it first"),
    "zeros": (bytes(300), "a file of zeros.*download"),
    "line ends": (b"\x89HDF\n\x1a\n\0", "an HDF5 file whose line ends were converted.*binary"),
    "message": (b"Entry not found", "an error message where a file was to be downloaded"),
    "document": (b"%PDF-1.7", "a PDF"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_model_is_named(kind: str, tmp_path: Path) -> None:
    content, said = OTHERS[kind]
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"got {said}") as caught:
        read_spec(path)
    assert str(path) in str(caught.value)


def test_what_other_programs_write_is_named(tmp_path: Path) -> None:
    folder, module = tmp_path / "saved", torch.nn.Linear(2, 3)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    np.savez(tmp_path / "images.npz", data=np.zeros(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.script(module)
        script.save(str(tmp_path / "script.pt"))  # type: ignore[no-untyped-call]
    for name, inner in (("packed.zip", "net.h5"), ("folder.keras", "net/config.json"), PROGRAM):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(inner, "{}")
    for path, said in (
        (folder, "a SavedModel of TensorFlow"),
        (folder / "saved_model.pb", "a SavedModel of TensorFlow"),
        (tmp_path / "script.pt", "TorchScript, which is a program"),
        (tmp_path / "program.pt2", r"a program of torch\.export.*torch\.save"),
        (tmp_path / "packed.zip", "a packed file with a model in it"),
        (tmp_path / "folder.keras", "a packed file with a model in it"),
        (tmp_path / "images.npz", "arrays of NumPy"),
    ):
        with pytest.raises((InvalidInput, UnsafeInput), match=said) as caught:
            read_spec(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_download_that_was_cut_off_is_named(suffix: str, tmp_path: Path) -> None:
    whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
    save_spec(plain_spec(), whole)
    content = whole.read_bytes()
    for kept in (0.3, 0.7, 0.99):
        part.write_bytes(content[: int(kept * len(content))])
        with pytest.raises(InvalidInput, match=r"ends early.*copy") as caught:
            read_spec(part)
        assert str(part) in str(caught.value)


def test_a_network_for_any_size_is_given_one(tmp_path: Path) -> None:
    draft = Draft(3, None, None)
    draft.conv(4, padding="same")
    draft.add("global_avg_pool2d")
    spec = draft.ended(3)
    save_spec(spec, tmp_path / "net.keras")
    with pytest.raises(InvalidInput, match=r"images of any size.*goodnet\.load\(.*size="):
        load_network(tmp_path / "net.keras")
    for size in ((8, 8), (5, 13)):
        network = load_network(tmp_path / "net.keras", size=size)
        assert network.input_shape == (3, *size)
        assert network(torch.zeros(2, 3, *size)).shape == (2, 3)
    silent = network.spec.with_arrays({"conv2d_1/bias": np.zeros(4, np.float32)})
    save_spec(silent, tmp_path / "copy.keras")
    assert read_spec(tmp_path / "copy.keras").input_shape == (3, None, None)
    fixed = tmp_path / "fixed.h5"
    save_spec(plain_spec(), fixed)
    with pytest.raises(InvalidInput, match=r"fixed\.h5.*takes images of .*, got the size \(5, 5\)"):
        load_network(fixed, size=(5, 5))


def test_an_error_within_a_file_names_it(tmp_path: Path) -> None:
    path = write_small(tmp_path / "net.h5", functional([layer("LSTM", "it")]))
    with pytest.raises(InvalidInput, match=r"net\.h5'.*'it'"):
        read_spec(path)


def test_a_suffix_of_no_format_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"as \.h5 or \.keras or \.onnx or \.safetensors, got .* 'net\.pt'"
    ):
        save_network(build(plain_spec()), tmp_path / "net.pt")
    assert list(tmp_path.iterdir()) == []
