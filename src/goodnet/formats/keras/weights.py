"""Read the weights of an architecture from an open Keras file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import safe_hdf5
from goodnet.formats.keras.architecture import Architecture
from goodnet.formats.keras.container import Container
from goodnet.formats.keras.graph import snake_case
from goodnet.formats.keras.matching import (
    Slot,
    Stored,
    StoredGroup,
    expected_groups,
    match_legacy,
    raise_mismatches,
)
from goodnet.formats.keras.model import Member, Model, Path
from goodnet.formats.spec import Array, Origin, check_finite
from goodnet.ops.keras import Weight
from goodnet.ops.layouts import to_spec

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")

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
        seen: Counter[str] = Counter()
        for weight in weights.get(path, ()):
            slot, inner = Slot(path[-1], weight, first=weight.trained), weight.group
            place = _vars(group, inner).pop(str(seen[inner]), None)
            seen[inner] += 1
            if not isinstance(place, str):
                problems.append(f"{slot} is missing")
            elif stored[place] != slot.weight.shape:
                problems.append(f"{slot} is {stored[place]}, expected {slot.weight.shape}")
            else:
                pairs.append((slot, Stored(place, place, stored[place])))
        left = [_vars(group, inner) for inner in {"", *seen}]
        problems += [f"{place} is left over" for tree in left for place in _leaves(tree)]
    raise_mismatches(problems)
    return pairs


def _vars(group: Tree, inner: str) -> Tree:
    """The numbered weights of a layer, or of one within it."""
    found: Tree = (group.get(inner, {}) if inner else group).get("vars", {})
    return found


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
                yield path, child
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
            found.setdefault(snake_case(member.kind), []).append(member)
    return found


def _numbered(container: Tree, kind: str) -> list[Tree]:
    """The groups of one class that hold any weights, by number; the first has none."""
    pattern = re.compile(rf"{re.escape(kind)}(?:_([1-9][0-9]*))?")
    matches = ((pattern.fullmatch(name), child) for name, child in container.items())
    found = [
        (int(match[1] or 0), child) for match, child in matches if match and isinstance(child, dict)
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


_FLOATS = {"f2": "float16", "f4": "float32", "f8": "float64"}


def read_weights(
    container: Container, architecture: Architecture
) -> tuple[dict[str, Array], dict[str, Origin], list[str]]:
    """Match, check and read every weight.

    Args:
        container: The open file.
        architecture: What it must hold.

    Returns:
        The arrays by their key in the spec, where each lies in the file, and notes.

    Raises:
        InvalidInput: If weights are missing, left over, of wrong shape or type, NaN or infinite.
        UnsafeInput: If the file describes two different networks.
        OverBudget: If an array declares far more than it stores.
    """
    pairs, notes = _match(container, architecture)
    arrays: dict[str, Array] = {}
    origins: dict[str, Origin] = {}
    for slot, stored in pairs:
        if slot.weight.key is None:
            continue
        array = _read(container.arrays[stored.path], stored.path, notes)
        arrays[slot.weight.key] = to_spec(array, slot.weight.layout)
        origins[slot.weight.key] = Origin(stored.path, slot.weight.layout)
    return arrays, origins, sorted(set(notes))


def _match(
    container: Container, architecture: Architecture
) -> tuple[list[tuple[Slot, Stored]], list[str]]:
    shapes = {path: _shape(item, path) for path, item in container.arrays.items()}
    if _is_native(container):
        return match_native(architecture.model, architecture.weights, shapes), []
    expected = expected_groups(architecture.model, architecture.weights)
    stored = [group for group in _stored_groups(container, shapes) if group.weights]
    return match_legacy(expected, stored)


def _shape(dataset: h5py.Dataset, path: str) -> tuple[int, ...]:
    shape = dataset.shape
    if shape is None:
        raise InvalidInput(f"data set {path!r} holds no numbers at all")
    return tuple(int(size) for size in shape)


def _is_native(container: Container) -> bool:
    if container.format == "keras-zip":
        return True
    legacy = "model_weights" in container.file or "layer_names" in container.file.attrs
    starts = tuple(f"{name}{end}" for name in CONTAINERS for end in ("/", "\\"))
    return not legacy and any(path.startswith(starts) for path in container.arrays)


def _stored_groups(
    container: Container, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[StoredGroup]:
    """The groups of a legacy file as its index lists them, or by path where it has no index."""
    prefix = "model_weights/" if "model_weights" in container.file else ""
    root = _group(container.file, prefix or "/")
    layers = safe_hdf5.names(root, "layer_names", file=container.raw)
    if layers is None:
        yield from _unlisted_groups(prefix, shapes)
        return
    # Keras keeps weights of the model itself here; its own models have none.
    layers += ["top_level_model_weights"] * ("top_level_model_weights" in root)
    for layer in layers:
        group = _group(root, layer)
        listed = safe_hdf5.names(group, "weight_names", file=container.raw)
        yield StoredGroup(
            layer, tuple(_listed(f"{prefix}{layer}/{name}", name, shapes) for name in listed or ())
        )


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    if name not in parent or parent.get(name, getclass=True) is not h5py.Group:
        raise InvalidInput(f"expected a group {name!r} with weights in the file, got none")
    return parent[name]


def _listed(path: str, name: str, shapes: Mapping[str, tuple[int, ...]]) -> Stored:
    if path not in shapes:
        raise InvalidInput(f"the file lists the weight {path!r} but does not hold it")
    return Stored(path, name, shapes[path])


def _unlisted_groups(prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[StoredGroup]:
    found: dict[str, list[Stored]] = {}
    for path, shape in shapes.items():
        layer, _, name = path.removeprefix(prefix).partition("/")
        if path.startswith(prefix) and name:
            found.setdefault(layer, []).append(Stored(path, name, shape))
    for layer, weights in found.items():
        yield StoredGroup(layer, tuple(weights), ordered=False)


def _read(dataset: h5py.Dataset, path: str, notes: list[str]) -> Array:
    raw = safe_hdf5.read_dataset(dataset, name=path)
    name = _FLOATS.get(raw.dtype.str[1:])
    if name is None:
        raise InvalidInput(f"expected floating-point weights in {path!r}, got {raw.dtype}")
    if name != "float32":
        notes.append(f"{name} weights converted to float32")
    check_finite(raw, path)
    with np.errstate(over="ignore"):
        array = raw.astype(np.float32)
    check_finite(array, path)
    return array
