"""What the results of every command have in common: files, layers, cost, versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodnet.report.facts import Cost, FileFact, LayerFact
from goodnet.report.reading.fields import Fields, Unreadable
from goodnet.report.reading.folder import list_outputs, read_object

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cost", "inputs", "layers", "options", "shared_parts"]

RUN = "run.json"

_MOST_LAYERS = 5000


def shared_parts(folder: Path, found: Fields) -> dict[str, Any]:
    """Arguments of `facts.Run` that are read alike for every command."""
    about = read_object(folder, RUN) if (folder / RUN).exists() else Fields({})
    versions = about.inner("versions")
    known = {name: versions.text(name) for name in versions}
    return {
        "outputs": list_outputs(folder),
        "notes": found.texts("notes"),
        "cost": cost(about),
        "line": about.text("command_line"),
        "finished": about.text("finished"),
        "versions": known or {"goodnet": found.text("goodnet")},
    }


def inputs(found: Fields) -> tuple[FileFact, ...]:
    """The files a network was repaired with."""
    files = found.inner("inputs")
    poisoned = files.inner("backdoor")
    listed = [(role, files.inner(role)) for role in ("model", "clean", "test") if role in files]
    listed += [(f"poisoned: {name}", poisoned.inner(name)) for name in poisoned]
    return tuple(
        FileFact(role, each.text("name"), each.text("sha256"), each.whole("images"))
        for role, each in listed
    )


def layers(found: Fields) -> tuple[LayerFact, ...]:
    """The network's layers in running order; none where the folder is of an older version."""
    listed = found.inner("network").each("layers")
    if len(listed) > _MOST_LAYERS:
        raise Unreadable(f"the network has more than {_MOST_LAYERS} layers")
    return tuple(
        LayerFact(
            each.text("name"),
            each.text("op"),
            each.texts("inputs"),
            each.sizes("shape"),
            each.whole("parameters") or 0,
        )
        for each in listed
    )


def cost(about: Fields) -> Cost | None:
    """Seconds and bytes; None where neither is known."""
    seconds, memory = about.number("seconds"), about.whole("peak_memory")
    return None if seconds is None and memory is None else Cost(seconds, memory)


def options(found: Fields, keys: Iterable[str]) -> dict[str, str]:
    """Resolved options as they are to be shown: one text for each that is known."""
    shown = {key: _shown(found.plain(key)) for key in keys}
    return {key: text for key, text in shown.items() if text}


def _shown(value: object) -> str:
    if isinstance(value, dict):
        parts = [f"{name} {text}" for name, each in value.items() if (text := _shown(each))]
        return ", ".join(parts)
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
