"""What is worth a second look in a network, told from its description alone.

A new oddity is a module that makes an `Oddity`, and its place in `ODDITIES`.
"""

from __future__ import annotations

from goodnet.inspection import branches, channels, outputs, weights
from goodnet.inspection.finding import Finding, Rule, Subject

__all__ = ["ODDITIES", "Finding", "Rule", "Subject", "findings_in"]

ODDITIES = (branches.ODDITY, *channels.ODDITIES, outputs.ODDITY, weights.ODDITY)


def findings_in(subject: Subject) -> tuple[Finding, ...]:
    """Everything odd about a network."""
    return tuple(found for oddity in ODDITIES for found in oddity.find(subject))
