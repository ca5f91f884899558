"""The names that a pickle of PyTorch may hold, and what stands here for calling each.

None is ever looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from goodnet.errors import InvalidInput, UnsafeInput
from goodnet.formats.state_dict.views import STORAGES, TORCH_TYPES, UNTYPED, View, view

DAMAGED = "the pickle in the file is damaged or cut off; download the file again"
UNPICKLE = (
    "which is never done; where it can be trusted, load it and save its numbers alone: "
    "`model = torch.load(FILE, weights_only=False)`, "
    '`torch.save(model.state_dict(), "weights.pt")`'
)


@dataclass(frozen=True, slots=True)
class Name:
    """A name in the file that is known; it is never looked up."""

    module: str
    name: str


def known(module: str, name: str) -> Name:
    """A name that is on the list.

    Raises:
        UnsafeInput: If it is not.
    """
    listed = (module, name) in CALLS or (module, name) in _INERT
    if not listed:
        raise UnsafeInput(f"the file asks for {f'{module}.{name}'[:80]!r} to be run, {UNPICKLE}")
    return Name(module, name)


def set_items(target: Any, pairs: Sequence[Any]) -> None:
    """Put keys and values, in turn, into a dictionary.

    Raises:
        InvalidInput: If it is none, or a key is no text or number.
    """
    if type(target) is not dict or len(pairs) % 2:
        raise InvalidInput(DAMAGED)
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float | None):
            raise InvalidInput("a dictionary in the file has keys that are no text or numbers")
        target[key] = value


def _dictionary(*given: Any) -> dict[Any, Any] | None:
    """An empty dictionary, or one of pairs in a list."""
    found: dict[Any, Any] = {}
    for pairs in given:
        for key, value in pairs:
            set_items(found, (key, value))
    return found


def _default_dictionary(*_: Any) -> dict[Any, Any]:
    return {}


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> View | None:
    return view(storage, offset, shape, strides)


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, _: Any, __: Any, kind: Any, *___: Any
) -> View | None:
    if not isinstance(kind, Name):
        return None
    return view(storage, offset, shape, strides, TORCH_TYPES.get(kind.name, kind.name))


def _parameter(tensor: Any, *_: Any) -> View | None:
    return tensor if isinstance(tensor, View) else None


def _size(sizes: Any) -> tuple[Any, ...] | None:
    return tuple(sizes) if isinstance(sizes, tuple | list) else None


def _device(*_: Any) -> str:
    return "device"


CALLS: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _default_dictionary,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
}
# Names that stand in a file and are given to others.
_INERT = frozenset(
    {
        *(("torch", name) for name in STORAGES),
        *(("torch.cuda", name) for name in STORAGES),
        ("torch.storage", UNTYPED),
        *(("torch", name) for name in TORCH_TYPES),
        *(("torch", name) for name in ("float8_e4m3fn", "float8_e5m2", "complex64", "complex128")),
        *((module, n) for module in ("builtins", "__builtin__") for n in ("dict", "list", "int")),
    }
)
