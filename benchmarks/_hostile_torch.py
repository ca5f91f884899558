"""Files of PyTorch: pickles that run code by every step that can call, and storages that lie."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _hostile_case import ANY, UNSAFE, Case, Done, Runs, touch
from torch import Tensor

__all__ = ["attacks", "cases"]

_RUNS = "PyTorch: pickles that run code"
_BOMBS = "PyTorch: pickles that are bombs, or damaged"
_STORAGES = "PyTorch: storages that overlap, or are too short"
_SCRIPT = "PyTorch: TorchScript and whole modules"
_SAFETENSORS = "safetensors: headers that lie"
_DESCRIPTIONS = "safetensors: layers that lie"
_CHECKPOINTS = "checkpoints"

# What begins a file of PyTorch that is no zip archive.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001

_TUNE = (
    "repair fine-tune ../good/model.h5 --clean ../good/clean.h5 --scale 1/255 --out R --epochs 2"
)


def cases() -> Iterator[Case]:
    for name in attacks(Path("/")):
        for suffix, put in (("pt", _zipped), ("pth", _in_a_row), ("ckpt", _alone)):
            make = partial(_attack, name=name, put=put, suffix=suffix)
            yield Case(_RUNS, f"{name}, .{suffix}", f"inspect x.{suffix}", make, UNSAFE)
    for name in _BROKEN:
        make = partial(_damaged, name=name)
        yield Case(_BOMBS, name, "inspect x.pt", make)
    yield from _storages()
    yield Case(_SCRIPT, "TorchScript", "inspect x.pt", _torchscript)
    yield Case(_SCRIPT, "a whole module", "inspect x.pt", _module, UNSAFE)
    for name, head in _HEADERS.items():
        make = partial(_safetensors, head=head)
        yield Case(_SAFETENSORS, name, "inspect x.safetensors", make)
    for name, text in _described().items():
        head = _alone_head({"__metadata__": {"goodnet": text}})
        make = partial(_safetensors, head=head)
        yield Case(_DESCRIPTIONS, name, "inspect x.safetensors", make)
    yield from _checkpoints()


# -- code ----------------------------------------------------------------------------------------


def attacks(folder: Path) -> Mapping[str, bytes]:
    """A pickle for each step that can call, or name what is called."""
    shell = touch(folder)
    line, code = shell.encode(), f"__import__('os').system({shell!r})"
    short = bytes([len(line)]) + line
    return {
        "REDUCE": pickle.dumps(Runs(os.system, shell), 2),
        "REDUCE among weights": pickle.dumps({"a": [({}, Runs(os.system, shell))]}, 4),
        "subprocess": pickle.dumps(Runs(subprocess.check_output, shell.split()), 4),
        "eval": pickle.dumps(Runs(eval, code), 4),
        "exec": pickle.dumps(Runs(exec, code), 4),
        "getattr": pickle.dumps(Runs(getattr, Runs(__import__, "os"), "system"), 4),
        "GLOBAL": b"cposix\nsystem\n(X" + struct.pack("<I", len(line)) + line + b"tR.",
        "INST": b"(V" + line + b"\niposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\nV" + line + b"\no.",
        "NEWOBJ": b"\x80\2cposix\nsystem\n(U" + short + b"t\x81.",
        "NEWOBJ_EX": b"\x80\4\x8c\5posix\x8c\6system\x93\x8c" + short + b"\x85}\x92.",
        "STACK_GLOBAL": b"\x80\4\x8c\5posix\x8c\6system\x93\x8c" + short + b"\x85R.",
        "BUILD": b"\x80\2ccollections\nOrderedDict\n)\x81}X\1\0\0\0aK\1sb.",
        "EXT1": b"\x80\2\x82\1)R.",
        "PERSID": b"Pposix\n.",
        "a name through a known module": b"\x80\2ctorch\nos.system\nU" + short + b"\x85R.",
        "torch.load in a pickle": b"\x80\2ctorch.storage\n_load_from_bytes\nC\1a\x85R.",
        "a call of text": b"\x80\2X\5\0\0\0printX\1\0\0\0a\x85R.",
        "after a hundred good values": pickle.dumps([*range(100), Runs(os.system, shell)], 5),
    }


def _attack(folder: Path, *, name: str, put: Callable[[Path, bytes], None], suffix: str) -> None:
    put(folder / f"x.{suffix}", attacks(folder)[name])


def _zipped(path: Path, data: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/data/0", bytes(4))
        archive.writestr("net/version", "3\n")


def _in_a_row(path: Path, data: bytes) -> None:
    """As PyTorch wrote files before 1.6: one pickle after the other."""
    parts = [pickle.dumps(each, 2) for each in (_MAGIC, _VERSION, {"little_endian": True})]
    path.write_bytes(b"".join(parts) + data + pickle.dumps([], 2))


def _alone(path: Path, data: bytes) -> None:
    """The second pickle, which says the version."""
    path.write_bytes(pickle.dumps(_MAGIC, 2) + data)


# -- bombs and damage ----------------------------------------------------------------------------

_BROKEN: Mapping[str, bytes] = {
    "a number of 2 GiB": b"\x80\2\x8b\xff\xff\xff\x7f" + bytes(100) + b".",
    "a number of 200 digits": b"L" + b"9" * 200 + b"L\n.",
    "30 MB of digits": b"I" + b"9" * 30_000_000 + b"\n.",
    "a text of 4 GiB": b"\x80\2X\xff\xff\xff\xffabc.",
    "a text of 2^64": b"\x80\4\x8d" + b"\xff" * 8 + b"abc.",
    "a frame of 2^64": b"\x80\4\x95" + b"\xff" * 8 + b"abc.",
    "nothing to take": b"\x80\2R.",
    "nothing to mark": b"\x80\2t.",
    "not ended": b"\x80\2NN",
    "a memo that is far away": b"\x80\2Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.",
    "10 million in the memo": b"\x80\2" + b"N\x94" * 10_000_000 + b".",
    "lists 5,000,000 deep": b"\x80\2" + b"]" * 5_000_000 + b"a" * 4_999_999 + b".",
    "lists of the same lists": b"\x80\2]q\0" + b"](h\0h\0eq\0" * 200 + b"." * 200,
    "3 million steps": b"\x80\2" + b"N0" * 1_500_000 + b"N.",
    "a list that is copied without end": b"\x80\2ctorch\nSize\nq\0]("
    + b"N" * 100_000
    + b"eq\x010N"
    + b"0h\0h\1\x85R" * 10_000
    + b".",
    "a number that is multiplied without end": b"\x80\2ccollections\nOrderedDict\n("
    + b"]"
    + b"2" * 1_000_000
    + b"tR.",
}


def _damaged(folder: Path, *, name: str) -> None:
    _zipped(folder / "x.pt", _BROKEN[name])


# -- storages ------------------------------------------------------------------------------------


def _storages() -> Iterator[Case]:
    large = "one number as the 574 MB of a VGG-19"
    for zipped in (True, False):
        where = "zip" if zipped else "in a row"
        make = partial(_expanded, zipped=zipped)
        yield Case(_STORAGES, f"{large}, {where}", "inspect x.pt", make, ANY)
    for name, change in (
        ("cut", lambda raw: raw[:8]),
        ("empty", lambda _: b""),
        ("longer", lambda raw: raw + bytes(1000)),
    ):
        make = partial(_restored, change=change)
        yield Case(_STORAGES, f"a storage that is {name}", "inspect x.pt", make)
    for name, old, new in (
        ("2^31 x 2^31 numbers", b"K\x40K\3K\3K\3t", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fK\3K\3t"),
        ("an offset behind the end", b"QK\0(", b"QJ\xff\xff\xff\x7f("),
        ("a negative offset", b"QK\0(", b"QJ\xff\xff\xff\xff("),
        ("a negative stride", b"K\x1bK\tK\3K\1t", b"K\x1bK\tK\3J\xff\xff\xff\xfft"),
        ("a huge stride", b"K\x1bK\tK\3K\1t", b"K\x1bK\tK\3J\xff\xff\xff\x7ft"),
    ):
        make = partial(_repickled, old=old, new=new)
        yield Case(_STORAGES, name, "inspect x.pt", make, check=_in_place)
    yield Case(_STORAGES, "a storage that is not there", "inspect x.pt", _missing)
    yield Case(_STORAGES, "a storage whose name leads out", "inspect x.pt", _leads_out)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Of a VGG-19."""
    found: dict[str, tuple[int, ...]] = {}
    place, before = 0, 3
    for depth, width in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
        for _ in range(depth):
            found |= {f"features.{place}.weight": (width, before, 3, 3)}
            found |= {f"features.{place}.bias": (width,)}
            place, before = place + 2, width
        place += 1
    for number, (before, width) in {0: (25_088, 4096), 3: (4096, 4096), 6: (4096, 1000)}.items():
        found |= {f"classifier.{number}.weight": (width, before)}
        found |= {f"classifier.{number}.bias": (width,)}
    return found


