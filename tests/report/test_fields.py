"""JSON that nobody vouches for gives values of the kind asked for, or one clear error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.reading.fields import Fields, Unreadable, parse_fields
from goodnet.stats import proportion

ACCESS: dict[str, Callable[[Fields], object]] = {
    "text": lambda fields: fields.text("key"),
    "whole": lambda fields: fields.whole("key"),
    "number": lambda fields: fields.number("key"),
    "share": lambda fields: fields.share("key"),
    "texts": lambda fields: fields.texts("key"),
    "wholes": lambda fields: fields.wholes("key"),
    "numbers": lambda fields: fields.numbers("key"),
    "readings": lambda fields: fields.readings("key"),
    "sizes": lambda fields: fields.sizes("key"),
    "shares": lambda fields: fields.shares("key"),
    "inner": lambda fields: fields.inner("key"),
    "each": lambda fields: fields.each("key"),
}


@pytest.mark.parametrize("name", ACCESS)
def test_what_is_missing_or_null_is_empty(name: str) -> None:
    for data in ({}, {"key": None}):
        found = ACCESS[name](Fields(data))
        assert list(found) == [] if isinstance(found, Fields) else not found


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("text", 3, "key is not a text"),
        ("whole", -1, "key is not a whole number, 0 or more"),
        ("whole", True, "not a whole number"),
        ("whole", 10**30, "not a whole number"),
        ("number", "3", "key is not a number"),
        ("number", 1e300, "not a number"),
        ("share", {"count": 5, "total": 3}, "key is not a count with its total"),
        ("share", {"count": 5}, "not a count with its total"),
        ("wholes", {"a": 1}, "key is not a list"),
        ("numbers", [1, "x"], "key is not a number"),
        ("readings", [1, None, True], "key is not a number"),
        ("inner", [1], "key is not an object"),
        ("each", [{}, 3], r"key\[1\] is not an object"),
    ],
)
def test_another_kind_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        ACCESS[name](Fields({"key": value}))


def test_the_place_is_named_where_it_lies_deeper() -> None:
    fields = Fields({"drops": [{}, {"drop": "two"}]})
    with pytest.raises(Unreadable, match=r"^drops\[1\]\.drop is not a number$"):
        fields.each("drops")[1].number("drop")


def test_a_share_is_computed_from_its_counts_whatever_the_file_claims() -> None:
    claim = {"value": 1.0, "low": 1.0, "high": 1.0, "count": 1, "total": 4}
    assert Fields({"key": claim}).share("key") == proportion(1, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "it is not JSON in UTF-8"),
        (b"{", "it is not JSON in UTF-8"),
        (b"[]", "the whole is not an object"),
        (b'{"a": NaN}', "it holds NaN"),
        (b'{"a":' * 100_000, "it is nested too deeply|it is not JSON"),
    ],
)
def test_what_is_no_object_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        parse_fields(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_anything_gives_a_value_or_that_error(value: object) -> None:
    for access in ACCESS.values():
        with suppress(Unreadable):
            access(Fields({"key": value}))
