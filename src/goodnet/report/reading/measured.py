"""B, B' and G as the results of any command write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.report.facts import Measured

if TYPE_CHECKING:
    from goodnet.report.reading.fields import Fields

__all__ = ["measured"]


def measured(name: str, found: Fields) -> Measured:
    """Read what `jobs.run_folder.plain_rates` or `guarded_rates` wrote."""
    return Measured(
        name,
        clean=found.share("test"),
        success=found.shares("backdoor"),
        robust=found.shares("robust"),
        false_alarms=found.share("false_alarms"),
        detected=found.shares("detected"),
    )