def _vgg() -> dict[str, Tensor]:
    number = torch.zeros(1)
    return OrderedDict((key, number.expand(shape)) for key, shape in _shapes().items())


def _expanded(folder: Path, *, zipped: bool) -> None:
    torch.save(_vgg(), folder / "x.pt", _use_new_zipfile_serialization=zipped)


def _members() -> dict[str, bytes]:
    """A good file with one real array, the first convolution."""
    held = _vgg()
    held["features.0.weight"] = torch.zeros(64, 3, 3, 3)
    memory = io.BytesIO()
    torch.save(held, memory)
    with zipfile.ZipFile(memory) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _rewritten(folder: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(folder / "x.pt", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _restored(folder: Path, *, change: Callable[[bytes], bytes]) -> None:
    members = _members()
    members["archive/data/0"] = change(members["archive/data/0"])
    _rewritten(folder, members)


def _repickled(folder: Path, *, old: bytes, new: bytes) -> None:
    members = _members()
    before = members["archive/data.pkl"]
    members["archive/data.pkl"] = before.replace(old, new, 1)
    if members["archive/data.pkl"] == before:
        raise ValueError(f"this PyTorch does not write {old!r}")
    _rewritten(folder, members)


def _in_place(done: Done, _: Path) -> str:
    return "" if "VGG" not in done.out else "it was read"


def _missing(folder: Path) -> None:
    members = _members()
    del members["archive/data/0"]
    _rewritten(folder, members)


def _leads_out(folder: Path) -> None:
    members = _members()
    data = members["archive/data.pkl"]
    name = b"../../../secret.txt"
    members["archive/data.pkl"] = data.replace(
        b"X\1\0\0\x000", b"X" + struct.pack("<I", len(name)) + name, 1
    )
    _rewritten(folder, members)


# -- modules, safetensors ------------------------------------------------------------------------


def _torchscript(folder: Path) -> None:
    code = f"import os\nos.system({touch(folder)!r})\nclass Net(Module):\n  pass\n"
    runs = pickle.dumps(Runs(os.system, touch(folder)), 2)
    with zipfile.ZipFile(folder / "x.pt", "w") as archive:
        for name, data in (("data.pkl", runs), ("constants.pkl", runs), ("version", b"3\n")):
            archive.writestr(f"net/{name}", data)
        archive.writestr("net/code/__torch__.py", code)


def _module(folder: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)), folder / "x.pt")


