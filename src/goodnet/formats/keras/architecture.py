"""From a model configuration to the layers of a spec, and to the weights the file must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from goodnet.errors import InvalidInput
from goodnet.formats import budgets
from goodnet.formats.keras.configuration import screen
from goodnet.formats.keras.graph import Reference
from goodnet.formats.keras.model import Model, Step, flatten, read_model
from goodnet.formats.shapes import infer
from goodnet.ops import OPS
from goodnet.ops.keras import TENSORFLOW, Applied, Fields, Reading, Value, Weight
from goodnet.ops.layouts import Axes, array_shape
from goodnet.ops.op import Array, Layer, Shape

_FLOAT32_BYTES = 4
# Classes that order the axes of a picture for themselves.
_WITH_AXES = ("2D", "2DTranspose", "Resizing", "CenterCrop", "RandomCrop")


@dataclass(frozen=True)
class Architecture:
    """A network without its weights.

    Attributes:
        model: The tree of models and layers as the file has it.
        layers: The layers of the spec.
        output: Name of the layer that gives the answer.
        weights: For each layer of the file that has any, by its path in the tree, the weights in
            the order in which Keras stores them.
        constants: Arrays written in the configuration itself.
        notes: What is worth a look.
    """

    model: Model
    layers: tuple[Layer, ...]
    output: str
    weights: Mapping[tuple[str, ...], tuple[Weight, ...]]
    constants: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def read_architecture(config: Mapping[str, Any], *, keras_major: int) -> Architecture:
    """Read a model configuration; nothing is allocated and nothing it names is imported.

    Args:
        config: The parsed configuration: `class_name` and `config`.
        keras_major: Version of Keras that wrote it: some functions changed.

    Raises:
        UnsafeInput: If any part of it holds code, reads files or comes from outside Keras.
        InvalidInput: If it is malformed, or a layer is not read.
        OverBudget: If it is too large.
    """
    screen(config)
    model = read_model(config)
    steps, output = flatten(model)
    axes = Axes(_order(steps))
    start = Fields(steps[0].name, steps[0].config)
    found = _Found()
    found.append(Layer(steps[0].name, "input", (), {"shape": _input_shape(start, axes)}), {})
    for step in steps[1:]:
        _add(found, step, axes, keras_major=keras_major)
    _check_weights(found.weights)
    _check_answer(output, found.shapes[output])
    return Architecture(
        model,
        tuple(found.layers),
        output,
        weights=found.weights,
        constants=found.constants,
        notes=_precision(steps),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What has been read so far, with the shape of each value."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    weights: dict[tuple[str, ...], tuple[Weight, ...]] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)

    def append(self, layer: Layer, parameters: Mapping[str, Shape]) -> None:
        if layer.name in self.shapes:
            raise InvalidInput(f"two layers are called {layer.name!r}")
        inputs = [self.shapes[name] for name in layer.inputs]
        self.shapes[layer.name] = infer(layer, inputs, parameters)
        self.layers.append(layer)


def _add(found: _Found, step: Step, axes: Axes, *, keras_major: int) -> None:
    reading = _read(_applied(found, step, axes, keras_major=keras_major))
    if step.shared and (reading.weights or reading.constants):
        raise InvalidInput(
            f"layer {step.name!r} has weights and is applied more than once; layers that share "
            "weights are not read"
        )
    if reading.weights:
        found.weights[step.path] = reading.weights
    parameters = _parameter_shapes(reading)
    for layer in reading.layers:
        found.append(layer, parameters.get(layer.name, {}))
    found.constants.update(reading.constants)


def _applied(found: _Found, step: Step, axes: Axes, *, keras_major: int) -> Applied:
    def operand(given: Any) -> Any:
        is_value = isinstance(given, Reference)
        return Value(given.layer, found.shapes[given.layer]) if is_value else given

    operands = tuple(map(operand, step.call.operands))
    options = {key: operand(given) for key, given in step.call.options.items()}
    settings = dict(step.config)
    if step.kind.startswith(TENSORFLOW):
        # A function of TensorFlow has no settings but what it is called with.
        settings |= {key: x for key, x in options.items() if not isinstance(x, Value)}
        operands = (*operands, *(x for x in options.values() if isinstance(x, Value)))
        options = {}
    return Applied(
        step.name,
        step.kind,
        Fields(step.name, settings),
        operands=operands,
        options=options,
        axes=axes,
        keras_major=keras_major,
    )


def keras_layers() -> dict[str, Callable[[Applied], Reading]]:
    """How the layers that are read are said in the words of the spec, by their class in Keras."""
    return {kind: read for op in OPS.values() for kind, read in op.from_keras.items()}


def _read(applied: Applied) -> Reading:
    read = next(
        (x.from_keras[applied.kind] for x in OPS.values() if applied.kind in x.from_keras), None
    )
    if read is None:
        shown = (x for x in sorted(keras_layers()) if not x.startswith((TENSORFLOW, "Random")))
        raise InvalidInput(
            f"layer {applied.name!r} is a {applied.kind}, which is not read; the layers that are "
            f"read: InputLayer, {', '.join(shown)}, and augmentation (Random...)"
        )
    try:
        return read(applied)
    except InvalidInput as error:
        if repr(applied.name) in str(error):
            raise
        raise InvalidInput(f"layer {applied.name!r}: {error}") from error


def _check_weights(weights: Mapping[tuple[str, ...], tuple[Weight, ...]]) -> None:
    total = sum(math.prod(w.shape) for several in weights.values() for w in several)
    budgets.check(_FLOAT32_BYTES * total, budgets.MODEL_BYTES, "the weights of the architecture")


def _check_answer(output: str, shape: Shape) -> None:
    if len(shape) != 1 or shape[0] is None:
        raise InvalidInput(
            f"expected a classifier, whose answer is one number for each class; the last layer "
            f"{output!r} gives values of shape {shape}"
        )


def _precision(steps: Sequence[Step]) -> tuple[str, ...]:
    """A note where Keras itself would compute with fewer digits than is done here."""
    found: set[str] = set()
    for step in steps:
        policy = step.config.get("dtype")
        inner = policy.get("config") if isinstance(policy, dict) else None
        name = inner.get("name") if isinstance(inner, dict) else policy
        if isinstance(name, str) and "float16" in name:
            found.add(name)
    return tuple(f"the file asks for {name}; computed in float32 here" for name in sorted(found))


def _parameter_shapes(reading: Reading) -> dict[str, dict[str, Shape]]:
    shapes: dict[str, dict[str, Shape]] = {}
    arrays = {w.key: array_shape(w.shape, w.layout) for w in reading.weights if w.key}
    arrays |= {key: array.shape for key, array in reading.constants.items()}
    for key, shape in arrays.items():
        layer, _, parameter = key.rpartition("/")
        shapes.setdefault(layer, {})[parameter] = shape
    return shapes


def _order(steps: Sequence[Step]) -> Literal["hwc", "chw"]:
    """Whether pictures are channels_last or channels_first; a file must not mix them."""
    known = keras_layers()
    found = {
        str(step.config.get("data_format") or "channels_last"): step.name
        for step in steps
        if step.kind.endswith(_WITH_AXES)
        and step.kind in known
        and not step.kind.startswith("SpatialDropout")
    }
    unknown = set(found) - {"channels_last", "channels_first"}
    if unknown or len(found) > 1:
        raise InvalidInput(
            f"expected all layers to be channels_last or all channels_first, got {found}"
        )
    return "chw" if "channels_first" in found else "hwc"


def _input_shape(fields: Fields, axes: Axes) -> Shape:
    shape = fields.get("batch_shape", "batch_input_shape")
    if shape is None:
        raise InvalidInput(
            f"the shape of the input {fields.name!r} is not in the file; save the model after it "
            "was built"
        )
    sizes = shape[1:] if isinstance(shape, list) else []
    fine = all(size is None or (type(size) is int and size > 0) for size in sizes)
    if not 1 <= len(sizes) < budgets.MAX_RANK or not fine:
        raise fields.error("batch_shape", "the batch axis and up to 7 sizes of 1 or more")
    if fields.get("sparse") or fields.get("ragged"):
        raise fields.error("sparse and ragged", "false")
    return axes.shape_to_spec(tuple(sizes))
