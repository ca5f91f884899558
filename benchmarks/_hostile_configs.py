"""Keras files with code, or the names of code, and JSON that is hostile to a reader."""

from __future__ import annotations

import base64
import json
import marshal
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _hostile_case import ANY, MARKER, UNSAFE, Case, Runs, touch
from _hostile_good import conv, image, layer, sequential, small_layers, write_keras, write_small

__all__ = ["cases"]

_CODE = "Keras: code"
_NAMES = "Keras: names of foreign code"
_JSON = "JSON: what is no JSON, or too much of it"
_GRAPHS = "JSON: graphs that take long"
_NUMBERS = "JSON: numbers"

_Config = dict[str, Any]


def cases() -> Iterator[Case]:
    yield from _code()
    yield from _names()
    yield from _json()
    yield from _graphs()
    yield from _numbers()


# -- code ----------------------------------------------------------------------------------------


def _code() -> Iterator[Case]:
    layers: dict[str, Callable[[Path], _Config]] = {
        "a Lambda": _lambda,
        "a Lambda in a model in a model": lambda at: sequential([sequential([_lambda(at)])]),
        "a Lambda in TimeDistributed": lambda at: layer(
            "TimeDistributed", "wrap", layer=_lambda(at)
        ),
        "a Lambda of Keras 3 as an activation": lambda at: conv(activation=_lambda_3(at)),
        "a pickled PyTorch module": lambda at: layer(
            "TorchModuleWrapper", "x", module=_pickled(at)
        ),
        "JaxLayer": lambda _: layer("JaxLayer", "x", call_fn="x"),
        "TFSMLayer": lambda _: layer("TFSMLayer", "x", filepath="../secret.txt"),
        "StringLookup of a file": lambda _: layer("StringLookup", "x", vocabulary="../secret.txt"),
    }
    for name, make in layers.items():
        for suffix in ("h5", "keras"):
            put = partial(_with_layer, make=make, suffix=suffix)
            yield Case(_CODE, f"{name}, .{suffix}", f"inspect x.{suffix}", put, UNSAFE)
    yield Case(_CODE, "a pickle as the whole .h5", "inspect x.h5", partial(_pickle, name="x.h5"))
    put = partial(_pickle, name="x.keras")
    yield Case(_CODE, "a pickle as the whole .keras", "inspect x.keras", put)
    yield Case(_CODE, "a module beside the file", "inspect x.h5", _module_beside, ANY)


def _lambda(folder: Path) -> _Config:
    """As Keras 2 stores it: marshalled bytecode."""
    text = f"__import__('os').mkdir({str(folder / MARKER)!r})"
    code = base64.b64encode(marshal.dumps(compile(text, "x", "eval"))).decode()
    return layer("Lambda", "boom", function=[code, None, None], function_type="lambda")


def _lambda_3(folder: Path) -> _Config:
    code = _lambda(folder)["config"]["function"][0]
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}


def _pickled(folder: Path) -> str:
    return base64.b64encode(pickle.dumps(Runs(os.system, touch(folder)))).decode()


def _pickle(folder: Path, *, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps(Runs(os.system, touch(folder))))


def _with_layer(folder: Path, *, make: Callable[[Path], _Config], suffix: str) -> None:
    model = sequential([image(), make(folder)])
    if suffix == "h5":
        write_small(folder / "x.h5", json.dumps(model))
    else:
        write_keras(folder / "x.keras", model)


def _module_beside(folder: Path) -> None:
    """Python looks for modules in the folder it was started in."""
    write_small(folder / "x.h5")
    for name in ("keras", "tensorflow", "custom_layers"):
        (folder / f"{name}.py").write_text(f"import os; os.mkdir({str(folder / MARKER)!r})")


# -- names ---------------------------------------------------------------------------------------


def _names() -> Iterator[Case]:
    for module, kind in (
        ("os", "system"),
        ("builtins", "exec"),
        ("subprocess", "Popen"),
        ("numpy", "load"),
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.saving", "load_model"),
        ("keras_hub.models", "Backbone"),
    ):
        item = {"module": module, "class_name": kind, "registered_name": None}
        make = partial(_named, item=item)
        yield Case(_NAMES, f"{module}.{kind}", "inspect x.keras", make, UNSAFE)
    custom = {**conv(), "module": "keras.layers", "registered_name": "my_package>Conv2D"}
    make = partial(_named, item=custom)
    yield Case(_NAMES, "a registered name", "inspect x.keras", make, UNSAFE)
    for field in ("activation", "kernel_initializer", "kernel_regularizer"):
        code = {"module": "builtins", "class_name": "function", "config": "exec"}
        make = partial(_named, item=conv(**{field: code}))
        yield Case(_NAMES, f"exec as {field}", "inspect x.keras", make)
    pretend = {"module": "keras.layers", "class_name": "load_model", "config": {"name": "x"}}
    make = partial(_named, item=pretend)
    yield Case(_NAMES, "a function as a layer", "inspect x.keras", make)


def _named(folder: Path, *, item: _Config) -> None:
    command = {"command": touch(folder), "args": touch(folder), "name": "x"}
    filled = {"config": command, **item}
    write_keras(folder / "x.keras", {**sequential([image(), filled]), "module": "keras"})


# -- JSON ----------------------------------------------------------------------------------------

_ARCHITECTURE = "inspect ../good/model.h5 --architecture x.json"


