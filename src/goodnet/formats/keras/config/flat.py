"""Models inside models become one list of steps with unique names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goodnet.formats.keras.config.model import Member, Model

__all__ = ["Step", "flatten"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A layer applied once.

    Attributes:
        name: Unique in the whole network: the layer's own name, with those of the models around
            it in front ("outer/inner") where two layers share one.
        path: The names of the models around the layer, then its own.
        kind: Its class.
        config: Its settings.
        inputs: Names of the steps it reads.
        shared: Whether other steps apply the same layer.
    """

    name: str
    path: Path
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shared: bool


def flatten(model: Model) -> tuple[list[Step], str]:
    """The steps of a model in an order that can be run, and the name of the last.

    The first step is the input; inputs of models inside are left out.
    """
    counts = Counter(path[-1] for path, _ in _layers(model, ()))
    names = {
        path: path[-1] if counts[path[-1]] == 1 else "/".join(path)
        for path, _ in _layers(model, ())
    }
    start = names[(model.input,)]
    source = model.members[model.input]
    first = Step(start, (model.input,), source.kind, source.config, inputs=(), shared=False)
    steps = [first]
    return steps, _run(model, (), start, names=names, steps=steps)


def _layers(model: Model, prefix: Path) -> Iterator[tuple[Path, Member]]:
    """Every layer of the tree but the inputs of inner models."""
    for name, member in model.members.items():
        if member.model is not None:
            yield from _layers(member.model, (*prefix, name))
        elif name != model.input or not prefix:
            yield (*prefix, name), member


def _run(
    model: Model, prefix: Path, given: str, *, names: Mapping[Path, str], steps: list[Step]
) -> str:
    values = {(model.input, 0): given}
    uses = Counter(name for name, _ in model.order)
    for name, call in model.order:
        member, path = model.members[name], (*prefix, name)
        if name == model.input:
            continue
        inputs = tuple(
            values[ref.layer, 0 if model.members[ref.layer].model else ref.call]
            for ref in member.calls[call]
        )
        if member.model is not None:
            values[name, 0] = _run(member.model, path, inputs[0], names=names, steps=steps)
            continue
        unique = names[path] if call == 0 else f"{names[path]}/{call + 1}"
        shared = uses[name] > 1
        steps.append(Step(unique, path, member.kind, member.config, inputs=inputs, shared=shared))
        values[name, call] = unique
    return values[model.output]
