from __future__ import annotations

from pathlib import Path

import pytest

from goodnet.cli.options import named_files
from goodnet.errors import UsageError


def test_a_set_has_the_name_it_is_given_or_that_of_its_file() -> None:
    assert named_files(["glasses=a.h5", "b/hat.h5"]) == {
        "glasses": Path("a.h5"),
        "hat": Path("b/hat.h5"),
    }


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert list(named_files(["\udcff=a.h5"])) == ["\ufffd"]


def test_no_poisoned_set_is_called_like_the_clean_one() -> None:
    with pytest.raises(UsageError, match="cannot be called 'clean'"):
        named_files(["clean=a.h5"])
