"""The size of the images that a network is fed, as its image processor's configuration says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MOST = 2**13


def fed_size(*configs: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of the images.

    Args:
        configs: `preprocessor_config.json` and `config.json` of a model, of which timm's says it;
            any other values are as if they were not there.

    Returns:
        As the first that says it has it; None if none does.

    Example:
        >>> fed_size({"do_center_crop": True, "crop_size": 224, "size": 256})
        (224, 224)
    """
    for held in configs:
        timm = held.get("pretrained_cfg")
        shape = timm.get("input_size") if isinstance(timm, Mapping) else None
        if isinstance(shape, Sequence) and len(shape) == 3:
            return _sides(shape[1], shape[2])
        name = "crop_size" if held.get("do_center_crop") and "crop_size" in held else "size"
        found = held.get(name)
        if isinstance(found, Mapping):
            edge = found.get("shortest_edge")
            return _sides(found.get("height", edge), found.get("width", edge))
        if found is not None:
            return _sides(found, found)
    return None


def _sides(height: object, width: object) -> tuple[int, int] | None:
    if type(height) is not int or type(width) is not int:
        return None
    return (height, width) if min(height, width) >= 1 and max(height, width) <= _MOST else None
