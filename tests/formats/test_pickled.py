"""A pickle is data here: what would be run is refused by name, and nothing of it is."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import struct
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets, read_spec
from goodnet.formats.state_dict import read_weights
from goodnet.formats.state_dict.pickled import load
from goodnet.formats.state_dict.pytorch import MAGIC
from goodnet.formats.state_dict.views import View

PLAIN: list[Any] = [
    None,
    True,
    -5,
    2**40,
    -(2**70),
    1.5,
    "tëxt",
    b"bytes",
    (),
    (1,),
    (1, 2, 3, 4),
    [1, [2, []]],
    {"a": 1, 2: {"b": (3, None)}},
    "x" * 300,
    list(range(3000)),
]


@pytest.mark.parametrize("protocol", range(1, 6))
@pytest.mark.parametrize("value", PLAIN, ids=range(len(PLAIN)))
def test_plain_values_are_as_the_unpickler_of_python_has_them(value: Any, protocol: int) -> None:
    if isinstance(value, bytes) and protocol < 3:
        pytest.skip("bytes are a call there")
    data = pickle.dumps(value, protocol)
    found = load(data + b"more")
    assert found.value == value
    assert type(found.value) is type(value)
    assert found.end == len(data)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_ordered_dictionaries_sizes_and_devices_are_plain(protocol: int) -> None:
    held = OrderedDict(size=torch.Size([2, 3]), device=torch.device("cpu"), kind=torch.float16)
    found = load(pickle.dumps(held, protocol)).value
    assert type(found) is dict
    assert found["size"] == (2, 3)


def test_a_value_may_hold_itself() -> None:
    held: list[Any] = []
    held.append(held)
    found = load(pickle.dumps(held)).value
    assert found[0] is found


# -- what would be run -----------------------------------------------------------------------


class Runs:
    """Calls a function when it is unpickled by Python."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def marking(path: Path) -> dict[str, bytes]:
    """Pickles that make a file when Python unpickles them, and a word of what each asks for."""
    shell, touch = f"touch {path}", f"open({str(path)!r}, 'w')"
    line = shell.encode()
    found = {
        f"{name} {protocol}": pickle.dumps(made, protocol)
        for protocol in range(2, 6)
        for name, made in {
            "system": Runs(os.system, shell),
            "nested": {"state_dict": {"fc.weight": [({}, Runs(os.system, shell))]}},
            "subprocess": Runs(subprocess.check_output, ["touch", str(path)]),
            "eval": Runs(eval, touch),
            "exec": Runs(exec, touch),
            "getattr": Runs(getattr, Runs(__import__, "os"), "system"),
            "open": Runs(open, str(path), "w"),
        }.items()
    }
    return found | {
        "global": b"cposix\nsystem\n(X" + struct.pack("<I", len(line)) + line + b"tR.",
        "inst": b"(V" + line + b"\niposix\nsystem\n.",
        "obj": b"(cposix\nsystem\nV" + line + b"\no.",
        "newobj": b"\x80\x02cposix\nsystem\n(U" + bytes([len(line)]) + line + b"t\x81.",
        "stack global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c"
        + bytes([len(line)])
        + line
        + b"\x85R.",
        "through a known module": b"\x80\x02ctorch\nos.system\nX"
        + struct.pack("<I", len(line))
        + line
        + b"\x85R.",
        "build": b"\x80\x02ccollections\nOrderedDict\n)\x81}X\x01\0\0\0aK\x01sb.",
        "state of a name": b"\x80\x02ccollections\nOrderedDict\n}b.",
        "extension 1": b"\x80\x02\x82\x01)R.",
        "extension 4": b"\x80\x02\x84\x01\0\0\0)R.",
        "persistent text": b"Pposix\n.",
        "torch load": b"\x80\x02ctorch.storage\n_load_from_bytes\nC\x01a\x85R.",
        "what is called is text": b"\x80\x02X\x05\0\0\0printX\x01\0\0\0a\x85R.",
        "what is called is a type": b"\x80\x02ctorch\nFloatStorage\nK\x01\x85R.",
    }