def _json() -> Iterator[Case]:
    keys = ",".join(f'"{number:x}":0' for number in range(200_000))
    twice = "{" + keys + ',"z":0,"z":1}'
    lists = '{"class_name":"Model","config":{"x":[' + ("[]," * 2_700_000)[:-1] + "]}}"
    texts = {
        "empty": "",
        "not ended": '{"class_name": "Sequential", "config": {"layers": [',
        "a key twice": '{"class_name": "Sequential", "class_name": "Model", "config": {}}',
        "a key twice among 200,000": twice,
        "200,000 deep": '{"a":' * 200_000 + "1" + "}" * 200_000,
        "lists 200,000 deep": "[" * 200_000,
        "8 MB of empty lists": lists,
        "20 MB of empty lists": lists.replace("[],", "[],[],", 1_000_000),
        "a text of 6 MB": json.dumps("x" * 6_000_000),
        "half of a surrogate": '{"class_name": "\\ud800", "config": {}}',
    }
    for name, text in texts.items():
        make = partial(_text, text=text)
        yield Case(_JSON, f"{name}, --architecture", _ARCHITECTURE, make)
        make = partial(_in_archive, text=text)
        yield Case(_JSON, f"{name}, .keras", "inspect x.keras", make)


def _text(folder: Path, *, text: str) -> None:
    (folder / "x.json").write_text(text)


def _in_archive(folder: Path, *, text: str) -> None:
    write_keras(folder / "x.keras", text)


# -- graphs --------------------------------------------------------------------------------------


def _graphs() -> Iterator[Case]:
    loop = [("a", ["b"]), ("b", ["a"])]
    make = partial(_graph, layers=loop)
    yield Case(_GRAPHS, "layers in a circle", _ARCHITECTURE, make)
    make = partial(_nested, levels=60)
    yield Case(_GRAPHS, "models 60 deep", _ARCHITECTURE, make)
    for count in (19_000, 300_000):
        make = partial(_calls, count=count)
        yield Case(_GRAPHS, f"a layer that is called {count:,} times", _ARCHITECTURE, make)
    for count in (13_000, 19_990):
        for same in (True, False):
            what = "the same one" if same else "those before"
            make = partial(_inputs, count=count, same=same)
            yield Case(_GRAPHS, f"{count:,} layers with 15 inputs, {what}", _ARCHITECTURE, make)


def _graph(folder: Path, *, layers: list[tuple[str, list[str]]]) -> None:
    """Sums of other layers, by name."""
    config: _Config = {"name": "i", "batch_input_shape": [None, 4]}
    found: list[_Config] = [
        {"class_name": "InputLayer", "name": "i", "config": config, "inbound_nodes": []}
    ]
    for name, inputs in layers:
        nodes = [[[before, 0, 0, {}] for before in inputs]]
        item = {"class_name": "Add", "name": name, "config": {"name": name}}
        found.append({**item, "inbound_nodes": nodes})
    _functional(folder, found, [layers[-1][0], 0, 0])


def _functional(folder: Path, layers: list[_Config], output: list[Any]) -> None:
    config: _Config = {"name": "m", "layers": layers}
    config |= {"input_layers": [["i", 0, 0]], "output_layers": [output]}
    text = json.dumps({"class_name": "Functional", "config": config})
    (folder / "x.json").write_text(text)


def _inputs(folder: Path, *, count: int, same: bool) -> None:
    layers: list[tuple[str, list[str]]] = []
    before = ["i"] * 15
    for number in range(count):
        name = f"{number:x}_"
        layers.append((name, before))
        before = [name] * 15 if same else [*before[1:], name]
    _graph(folder, layers=layers)


def _calls(folder: Path, *, count: int) -> None:
    nodes: list[Any] = [[["i", 0, 0, {}]], *([["d", number, 0, {}]] for number in range(count - 1))]
    entry = {"name": "i", "batch_input_shape": [None, 4]}
    layers: list[_Config] = [
        {"class_name": "InputLayer", "name": "i", "config": entry, "inbound_nodes": []},
        {"class_name": "Dropout", "name": "d", "config": {"name": "d"}, "inbound_nodes": nodes},
    ]
    _functional(folder, layers, ["d", count - 1, 0])


def _nested(folder: Path, *, levels: int) -> None:
    model = sequential(small_layers())
    for _ in range(levels):
        model = sequential([model])
    _text(folder, text=json.dumps(model))


# -- numbers -------------------------------------------------------------------------------------


def _numbers() -> Iterator[Case]:
    for value in ("NaN", "Infinity", "-1", "0", "1e400", "2.5", "9" * 5000, "1" + "0" * 18, "null"):
        shown = value if len(value) < 20 else f"{len(value):,} digits"
        make = partial(_units, value=value)
        yield Case(_NUMBERS, f"{shown} units", "inspect x.h5", make)
    for field in ("strides", "dilation_rate", "kernel_size"):
        for number in (0, -1, 2**31, 2**63):
            make = partial(_numbered, field=field, number=number)
            yield Case(_NUMBERS, f"{field} {number}", "inspect x.h5", make)
    make = partial(_mean, mean=1e308)
    yield Case(_NUMBERS, "a mean of 1e308", "inspect x.h5", make, ANY)


def _units(folder: Path, *, value: str) -> None:
    text = json.dumps(sequential(small_layers()))
    write_small(folder / "x.h5", text.replace('"units": 5', f'"units": {value}'))


def _numbered(folder: Path, *, field: str, number: int) -> None:
    layers = small_layers()
    layers[1]["config"][field] = [number, number]
    write_small(folder / "x.h5", sequential(layers))


def _mean(folder: Path, *, mean: float) -> None:
    layers = small_layers()
    scale = layer("Normalization", "n", axis=[3], mean=[mean] * 3, variance=[1.0] * 3)
    write_small(folder / "x.h5", sequential([layers[0], scale, *layers[1:]]))
