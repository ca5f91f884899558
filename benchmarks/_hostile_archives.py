"""Zip and tar archives, and the arrays of NumPy in them."""

from __future__ import annotations

import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from _hostile_case import ANY, Case, Runs, touch
from _hostile_good import write_keras, write_small
from PIL import Image

__all__ = ["cases"]

_ZIP = "zip: names that lead out, bombs, two files in one"
_TAR = "tar: names that lead out, bombs, odd entries"
_NPZ = "npz: headers that lie, pickles, bombs"
_TRIGGERS = "trigger files"

_UNLEARN = (
    "repair unlearn ../good/model.h5 --clean ../good/clean.h5 --scale 1/255 --out R --epochs 1"
)


def cases() -> Iterator[Case]:
    yield from _zips()
    yield from _tars()
    yield from _npz()
    yield from _triggers()


# -- zip -----------------------------------------------------------------------------------------


def _zips() -> Iterator[Case]:
    for name in ("../../config.json", "/etc/config.json", "C:\\config.json", "a\0b", "config.json"):
        shown = name.replace("\0", "NUL")
        make = partial(_member, name=name, data=b"{}")
        yield Case(_ZIP, f"one more member {shown!r}", "inspect x.keras", make)
    zeros = bytes(2**28)
    for name in ("config.json", "model.weights.h5", "metadata.json"):
        make = partial(_alone, name=name, data=zeros)
        yield Case(_ZIP, f"{name} of 256 MiB of zeros", "inspect x.keras", make)
    yield Case(_ZIP, "20,000 members", "inspect x.keras", _members)
    yield Case(_ZIP, "a member that is a link", "inspect x.keras", _member_link)
    yield Case(_ZIP, "members that overlap", "inspect x.keras", _overlap)
    yield Case(_ZIP, "a network of HDF5 in front", "inspect x.keras", _behind_hdf5, ANY)
    yield Case(_ZIP, "a picture in front", "inspect x.keras", _behind_picture)
    for share in (0.3, 0.9):
        yield Case(_ZIP, f"cut at {share:.0%}", "inspect x.keras", partial(_cut_zip, share=share))


def _member(folder: Path, *, name: str, data: bytes) -> None:
    write_keras(folder / "x.keras", "{}")
    with zipfile.ZipFile(folder / "x.keras", "a") as archive:
        entry = zipfile.ZipInfo("x")
        entry.filename = name
        archive.writestr(entry, data)


