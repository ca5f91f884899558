from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.imagesets import load_images

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(50)


def header(shape: str, descr: str = "'|u1'", *, fortran: bool = False) -> bytes:
    """What stands before the numbers of a npy file."""
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("data", "label"), ("images", "labels"), ("x", "y")])
def test_arrays_of_numpy_are_read(tmp_path: Path, save: Any, names: tuple[str, str]) -> None:
    save(tmp_path / "x.npz", **{names[0]: PIXELS, names[1]: LABELS})
    images = load_images(tmp_path / "x.npz")
    np.testing.assert_array_equal(255 * images.take(range(50)).images, PIXELS)
    assert images.labels.tolist() == list(range(50))


@pytest.mark.in_process
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(size=st.integers(1, 60), indices=st.lists(st.integers(0, 49), min_size=1, max_size=9))
@pytest.mark.parametrize("dtype", ["u1", "<f4", ">f4", ">i2"])
def test_rows_come_from_the_stream_in_any_blocks(
    tmp_path: Path, dtype: str, size: int, indices: list[int]
) -> None:
    np.savez_compressed(tmp_path / "x.npz", data=PIXELS.astype(dtype), label=LABELS)
    images = load_images(tmp_path / "x.npz")
    streamed = np.concatenate([block.images for block in images.blocks(size)])
    np.testing.assert_array_equal(255 * streamed, PIXELS)
    np.testing.assert_array_equal(255 * images.take(indices).images, PIXELS[indices])


def test_what_one_read_holds_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "x.npz", data=PIXELS, label=LABELS)
    table = load_images(tmp_path / "x.npz").table
    monkeypatch.setattr("goodnet.imagesets.tables.READ_BYTES", 8 * 90)
    assert [len(run) for run in table.read([(0, 50)], 40)] == [8, 8, 8, 8, 8, 8, 2]


class Marker:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was run",))


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez(tmp_path / "x.npz", data=np.array([Marker()]), label=LABELS[:1])
    with pytest.raises(InvalidInput, match="expected integers or floats, got the type object"):
        load_images(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (header("(50, 3, 6, 5)") + bytes(10), InvalidInput, r"4,5\d\d bytes, but holds \d+"),
        (header("(50, 3, 6, 5)") + bytes(4501), InvalidInput, "but holds 4,5"),
        (header(f"({2**60}, 3, 6, 5)"), InvalidInput, "has an impossible shape"),
        (header("(-1, 3, 6, 5)"), InvalidInput, "has an impossible shape"),
        (header("(50, 3, 6, 5)", "'|S0'"), InvalidInput, r"got the type \|S0"),
        (header("(50,)", "[('a', '<f4')]") + bytes(200), InvalidInput, "got the type"),
        (header("(50,)", "'<M8[s]'") + bytes(400), InvalidInput, "got the type datetime64"),
        (header("(50, 3, 6, 5)", "'<c8'"), InvalidInput, "got the type complex64"),
        (header("(1,1,1,1,1,1,1,1,1)") + b"0", InvalidInput, "has an impossible shape"),
        (header(f"(0x{'f' * 5000},)"), InvalidInput, "no readable header"),
        (
            header("(50, 3, 6, 5)", fortran=True) + bytes(4500),
            InvalidInput,
            r"column by column .* numpy.ascontiguousarray",
        ),
        (header("__import__('os')"), InvalidInput, "'data.npy' in the npz file has no readable"),
        (header("(" * 3000), InvalidInput, "no readable header"),
        (b"\x93NUMPY\x03\x00\x01\x00\x00\x00{", InvalidInput, "no readable header"),
        (b"\x93NUMPY\x01\x00\xff\xff", InvalidInput, "no readable header"),
        (b"", InvalidInput, "no readable header"),
        (b"no numbers", InvalidInput, "no readable header"),
    ],
)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, content: bytes, error: type[GoodnetError], message: str
) -> None:
    path = archive(tmp_path / "x.npz", data=content, label=array(LABELS))
    with pytest.raises(error, match=message):
        load_images(path)


def test_an_array_that_unpacks_to_far_more_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodnet.formats.budgets.FLOOR_BYTES", 1000)
    np.savez_compressed(tmp_path / "x.npz", data=np.zeros((50, 3, 99, 99), "u1"), label=LABELS)
    with pytest.raises(OverBudget, match=r"unpacks .* more than 100 times is refused"):
        load_images(tmp_path / "x.npz")


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", data=array(PIXELS), label=array(LABELS))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("data.npy", array(PIXELS))
    with pytest.raises(UnsafeInput, match=r"holds 'data.npy' twice"):
        load_images(path)


def test_encrypted_or_unusual_members_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("data.npy", array(PIXELS))
    with pytest.raises(InvalidInput, match="is encrypted or packed in an unusual way"):
        load_images(tmp_path / "x.npz")


def test_more_members_than_meant_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goodnet.formats.budgets.MAX_MEMBERS", 1)
    np.savez(tmp_path / "x.npz", data=PIXELS, label=LABELS)
    with pytest.raises(OverBudget, match="at most 1 arrays, got 2"):
        load_images(tmp_path / "x.npz")


def test_other_members_are_not_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("config.json", "{}")
    with pytest.raises(InvalidInput, match="the file holds no arrays at all"):
        load_images(tmp_path / "x.npz")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, part: float) -> None:
    np.savez(tmp_path / "x.npz", data=PIXELS, label=LABELS)
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InvalidInput, match="the npz file ends early or is damaged"):
        load_images(tmp_path / "x.npz")


def test_a_flipped_pixel_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=PIXELS, label=LABELS)
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    whole[2000] ^= 1
    (tmp_path / "x.npz").write_bytes(whole)
    with pytest.raises(InvalidInput, match=r"damaged .*CRC"):
        list(load_images(tmp_path / "x.npz").blocks(20))


@pytest.mark.in_process
def test_damage_is_refused_or_read_but_never_a_foreign_error(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", data=PIXELS, label=LABELS)
    whole = (tmp_path / "x.npz").read_bytes()
    generator = np.random.default_rng(0)
    near_the_ends = np.r_[0:150, len(whole) - 200 : len(whole)]
    for place in [*near_the_ends, *generator.integers(0, len(whole), 100)]:
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            list(load_images(tmp_path / "x.npz").blocks(10))
        except GoodnetError:
            continue


def test_contents_are_listed_unchecked(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", a=header("(2, 3)"), b=array(LABELS))
    with pytest.raises(InvalidInput, match=r"the file holds 'a' \(2, 3\), 'b' \(50,\)$"):
        load_images(path)


def test_a_message_quotes_little_of_the_file(tmp_path: Path) -> None:
    fields = ",".join(f"('field {i}','u1')" for i in range(200))
    content = header("(1,)", f"[{fields}]") + bytes(200)
    archive(tmp_path / "type.npz", data=content, label=array(LABELS))
    np.savez(tmp_path / "name.npz", data=PIXELS, label=LABELS)
    data = bytearray((tmp_path / "name.npz").read_bytes())
    struct.pack_into("<H", data, 26, 4000)  # the length of a name that is repeated in a message
    (tmp_path / "name.npz").write_bytes(data)
    for name, message in (("type.npz", "got the type"), ("name.npz", "ends early or is damaged")):
        with pytest.raises(InvalidInput, match=message) as caught:
            load_images(tmp_path / name)
        assert len(str(caught.value)) < 300 + len(str(tmp_path))
