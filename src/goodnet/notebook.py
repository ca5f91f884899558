"""Results as a notebook shows them: a small table of texts that are all escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    notes: Sequence[str] = (),
) -> str:
    """A table in HTML, with a paragraph for each note below it.

    Args:
        caption: What is above the table.
        header: What the columns are called.
        rows: A cell for each column; None for an empty one.
        notes: A sentence each.

    Example:
        >>> html_table("<b>", ["a"], [[None]])
        '<table><caption>&lt;b&gt;</caption><tr><th>a</th></tr><tr><td></td></tr></table>'
    """
    lines = [_line("th", header), *(_line("td", row) for row in rows)]
    below = "".join(f"<p>{_text(note)}</p>" for note in notes)
    return f"<table><caption>{_text(caption)}</caption>{''.join(lines)}</table>{below}"


def _line(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _text(value: object) -> str:
    """Escaped, and with what cannot be seen or turns the writing around spelled out."""
    text = "" if value is None else str(value)
    return escape(
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )
