"""Names from outside, made fit to be drawn."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.words import ASCII, name, printable, visible


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("sunglasses", "sunglasses"),
        ("<script>$x$", "<script>$x$"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("abc\u202etxt", "abc\\u202etxt"),
        ("\ud800", "\\ud800"),
        ("a\u0301", "\\xe1"),
        ("\xa0", "\\xa0"),
        ("", ""),
    ],
)
def test_spells_out_what_cannot_be_drawn(text: str, drawn: str) -> None:
    assert printable(text) == drawn


def test_keeps_what_the_font_has() -> None:
    assert printable("été 中", {*ASCII, ord("é")}) == "été \\u4e2d"


def test_never_draws_what_turns_the_writing_around_even_if_the_font_has_it() -> None:
    assert printable("\u202e", {0x202E}) == "\\u202e"


@given(st.text(), st.integers(3, 60))
def test_is_one_short_line_of_the_glyphs_at_hand(text: str, limit: int) -> None:
    drawn = printable(text, limit=limit)
    assert len(drawn) <= limit
    assert all(ord(char) in ASCII for char in drawn)
    assert printable(drawn, limit=limit) == drawn


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12))
def test_a_long_name_keeps_its_ends(text: str) -> None:
    drawn = printable(text, limit=11)
    assert (drawn[:4], drawn[4:7], drawn[7:]) == (text[:4], "...", text[-4:])


@given(st.text())
def test_what_is_hidden_is_spelled_out(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert shown == text or not text.isprintable()


def test_what_turns_the_writing_is_spelled_out_but_where_a_name_is_wrapped() -> None:
    assert visible("\u202etxt\u200b\u2066") == "\\u202etxt\\u200b\\u2066"
    wrapped = name("\u05d0.png")
    assert visible(f"of\u00a0{wrapped}") == f"of\u00a0{wrapped}"
    assert visible("a\u2068b") == "a\\u2068b"
