from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.quarantine.message import Broken, kinds_of, receive, send
from goodnet.types import Proportion


@dataclass(frozen=True)
class Inner:
    share: Proportion


@dataclass(frozen=True)
class Outer:
    name: str
    inner: tuple[Inner, ...] = ()
    made: int = field(init=False, default=7)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


def sent(value: object, *kinds: type) -> bytes:
    parts: list[bytes] = []
    send(lambda part: parts.append(bytes(part)), value, {kind.__name__: kind for kind in kinds})
    return b"".join(parts)


def received(data: bytes, *kinds: type) -> Any:
    file = io.BytesIO(data)

    def read(length: int) -> Any:
        found = np.frombuffer(file.read(length), np.uint8).copy()
        assert len(found) == length, "more was asked for than there is"
        return found

    value = receive(read, {kind.__name__: kind for kind in kinds})
    assert not file.read()
    return value


def message(head: object, body: bytes = b"") -> bytes:
    packed = msgspec.msgpack.encode(head)
    return struct.pack("<QQ", len(packed), len(body)) + packed + body


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@given(plain)
def test_plain_values_come_back(value: object) -> None:
    found = received(sent(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "<i8", "f2", "f4", ">f8", "c8", "U3", "S2"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3)])
def test_arrays_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    found, after = received(sent((array.T, "after")))
    np.testing.assert_array_equal(found, array.T)
    assert found.dtype == array.dtype
    assert found.flags.writeable
    assert after == "after"


def test_other_values_come_back() -> None:
    value = {
        "scalar": np.float32(0.5),
        "number": np.float64(0.25),
        "path": Path("a/\udcff"),
        "text": "\udcff\N{PILE OF POO}",
        "type": np.dtype(">f4"),
        "long": bytes(10**6),
        "mapping": {"a": 1},
    }
    found = received(sent({**value, "mapping": MappingProxyType({"a": 1})}))
    assert found == value
    assert type(found["scalar"]) is np.float32
    assert type(found["number"]) is np.float64


def test_classes_come_back_where_they_are_expected() -> None:
    kinds = kinds_of(Outer)
    assert set(kinds) == {Outer, Inner, Proportion}
    value = Outer("x", (Inner(Proportion(1, 3)),))
    assert received(sent(value, *kinds), *kinds) == value
    with pytest.raises(TypeError, match="a Outer, which is not expected"):
        sent(value)
    with pytest.raises(Broken):
        received(sent(value, *kinds), Outer)


def test_what_runs_is_not_sent() -> None:
    for value in (print, object(), {1, 2}, np.array([None]), np.zeros(1, "M8[s]")):
        with pytest.raises(TypeError):
            sent(value)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<QQ", 2**40, 0),
        struct.pack("<QQ", 1, 2**40) + b"\xc0",
        struct.pack("<QQ", 1, 0) + b"\xc1",
        message(["array", "f4", 10]),
        message(["array", "f4", -1, -1], bytes(4)),
        message(["array", "O", 1], bytes(8)),
        message(["array", "V8", 1], bytes(8)),
        message(["array", "nonsense", 1], bytes(8)),
        message(["array", "f4", 2**62, 2**62], bytes(8)),
        message(["array", "f4", 1.5], bytes(8)),
        message(["bytes", -1]),
        message(["bytes", 4], bytes(8)),
        message(["of", "Outer", {"name": ""}]),
        message(["of", "Outer", {"nome": "x"}]),
        message(["of", "Path", {}]),
        message(["of", "Outer"]),
        message(["dict", 1]),
        message(["dict", ["list"], 1]),
        message(["__class__", 1]),
        message([["list"], 1]),
        message([]),
        message(["int", "x"]),
        message(["str", b"\xff"]),
        message(["scalar", 1]),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(Broken):
        received(data, Outer)


def test_nested_without_end() -> None:
    head = b"\x92\xa4list" * 100_000 + b"\xc0"
    with pytest.raises(Broken):
        received(struct.pack("<QQ", len(head), 0) + head)
