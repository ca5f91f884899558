"""What every table for a spreadsheet or a paper needs: safe cells, and the shares in them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from goodnet.report.drawable import drawable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from goodnet.types import Proportion

__all__ = ["escape", "latex_row", "share_cells", "share_names", "tabular", "text_cell", "to_csv"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # Two of these would become one other mark.
        "-": "-{}",
        "`": "`{}",
        "'": "'{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    }
)


def to_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a header; what is None is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def text_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def share_names(name: str, suffix: str = "") -> tuple[str, str, str]:
    """The columns of a share: its value and the ends of its 95 % interval."""
    low, high = f"{name}_low{suffix}", f"{name}_high{suffix}"
    return f"{name}{suffix}", low, high


def share_cells(share: Proportion | None) -> list[float | None]:
    """What stands in these columns, fractions 0..1."""
    return [None] * 3 if share is None else [share.value, share.low, share.high]


def tabular(columns: str, lines: Iterable[str]) -> str:
    """A LaTeX table of lines; it needs the package booktabs."""
    begin = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    return "\n".join([*begin, *lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_row(cells: Iterable[str]) -> str:
    """One line of it."""
    return f"{' & '.join(cells)} \\\\"


def escape(text: str) -> str:
    """A text that is no command in LaTeX, in ASCII."""
    return drawable(text, limit=120).translate(_SPECIAL)
