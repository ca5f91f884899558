"""What is printed beside results."""

from __future__ import annotations

import pytest

from goodnet.cli.text import brief


@pytest.mark.parametrize("given", ["a" * 5000, "'" + "a b " * 2000 + "'", "a" * 200 + "b" * 200])
def test_what_was_given_loses_its_middle_and_the_sentence_stays(given: str) -> None:
    told = brief(f"the file's path {given} is too long; give another")
    assert told.startswith(f"the file's path {given[:100]}")
    assert told.endswith(f"{given[-100:]} is too long; give another")
    assert len(told) < 350


def test_a_sentence_is_not_cut_between_apostrophes() -> None:
    told = f"Keras' layers are {', '.join(f'Layer{i}' for i in range(50))}, and the file's is 'x'"
    assert brief(told) == told


def test_a_message_of_many_words_has_an_end() -> None:
    assert len(brief("a word " * 1000)) <= 1200
