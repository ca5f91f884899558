"""Methods that other packages bring."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

# The group of entry points; what each names is a class.
GROUP = "goodnet.methods"


def brought(kind: type) -> tuple[Any, ...]:
    """The subclasses of a class that installed packages name in the group `goodnet.methods`."""
    found = [point.load() for point in entry_points(group=GROUP)]
    return tuple(each for each in found if isinstance(each, type) and issubclass(each, kind))
