"""A model configuration as a tree: models hold layers, in Keras' own order, and models.

Flattened, models inside models become one list of steps with unique names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.keras.graph import (
    Call,
    Node,
    Reference,
    keras_order,
    read_calls,
    read_single,
)

Path = tuple[str, ...]

# The names Keras has given to its two kinds of models (2.2 said "Model" for functional ones).
MODELS = {"Functional": "functional", "Model": "functional", "Sequential": "sequential"}
# What Keras 2 makes of a function or operator of TensorFlow that is applied to a value.
_TENSORFLOW = ("TFOpLambda", "SlicingOpLambda")


@dataclass(frozen=True, slots=True)
class Member:
    """A layer of a model, or a model inside it.

    Attributes:
        name: Its name within the model.
        kind: Its class: "Conv2D", "Functional", ...
        config: Its settings.
        calls: What it is applied to, for each time it is; empty for the input.
        trainable: Whether it was left to be trained.
        model: What is inside, if it is a model.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    calls: tuple[Call, ...]
    trainable: bool
    model: Model | None


@dataclass(frozen=True)
class Model:
    """A model with one input and one output.

    Attributes:
        name: Its name.
        kind: "functional" or "sequential".
        members: Its layers by name, in Keras' order; layers the output does not need are left out.
        order: The calls in an order that can be run.
        input: Name of the input layer.
        output: The call that gives the model's value.
    """

    name: str
    kind: str
    members: Mapping[str, Member]
    order: tuple[Node, ...]
    input: str
    output: Node


def read_model(item: Mapping[str, Any]) -> Model:
    """Read a model: a dictionary with `class_name` and `config`, already screened.

    Raises:
        InvalidInput: If it is not a Functional or Sequential model with one input and one output,
            or its graph is broken.
        OverBudget: If one model has more than 20,000 layers.
    """
    kind = MODELS.get(str(item.get("class_name")))
    if kind is None:
        raise InvalidInput(
            f"expected a Functional or Sequential model, got a {item.get('class_name')!r:.80}"
        )
    config = item.get("config")
    if kind == "sequential" and isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise InvalidInput(f"the configuration of the {item['class_name']} model has no layers")
    if len(config["layers"]) > budgets.MAX_LAYERS:
        raise OverBudget(f"a model may have at most {budgets.MAX_LAYERS} layers, got more")
    return _read_sequential(config) if kind == "sequential" else _read_functional(config)


def _read_functional(config: Mapping[str, Any]) -> Model:
    members = _unique([_read_member(item, _item_calls(item)) for item in config["layers"]])
    output = read_single(config.get("output_layers"), "output")
    source = read_single(config.get("input_layers"), "input").layer
    parents = {
        (name, index): [_resolve(ref, members, reader=name) for ref in call.references]
        for name, member in members.items()
        for index, call in enumerate(member.calls or [Call(())])
    }
    order = keras_order(parents, _resolve(output, members, reader="the output"))
    for name, _ in order:
        if not members[name].calls and name != source:
            raise InvalidInput(f"layer {name!r} reads nothing and is not the network's one input")
    if (source, 0) not in order or members[source].kind != "InputLayer":
        raise InvalidInput(f"the network's output does not come from an InputLayer {source!r}")
    return Model(
        name=_text(config.get("name"), "model"),
        kind="functional",
        members={name: members[name] for name, _ in order},
        order=tuple(order),
        input=source,
        output=_resolve(output, members, reader="the output"),
    )


def _read_sequential(config: Mapping[str, Any]) -> Model:
    name = _text(config.get("name"), "sequential")
    items = list(config["layers"])
    if not items:
        raise InvalidInput(f"the Sequential model {name!r} has no layers")
    if not isinstance(items[0], dict) or items[0].get("class_name") != "InputLayer":
        items.insert(0, _implied_input(name, items[0], config))
    members: list[Member] = []
    for item in items:
        call = (Call((Reference(members[-1].name, 0),)),) if members else ()
        members.append(_read_member(item, call))
    return Model(
        name=name,
        kind="sequential",
        members=_unique(members),
        order=tuple((member.name, 0) for member in members),
        input=members[0].name,
        output=(members[-1].name, 0),
    )


