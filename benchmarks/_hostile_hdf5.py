"""HDF5 files whose structure is hostile: links, heaps, texts, and far too many objects."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from _hostile_case import ANY, Case
from _hostile_good import changed, write_keras

__all__ = ["cases"]

_LINKS = "HDF5: links to other places and files"
_TEXTS = "HDF5: texts that are none, or too long"
_HEAPS = "HDF5: heaps"
_OBJECTS = "HDF5: many objects"
_DAMAGE = "HDF5: damaged, sparse, cut"

_KERNEL = "model_weights/answer/answer/kernel:0"


def cases() -> Iterator[Case]:
    yield from _links()
    yield from _texts()
    heap = partial(_heap, texts=60_000, references=1000)
    yield Case(_HEAPS, "1,000 references to the last of 60,000 texts", "inspect x.h5", heap)
    yield Case(_HEAPS, "60 MiB that look like heaps, .keras", "inspect x.keras", _like_heaps)
    yield Case(_HEAPS, "77 MB of images that look like heaps", "show x.h5", _images_like_heaps, ANY)
    yield from _objects()
    yield from _damage()


def _links() -> Iterator[Case]:
    outside = "/etc/hostname"
    for name, link in (
        ("to itself", h5py.SoftLink(f"/{_KERNEL}")),
        ("to nothing", h5py.SoftLink("/nothing")),
        ("to a good place", h5py.SoftLink("/model_weights/conv/conv/bias:0")),
        ("into another file", h5py.ExternalLink("../good/model.h5", f"/{_KERNEL}")),
        ("into no HDF5 file", h5py.ExternalLink(outside, "/x")),
        ("into /dev/zero", h5py.ExternalLink("/dev/zero", "/x")),
    ):
        make = partial(_replaced, put=partial(_linked, link=link))
        yield Case(_LINKS, f"weights, {name}", "inspect x.h5", make)
    for name, target in (("another file", "../good/clean.h5"), ("/dev/zero", "/dev/zero")):
        make = partial(_pictures, put=partial(_linked, link=h5py.ExternalLink(target, "/data")))
        yield Case(_LINKS, f"images, into {name}", "show x.h5", make)
    for name, target in (("a secret", "../secret.txt"), ("a system's file", outside)):
        put = partial(_stored_outside, target=target)
        yield Case(_LINKS, f"weights stored in {name}", "inspect x.h5", partial(_replaced, put=put))
        yield Case(_LINKS, f"images stored in {name}", "show x.h5", partial(_pictures, put=put))
    yield Case(_LINKS, "weights, virtual", "inspect x.h5", partial(_replaced, put=_virtual))
    yield Case(_LINKS, "images, virtual", "show x.h5", partial(_pictures, put=_virtual))
    yield Case(_LINKS, "a group in itself", "inspect x.h5", partial(changed, change=_loop), ANY)
    region = partial(_replaced, put=_references)
    yield Case(_LINKS, "weights that are references", "inspect x.h5", region)


def _texts() -> Iterator[Case]:
    place = {"/": ("model_config", "keras_version"), "model_weights": ("layer_names",)}
    place |= {"model_weights/conv": ("weight_names",)}
    for where, names in place.items():
        for name in names:
            for kind, dtype in (("fixed", "S10"), ("variable", h5py.string_dtype())):
                put = partial(_attribute, where=where, name=name, value=h5py.Empty(dtype))
                make = partial(changed, change=put)
                yield Case(_TEXTS, f"{name}, no text of {kind} length", "inspect x.h5", make, ANY)
    values: dict[str, tuple[str, Any]] = {
        "5,000 digits": ("keras_version", "9" * 5000),
        "no number": ("keras_version", "two"),
        "numbers": ("model_config", np.arange(5)),
        "two texts": ("model_config", np.array([b"{}", b"{}"])),
        "not UTF-8": ("model_config", np.bytes_(b"\xff\xfe{}")),
    }
    for title, (name, value) in values.items():
        put = partial(_attribute, where="/", name=name, value=value)
        make = partial(changed, change=put)
        yield Case(_TEXTS, f"{name}, {title}", "inspect x.h5", make, ANY)
    put = partial(
        _attribute, where="model_weights", name="layer_names", value=np.array([b"a/../b"])
    )
    yield Case(_TEXTS, "a layer whose name leads out", "inspect x.h5", partial(changed, change=put))
    nothing = partial(_pictures, put=_no_space)
    yield Case(_TEXTS, "images without a space", "show x.h5", nothing)


def _objects() -> Iterator[Case]:
    changes: dict[str, Callable[[Any], None]] = {
        "groups 5,000 deep": _deep,
        "40,000 groups": _many_groups,
        "40,000 data sets": _many,
        "20,000 attributes": _attributes,
    }
    for name, change in changes.items():
        make = partial(changed, change=change)
        yield Case(_OBJECTS, f"a network, {name}", "inspect x.h5", make, ANY)
    make = partial(_pictures, put=_images_among_many)
    many = "evaluate ../good/model.h5 --clean x.h5 --scale 1/255"
    yield Case(_OBJECTS, "images, 40,000 data sets", many, make, ANY)


def _damage() -> Iterator[Case]:
    for share in (0.1, 0.5, 0.9):
        make = partial(_cut, share=share)
        yield Case(_DAMAGE, f"cut at {share:.0%}", "inspect x.h5", make)
    for seed in range(4):
        make = partial(_scratched, seed=seed)
        yield Case(_DAMAGE, f"200 bytes changed, seed {seed}", "inspect x.h5", make, ANY)
    yield Case(_DAMAGE, "2 GiB, sparse, a head alone", "inspect x.h5", _sparse_head)
    yield Case(_DAMAGE, "2 GiB, sparse, behind a network", "inspect x.h5", _sparse_tail, ANY)


# -- links -------------------------------------------------------------------------------------


def _replaced(folder: Path, *, put: Callable[[Any, str, tuple[int, ...]], object]) -> None:
    def change(file: Any) -> None:
        del file[_KERNEL]
        put(file, _KERNEL, (36, 5))

    changed(folder, change)


def _pictures(folder: Path, *, put: Callable[[Any, str, tuple[int, ...]], object]) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        put(file, "data", (40, 8, 8, 3))
        file["label"] = np.zeros(40, np.uint8)


def _linked(file: Any, key: str, _: tuple[int, ...], *, link: Any) -> None:
    file[key] = link


def _stored_outside(file: Any, key: str, shape: tuple[int, ...], *, target: str) -> None:
    size = int(np.prod(shape))
    file.create_dataset(key, shape=shape, dtype="u1", external=[(target, 0, size)])


def _virtual(file: Any, key: str, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    layout[...] = h5py.VirtualSource("../good/model.h5", f"/{_KERNEL}", shape=shape)
    file.create_virtual_dataset(key, layout)


def _references(file: Any, key: str, shape: tuple[int, ...]) -> None:
    values = np.full(shape, file["model_weights"].ref, dtype=h5py.ref_dtype)
    file.create_dataset(key, data=values, dtype=h5py.ref_dtype)


def _loop(file: Any) -> None:
    file["model_weights/conv/again"] = file["model_weights"]


# -- texts and heaps -----------------------------------------------------------------------------


def _attribute(file: Any, *, where: str, name: str, value: Any) -> None:
    file[where].attrs[name] = value


def _no_space(file: Any, key: str, _: tuple[int, ...]) -> None:
    file[key] = h5py.Empty("u1")


def _heap(folder: Path, *, texts: int, references: int) -> None:
    """All references name the last of the texts in one heap, to which a reader has to walk."""
    size = 16 * texts + 4096
    names = ["Q" * size, *["conv"] * (references - 1)]

    def change(file: Any) -> None:
        attributes = file["model_weights"].attrs
        del attributes["layer_names"]
        attributes.create("layer_names", names, dtype=h5py.string_dtype())

    changed(folder, change)
    path = folder / "x.h5"
    raw = bytearray(path.read_bytes())
    heap = raw.rfind(b"GCOL\x01", 0, raw.find(b"Q" * 8))
    end = heap + struct.unpack_from("<Q", raw, heap + 8)[0]
    body = struct.pack("<HH4xQ", 9, 1, 0) * texts + struct.pack("<HH4xQ", 2, 1, 8) + b"convconv"
    rest = end - heap - 16 - len(body)
    raw[heap + 16 : end] = body + struct.pack("<HH4xQ", 0, 0, rest) + bytes(rest - 16)
    first = raw.find(struct.pack("<IQI", size, heap, 1))
    for number in range(references):
        struct.pack_into("<IQI", raw, first + 16 * number, 8, heap, 2)
    path.write_bytes(raw)


def _like_heaps(folder: Path) -> None:
    data = np.frombuffer(b"GCOL\x01" * (12 << 20), np.uint8)
    write_keras(
        folder / "x.keras", json.dumps({}), lambda file: file.create_dataset("x", data=data)
    )


def _images_like_heaps(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file["data"] = np.frombuffer(b"GCOL\x01" * 15_360_000, np.uint8).reshape(-1, 8, 8, 3)
        file["label"] = np.zeros(len(file["data"]), np.uint8)


# -- many objects, and damage --------------------------------------------------------------------


def _many(file: Any, *, count: int = 40_000) -> None:
    """Data sets of one number, without the detours of h5py, which take minutes."""
    group = file.create_group("many")
    space, kind = h5py.h5s.create(h5py.h5s.SCALAR), h5py.h5t.STD_U8LE
    for number in range(count):
        h5py.h5d.create(group.id, str(number).encode(), kind, space)


def _many_groups(file: Any) -> None:
    group = file.create_group("many")
    for number in range(40_000):
        h5py.h5g.create(group.id, str(number).encode())


def _attributes(file: Any) -> None:
    group = file.create_group("many", track_order=True)
    for number in range(20_000):
        group.attrs[str(number)] = 0


def _deep(file: Any) -> None:
    group = file
    for _ in range(5000):
        group = group.create_group("a")


def _images_among_many(file: Any, key: str, shape: tuple[int, ...]) -> None:
    file[key] = np.zeros(shape, np.uint8)
    _many(file)


def _sparse_head(folder: Path) -> None:
    (folder / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    os.truncate(folder / "x.h5", 2 << 30)


def _sparse_tail(folder: Path) -> None:
    changed(folder, lambda _: None)
    os.truncate(folder / "x.h5", 2 << 30)


def _cut(folder: Path, *, share: float) -> None:
    changed(folder, lambda _: None)
    size = (folder / "x.h5").stat().st_size
    os.truncate(folder / "x.h5", int(share * size))


def _scratched(folder: Path, *, seed: int) -> None:
    changed(folder, lambda _: None)
    raw = np.fromfile(folder / "x.h5", np.uint8)
    random = np.random.default_rng(seed)
    raw[random.integers(0, len(raw), 200)] = random.integers(0, 256, 200)
    raw.tofile(folder / "x.h5")
