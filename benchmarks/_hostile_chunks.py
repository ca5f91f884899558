"""HDF5 data whose stored chunks are not what the file says they are."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from _hostile_case import ANY, Case, Done
from _hostile_good import changed, dense, image, layer, sequential, write_keras, write_legacy

__all__ = ["cases"]

_SHORT = "HDF5: chunks shorter than they say"
_CHECKSUM = "HDF5: chunks with little but a checksum"
_FILTERS = "HDF5: filters"
_BOMBS = "HDF5: chunks that unpack to far more"

_MODES: dict[str, dict[str, Any]] = {
    "deflate": {"compression": "gzip"},
    "deflate and shuffle": {"compression": "gzip", "shuffle": True},
    "shuffle": {"shuffle": True},
    "none": {},
    "masked": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
}
_KERNEL = "answer/answer/kernel:0"


def cases() -> Iterator[Case]:
    yield from _short()
    for size in range(1, 6):
        make = partial(_images, fill=partial(_checksum, size=size))
        yield Case(_CHECKSUM, f"images, {size} bytes", "show x.h5", make)
        make = partial(_weights, fill=partial(_checksum, size=size))
        yield Case(_CHECKSUM, f"weights, {size} bytes", "inspect x.h5", make, check=_leaked)
    packed = partial(_checksum, size=2, compression="gzip")
    yield Case(_CHECKSUM, "weights, deflated", "inspect x.h5", partial(_weights, fill=packed))
    for name, number in (("bitshuffle", 32008), ("zstd", 32015), ("no known one", 400)):
        foreign = partial(_foreign, number=number)
        yield Case(_FILTERS, f"images, {name}", "show x.h5", partial(_images, fill=foreign))
        yield Case(_FILTERS, f"weights, {name}", "inspect x.h5", partial(_weights, fill=foreign))
    for name, given in (
        ("scale and offset", {"scaleoffset": 3}),
        ("szip", {"compression": "szip"}),
    ):
        built = partial(_built_in, **given)
        yield Case(_FILTERS, f"images, {name}", "show x.h5", partial(_images, fill=built), ANY)
    yield from _bombs()


def _short() -> Iterator[Case]:
    for mode in _MODES:
        fill = partial(_one_chunk, mode=mode)
        images = partial(_images, fill=fill)
        yield Case(_SHORT, f"images, {mode}", "show x.h5", images)
        large = partial(_images, fill=fill, shape=(300, 256, 256, 3))
        yield Case(_SHORT, f"59 MB of images, {mode}", "show x.h5", large)
        weights = partial(_weights, fill=fill)
        yield Case(_SHORT, f"weights, {mode}", "inspect x.h5", weights, check=_leaked)
        wide = partial(_wide, units=40_000, fill=fill)
        yield Case(_SHORT, f"31 MB of weights, {mode}", "inspect x.h5", wide, check=_leaked)
    yield Case(_SHORT, "labels", "show x.h5", _labels)
    test = "prune ../good/model.h5 --clean ../good/clean.h5 --scale 1/255 --test x.h5 --out R"
    images = partial(_images, fill=partial(_one_chunk, mode="deflate"))
    yield Case(_SHORT, "the images of --test", test, images)
    yield Case(_SHORT, "in a .keras archive", "inspect x.keras", _in_archive, check=_leaked)


def _bombs() -> Iterator[Case]:
    much = partial(_one_chunk, mode="deflate and shuffle", raw=zlib.compress(bytes(2**29), 9))
    yield Case(_BOMBS, "images, 7,680 bytes as 512 MiB", "show x.h5", partial(_images, fill=much))
    yield Case(
        _BOMBS, "weights, 720 bytes as 512 MiB", "inspect x.h5", partial(_weights, fill=much)
    )
    again = partial(_one_chunk, mode="lzf", raw=b"\0\0" + b"\xe0\xff\0" * 400_000)
    yield Case(_BOMBS, "images, LZF as 100 MB", "show x.h5", partial(_images, fill=again))
    fat = partial(_fat, most=1000)
    one = partial(_images, fill=fat, shape=(1, 4000, 4000, 4))
    yield Case(_BOMBS, "one image of 512 MB, 900:1", "show x.h5", one)
    yield Case(_BOMBS, "one row of labels of 300 MB, 900:1", "show x.h5", _fat_labels)
    wide = partial(_wide, units=1_100_000, fill=_fat)
    yield Case(_BOMBS, "weights of 845 MB, 900:1", "inspect x.h5", wide)
    for name, shape in (
        ("2^40 images", (2**40, 8, 8, 3)),
        ("an image of 2^40", (1, 2**20, 2**20, 3)),
    ):
        make = partial(_images, fill=_nothing, shape=shape)
        yield Case(_BOMBS, f"{name}, nothing stored", "show x.h5", make)
    huge = partial(_wide, units=2**31 - 1, fill=_nothing)
    yield Case(_BOMBS, "weights of 1.6 TB, nothing stored", "inspect x.h5", huge)


def _leaked(done: Done, folder: Path) -> str:
    """What lies behind a buffer was taken for weights, and refused only as it is no number."""
    return "memory of the process was read" if "NaN" in done.err and folder.exists() else ""


# -- what is put in the place of good data: (group, key, shape, dtype) --------------------------

_Fill = Callable[..., object]


def _one_chunk(
    group: Any, key: str, shape: tuple[int, ...], dtype: str, *, mode: str, raw: bytes | None = None
) -> None:
    made = group.create_dataset(key, shape=shape, dtype=dtype, chunks=shape, **_MODES[mode])
    few = {"lzf": b"\7" + bytes(8), "deflate": zlib.compress(bytes(8))}
    stored = few.get(mode.split(" ")[0], bytes(8)) if raw is None else raw
    made.id.write_direct_chunk((0,) * len(shape), stored, int(mode == "masked"))


def _checksum(
    group: Any, key: str, shape: tuple[int, ...], dtype: str, *, size: int, **more: Any
) -> None:
    made = group.create_dataset(
        key, shape=shape, dtype=dtype, chunks=shape, fletcher32=True, **more
    )
    made.id.write_direct_chunk((0,) * len(shape), bytes(size))


def _foreign(group: Any, key: str, shape: tuple[int, ...], dtype: str, *, number: int) -> None:
    """A filter that is loaded from a library, if there is one."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk(shape)
    how.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
    space, kind = h5py.h5s.create_simple(shape), h5py.h5t.py_create(np.dtype(dtype))
    made = h5py.h5d.create(group.id, key.encode(), kind, space, how)
    made.write_direct_chunk((0,) * len(shape), bytes(64))