def _alone(folder: Path, *, name: str, data: bytes) -> None:
    others = {"config.json": b"{}", "model.weights.h5": b"", "metadata.json": b"{}"}
    with zipfile.ZipFile(folder / "x.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in {**others, name: data}.items():
            archive.writestr(key, value)


def _members(folder: Path) -> None:
    more = {f"assets/{number}": b"" for number in range(20_000)}
    write_keras(folder / "x.keras", "{}", more=more)


def _member_link(folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.keras", "w") as archive:
        entry = zipfile.ZipInfo("config.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "../secret.txt")
        archive.writestr("model.weights.h5", b"")


def _overlap(folder: Path) -> None:
    """Both members begin at the first one."""
    write_keras(folder / "x.keras", "{}")
    raw = bytearray((folder / "x.keras").read_bytes())
    at = raw.rfind(b"PK\1\2")
    struct.pack_into("<I", raw, at + 42, 0)
    (folder / "x.keras").write_bytes(raw)


def _behind_hdf5(folder: Path) -> None:
    write_small(folder / "front.h5")
    write_keras(folder / "back.keras", "{}")
    both = (folder / "front.h5").read_bytes() + (folder / "back.keras").read_bytes()
    (folder / "x.keras").write_bytes(both)


def _behind_picture(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "front.png")
    write_keras(folder / "back.keras", "{}")
    both = (folder / "front.png").read_bytes() + (folder / "back.keras").read_bytes()
    (folder / "x.keras").write_bytes(both)


def _cut_zip(folder: Path, *, share: float) -> None:
    write_keras(folder / "x.keras", "{}")
    raw = (folder / "x.keras").read_bytes()
    (folder / "x.keras").write_bytes(raw[: int(share * len(raw))])


# -- tar -----------------------------------------------------------------------------------------


def _tars() -> Iterator[Case]:
    for name in ("../0/a.png", "/0/a.png", "0/../../a.png"):
        make = partial(_tar, entries=[_entry(name)])
        yield Case(_TAR, f"a picture {name!r}", "show x.tar.xz", make)
    for name, kind in (
        ("symbolic", tarfile.SYMTYPE),
        ("hard", tarfile.LNKTYPE),
        ("device", tarfile.CHRTYPE),
        ("pipe", tarfile.FIFOTYPE),
    ):
        make = partial(_tar, entries=[_entry("0/b.png", kind=kind)])
        yield Case(_TAR, f"a {name} entry", "show x.tar.xz", make, ANY)
    yield Case(_TAR, "143 KB, pictures of 60 MiB", "show x.tar.xz", _tar_bomb)
    yield Case(_TAR, "500 MiB of zeros, no tar", "show x.tar.xz", _zeros)
    make = partial(_tar, entries=[_entry("0/" + "a" * 200_000 + ".png")])
    yield Case(_TAR, "a name of 200,000 letters", "show x.tar.xz", make)
    make = partial(_tar, entries=[_entry("0/a.png")] * 50_000)
    yield Case(_TAR, "a name 50,000 times", "show x.tar.xz", make)
    make = partial(_tar, entries=[_entry(f"{x}/a.png") for x in range(30_000)])
    yield Case(_TAR, "30,000 classes", "show x.tar.xz", make, ANY)


def _entry(name: str, *, kind: bytes = tarfile.REGTYPE) -> tuple[str, bytes]:
    return name, kind


def _tar(folder: Path, *, entries: list[tuple[str, bytes]]) -> None:
    memory = io.BytesIO()
    Image.new("RGB", (8, 8)).save(memory, "PNG")
    picture = memory.getvalue()
    with tarfile.open(folder / "x.tar.xz", "w:xz", preset=0) as archive:
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "../../secret.txt"
            regular = kind == tarfile.REGTYPE
            entry.size = len(picture) if regular else 0
            archive.addfile(entry, io.BytesIO(picture) if regular else None)


class _Zeros(io.RawIOBase):
    """As many as are asked for."""

    def read(self, size: int = -1, /) -> bytes:
        return bytes(size)


def _tar_bomb(folder: Path) -> None:
    with (
        lzma.open(folder / "x.tar.xz", "w", preset=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for number in range(16):
            entry = tarfile.TarInfo(f"0/{number}.png")
            entry.size = 60 << 20
            archive.addfile(entry, _Zeros())


def _zeros(folder: Path) -> None:
    with lzma.open(folder / "x.tar.xz", "w", preset=0) as packed:
        for _ in range(500):
            packed.write(bytes(2**20))


# -- npz -----------------------------------------------------------------------------------------


def _npz() -> Iterator[Case]:
    for name, make in (
        ("objects, a pickle", _pickled),
        ("a pickle as the file", _pickle_alone),
        ("a local name of 60,000 letters", _long_name),
        ("a header of 9,000 letters", partial(_headers, header="{'descr': '" + "A" * 9000 + "'}")),
        ("a header that calls", partial(_headers, header="__import__('os').system('id')")),
        ("a header 60,000 deep", partial(_headers, header="(" * 60_000)),
        ("no header", partial(_headers, header="")),
        ("a type of 500 fields", partial(_typed, descr=str([(f"f{x}", "u1") for x in range(500)]))),
        ("a type of Python's objects", partial(_typed, descr="'|O'")),
        ("a type of 2^40 bytes", partial(_typed, descr="'|V1099511627776'")),
        ("2^62 images", partial(_typed, descr="'|u1'", shape=f"({2**62}, 8, 8, 3)")),
        ("-1 images", partial(_typed, descr="'|u1'", shape="(-1, 8, 8, 3)")),
        (
            "more images than there are bytes",
            partial(_typed, descr="'|u1'", shape="(999, 8, 8, 3)"),
        ),
    ):
        yield Case(_NPZ, name, "show x.npz", make)
    yield Case(_NPZ, "512 MB of zeros", "show x.npz", _npz_zeros)


def _pickled(folder: Path) -> None:
    value = np.array([Runs(os.system, touch(folder))] * 2, dtype=object)
    np.savez(folder / "x.npz", data=value, label=value)


def _pickle_alone(folder: Path) -> None:
    (folder / "x.npz").write_bytes(pickle.dumps(Runs(os.system, touch(folder))))


def _long_name(folder: Path) -> None:
    path = folder / "x.npz"
    images = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3), dtype=np.uint8)
    np.savez(path, data=images, label=np.zeros(400, np.uint8))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<H", raw, 26, 60_000)
    path.write_bytes(raw)


def _headers(folder: Path, *, header: str, body: bytes = b"") -> None:
    text = header.encode() + b"\n"
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        for name in ("data.npy", "label.npy"):
            size = struct.pack("<H", len(text))
            archive.writestr(name, b"\x93NUMPY\x01\x00" + size + text + body)


def _typed(folder: Path, *, descr: str, shape: str = "(1, 8, 8, 3)") -> None:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    _headers(folder, header=header, body=bytes(96_000))


def _npz_zeros(folder: Path) -> None:
    images = np.zeros((1, 16_000, 16_000, 2), np.uint8)
    np.savez_compressed(folder / "x.npz", data=images, label=np.zeros(1, np.uint8))


# -- triggers ------------------------------------------------------------------------------------


def _triggers() -> Iterator[Case]:
    made: dict[str, Callable[[Path], None]] = {
        "70 MB of zeros": partial(_trigger, side=4700),
        "360 MB, 90:1": partial(_trigger, side=9500, noise=90),
        "objects, a pickle": _trigger_pickled,
        "no numbers": partial(_trigger, side=8, value=np.nan),
    }
    for name, make in made.items():
        yield Case(_TRIGGERS, name, f"{_UNLEARN} --trigger t.npz", make)


def _trigger(folder: Path, *, side: int, noise: int = 0, value: float = 0) -> None:
    dtype = np.float32 if value else np.uint8
    mask, pattern = np.full((side, side), value, dtype), np.full((3, side, side), value, dtype)
    if noise:
        random = np.random.default_rng(0)
        for array, one, high in ((mask, 12, 2), (pattern, noise, 256)):
            few = array.size // one
            array.reshape(-1)[:few] = random.integers(0, high, few)
    np.savez_compressed(folder / "t.npz", mask=mask, pattern=pattern)


def _trigger_pickled(folder: Path) -> None:
    value = np.array([Runs(os.system, touch(folder))], dtype=object)
    np.savez(folder / "t.npz", mask=value, pattern=value)
