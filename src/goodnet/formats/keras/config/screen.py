"""Refuse a model configuration that asks for code: nothing it names is ever imported or run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets

__all__ = ["screen"]

_REACHES_OUT: Mapping[str, str] = {
    "Lambda": "holds Python code",
    "__lambda__": "holds Python code",
    "TorchModuleWrapper": "holds a pickled PyTorch module",
    "TFSMLayer": "loads another model from disk",
    "FlaxLayer": "holds code of another library",
    "JaxLayer": "holds code of another library",
    "StringLookup": "may read a file named in the model",
    "IntegerLookup": "may read a file named in the model",
    "IndexLookup": "may read a file named in the model",
    "TextVectorization": "may read a file named in the model",
}
# Where Keras itself, in any of its versions, keeps what a configuration may name.
_MODULE = re.compile(
    r"(tensorflow\.(python\.)?|tf_)?keras(\.api)?(\._v[12]\.keras)?(\.src)?"
    r"(\.(layers|models|engine|activations|initializers|regularizers|constraints"
    r"|dtype_policies|mixed_precision|ops)(\.[A-Za-z0-9_]+)*)?"
)
# Never resolved here, so never looked at.
_LEFT_UNREAD = frozenset({"compile_config", "build_config", "training_config", "optimizer_config"})


def screen(config: Mapping[str, Any]) -> None:
    """Walk the whole configuration, wrapped and nested objects included.

    Args:
        config: The parsed model configuration.

    Raises:
        UnsafeInput: Naming the path of a layer that holds code, reads files, or comes from outside
            Keras.
        InvalidInput: If a class name is not a text.
        OverBudget: If there are more than 20,000 objects with a class name.
    """
    for count, (path, item) in enumerate(_objects(config)):
        if count > budgets.MAX_OBJECTS:
            raise OverBudget(
                f"a model may be described by at most {budgets.MAX_OBJECTS} objects, got more"
            )
        _check_object(path, item)


def _objects(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), config)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(path, child) for child in value]
        if not isinstance(value, dict):
            continue
        if "class_name" in value:
            path = (*path, _name(value))
            yield "/".join(path[1:]) or path[0], value
        waiting += [(path, child) for key, child in value.items() if key not in _LEFT_UNREAD]


def _name(item: Mapping[str, Any]) -> str:
    config = item.get("config")
    inner = config.get("name") if isinstance(config, dict) else None
    return str(inner or item.get("name") or item["class_name"])


def _check_object(path: str, item: Mapping[str, Any]) -> None:
    kind, module = item["class_name"], item.get("module")
    if not isinstance(kind, str):
        raise InvalidInput(f"the class of layer {path!r} is not a text: {kind!r}")
    if kind in _REACHES_OUT:
        raise UnsafeInput(
            f"layer {path!r} is a {kind}, which {_REACHES_OUT[kind]}; it is never run. Replace it "
            "by layers of Keras, or give an architecture without it"
        )
    if module is not None and not (isinstance(module, str) and _MODULE.fullmatch(module)):
        raise UnsafeInput(
            f"layer {path!r} names {kind!r} from the module {module!r}, which is not part of "
            "Keras' layers; nothing a file names is imported"
        )
    registered = item.get("registered_name")
    if ">" in kind or registered not in (None, kind):
        raise UnsafeInput(
            f"layer {path!r} is the custom object {registered or kind!r}, whose code is not in "
            "the file; only Keras' own layers are read"
        )
