"""Every way of scanning by name, and how its options are read from text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from goodnet.errors import UsageError
from goodnet.options import from_texts
from goodnet.plugins import brought
from goodnet.scan.k_arm import KArm
from goodnet.scan.last_layer import HTell, LastLayer
from goodnet.scan.mm_bd import MMBD
from goodnet.scan.neural_cleanse import NeuralCleanse
from goodnet.scan.scan import Scan
from goodnet.scan.scanner import Scanner
from goodnet.scan.stimulation import ChannelStimulation

_OWN: tuple[type[Scanner], ...] = (
    Scan,
    NeuralCleanse,
    KArm,
    MMBD,
    ChannelStimulation,
    HTell,
    LastLayer,
)


@lru_cache
def scanners() -> Mapping[str, type[Scanner]]:
    """The ways of scanning by name.

    A package adds one by an entry point of the group `goodnet.methods` that names a subclass of
    `goodnet.scan.Scanner`.
    """
    return MappingProxyType({kind.name: kind for kind in (*_OWN, *brought(Scanner))})


def make_scanner(name: str, options: Sequence[str] = ()) -> Scanner:
    """A scanner with its options as a user writes them.

    Args:
        name: One of `scanners`.
        options: "NAME=VALUE" for its fields.

    Raises:
        UsageError: If there is no such scanner or option, or a value is not one.

    Example:
        >>> make_scanner("goodnet", ["alpha=0.05"])
        Scan(layer=None, seed=0, alpha=0.05, effort=1.0, minutes=None)
    """
    known_scanners = scanners()
    if name not in known_scanners:
        raise UsageError(f"the methods of scan are {', '.join(known_scanners)}, got {name!r}")
    found: Scanner = from_texts(known_scanners[name], options, what=f"--method {name}")
    return found
