"""Numbers and names from outside as a reader meets them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from goodnet.types import Proportion

ASCII = range(0x20, 0x7F)

_EVERYTHING = range(0x110000)
_TURNS_WRITING = frozenset({"R", "AL", "AN"})
_ISOLATE, _END = "\u2068", "\u2069"
_WRAPPED = re.compile(f"{_ISOLATE}[^{_ISOLATE}{_END}]*{_END}")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LEAST_P = 0.0001
_PRIME = "\u2032"
_REPAIRED = re.compile(r"\bB'")


def name(text: str, limit: int = 80) -> str:
    r"""A name from outside as one line: nothing invisible in it, its writing direction kept in.

    Example:
        >>> name("a\u202eb\n")
        'a\\u202eb\\n'
    """
    shown = printable(text, _EVERYTHING, limit=limit)
    turns = any(unicodedata.bidirectional(char) in _TURNS_WRITING for char in shown)
    return f"{_ISOLATE}{shown}{_END}" if turns else shown


def visible(text: str) -> str:
    r"""A text from anywhere in which nothing is hidden; a name that `name` wrapped stays so.

    Control characters, marks that turn the writing around, and halves of characters appear as
    Python would escape them.

    Example:
        >>> visible("2026\x1b[31m\u202e")
        '2026\\x1b[31m\\u202e'
    """
    if text.isprintable():
        return text
    marks = _WRAPPED.sub("", text)
    kept = "" if _ISOLATE in marks or _END in marks else _ISOLATE + _END
    return "".join(
        _escape(char) if unicodedata.category(char) in _HIDDEN and char not in kept else char
        for char in text
    )


def printable(text: str, glyphs: Container[int] = ASCII, *, limit: int = 40) -> str:
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
        >>> printable("line\none \u202e 😀")
        'line\\none \\u202e \\U0001f600'
        >>> printable("a_very_long_name", limit=9)
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


def network(text: str) -> str:
    """B' with a real prime."""
    return _REPAIRED.sub(f"B{_PRIME}", text)


def percent(share: Proportion | None) -> str:
    """As in "98.3 %", and "99.96 %" rather than a false 100; a dash where it is not known."""
    if share is None or share.value is None:
        return "\u2013"
    value = 100 * share.value
    looks_whole = f"{value:.1f}" in ("0.0", "100.0") and 0 < share.count < share.total
    return f"{value:.{2 if looks_whole else 1}f}\u00a0%"


def interval(share: Proportion | None) -> str:
    """As in "[91.1, 100.0]"; nothing where the share is not known."""
    if share is None or share.value is None:
        return ""
    return f"[{100 * share.low:.1f},\u00a0{100 * share.high:.1f}]"


def rate(share: Proportion | None) -> str:
    """As in "98.3 % [91.1, 100.0]"."""
    return f"{percent(share)}\u00a0{interval(share)}".rstrip()


def rating(value: float) -> str:
    """A defence effectiveness rating of 0..1, as in "99.4 %"."""
    return f"{100 * value:.1f}\u00a0%"


def p_value(value: float) -> str:
    """A p-value by itself, as in "0.0004" or "< 0.0001"."""
    return f"{value:.2g}" if value >= _LEAST_P else unbroken(f"< {_LEAST_P}")


def chance(value: float) -> str:
    """A p-value in a sentence, as in "p = 0.0004" or "p < 0.0001"."""
    return unbroken(f"p {'= ' if value >= _LEAST_P else ''}{p_value(value)}")


def series(texts: Sequence[str]) -> str:
    """As in "a, b and c"."""
    *others, last = texts
    return f"{', '.join(others)} and {last}" if others else last


def unbroken(text: str) -> str:
    """A text that stays on one line."""
    return text.replace(" ", "\u00a0")


def points(before: Proportion, after: Proportion) -> str:
    """How far a share fell, in percentage points."""
    lost = 100 * ((before.value or 0.0) - (after.value or 0.0))
    return f"{lost:.1f} points"


def widest(*shares: Proportion | None) -> float:
    """Width of the widest interval, 0..1."""
    return max((share.high - share.low for share in shares if share), default=0.0)


def amount(number: int | None) -> str:
    """A whole number with thin spaces between thousands; a dash where it is not known."""
    return "\u2013" if number is None else f"{number:,}".replace(",", "\u202f")


def time(seconds: float | None) -> str:
    """Seconds, or minutes where there are many."""
    if seconds is None:
        return "\u2013"
    if seconds < 100:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\u00a0min {rest}\u00a0s"


def memory(size: int | None) -> str:
    """Bytes as mebibytes."""
    return "\u2013" if size is None else f"{size / 2**20:,.0f}\u00a0MiB".replace(",", "\u202f")
