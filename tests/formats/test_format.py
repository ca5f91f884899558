"""A format is one value: what its files start with, how they are read, written and patched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import plain_spec

from goodnet.errors import FileError, InvalidInput, UsageError
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
    assert list(known) == ["keras-h5", "keras-zip", "safetensors"]
    assert len({each.suffix for each in known.values()}) == 3
    assert [bool(each.read) for each in known.values()] == [True, True, False]


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
    (tmp_path / "net.bin").write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(InvalidInput, match="expected a Keras model, HDF5 or"):
        read_spec(tmp_path / "net.bin")
    with pytest.raises(FileError, match="none"):
        read_spec(tmp_path / "none.h5")


def test_a_suffix_of_no_format_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"as \.h5 or \.keras or \.safetensors, got .* 'net\.pt'"):
        save_network(build(plain_spec()), tmp_path / "net.pt")
    with pytest.raises(UsageError, match="not made of a PyTorch module"):
        save_spec(plain_spec(), tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []
