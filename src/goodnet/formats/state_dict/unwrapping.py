"""Find the state_dict in what a training script saved, and its keys behind what wrappers add."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from goodnet.errors import InvalidInput
from goodnet.formats.state_dict.views import View

_Held = TypeVar("_Held")

# Under which training scripts keep it, the likelier first.
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"),
    *("module", "params", "teacher", "student", "state_dict_ema", "model_ema", "ema"),
)
# One in another.
_DEPTH = 2
# Before all keys, by torch.compile, DataParallel, and modules that hold the network.
_PREFIXES = ("_orig_mod.", "module.", "model.", "net.", "network.", "backbone.", "timm_model.")
_OLD = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")


def entries(held: Any) -> tuple[dict[str, View], tuple[str, ...]]:
    """The tensors of a state_dict by key, and notes.

    Args:
        held: What a pickle holds.

    Raises:
        InvalidInput: If there is no state_dict in it.
    """
    notes: list[str] = []
    while isinstance(held, dict) and len(notes) < _DEPTH:
        inner = next((key for key in _WRAPPERS if _tensors(held.get(key))), None)
        if inner is None and not _tensors(held):
            inner = next((key for key in _WRAPPERS if isinstance(held.get(key), dict)), None)
        if inner is None:
            break
        rest = sorted(str(key)[:40] for key in held if key != inner)
        beside = f"; {', '.join(rest[:8])} not read" if rest else ""
        notes.append(f"the weights are taken from {inner!r} in the file{beside}")
        held = held[inner]
    found = _tensors(held)
    if not found:
        raise InvalidInput(f"expected a state_dict, which names tensors, got {_shown(held)}")
    others = [str(key)[:40] for key in held if key not in found]
    if others:
        notes.append(f"no tensors, not read: {', '.join(others[:8])}")
    return found, tuple(notes)


def _tensors(held: Any) -> dict[str, View]:
    """The entries of a dictionary that are tensors with names."""
    pairs = held.items() if isinstance(held, dict) else ()
    return {key: x for key, x in pairs if isinstance(key, str) and isinstance(x, View)}


def _shown(held: Any) -> str:
    if isinstance(held, View):
        return "one tensor"
    if isinstance(held, dict):
        keys = ", ".join(repr(key)[:40] for key in list(held)[:8])
        return f"a dictionary with {keys}" if keys else "an empty dictionary"
    return f"a {type(held).__name__}"


def as_now(key: str) -> str:
    """The key of an old file as it is now.

    Names of layers of a DenseNet had a point, linear layers of a transformer numbers from 1.

    Example:
        >>> as_now("features.denseblock1.denselayer2.norm.1.bias")
        'features.denseblock1.denselayer2.norm1.bias'
    """
    key = _OLD.sub(r"\1", key)
    return key.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")


def without_prefix(arrays: Mapping[str, _Held]) -> tuple[dict[str, _Held], str]:
    """The entries without what stands before all their keys, and what that is.

    Example:
        >>> without_prefix({"module.fc.weight": 1, "module.fc.bias": 2})
        ({'fc.weight': 1, 'fc.bias': 2}, 'module.')
    """
    found, taken = dict(arrays), ""
    while True:
        prefix = next((x for x in _PREFIXES if found and all(k.startswith(x) for k in found)), None)
        if prefix is None:
            return found, taken
        found = {key.removeprefix(prefix): array for key, array in found.items()}
        taken += prefix
