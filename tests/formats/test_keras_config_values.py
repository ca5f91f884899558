"""The values in a Keras configuration: its JSON, and the fields of one layer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.keras.configuration import parse_json
from goodnet.ops.keras import Fields


def parse(text: str | bytes) -> dict[str, Any]:
    return parse_json(text if isinstance(text, bytes) else text.encode(), what="configuration")


class TestJson:
    def test_plain(self) -> None:
        assert parse('{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}

    def test_what_keras_wraps(self) -> None:
        text = json.dumps(
            {
                "a": {"class_name": "__tuple__", "items": [1, 2]},
                "b": {"class_name": "TensorShape", "items": [None, 3]},
                "c": {"class_name": "__numpy__", "config": {"value": [0.5], "dtype": "float32"}},
                "d": {"class_name": "__tuple__", "config": [3]},
            }
        )
        assert parse(text) == {"a": [1, 2], "b": [None, 3], "c": [0.5], "d": [3]}

    @pytest.mark.parametrize("text", ["", "{", "[1, 2", "{'a': 1}", "\ufeff{}", b"\xff\xfe{}"])
    def test_not_json(self, text: str | bytes) -> None:
        with pytest.raises(InvalidInput, match="the configuration is not JSON in UTF-8"):
            parse(text)

    @pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
    def test_not_an_object(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="expected an object in the configuration"):
            parse(text)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
    def test_numbers(self, number: str) -> None:
        with pytest.raises(InvalidInput, match="not a number JSON knows|too large"):  # noqa: RUF043
            parse(f'{{"a": [{number}]}}')

    def test_a_key_twice(self) -> None:
        with pytest.raises(InvalidInput, match="the key 'a' appears twice"):
            parse('{"x": {"a": 1, "b": 2, "a": 1}}')

    @pytest.mark.parametrize("text", ['{"\\ud800": 1}', '{"a": ["\\udfff"]}'])
    def test_half_a_character(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="half a character"):
            parse(text)

    @pytest.mark.parametrize("depth", [65, 500, 10**5])
    def test_depth(self, depth: int) -> None:
        with pytest.raises(OverBudget, match="nested at most 64 levels deep"):
            parse('{"a": ' + "[" * depth + "]" * depth + "}")

    def test_length(self) -> None:
        with pytest.raises(OverBudget, match=r"may take at most 8\.0 MiB, got 8\.0 MiB"):
            parse_json(b" " * (2**23 + 1), what="configuration")

    def test_values(self) -> None:
        text = b'{"a": [' + b"[]," * budgets.JSON_VALUES + b"[], []]}"
        with pytest.raises(OverBudget, match="configuration may hold at most 500,000 values"):
            parse_json(text, what="configuration")


class TestFields:
    fields = Fields("it", {"a": 3, "b": [1, 2], "c": 0.5, "d": True, "e": "x", "f": None, "g": -1})

    def test_values(self) -> None:
        assert self.fields.integer("a") == 3
        assert self.fields.integer("f", default=7) == 7
        assert self.fields.integers("b") == (1, 2)
        assert self.fields.integers("g") == (-1,)
        assert self.fields.integers("f") == ()
        assert self.fields.pair("a") == (3, 3)
        assert self.fields.pair("b") == (1, 2)
        assert self.fields.number("f", "c", default=1.0) == 0.5
        assert self.fields.number("f", default=float("inf")) == float("inf")
        assert self.fields.numbers("b", default=1.0) == (1.0, 2.0)
        assert self.fields.flag("d", default=False) is True
        assert self.fields.choice("e", ("x", "y"), default="y") == "x"

    @pytest.mark.parametrize("value", [0, -1, 2**31, 2**40, 1.0, True, "3", [3], None, {}])
    def test_integer(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="layer 'it': expected a to be a whole number of 1"):
            Fields("it", {"a": value}).integer("a")

    @pytest.mark.parametrize("value", [0, [1], [1, 2, 3], [1, 0], [1.5, 1], "ab", [True, 1], {}])
    def test_pair(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="expected a to be one or two whole numbers"):
            Fields("it", {"a": value}).pair("a")

    @pytest.mark.parametrize("value", [True, "1", [1], float("nan")])
    def test_number(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="expected a to be a number"):
            Fields("it", {"a": value}).number("a", default=0.0)
        with pytest.raises(InvalidInput, match="expected a to be a number or a list"):
            Fields("it", {"a": [value]}).numbers("a", default=0.0)

    def test_others(self) -> None:
        with pytest.raises(InvalidInput, match="expected a to be true or false, got 'yes'"):
            Fields("it", {"a": "yes"}).flag("a", default=True)
        with pytest.raises(InvalidInput, match="expected a to be 'x' or 'y', got 'z'"):
            Fields("it", {"a": "z"}).choice("a", ("x", "y"), default="x")
        with pytest.raises(InvalidInput, match="a short list of whole numbers"):
            Fields("it", {"a": [1] * 9}).integers("a")
