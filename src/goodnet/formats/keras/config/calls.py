"""Which values a layer reads, in the two ways Keras has written it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goodnet.errors import InvalidInput

__all__ = ["Reference", "read_calls", "read_single"]


@dataclass(frozen=True, slots=True)
class Reference:
    """The value a layer gave at one of its calls."""

    layer: str
    call: int


def read_calls(name: str, nodes: object) -> tuple[tuple[Reference, ...], ...]:
    """The values a layer reads, for each time it is applied.

    Args:
        name: The layer, for messages.
        nodes: Its `inbound_nodes`: lists (Keras 2), or objects with args and kwargs (Keras 3).

    Raises:
        InvalidInput: If they are malformed, or the call has arguments that change what it computes.
    """
    if not isinstance(nodes, list):
        raise InvalidInput(f"layer {name!r}: expected inbound_nodes to be a list")
    if nodes and isinstance(nodes[0], list) and nodes[0] and isinstance(nodes[0][0], str):
        nodes = [[node] for node in nodes]
    return tuple(_read_call(name, node) for node in nodes)


def read_single(value: object, what: str) -> Reference:
    """The one entry of `input_layers` or `output_layers`.

    Raises:
        InvalidInput: If there are several, or it is malformed.
    """
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | dict) and len(value) > 1 and not _is_reference(value):
        raise InvalidInput(f"expected a network with one {what}, got {len(value)}")
    return _reference(value, what)


def _read_call(name: str, node: object) -> tuple[Reference, ...]:
    if isinstance(node, dict):
        arguments = node.get("args")
        _check_options(name, node.get("kwargs"))
        inputs = [_history(name, tensor) for tensor in _flat(arguments)]
    elif isinstance(node, list):
        inputs = [_reference(entry, f"input of layer {name!r}") for entry in node]
        for entry in node:
            _check_options(name, entry[3] if len(entry) > 3 else None)
    else:
        raise InvalidInput(f"layer {name!r}: expected a call to be a list or an object")
    if not inputs:
        raise InvalidInput(f"layer {name!r} is applied to nothing")
    return tuple(inputs)


def _flat(arguments: object) -> list[object]:
    """One value, or one list of values: Keras passes several inputs as a single list."""
    if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
        return list(arguments[0])
    return list(arguments) if isinstance(arguments, list) else [arguments]


def _history(name: str, tensor: object) -> Reference:
    config = tensor.get("config") if isinstance(tensor, dict) else None
    history = config.get("keras_history") if isinstance(config, dict) else None
    if history is None:
        raise InvalidInput(
            f"layer {name!r} is applied to {tensor!r:.80}, which is not the value of a layer"
        )
    return _reference(history, f"input of layer {name!r}")


def _is_reference(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:3])
    )


def _reference(value: object, what: str) -> Reference:
    if not isinstance(value, list) or not _is_reference(value):
        raise InvalidInput(f"expected [layer, call, output] as {what}, got {value!r:.80}")
    if value[2] != 0:
        raise InvalidInput(f"{what} is output {value[2]} of layer {value[0]!r}; layers have one")
    return Reference(value[0], value[1])


def _check_options(name: str, options: object) -> None:
    for key, value in (options if isinstance(options, Mapping) else {}).items():
        if key == "training" and value:
            raise InvalidInput(
                f"layer {name!r} is applied with training={value!r}, so it acts as in training"
            )
        if not _is_neutral(key, value):
            raise InvalidInput(
                f"layer {name!r} is applied with {key}={value!r:.80}, which is not read"
            )


def _is_neutral(key: str, value: Any) -> bool:
    return value is None or key in ("training", "name")