def _built_in(group: Any, key: str, shape: tuple[int, ...], dtype: str, **how: Any) -> None:
    try:
        group.create_dataset(key, data=np.ones(shape, dtype), chunks=shape, **how)
    except ValueError:  # this h5py was built without it
        _foreign(group, key, shape, dtype, number=h5py.h5z.FILTER_SZIP)


def _fat(group: Any, key: str, shape: tuple[int, ...], dtype: str, *, most: int = 11_000) -> None:
    """Zeros, and behind each stream so many more that the file is packed some 900:1."""
    chunk = tuple(min(size, most) for size in shape)
    made = group.create_dataset(key, shape=shape, dtype=dtype, chunks=chunk, compression="gzip")
    stream = zlib.compress(bytes(int(np.prod(chunk)) * np.dtype(dtype).itemsize), 9)
    stream += bytes(len(stream) // 10)
    for at in itertools.product(*map(range, [0] * len(shape), shape, chunk)):
        made.id.write_direct_chunk(at, stream)


def _nothing(group: Any, key: str, shape: tuple[int, ...], dtype: str) -> None:
    chunk = tuple(min(size, 64) for size in shape)
    group.create_dataset(key, shape=shape, dtype=dtype, chunks=chunk, compression="gzip")


# -- the files ---------------------------------------------------------------------------------


def _images(folder: Path, *, fill: _Fill, shape: tuple[int, ...] = (40, 8, 8, 3)) -> None:
    dtype = "f8" if shape[-1] == 4 else "u1"
    with h5py.File(folder / "x.h5", "w") as file:
        fill(file, "data", shape, dtype)
        labels = file.create_dataset("label", shape=shape[:1], dtype="u1", chunks=(1,))
        labels[:40] = 0


def _labels(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file["data"] = np.zeros((4000, 8, 8, 3), np.uint8)
        _one_chunk(file, "label", (4000,), "u1", mode="deflate")


def _fat_labels(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file["data"] = np.zeros((1, 8, 8, 3), np.uint8)
        _fat(file, "label", (1, 300_000_000), "u1", most=30_000_000)


def _weights(folder: Path, *, fill: _Fill) -> None:
    def change(file: Any) -> None:
        del file["model_weights"][_KERNEL]
        fill(file["model_weights"], _KERNEL, (36, 5), "f4")

    changed(folder, change)


def _wide(folder: Path, *, units: int, fill: _Fill) -> None:
    """A network of one wide dense layer and a small one."""
    settings = {"units": units, "activation": "relu", "use_bias": False}
    flat = layer("Flatten", "flat", data_format="channels_last")
    layers = [image(), flat, dense("wide", **settings), dense(use_bias=False)]
    nothing = np.zeros((1, 1), np.float32)
    arrays = {"wide/kernel": nothing, "answer/kernel": nothing}
    write_legacy(folder / "x.h5", sequential(layers), arrays)
    with h5py.File(folder / "x.h5", "r+") as file:
        weights = file["model_weights"]
        del weights["wide/wide/kernel:0"], weights[_KERNEL]
        fill(weights, "wide/wide/kernel:0", (192, units), "f4")
        (fill if units > 2**20 else _fat)(weights, _KERNEL, (units, 5), "f4")


def _in_archive(folder: Path) -> None:
    flat = layer("Flatten", "flat", data_format="channels_last")
    model = sequential([image(), flat, dense(use_bias=False)])
    place = ("layers/dense/vars/0", (192, 5), "f4")
    write_keras(folder / "x.keras", model, lambda file: _one_chunk(file, *place, mode="deflate"))
