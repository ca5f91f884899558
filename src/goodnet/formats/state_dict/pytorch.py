"""The files that `torch.save` writes: a pickle that names tensors, and their numbers behind it.

Since PyTorch 1.6 these are members of a zip archive, before they were one row of bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets, safe_zip
from goodnet.formats.state_dict.pickled import load
from goodnet.formats.state_dict.unwrapping import entries
from goodnet.formats.state_dict.views import Storage, View
from goodnet.formats.stored import Stored

# What the first pickle in a file without an archive holds, and the second.
MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
# Magic number, version, what the system was like, the object, the order of the storages.
_PICKLES = 5
# As it stands there, in the protocols since 2 and before.
_MAGICS = (b"\x8a\n" + MAGIC.to_bytes(10, "little"), b"L%dL" % MAGIC)
_FIRST = 64
_NAME_IN_ZIP = 30
_MEMBERS = (b"/data.pkl", b"/.format_version", b"/.storage_alignment", b"/version", b"/byteorder")
_NUMBERS = re.compile(rb"[^/]+/(?:data/\d+|code/.*|constants(?:\.pkl|/\d+))")
_SCRIPT = (
    "expected a state_dict, got TorchScript, which is a program: load it where it can be trusted "
    "and save its numbers alone: `model = torch.jit.load(FILE)`, "
    '`torch.save(model.state_dict(), "weights.pt")`'
)


def holds(head: bytes) -> bool:
    """Whether a file that begins like this is one of these."""
    if head.startswith(safe_zip.SIGNATURE):
        length = int.from_bytes(head[26:28], "little")
        name = head[_NAME_IN_ZIP : _NAME_IN_ZIP + length]
        return name.endswith(_MEMBERS) or _NUMBERS.fullmatch(name) is not None
    return any(magic in head[:_FIRST] for magic in _MAGICS)


def read(file: BinaryIO) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """The arrays of a state_dict, and notes.

    Args:
        file: The open file, at its start.

    Raises:
        UnsafeInput: If it is a program, or its pickle asks for anything but tensors.
        InvalidInput: If it is damaged, or holds no state_dict.
        OverBudget: If it holds more than the budgets allow.
    """
    zipped = file.read(len(safe_zip.SIGNATURE)) == safe_zip.SIGNATURE
    file.seek(0)
    return _read_zip(file) if zipped else _read_row(file)


def _views(held: Any) -> tuple[dict[str, View], tuple[str, ...]]:
    """The tensors of a state_dict by key, checked one by one and together."""
    found, notes = entries(held)
    total = 0
    for name, tensor in found.items():
        tensor.check(name)
        total += tensor.length
    budgets.check(total, budgets.MODEL_BYTES, "the tensors of the file")
    if len(found) > budgets.MAX_ARRAYS:
        raise OverBudget(f"a state_dict may hold {budgets.MAX_ARRAYS:,} arrays: {len(found):,}")
    return found, notes


def _read_zip(file: BinaryIO) -> tuple[dict[str, Stored], tuple[str, ...]]:
    members = safe_zip.list_members(file, streams=True, most=budgets.MAX_ARRAYS)
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1 or pickles[0].count("/") != 1:
        raise InvalidInput("expected one data.pkl in the archive of a state_dict")
    root = pickles[0].removesuffix("data.pkl")
    if any(name.startswith((f"{root}code/", f"{root}constants")) for name in members):
        raise UnsafeInput(_SCRIPT)
    order = members.get(f"{root}byteorder")
    if order and safe_zip.read_member(file, order, limit=budgets.KIB).strip() != b"little":
        raise InvalidInput("the state_dict was written big-endian, which is not read")
    pickle = safe_zip.read_member(file, members[pickles[0]], limit=budgets.PICKLE_BYTES)
    views, notes = _views(load(pickle).value)
    arrays: dict[str, Stored] = {}
    rows: dict[str, bytes] = {}  # tensors may share a storage, which is read once
    for name, tensor in views.items():
        member = members.get(f"{root}data/{tensor.storage.key}")
        if member is None or member.deflated or member.size != tensor.storage.length:
            raise InvalidInput(
                f"expected {tensor.storage.length:,} bytes, not packed, for the tensor {name!r}; "
                "save the state_dict again"
            )
        if tensor.storage.key not in rows:
            rows[tensor.storage.key] = safe_zip.read_member(file, member)
        arrays[name] = tensor.stored(rows[tensor.storage.key])
    return arrays, notes


def _read_row(file: BinaryIO) -> tuple[dict[str, Stored], tuple[str, ...]]:
    data = memoryview(file.read())
    ahead, parts, place = data[: budgets.PICKLE_BYTES], [], 0
    for _ in range(_PICKLES):
        parts.append(load(ahead, place))
        place = parts[-1].end
    magic, version, system, held, keys = (part.value for part in parts)
    if magic != MAGIC or version != _VERSION or not isinstance(system, dict):
        raise InvalidInput("expected a state_dict as torch.save writes it")
    if system.get("little_endian") is not True:
        raise InvalidInput("the state_dict was written big-endian, which is not read")
    views, notes = _views(held)
    rows = dict(_rows(data, place, keys, parts[3].storages))
    missing = [name for name, tensor in views.items() if tensor.storage.key not in rows]
    if missing:
        raise InvalidInput(f"the file does not hold the numbers of the tensor {missing[0]!r}")
    return {name: tensor.stored(rows[tensor.storage.key]) for name, tensor in views.items()}, notes


def _rows(
    data: memoryview, place: int, keys: Any, storages: Mapping[str, Storage]
) -> Iterator[tuple[str, memoryview]]:
    """The bytes of each storage, by its key, which stand one behind another."""
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise InvalidInput("the file lists numbers that no tensor shows")
        count = int.from_bytes(data[place : place + 8], "little")
        place += 8
        if count != storage.count or place + storage.length > len(data):
            raise InvalidInput("the numbers of the state_dict are cut off; download the file again")
        yield key, data[place : place + storage.length]
        place += storage.length
    if place != len(data):
        raise InvalidInput("the file holds bytes that belong to no tensor; download it again")
