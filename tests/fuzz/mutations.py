"""Ways of damaging a file: byte by byte, and by the structure that its format gives it.

A mutation takes a source of chance and a whole file, and gives another one.
"""

from __future__ import annotations

import io
import json
import lzma
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Literal

import h5py

Mutation = Callable[[Random, bytes], bytes]

# What sizes, counts and offsets are lied to be.
_NUMBERS = (0, 1, 2, 3, 7, 8, 63, 64, 127, 128, 255, 256, 65_535, 2**16, 2**24, 2**31 - 1, 2**31)
_NUMBERS_OF_64_BITS = (2**32 - 1, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
_MOST = 1 << 20  # letters of a mutant
_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1e308, 0.5, float("nan"), float("inf")),
    *("", "a", "conv", "\u202e", "\ud800", "a/../b", "9" * 400, [], {}, [[]], [None], [0], [2**40]),
)


def either(*mutations: Mutation) -> Mutation:
    """One of several."""
    return lambda chance, data: chance.choice(mutations)(chance, data)


def scratched(chance: Random, data: bytes) -> bytes:
    """Some bytes are changed, moved, repeated, left out, or numbers are put in their place."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        chance.choice(_SCRATCHES)(chance, found)
    return bytes(found[:_MOST])


def _flip(chance: Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _put(chance: Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 255, chance.randrange(256)))


def _cut(chance: Random, data: bytearray) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _leave_out(chance: Random, data: bytearray) -> None:
    del data[slice(*_piece(chance, data))]


def _repeat(chance: Random, data: bytearray) -> None:
    start, stop = _piece(chance, data)
    data[stop:stop] = data[start:stop] * chance.choice((1, 1, 2, 50))


def _move(chance: Random, data: bytearray) -> None:
    start, stop = _piece(chance, data)
    place = chance.randrange(len(data) + 1)
    data[place : place + stop - start] = data[start:stop]


def _number(chance: Random, data: bytearray) -> None:
    """A number of 1 to 8 bytes, in either order: one of ours, or one that is nearly the same."""
    width = chance.choice((1, 2, 4, 8))
    order: Literal["little", "big"] = chance.choice(("little", "big"))
    if len(data) < width:
        return
    start = chance.randrange(len(data) - width + 1)
    old = int.from_bytes(data[start : start + width], order)
    new = chance.choice((*_NUMBERS, *_NUMBERS_OF_64_BITS, len(data), old + 1, old - 1, old * 2))
    data[start : start + width] = (new % (1 << 8 * width)).to_bytes(width, order)


def _digits(chance: Random, data: bytearray) -> None:
    """A number that is written out."""
    found = list(re.finditer(rb"\d{1,20}", data))
    if found:
        chosen = chance.choice(found)
        new = chance.choice((*_NUMBERS, *_NUMBERS_OF_64_BITS, -1, 10**30))
        data[chosen.start() : chosen.end()] = str(new).encode()


def _piece(chance: Random, data: bytearray) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 2, 4, 8, 16, 64, 512, 4096)))


_SCRATCHES = (_flip, _flip, _put, _cut, _leave_out, _repeat, _move, _number, _number, _digits)


def json_text(chance: Random, data: bytes) -> bytes:
    """JSON in which values are exchanged, left out, repeated or wrapped; it stays JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return scratched(chance, data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        tree = _json_changed(chance, tree)
    return json.dumps(tree).encode()[:_MOST]


def _json_changed(chance: Random, tree: Any) -> Any:
    inner = _containers(tree)
    if not inner:
        return deepcopy(chance.choice(_VALUES))
    chosen = chance.choice(inner)
    keys = list(chosen) if isinstance(chosen, dict) else list(range(len(chosen)))
    if not keys:
        return tree
    key, other = chance.choice(keys), chance.choice(inner)
    match chance.randrange(6):
        case 0:
            del chosen[key]
        case 1:
            chosen[key] = deepcopy(other)  # or it would hold itself
        case 2 if isinstance(chosen, dict):
            chosen[chance.choice(("", "a", "name", "class_name", "x" * 300))] = chosen.pop(key)
        case 3 if isinstance(chosen, list):
            chosen[key:key] = [deepcopy(chosen[key]) for _ in range(chance.choice((1, 1, 3, 100)))]
        case 4:
            chosen[key] = [chosen[key]] if chance.random() < 0.5 else {"a": chosen[key]}
        case _:
            chosen[key] = deepcopy(chance.choice(_VALUES))
    return tree


def _containers(tree: Any) -> list[Any]:
    """All lists and objects, the outermost first."""
    found = [tree] if isinstance(tree, dict | list) else []
    for each in found:
        inside = each.values() if isinstance(each, dict) else each
        found += [x for x in inside if isinstance(x, dict | list)]
    return found


def pickles(chance: Random, data: bytes) -> bytes:
    """Steps of a pickle, or of several in a row, are repeated, left out, exchanged."""
    steps = _steps(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place, other = (chance.randrange(len(steps) + 1) for _ in range(2))
        match chance.randrange(5):
            case 0:
                del steps[place : place + 1]
            case 1:
                steps[place:place] = steps[other : other + chance.choice((1, 2, 8))]
            case 2:
                steps[place : place + 1] = steps[other : other + 1]
            case 3:
                steps[place:place] = [chance.choice(_STEPS)]
            case _:
                steps[place : place + 1] = [scratched(chance, x) for x in steps[place : place + 1]]
    return b"".join(steps)[:_MOST]


# Each of one byte, with what some of them take behind it.
_STEPS = tuple(
    bytes([code]) for code in b"(.012NRQ}])abdeiloqstu\x81\x85\x86\x87\x88\x91\x92\x93\x94"
)
_STEPS += (b"h\xff", b"j\xff\xff\xff\xff", b"J\xff\xff\xff\xff", b"\x8a\x09" + b"\xff" * 9, b"K\0")


def _steps(data: bytes) -> list[bytes]:
    starts, end = [], 0
    try:
        while end < len(data):
            for _, _, place in pickletools.genops(data[end:]):
                starts.append(end + (place or 0))
            end = starts[-1] + 1
    except Exception:  # what is behind the last pickle is one step
        starts.append(end)
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def protobuf(chance: Random, data: bytes) -> bytes:
    """Fields of a message or of one within it; the lengths around it stay right."""
    fields = _fields(data)
    if not fields:
        return scratched(chance, data)
    place, other = (chance.randrange(len(fields)) for _ in range(2))
    tag, value = fields[place]
    match chance.randrange(8):
        case 0:
            del fields[place]
        case 1:
            fields[place:place] = [fields[other]] * chance.choice((1, 1, 20))
        case 2:
            fields[place], fields[other] = fields[other], fields[place]
        case 3:
            fields[place] = chance.randrange(1, 25) << 3 | tag & 7, value
        case _ if tag & 7 == 2:
            fields[place] = tag, protobuf(chance, value)
        case _ if tag & 7 == 0:
            numbers = (*_NUMBERS, *_NUMBERS_OF_64_BITS)
            fields[place] = tag, _varint(chance.choice(numbers))
        case _:
            fields[place] = tag, scratched(chance, value)
    return b"".join(
        _varint(tag) + (_varint(len(value)) if tag & 7 == 2 else b"") + value
        for tag, value in fields
    )[:_MOST]


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """The tags and contents of a message; none if it is no message."""
    found, at = [], 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        width = {1: 8, 5: 4}.get(tag & 7, 0)
        start = at
        if tag & 7 == 2:
            width, start = _read_varint(data, at)
        elif tag & 7 == 0:
            width = _read_varint(data, at)[1] - at
        at = start + width
        if (not width and tag & 7 != 2) or tag < 8 or at > len(data):
            return []
        found.append((tag, data[start:at]))
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift < 64:
        number |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            break
    return number, at


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def zipped(inner: Callable[[str], Mutation]) -> Mutation:
    """A member of an archive is changed, as `inner` says for its name, or renamed, or left out."""

    def mutation(chance: Random, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        place = chance.randrange(len(members))
        name, content = members[place]
        match chance.randrange(10):
            case 0:
                del members[place]
            case 1:
                new = chance.choice(("", "../a", "/a", "a\\b", "\u202e", name + "/", "A" * 300))
                members[place] = (new, content)
            case _:
                members[place] = (name, inner(name)(chance, content))
        packed = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", packed) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name or "a"), content, packed)
        return memory.getvalue()

    return mutation


def keras_h5(chance: Random, data: bytes) -> bytes:
    """The configuration in a legacy file, or one of its lists of names."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "r+") as file:
        config = file.attrs["model_config"]
        text = config if isinstance(config, bytes) else config.encode()
        file.attrs["model_config"] = json_text(chance, text)
    return memory.getvalue()


def safetensors(chance: Random, data: bytes) -> bytes:
    """The header; its length stays right."""
    length = int.from_bytes(data[:8], "little")
    head = either(json_text, scratched)(chance, data[8 : 8 + length])
    return struct.pack("<Q", len(head)) + head + data[8 + length :]


def png(chance: Random, data: bytes) -> bytes:
    """A chunk; its checksum and length stay right, and pixels may be packed anew."""
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    place, other = (chance.randrange(len(chunks)) for _ in range(2))
    kind, content = chunks[place]
    match chance.randrange(6):
        case 0:
            del chunks[place]
        case 1:
            chunks[place:place] = [chunks[other]] * chance.choice((1, 1, 50))
        case 2:
            names = (
                b"iCCP",
                b"zTXt",
                b"iTXt",
                b"tRNS",
                b"PLTE",
                b"eXIf",
                b"acTL",
                b"fcTL",
                b"gAMA",
            )
            chunks[place:place] = [(chance.choice(names), scratched(chance, content))]
        case 3 if kind == b"IDAT":
            chunks[place] = kind, zlib.compress(scratched(chance, zlib.decompress(content)))
        case _:
            chunks[place] = kind, scratched(chance, content)
    return data[:8] + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def tar_xz(chance: Random, data: bytes) -> bytes:
    """The archive within; the checksum of a header that was changed is made right again."""
    inside = bytearray(scratched(chance, lzma.decompress(data)))
    for at in range(0, len(inside) - 511, 512):
        if inside[at + 257 : at + 262] == b"ustar":
            inside[at + 148 : at + 156] = b" " * 8
            inside[at + 148 : at + 156] = b"%06o\0 " % sum(inside[at : at + 512])
    return lzma.compress(bytes(inside), preset=0)
