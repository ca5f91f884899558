"""Every trigger by name."""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from goodnet.attack.blended import blended
from goodnet.attack.makeup import eyebrows, lipstick
from goodnet.attack.patches import checkerboard, dynamic, patch
from goodnet.attack.sunglasses import sunglasses
from goodnet.attack.warp import warp
from goodnet.attack.waves import low_frequency, sinusoid
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from goodnet.attack.stamp import Trigger

TRIGGERS: Mapping[str, Callable[..., Trigger]] = MappingProxyType(
    {
        "blended": blended,
        "checkerboard": checkerboard,
        "dynamic": dynamic,
        "eyebrows": eyebrows,
        "lipstick": lipstick,
        "low-frequency": low_frequency,
        "patch": patch,
        "sinusoid": sinusoid,
        "sunglasses": sunglasses,
        "warp": warp,
    }
)


def trigger(name: str, **parameters: float | NDArray[np.uint8] | None) -> Trigger:
    """Make a trigger by its name.

    Args:
        name: One of `TRIGGERS`.
        **parameters: Those of the function of that name, all of which may be left out.

    Returns:
        The trigger; its `stamp` changes images.

    Raises:
        UsageError: If there is no such trigger or parameter, or a parameter is out of its range.

    Example:
        >>> trigger("patch", size=3).least
        (4, 4)
    """
    make = TRIGGERS.get(name)
    if make is None:
        raise UsageError(f"the triggers are {', '.join(TRIGGERS)}, got {name!r}")
    known: Mapping[str, Any] = inspect.signature(make).parameters
    for parameter in parameters:
        if parameter not in known:
            has = f"has the parameters {', '.join(known)}" if known else "has no parameters"
            raise UsageError(f"the trigger {name!r} {has}, got {parameter!r}")
    return make(**parameters)
