"""What is worth a second look in a model file: rules, and what was found by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from goodnet.formats.channels import Graph
from goodnet.formats.silence import all_silent
from goodnet.inspection.bounds import Bounds, bounds_of
from goodnet.ops.op import Mask

# As SARIF has them: an error keeps the file from being used, a warning is worth a look.
Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        id: By which findings of it are known for good.
        level: Of its findings.
        title: What it finds.
        help: What it means, and what to do.
    """

    id: str
    level: Level
    title: str
    help: str

    def finding(self, message: str, layer: str = "") -> Finding:
        """One that was found."""
        return Finding(self.id, self.level, message, layer)


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Attributes:
        rule: The id of the rule.
        level: How much it matters.
        message: What was found, with numbers, for the user.
        layer: Where; "" for the whole file.
    """

    rule: str
    level: Level
    message: str
    layer: str = ""


class Subject:
    """A network as rules look at it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.spec = graph.spec

    @cached_property
    def bounds(self) -> Bounds:
        """Between what numbers the value of each layer lies, whatever the image."""
        return bounds_of(self.graph)

    @cached_property
    def silent(self) -> dict[str, Mask]:
        """Which channels of each layer are all zero; empty for a layer without channels."""
        return all_silent(self.graph)


@dataclass(frozen=True, eq=False)
class Oddity:
    """Rules for networks, and what looks for them."""

    rules: tuple[Rule, ...]
    find: Callable[[Subject], Iterator[Finding]]