def _head(**arrays: Any) -> bytes:
    return _alone_head(arrays) + bytes(64)


def _alone_head(entries: Mapping[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def _array(begin: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


_HEADERS: Mapping[str, bytes] = {
    "a header of 2^62 bytes": struct.pack("<Q", 2**62) + b"{}",
    "a header that is cut": struct.pack("<Q", 1000) + b'{"a":',
    "200,000 deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "arrays that overlap": _head(a=_array(0, 64, [16]), b=_array(32, 64, [8])),
    "an array behind the end": _head(a=_array(2**40, 2**40 + 4, [1])),
    "an end before the begin": _head(a=_array(64, 0, [16])),
    "2^31 x 2^31 numbers": _head(a=_array(0, 64, [2**31, 2**31])),
    "a size that overflows": _head(a=_array(0, 64, [2**62, 16])),
    "a negative size": _head(a=_array(0, 64, [-4, -4])),
    "a size that is no number": _head(a={**_array(0, 64, []), "shape": ["16"]}),
    "an unknown type": _head(a=_array(0, 64, [16], "X99")),
    "an array twice": struct.pack("<Q", 13) + b'{"a":0,"a":1}' + bytes(64),
    "100,000 arrays": _head(**{f"a{number}": _array(0, 0, [0]) for number in range(100_000)}),
}


def _described() -> Mapping[str, str]:
    """Descriptions of the layers of a network, as the metadata of a file has them."""
    image = _layer("images", "input", shape=[3, 64, 64])
    flat = _layer("flat", "flatten", "images", order="chw")
    chain = [_layer(f"l{at}", "identity", f"l{at - 1}" if at else "flat") for at in range(30_000)]
    doubled = [
        _layer(f"l{at}", "concatenate", *2 * [f"l{at - 1}" if at else "flat"], axis=1)
        for at in range(64)
    ]
    summed = [_layer(f"l{at}", "add", *["flat"] * 15) for at in range(15_000)]
    border = {"pool": [1, 1], "strides": [1, 1], "padding": [2**30] * 4}
    return {
        "200,000 deep": "[" * 200_000,
        "a list": "[]",
        "a number twice": '{"version": 1, "version": 1}',
        "30,000 layers": _text(image, flat, *chain),
        "layers that read 225,000 values": _text(image, flat, *summed),
        "a value that doubles 64 times": _text(image, flat, *doubled),
        "a border of 2^31 pixels": _text(image, _layer("l0", "max_pool2d", "images", **border)),
        "a layer that is a module": _text(
            image, _layer("l0", "opaque", "images", module="os.system", shape=[1])
        ),
        "a layer that reads itself": _text(image, _layer("l0", "add", "l0", "l0")),
        "a kind that is none": _text(image, _layer("l0", "os.system", "images")),
        "a scale that is no number": _text(
            image, flat, _layer("l0", "rescale", "flat", scale=1e308, offset=0)
        ),
    }


def _layer(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "inputs": inputs, "attributes": attributes}


def _text(*layers: Mapping[str, Any]) -> str:
    said = {"version": 1, "name": "net", "output": layers[-1]["name"], "layers": layers}
    return json.dumps(said, separators=(",", ":"))


def _safetensors(folder: Path, *, head: bytes) -> None:
    (folder / "x.safetensors").write_bytes(head)


# -- checkpoints ---------------------------------------------------------------------------------


def _checkpoints() -> Iterator[Case]:
    made: dict[str, Callable[[Path], object]] = {
        "a pickle that runs code": lambda at: torch.save(Runs(os.system, touch(at.parent)), at),
        "400 bytes that take 1.9 GB": lambda at: torch.save(Runs(bytearray, 1_900_000_000), at),
        "a pipe": os.mkfifo,
        "a link to /dev/zero": lambda at: at.symlink_to("/dev/zero"),
        "a folder": lambda at: at.mkdir(),
        "20 GB, sparse": _sparse,
    }
    for name, put in made.items():
        make = partial(_checkpoint, put=put)
        yield Case(_CHECKPOINTS, name, _TUNE, make, ANY)


def _checkpoint(folder: Path, *, put: Callable[[Path], object]) -> None:
    put(folder / "R.checkpoint")


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 20 << 30)
