"""Names from outside, made fit to be drawn."""

from __future__ import annotations

import unicodedata
from collections.abc import Container

__all__ = ["ASCII", "drawable"]

ASCII = range(0x20, 0x7F)


def drawable(text: str, glyphs: Container[int] = ASCII, *, limit: int = 40) -> str:
    r"""Write `text` with the glyphs at hand: what cannot be drawn is spelled out.

    Control characters, marks that turn the writing around and whatever the font lacks appear as
    Python would escape them, so that two names never look the same by accident.

    Args:
        text: Any text, for instance a file's name.
        glyphs: The code points the font can draw.
        limit: Longest result in characters; a longer one loses its middle.

    Returns:
        One line of text.

    Example:
        >>> drawable("line\none \u202e 😀")
        'line\\none \\u202e \\U0001f600'
        >>> drawable("a_very_long_name", limit=9)
        'a_v...ame'
    """
    spelled = "".join(
        char if _is_visible(char) and ord(char) in glyphs else _escape(char)
        for char in unicodedata.normalize("NFC", text)
    )
    if len(spelled) <= limit:
        return spelled
    kept = max(limit - 3, 0)
    return spelled[: (kept + 1) // 2] + "..." + spelled[len(spelled) - kept // 2 :]


def _is_visible(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] not in "CZ"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
