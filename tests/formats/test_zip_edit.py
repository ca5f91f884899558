from __future__ import annotations

import io
import os
import zipfile

import pytest

from goodnet.errors import InvalidInput
from goodnet.formats.keras.edit import replace_member


def archive_of(method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name in ("a", "b", "c"):
            archive.writestr(name, name * 1000)
    return memory.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("length", [0, 1000, 5000])
def test_one_member_is_replaced_whatever_its_length(method: int, name: str, length: int) -> None:
    content = os.urandom(length)
    changed = replace_member(archive_of(method), name, content)
    with zipfile.ZipFile(io.BytesIO(changed)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {method}
        for other in ("a", "b", "c"):
            expected = content if other == name else other.encode() * 1000
            assert archive.read(other) == expected


def test_the_same_content_gives_the_same_bytes() -> None:
    archive = archive_of(zipfile.ZIP_STORED)
    assert replace_member(archive, "b", b"b" * 1000) == archive


def test_what_is_no_archive() -> None:
    with pytest.raises(InvalidInput, match="zip archive"):
        replace_member(b"PK", "a", b"")
