"""The labels that a scan names, as text: CSV for a spreadsheet, LaTeX for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.tabular import (
    escape,
    latex_row,
    share_cells,
    share_names,
    tabular,
    text_cell,
    to_csv,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goodnet.report.facts import Target

__all__ = ["targets_csv", "targets_latex"]

_BEFORE = ("label", "score", "p_value", "family")
_AFTER = ("images", "margin", "changed", "area", "own_class", "layer", "families", "file")
_HEADS = ("label", "score", "p", "trigger", "success", "pixels", "RMS", "own class")


def targets_csv(targets: Sequence[Target]) -> str:
    """A row for each label, the most suspicious first.

    The success of its trigger is three columns of fractions 0..1: the value and the ends of its
    95 % interval. What is not known is left empty.

    Args:
        targets: What a scan found.

    Returns:
        CSV with a header. No cell is one that a spreadsheet takes for a formula.
    """
    return to_csv((*_BEFORE, *share_names("success"), *_AFTER), map(_csv_row, targets))


def targets_latex(targets: Sequence[Target]) -> str:
    r"""The same for a paper, shares in percent, the 95 % interval in brackets.

    Args:
        targets: What a scan found.

    Returns:
        A `tabular` in ASCII; it needs `\usepackage{booktabs}`.
    """
    lines = [latex_row(map(escape, _HEADS)), r"\midrule", *map(_latex_row, targets)]
    return tabular("rrrlrrrr", lines)


def _csv_row(target: Target) -> list[object]:
    trigger = target.trigger
    return [
        *(target.label, target.score, target.p_value),
        text_cell(trigger.family if trigger else ""),
        *share_cells(trigger.success if trigger else None),
        *((trigger.success.total, trigger.margin) if trigger else (None, None)),
        *((trigger.changed, trigger.area) if trigger else (None, None)),
        target.own,
        *map(text_cell, (target.layer, "; ".join(target.families), target.file)),
    ]


def _latex_row(target: Target) -> str:
    trigger = target.trigger
    size = (trigger.area, trigger.changed) if trigger else (None, None)
    return latex_row(
        [
            str(target.label),
            f"{target.score:.2f}",
            _number(target.p_value),
            escape(trigger.family) if trigger else "--",
            str(trigger.success) if trigger else "--",
            *("--" if share is None else f"{100 * share:.1f}" for share in size),
            _number(target.own),
        ]
    )


def _number(value: float | None) -> str:
    return "--" if value is None else f"{value:.2g}"
