"""Every way of repairing by name: those here, and those of packages that bring their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from goodnet.errors import UsageError
from goodnet.plugins import brought
from goodnet.repair.cure import Cure
from goodnet.repair.erase import Erase
from goodnet.repair.fine_prune import FinePrune
from goodnet.repair.fine_tune import FineTune
from goodnet.repair.method import Repair
from goodnet.repair.prune import Prune
from goodnet.repair.sparsify import Sparsify
from goodnet.repair.unlearn import Unlearn

_OWN: tuple[type[Repair[Any]], ...] = (
    Prune,
    Cure,
    FineTune,
    FinePrune,
    Sparsify,
    Unlearn,
    Erase,
)


@lru_cache
def repairs() -> Mapping[str, type[Repair[Any]]]:
    """The ways of repairing by name.

    A package adds one by an entry point of the group `goodnet.methods` that names a subclass of
    `goodnet.repair.Repair`.
    """
    return MappingProxyType({kind.name: kind for kind in (*_OWN, *brought(Repair))})


def find_repair(name: str) -> type[Repair[Any]]:
    """A way of repairing by its name.

    Raises:
        UsageError: If there is none of that name.
    """
    known = repairs()
    if name not in known:
        raise UsageError(f"the methods are {', '.join(known)}, got {name!r}")
    return known[name]
