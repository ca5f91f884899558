"""The configuration in a Keras file, which is not trusted: parsed strictly, then screened.

The JSON means one thing only: no duplicate keys, no NaN, bounded in size and depth. A configuration
that asks for code is refused: nothing it names is ever imported or run.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets

_MAX_DIGITS = 20
# What Keras wraps in a dictionary though it is a plain list or number, and where the value lies.
_WRAPPED = {"__tuple__": ("items", "config"), "TensorShape": ("items",)}
_ARRAYS = ("__numpy__", "__tensor__")


def parse_json(data: bytes, *, what: str) -> dict[str, Any]:
    """Parse a JSON object; lists that Keras marks as tuples, shapes or arrays become plain lists.

    Args:
        data: The text, in UTF-8.
        what: What the text is, for messages: "model configuration".

    Raises:
        InvalidInput: If it is not JSON, not an object, repeats a key, or holds NaN or Infinity.
        OverBudget: If it is longer than 8 MiB, has more than 500,000 values, or is nested deeper
            than 64 levels.
    """
    budgets.check_json(data, f"the {what}")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_refuse,
        )
    except GoodnetError as error:
        raise InvalidInput(f"the {what} is not sound: {error}") from error
    except RecursionError as error:
        raise OverBudget(_too_deep(what)) from error
    except ValueError as error:
        raise InvalidInput(f"the {what} is not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"expected an object in the {what}, got a {type(value).__name__}")
    _check_depth_and_text(value, what)
    return value


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise InvalidInput(f"the key {twice!r} appears twice in one object")
    return _unwrap(found)


def _unwrap(found: dict[str, Any]) -> Any:
    kind, inner = found.get("class_name"), found.get("config")
    if kind in _ARRAYS and isinstance(inner, dict) and "value" in inner:
        return inner["value"]
    for key in _WRAPPED.get(kind, ()) if isinstance(kind, str) else ():
        if isinstance(found.get(key), list):
            return found[key]
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InvalidInput(f"the number {text[:_MAX_DIGITS]} is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise InvalidInput(f"the number {text[:_MAX_DIGITS]}... is too large")
    return int(text)


def _refuse(text: str) -> Any:
    raise InvalidInput(f"{text} is not a number JSON knows")


def _check_depth_and_text(value: Any, what: str) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > budgets.JSON_DEPTH:
            raise OverBudget(_too_deep(what))
        level = [child for parent in level for child in _children(parent, what)]


def _children(value: Any, what: str) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the {what} holds half a character: {value[:40]!r}") from error
    return value if isinstance(value, list) else []


def _too_deep(what: str) -> str:
    return f"the {what} may be nested at most {budgets.JSON_DEPTH} levels deep, got more"


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
    r"|dtype_policies|mixed_precision|ops|applications)(\.[A-Za-z0-9_]+)*)?"
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
