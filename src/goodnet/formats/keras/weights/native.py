"""Match the weights of Keras' own format (`.keras`, `.weights.h5`), which is a tree of classes.

Each model keeps its layers in a group, each layer under its class and a number, each weight under a
number: "layers/conv2d_1/vars/0". Numbers go up in Keras' order. TensorFlow 2.12 and 2.13 skipped
numbers and named the group differently, so only the order of the numbers is relied upon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from goodnet.formats.keras.weights.expected import Slot
from goodnet.formats.keras.weights.stored import Stored, raise_mismatches

if TYPE_CHECKING:
    from goodnet.formats.keras.config.model import Member, Model
    from goodnet.formats.keras.config.reading import Weight

__all__ = ["CONTAINERS", "match_native"]

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")

Path = tuple[str, ...]
Tree = dict[str, Any]


def match_native(
    model: Model,
    weights: Mapping[Path, tuple[Weight, ...]],
    stored: Mapping[str, tuple[int, ...]],
) -> list[tuple[Slot, Stored]]:
    """Find the stored weight for every slot.

    Args:
        model: The architecture's tree.
        weights: The weights of each layer, by its path in the tree.
        stored: Shape of each data set in the file, by its path.

    Raises:
        InvalidInput: Listing the first five weights that are missing, left over or of wrong shape.
    """
    pairs: list[tuple[Slot, Stored]] = []
    problems: list[str] = []
    for path, group in _groups(model, (), _tree(stored), weights=weights):
        slots = [Slot(path[-1], weight, first=weight.trained) for weight in weights.get(path, ())]
        for index, slot in enumerate(slots):
            place = group.pop(str(index), None)
            if not isinstance(place, str):
                problems.append(f"{slot} is missing")
            elif stored[place] != slot.weight.shape:
                problems.append(f"{slot} is {stored[place]}, expected {slot.weight.shape}")
            else:
                pairs.append((slot, Stored(place, place, stored[place])))
        problems += [f"{place} is left over" for place in _leaves(group)]
    raise_mismatches(problems)
    return pairs


def _tree(paths: Mapping[str, object]) -> Tree:
    """Paths as nested dictionaries; a leaf is the path as the file has it."""
    tree: Tree = {}
    for path in paths:
        # Keras on Windows has written "\" between the parts of some paths.
        *folders, last = path.replace("\\", "/").split("/")
        node = tree
        for folder in folders:
            inner = node.setdefault(folder, {})
            node = inner if isinstance(inner, dict) else node.setdefault(folder + "/", {})
        node[last] = path
    return tree


def _groups(
    model: Model, prefix: Path, tree: Tree, *, weights: Mapping[Path, tuple[Weight, ...]]
) -> Iterator[tuple[Path, Tree]]:
    """The group of each layer with weights; left-over groups stand under their class."""
    container: Tree = next(
        (tree[name] for name in CONTAINERS if isinstance(tree.get(name), dict)), {}
    )
    for kind, members in _by_class(model, prefix, weights).items():
        children = _numbered(container, kind)
        for member in members:
            path, child = (*prefix, member.name), children.pop(0) if children else {}
            if member.model is not None:
                yield from _groups(member.model, path, child, weights=weights)
            else:
                yield path, child.get("vars", {})
        for child in children:
            yield (*prefix, kind), child


def _by_class(
    model: Model, prefix: Path, weights: Mapping[Path, tuple[Weight, ...]]
) -> dict[str, list[Member]]:
    """The layers that have weights, or models that hold such, by class."""
    found: dict[str, list[Member]] = {}
    for name, member in model.members.items():
        path = (*prefix, name)
        if any(other[: len(path)] == path for other in weights):
            found.setdefault(_snake_case(member.kind), []).append(member)
    return found


def _numbered(container: Tree, kind: str) -> list[Tree]:
    """The groups of one class that hold any weights, by number; the first has none."""
    pattern = re.compile(rf"{re.escape(kind)}(?:_([1-9][0-9]*))?")
    matches = ((pattern.fullmatch(name), child) for name, child in container.items())
    found = [
        (int(match[1] or 0), child)
        for match, child in matches
        if match and isinstance(child, dict) and not child.keys().isdisjoint(("vars", *CONTAINERS))
    ]
    return [child for _, child in sorted(found, key=lambda pair: pair[0])]


def _leaves(tree: Tree) -> list[str]:
    found = []
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node.values()
        else:
            found.append(node)
    return sorted(found)


def _snake_case(name: str) -> str:
    """As Keras turns the name of a class into that of a group."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