@pytest.mark.parametrize("name", marking(Path("/tmp/x")))
def test_what_would_be_run_is_refused_and_is_not(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    attack = marking(marker)[name]
    with pytest.raises(UnsafeInput, match="which is never done"):
        load(attack)
    for path in in_files(attack, tmp_path):
        for opens in (read_weights, read_spec):
            with pytest.raises(UnsafeInput):
                opens(path)
    assert not marker.exists()


def in_files(data: bytes, folder: Path) -> tuple[Path, Path, Path]:
    """A pickle in an archive of PyTorch, and as each of two parts of a file without one."""
    zipped, row, first = folder / "a.pt", folder / "b.pt", folder / "c.pt"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/data/0", bytes(4))
        archive.writestr("net/version", "3\n")
    start = b"".join(pickle.dumps(x, 2) for x in (MAGIC, 1001, {"little_endian": True}))
    row.write_bytes(start + data + pickle.dumps([], 2))
    first.write_bytes(pickle.dumps(MAGIC, 2) + data)
    return zipped, row, first


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """What is refused does mark where Python unpickles it."""
    marker = tmp_path / "marker"
    for name in ("system 2", "system 5", "global", "inst", "obj", "stack global"):
        attack = marking(marker)[name]
        with contextlib.suppress(TypeError):  # what system returns is no object
            pickle.loads(attack)
        assert marker.exists(), name
        marker.unlink()


def test_the_sentence_names_what_it_asks_for_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(nn.Sequential(nn.Linear(2, 3)), path)
    with pytest.raises(UnsafeInput) as caught:
        read_spec(path)
    said = str(caught.value)
    assert "'torch.nn.modules.container.Sequential'" in said
    assert "torch.load(FILE, weights_only=False)" in said
    assert "torch.save(model.state_dict(), " in said
    assert str(path) in said


# -- bombs and damage ------------------------------------------------------------------------

SMALL = 1000
BOMBS: dict[str, bytes] = {
    "a number of 4 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f" + bytes(100) + b".",
    "a long number": b"\x80\x02\x8a\xff" + bytes(255) + b".",
    "a number of negative length": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "many digits": b"L" + b"9" * 200 + b"L\n.",
    "a line without end": b"L" + b"9" * 5000,
    "text of 4 GiB": b"\x80\x02X\xff\xff\xff\xffabc.",
    "text of 2 to the 64": b"\x80\x04\x8d" + b"\xff" * 8 + b"abc.",
    "nothing to take": b"\x80\x02R.",
    "nothing to mark": b"\x80\x02t.",
    "no value": b"\x80\x02.",
    "two values": b"\x80\x02NN.",
    "what was not put aside": b"\x80\x02h\x07.",
    "a step that is none": b"\x80\x02\xff.",
    "not ended": b"\x80\x02NN",
    "a key that is a list": b"\x80\x02}]Ns.",
    "keys without values": b"\x80\x02}(Nu.",
    "items of a number": b"\x80\x02K\x01NNs.",
    "more of a number": b"\x80\x02K\x01Na.",
    "no storage": b"\x80\x02NQ.",
    "a storage of many fields": b"\x80\x02(" + b"N" * 100 + b"tQ.",
    "pairs of three": b"\x80\x02ccollections\nOrderedDict\n](](NNNee\x85R.",
    "a storage of a strange type": b"\x80\x02(X\7\0\0\0storageNX\1\0\0\x000NK\1tQ.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_damage_are_refused(name: str) -> None:
    with pytest.raises((InvalidInput, OverBudget)):
        load(BOMBS[name])


def test_steps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "PICKLE_STEPS", SMALL)
    load(b"N0" * (SMALL // 2 - 1) + b"N.")
    with pytest.raises(OverBudget, match="at most 1,000 steps"):
        load(b"N0" * SMALL + b"N.")


def test_memo_that_is_far_away_takes_no_room() -> None:
    assert load(b"\x80\x02Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.").value is None


def test_lists_are_not_copied_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of Size copies a long list that costs one step to name."""
    monkeypatch.setattr(budgets, "PICKLE_STEPS", SMALL)
    size, long = b"ctorch\nSize\nq\x00", b"](" + b"N" * 100 + b"eq\x01"
    again = b"0h\x00h\x01\x85R" * 20
    with pytest.raises(OverBudget, match="copies"):
        load(b"\x80\x02" + size + long + b"0N" + again + b".")


def test_laughs_stay_small() -> None:
    """Lists of lists of the same lists are not walked."""
    data = b"\x80\x02]q\x00" + b"".join(b"](h\x00h\x00eq\x00" for _ in range(200)) + b"."
    with pytest.raises(InvalidInput):
        load(data)  # two hundred values are left on the stack
    nested = b"\x80\x02" + b"(" * 5000 + b"t" * 5000 + b"."
    assert load(nested).value is not None


# -- tensors ---------------------------------------------------------------------------------


def views(change: Callable[[dict[str, Any]], None] | None = None) -> dict[str, View]:
    buffer = io.BytesIO()
    held: dict[str, Any] = {"a": torch.arange(6.0).reshape(2, 3).t()}
    if change is not None:
        change(held)
    torch.save(held, buffer)
    found: dict[str, View] = load(zipfile.ZipFile(buffer).read("archive/data.pkl")).value
    return found


def test_a_tensor_says_where_its_numbers_are() -> None:
    (found,) = views().values()
    assert (found.shape, found.strides, found.offset) == ((3, 2), (1, 3), 0)
    assert (found.storage.type, found.storage.count) == ("F32", 6)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_the_pickles_of_pytorch_are_read(protocol: int, *, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save(
        {"w": nn.Parameter(torch.ones(2)), "n": [1, {"x": None}]},
        buffer,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    data, start = buffer.getvalue(), 0
    if zipped:
        data = zipfile.ZipFile(buffer).read("archive/data.pkl")
    for _ in range(1 if zipped else 4):
        found = load(data, start)
        start = found.end
    assert isinstance(found.value["w"], View)
    assert found.value["n"] == [1, {"x": None}]


def test_every_step_of_python_is_known_or_refused() -> None:
    for each in pickletools.opcodes:
        with contextlib.suppress(GoodnetError):
            load(each.code.encode("latin-1") + b".")
