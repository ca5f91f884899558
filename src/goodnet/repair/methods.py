"""Every way of repairing by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from goodnet.errors import UsageError
from goodnet.repair.cure import cure
from goodnet.repair.erase import erase
from goodnet.repair.fine_prune import fine_prune
from goodnet.repair.fine_tune import fine_tune
from goodnet.repair.result import Repair
from goodnet.repair.sparsify import sparsify
from goodnet.repair.unlearn import unlearn

__all__ = ["METHODS", "Method", "find_method"]

# What every method takes.
_COMMON = ("network", "images", "settings")


@dataclass(frozen=True)
class Method:
    """A way of repairing.

    Attributes:
        function: Takes a network, scaled clean images, its own parameters by name, and `settings`.
        summary: What it does, in a line.
        paper: Where it is from.
        trains: Whether it heeds the epochs, step size and batch size of the settings.
        yields: Whether it trains more gently where that costs more than the settings tolerate.
    """

    function: Callable[..., Repair]
    summary: str
    paper: str
    trains: bool = True
    yields: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Its own parameters."""
        known = inspect.signature(self.function).parameters
        return tuple(name for name in known if name not in _COMMON)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "cure": Method(
            cure,
            "scan, and take out what is found: no trigger need be given",
            "ours",
            trains=False,
            yields=False,
        ),
        "fine-tune": Method(
            fine_tune, "train on", "the control of Liu, Dolan-Gavitt, Garg, RAID 2018"
        ),
        "fine-prune": Method(
            fine_prune,
            "prune channels that clean images hardly use, then train on without them",
            "Liu, Dolan-Gavitt, Garg, RAID 2018",
        ),
        "sparsify": Method(
            sparsify,
            "set the smallest weights to zero, ever more of them, while training on",
            "Zhu, Gupta, ICLR workshop 2018",
        ),
        "unlearn": Method(
            unlearn,
            "train on stamped clean images with their true labels",
            "Wang et al., IEEE S&P 2019",
            yields=False,
        ),
        "erase": Method(
            erase,
            "take out of the features what triggers add to them",
            "ours, after Belrose et al., NeurIPS 2023",
            trains=False,
            yields=False,
        ),
    }
)


def find_method(name: str) -> Method:
    """A method by its name.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in METHODS:
        raise UsageError(f"the methods are {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]
