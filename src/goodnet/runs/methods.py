"""All methods there are, with what they need and where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goodnet.guard.methods import detectors
from goodnet.repair import repairs
from goodnet.scan.methods import scanners

_HEADER = ("name", "what it does", "needs", "paper", "file")
_OURS = "goodnet."


@dataclass(frozen=True)
class MethodFact:
    """One method.

    Attributes:
        kind: "scan", "repair" or "screen": the command it belongs to.
        name: What it is called there.
        summary: What it does, in a line.
        needs: What it has to be given beside the network.
        paper: Where it is from.
        file: Its file in the package, or the module of another package.
    """

    kind: str
    name: str
    summary: str
    needs: str
    paper: str
    file: str


def all_methods() -> tuple[MethodFact, ...]:
    """The scanners, the repairs, the detectors."""
    rooms: dict[str, Mapping[str, Any]] = {
        "scan": scanners(),
        "repair": repairs(),
        "screen": detectors(),
    }
    return tuple(
        MethodFact(room, each.name, each.summary, each.needs, each.paper, _file(each))
        for room, methods in rooms.items()
        for each in methods.values()
    )


def markdown() -> str:
    """The table of the README."""
    rows = [
        (f"{each.kind} {each.name}", each.summary, each.needs, each.paper, f"`{each.file}`")
        for each in all_methods()
    ]
    lines = [_HEADER, ("---",) * len(_HEADER), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _file(method: Any) -> str:
    module: str = method.__module__
    if not module.startswith(_OURS):
        return module
    return module.removeprefix(_OURS).replace(".", "/") + ".py"
