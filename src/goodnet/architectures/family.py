"""What a family of architectures says of itself, and reading the shapes of a state_dict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# Of every array of a state_dict, by key.
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Plan:
    """A network of a family, as the shapes of its arrays tell it.

    Attributes:
        name: Of the architecture; "" if it is of the family but has no name.
        build: Makes the module, on the device that is the default then.
        size: Height and width of the images it was made for.
        any_size: Whether it takes other images, too.
        also: Other names of the same.
        notes: What the shapes do not tell and is taken for granted.
    """

    name: str
    build: Callable[[], nn.Module]
    size: tuple[int, int]
    any_size: bool = True
    also: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Family:
    """A family of architectures.

    Attributes:
        names: Those it has.
        told: These in short, for messages.
        plan: From the shapes of a state_dict, those of the layers; None if a key that all networks
            of the family have is missing. Any error of a look-up means the same.
    """

    names: tuple[str, ...]
    told: str
    plan: Callable[[Shapes], Plan | None]


def count(shapes: Shapes, pattern: str) -> int:
    r"""How many numbers, from 0 on, stand at the group of a pattern at the start of keys.

    Example:
        >>> count({"layer1.0.conv1.weight": (), "layer1.1.conv1.weight": ()}, r"layer1\.(\d+)\.")
        2
    """
    found = {int(match[1]) for key in shapes if (match := re.match(pattern, key))}
    return len(found) if found == set(range(len(found))) else 0
