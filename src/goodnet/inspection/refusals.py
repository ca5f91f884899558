"""What a file is refused for, and that little is known of it: rules for files as a whole."""

from __future__ import annotations

from goodnet.errors import GoodnetError, InvalidInput, NotFinite, OverBudget, UnsafeInput
from goodnet.inspection.finding import Finding, Rule

UNSAFE = Rule(
    "unsafe-file",
    "error",
    "Opening the file would execute code or read other files",
    "The file asks for what a model never needs: code that runs when it is opened, links, or other "
    "files. Do not open it with the library it was made for.",
)
NOT_FINITE = Rule(
    "not-finite",
    "error",
    "Weights are NaN or infinite",
    "Training diverged, or the file was changed. What such a network answers says nothing.",
)
OVER_BUDGET = Rule(
    "over-budget",
    "error",
    "The file declares more than the budgets allow",
    "Opening it may take all memory or time there is, as files made to do so do.",
)
UNREADABLE = Rule(
    "unreadable-file",
    "error",
    "The file is no model that can be read",
    "It is damaged, no model, or has layers that are not known, so that nothing can be said of it.",
)
UNKNOWN = Rule(
    "unknown-architecture",
    "note",
    "The file holds weights of an unknown architecture",
    "Only the arrays were looked at. Name the architecture for the network to be inspected.",
)
RULES = (UNSAFE, NOT_FINITE, OVER_BUDGET, UNREADABLE, UNKNOWN)
_KINDS = (
    (UnsafeInput, UNSAFE),
    (NotFinite, NOT_FINITE),
    (OverBudget, OVER_BUDGET),
    (InvalidInput, UNREADABLE),
)
REFUSALS = tuple(kind for kind, _ in _KINDS)


def refusal(error: GoodnetError) -> Finding:
    """Why a file was refused.

    Args:
        error: One of `REFUSALS`.
    """
    rule = next(rule for kind, rule in _KINDS if isinstance(error, kind))
    return rule.finding(str(error))