def _implied_input(name: str, first: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The InputLayer that Keras adds in front; its shape may stand in one of several places."""
    settings = first.get("config") if isinstance(first, dict) else None
    shape = _declared_shape(settings) or config.get("build_input_shape")
    while shape is None and isinstance(settings, dict) and isinstance(settings.get("layers"), list):
        inner = settings["layers"][0] if settings["layers"] else None
        settings = inner.get("config") if isinstance(inner, dict) else None
        shape = _declared_shape(settings)
    return {
        "class_name": "InputLayer",
        "config": {"name": f"{name}_input", "batch_shape": shape},
    }


def _declared_shape(settings: Any) -> Any:
    if not isinstance(settings, dict):
        return None
    return settings.get("batch_input_shape") or settings.get("batch_shape")


def _read_member(item: Any, calls: tuple[Call, ...]) -> Member:
    if not isinstance(item, dict) or not isinstance(item.get("config"), dict | list):
        raise InvalidInput(f"expected each layer to be an object with a config, got {item!r:.80}")
    kind, config = item.get("class_name"), item["config"]
    model = read_model(item) if kind in MODELS else None
    if isinstance(config, list):
        config = {"name": item.get("name") or (model.name if model else None)}
    name = _text(config.get("name") or item.get("name"), None)
    if item.get("name") not in (None, name):
        raise InvalidInput(f"layer {name!r} is also called {item['name']!r:.80}")
    return Member(
        name=name,
        kind=f"tf.{config.get('function')}" if kind in _TENSORFLOW else str(kind),
        config=config,
        calls=calls,
        trainable=config.get("trainable") is not False,
        model=model,
    )


def _item_calls(item: Any) -> tuple[Call, ...]:
    if not isinstance(item, dict):
        raise InvalidInput(f"expected each layer to be an object, got {item!r:.80}")
    calls = read_calls(str(item.get("name")), item.get("inbound_nodes", []))
    if item.get("class_name") in MODELS and any(len(call.references) != 1 for call in calls):
        raise InvalidInput(f"the model {item.get('name')!r:.80} is given more than its one input")
    return calls


def _text(value: Any, default: str | None) -> str:
    text = default if value is None else value
    if not isinstance(text, str) or not 0 < len(text) <= budgets.MAX_NAME or not text.isprintable():
        raise InvalidInput(
            f"expected a name of 1 to {budgets.MAX_NAME} printable characters, got {text!r:.80}"
        )
    return text


def _unique(members: Sequence[Member]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    for member in members:
        if member.name in found:
            raise InvalidInput(f"two layers of one model are called {member.name!r}")
        found[member.name] = member
    return found


def _resolve(reference: Reference, members: Mapping[str, Member], *, reader: str) -> Node:
    member = members.get(reference.layer)
    if member is None:
        raise InvalidInput(f"{reader!r} reads {reference.layer!r}, which is not in the model")
    calls = max(1, len(member.calls))
    # Models inside models start counting their calls at 1 where Keras counts its own first call.
    if member.model is not None and calls > 1:
        raise InvalidInput(f"the model {member.name!r} is applied {calls} times; only once is read")
    call = 0 if member.model is not None else reference.call
    if not 0 <= call < calls:
        raise InvalidInput(f"{reader!r} reads call {call} of {member.name!r}, which has {calls}")
    return member.name, call


@dataclass(frozen=True, slots=True)
class Step:
    """A layer applied once.

    Attributes:
        name: Unique in the whole network: the layer's own name, with those of the models around
            it in front ("outer/inner") where two layers share one.
        path: The names of the models around the layer, then its own.
        kind: Its class.
        config: Its settings.
        call: What it is applied to; references name steps.
        shared: Whether other steps apply the same layer.
    """

    name: str
    path: Path
    kind: str
    config: Mapping[str, Any]
    call: Call
    shared: bool


def flatten(model: Model) -> tuple[list[Step], str]:
    """The steps of a model in an order that can be run, and the name of the last.

    The first step is the input; inputs of models inside are left out.
    """
    counts = Counter(path[-1] for path, _ in _layers(model, ()))
    names = {
        path: path[-1] if counts[path[-1]] == 1 else "/".join(path)
        for path, _ in _layers(model, ())
    }
    start = names[(model.input,)]
    source = model.members[model.input]
    first = Step(start, (model.input,), source.kind, source.config, Call(()), shared=False)
    steps = [first]
    return steps, _run(model, (), start, names=names, steps=steps)


def _layers(model: Model, prefix: Path) -> Iterator[tuple[Path, Member]]:
    """Every layer of the tree but the inputs of inner models."""
    for name, member in model.members.items():
        if member.model is not None:
            yield from _layers(member.model, (*prefix, name))
        elif name != model.input or not prefix:
            yield (*prefix, name), member


def _run(
    model: Model, prefix: Path, given: str, *, names: Mapping[Path, str], steps: list[Step]
) -> str:
    values = {(model.input, 0): given}
    uses = Counter(name for name, _ in model.order)
    for name, call in model.order:
        member, path = model.members[name], (*prefix, name)
        if name == model.input:
            continue
        made = _renamed(member.calls[call], model, values)
        if member.model is not None:
            start = made.references[0].layer
            values[name, 0] = _run(member.model, path, start, names=names, steps=steps)
            continue
        unique = names[path] if call == 0 else f"{names[path]}/{call + 1}"
        shared = uses[name] > 1
        steps.append(Step(unique, path, member.kind, member.config, made, shared=shared))
        values[name, call] = unique
    return values[model.output]


def _renamed(call: Call, model: Model, values: Mapping[Node, str]) -> Call:
    """A call whose references name the steps that give what it reads."""

    def step(operand: Any) -> Any:
        if not isinstance(operand, Reference):
            return operand
        member = model.members[operand.layer]
        return Reference(values[operand.layer, 0 if member.model else operand.call], 0)

    options = {key: step(value) for key, value in call.options.items()}
    return Call(tuple(map(step, call.operands)), options)
