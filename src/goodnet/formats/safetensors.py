"""`.safetensors`: arrays by key, one behind another, and texts.

Read into plain data, without safetensors; a network is found by its keys, see `state_dict`, or
described by a text, see `description`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.files import atomic_path
from goodnet.formats import budgets
from goodnet.formats.description import to_json
from goodnet.formats.safe_file import size
from goodnet.formats.spec import NetworkSpec
from goodnet.formats.stored import Stored, check_shape

_LENGTH = 8
_METADATA = "__metadata__"
# The text that describes the layers of a network, where its keys are not those of a known one.
DESCRIPTION = "goodnet"
# Where the arrays begin.
_ALIGNED = 8


def holds(head: bytes) -> bool:
    """Whether a file that begins like this is one of these."""
    length = int.from_bytes(head[:_LENGTH], "little")
    return head[_LENGTH : _LENGTH + 1] == b"{" and length < 1 << 28


def read(file: BinaryIO) -> tuple[dict[str, Stored], dict[str, str]]:
    """The arrays of a file, and its texts by name.

    Args:
        file: The open file, at its start.

    Raises:
        InvalidInput: If it is damaged, or holds a type that is not read.
        OverBudget: If it declares more than the budgets allow.
    """
    from goodnet.formats.keras.configuration import parse_json

    there = size(file)
    length = int.from_bytes(file.read(_LENGTH), "little")
    if length > there - _LENGTH:
        raise InvalidInput("the .safetensors file is cut off; download it again")
    budgets.check(length, budgets.JSON_BYTES, "the header of a .safetensors file")
    header = parse_json(file.read(length), what="header of the .safetensors file")
    texts = header.pop(_METADATA, {})
    if not isinstance(texts, dict) or not all(isinstance(x, str) for x in texts.values()):
        raise InvalidInput("expected the metadata of the .safetensors file to be texts")
    if len(header) > budgets.MAX_ARRAYS:
        raise OverBudget(f"a file may hold {budgets.MAX_ARRAYS:,} arrays: {len(header):,}")
    data = memoryview(file.read())
    found, place = {}, 0
    spans = sorted((_span(name, entry) for name, entry in header.items()), key=lambda x: x[1])
    for name, start, end, kind, shape in spans:
        if start != place or end - start != check_shape(name, kind, shape) or end > len(data):
            raise InvalidInput(
                f"the array {name!r} lies at {start} to {end}, which does not fit its shape, the "
                "arrays beside it or the file; download it again"
            )
        found[name], place = Stored(kind, shape, data[start:end]), end
    if place != len(data):
        raise InvalidInput("the .safetensors file holds bytes that belong to no array")
    return {name: found[name] for name in header}, texts


def _span(name: str, entry: Any) -> tuple[str, int, int, str, tuple[int, ...]]:
    """An array's name, where it begins and ends, its type and shape."""
    if isinstance(entry, dict):
        kind, *lists = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
        shape, ends = (tuple(x) if isinstance(x, list) else (None,) for x in lists)
        whole = all(type(number) is int for number in (*shape, *ends))
        if isinstance(kind, str) and whole and len(ends) == len(("start", "end")):
            return name, ends[0], ends[1], kind, shape
    raise InvalidInput(f"expected type, shape and place of the array {name!r}")


def packed(arrays: Mapping[str, Stored], texts: Mapping[str, str] | None = None) -> bytes:
    """Arrays and texts under their names, as a file holds them."""
    header: dict[str, Any] = {_METADATA: {"format": "pt", **(texts or {})}}
    place = 0
    for name, each in arrays.items():
        end = place + len(each.data)
        header[name] = {"dtype": each.type, "shape": each.shape, "data_offsets": (place, end)}
        place = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // _ALIGNED) * _ALIGNED)
    return b"".join(
        [len(text).to_bytes(_LENGTH, "little"), text, *(x.data for x in arrays.values())]
    )


def write(spec: NetworkSpec, path: Path, force: bool) -> None:
    """Write a network: with the keys of the module it was made of, or with its layers described.

    Raises:
        UsageError: If the file exists and `force` is not set.
        InvalidInput: If it has other layers than the module, and some are parts of that.
        FileError: If the file cannot be written.
    """
    from goodnet.network import ModuleSource

    if isinstance(spec.source, ModuleSource):
        content = _of_module(spec)
    else:
        arrays = {
            key: Stored("F32", np.shape(array), np.ascontiguousarray(array, "<f4").tobytes())
            for key, array in spec.arrays.items()
        }
        content = packed(arrays, {DESCRIPTION: to_json(spec)})
    with atomic_path(path, force=force) as place:
        place.write_bytes(content)


def _of_module(spec: NetworkSpec) -> bytes:
    """The state dict of the module a network was made of."""
    from safetensors.torch import save

    from goodnet.formats.build import build

    # Copies: safetensors refuses tensors that share their memory.
    state = {key: x.detach().clone() for key, x in build(spec).module.state_dict().items()}
    return save({key: tensor.contiguous() for key, tensor in state.items()})
