"""Every way of scanning by name, and how its options are read from text."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from goodnet.errors import UsageError
from goodnet.scan.k_arm import KArm
from goodnet.scan.last_layer import HTell, LastLayer
from goodnet.scan.mm_bd import MMBD
from goodnet.scan.neural_cleanse import NeuralCleanse
from goodnet.scan.scan import Scan
from goodnet.scan.scanner import Scanner
from goodnet.scan.stimulation import ChannelStimulation

__all__ = ["SCANNERS", "make_scanner"]

SCANNERS: Mapping[str, type[Scanner]] = types.MappingProxyType(
    {
        kind.name: kind
        for kind in (Scan, NeuralCleanse, KArm, MMBD, ChannelStimulation, HTell, LastLayer)
    }
)


def make_scanner(name: str, options: Sequence[str] = ()) -> Scanner:
    """A scanner with its options as a user writes them.

    Args:
        name: One of `SCANNERS`.
        options: "NAME=VALUE" for its fields.

    Raises:
        UsageError: If there is no such scanner or option, or a value is not one.

    Example:
        >>> make_scanner("goodnet", ["alpha=0.05"])
        Scan(layer=None, seed=0, alpha=0.05)
    """
    if name not in SCANNERS:
        raise UsageError(f"the methods of scan are {', '.join(SCANNERS)}, got {name!r}")
    kind = SCANNERS[name]
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    values = {}
    for option in options:
        key, _, text = option.partition("=")
        if key not in known:
            raise UsageError(f"--method {name} has the options {', '.join(known)}, got {option!r}")
        values[key] = _value(key, text, known[key])
    return kind(**values)


def _value(key: str, text: str, hint: Any) -> Any:
    kind = next(each for each in get_args(hint) or (hint,) if each is not type(None))
    try:
        return kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise UsageError(f"expected {wanted} for the option {key}, got {text!r}") from error
