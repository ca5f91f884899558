"""Every way of telling backdoored inputs by name, those that packages bring included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from goodnet.guard.confidence import Confidence
from goodnet.guard.detector import Detector
from goodnet.guard.strip import Strip
from goodnet.plugins import brought

_OWN: tuple[type[Detector], ...] = (Confidence, Strip)


@lru_cache
def detectors() -> Mapping[str, type[Detector]]:
    """The detectors by name.

    A package adds one by an entry point of the group `goodnet.methods` that names a subclass of
    `goodnet.guard.detector.Detector`.
    """
    return MappingProxyType({kind.name: kind for kind in (*_OWN, *brought(Detector))})
