"""One spelling for what formats spell in several ways, so that networks of any two compare.

Formats fuse activations into layers or keep them apart, name a border or count its pixels, and
flatten pictures in one order or another. A canonical network computes the same, is only looked at,
and keeps the names of its layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from itertools import count

import numpy as np

from goodnet.formats.affine import affine
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec
from goodnet.ops.activations import all_options
from goodnet.ops.op import PICTURE, VECTOR, Shape

_NO_BORDER = (0, 0, 0, 0)
# A border of zeros is read as part of these.
_BORDERED = frozenset({"conv2d", "max_pool2d", "avg_pool2d"})
_FOLDS = frozenset({"conv2d", "dense"})


def canonical(spec: NetworkSpec) -> NetworkSpec:
    """The network up to its logits, with one layer for each thing that is computed."""
    logits = without_softmax(_without_identities(replace(spec, source=None)))
    steps = (_apart, _without_identities, _gated, _bordered, _flattened, _in_one_order)
    return reduce(lambda found, step: step(found), steps, logits)


def folded(spec: NetworkSpec) -> NetworkSpec:
    """A canonical network in which layers are scaled and shifted by their own numbers alone.

    What is taken into the layer that it alone reads is batch normalisation, and a bias that is
    added by an operation of its own.
    """
    shapes = layer_shapes(spec)
    for layer in spec.layers:
        here = spec[layer.name]
        before = spec[here.inputs[0]] if here.inputs else here
        if before.op not in _FOLDS or len(spec.consumers(before.name)) > 1:
            continue
        found = affine(here, spec.parameters(here.name), shapes[layer.name])
        if found is not None:
            arrays = {key: x for key, x in spec.arrays.items() if key not in _keys(spec, here)}
            arrays |= _scaled(spec, before, *found)
            spec = replace(_bypassed(spec, here), arrays=arrays)
    return spec


def _keys(spec: NetworkSpec, layer: Layer) -> set[str]:
    return {f"{layer.name}/{name}" for name in spec.parameters(layer.name)}


def _scaled(spec: NetworkSpec, layer: Layer, factor: Array, offset: Array) -> dict[str, Array]:
    """Weight and bias of a layer whose channels are multiplied and shifted."""
    arrays = spec.parameters(layer.name)
    weight, bias = arrays["weight"], arrays.get("bias", np.zeros(1)) * factor + offset
    scaled = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    return {
        f"{layer.name}/weight": scaled.astype(np.float32),
        f"{layer.name}/bias": bias.astype(np.float32),
    }


def _apart(spec: NetworkSpec) -> NetworkSpec:
    """Activations in layers of their own, each spelled with all its options."""
    taken = {layer.name for layer in spec.layers}
    ends: dict[str, str] = {}
    layers: list[Layer] = []
    for layer in spec.layers:
        read = replace(layer, inputs=tuple(ends.get(name, name) for name in layer.inputs))
        activation = layer.attributes.get("activation")
        if activation is None:
            layers.append(read)
            continue
        spelled = {"activation": _spelled(activation)}
        if layer.op == "activation":
            layers.append(replace(read, attributes=spelled))
            continue
        name = next(x for x in _names(layer.name, activation.function) if x not in taken)
        taken.add(name)
        ends[layer.name] = name
        layers.append(replace(read, attributes={**layer.attributes, "activation": None}))
        layers.append(Layer(name, "activation", (layer.name,), spelled))
    return replace(spec, layers=tuple(layers), output=ends.get(spec.output, spec.output))


def _names(layer: str, function: str) -> Iterable[str]:
    return (f"{layer} {function}{number or ''}" for number in count())


def _spelled(activation: Activation) -> Activation:
    if activation.function == "relu6":
        activation = Activation("relu", {"max_value": 6.0})
    return Activation(activation.function, dict(all_options(activation)))


def _without_identities(spec: NetworkSpec) -> NetworkSpec:
    for layer in spec.layers:
        activation = layer.attributes.get("activation")
        linear = activation is not None and activation.function == "linear"
        if layer.op == "identity" or (layer.op == "activation" and linear):
            spec = _bypassed(spec, spec[layer.name])
    return spec


def _gated(spec: NetworkSpec) -> NetworkSpec:
    """A value times its sigmoid is one activation, for which ONNX has no operation."""
    for layer in spec.layers:
        if layer.op != "multiply" or len(layer.inputs) != 2:
            continue
        for value, name in (layer.inputs, layer.inputs[::-1]):
            gate = spec[name]
            if _is_sigmoid(gate) and gate.inputs == (value,) and len(spec.consumers(name)) == 1:
                silu = {"activation": _spelled(Activation("silu"))}
                spec = _replaced(spec, Layer(layer.name, "activation", (value,), silu))
                spec = replace(spec, layers=tuple(x for x in spec.layers if x.name != name))
                break
    return spec


def _is_sigmoid(layer: Layer) -> bool:
    return layer.op == "activation" and layer.attributes["activation"].function == "sigmoid"


def _bypassed(spec: NetworkSpec, layer: Layer) -> NetworkSpec:
    """The network without a layer, whose readers read what it read."""
    (source,) = layer.inputs
    layers = tuple(
        replace(x, inputs=tuple(source if name == layer.name else name for name in x.inputs))
        for x in spec.layers
        if x.name != layer.name
    )
    return replace(spec, layers=layers, output=source if spec.output == layer.name else spec.output)


def _bordered(spec: NetworkSpec) -> NetworkSpec:
    """Borders counted in pixels, those in front of a convolution as part of it."""
    shapes = layer_shapes(spec)
    for layer in spec.layers:
        if layer.op in _BORDERED:
            spec = _with(spec, layer.name, padding=_sides(spec, layer, shapes[layer.inputs[0]]))
    for layer in spec.layers:
        if layer.op != "conv2d":
            continue
        here = spec[layer.name]
        before, own = spec[here.inputs[0]], here.attributes["padding"]
        alone = before.op == "zero_pad2d" and len(spec.consumers(before.name)) == 1
        if alone and own != "same":
            sides = zip(before.attributes["padding"], own, strict=True)
            spec = _bypassed(spec, before)
            spec = _with(spec, here.name, padding=tuple(a + b for a, b in sides))
    return spec


def _sides(spec: NetworkSpec, layer: Layer, shape: Shape) -> object:
    """The border of a layer in pixels, where it can be counted."""
    padding = layer.attributes["padding"]
    if padding == "valid":
        return _NO_BORDER
    size = shape[1:]
    if padding != "same" or layer.op == "avg_pool2d" or None in size:
        return padding
    kernel = layer.attributes.get("pool") or spec.arrays[f"{layer.name}/weight"].shape[2:]
    dilation = layer.attributes.get("dilation", (1, 1))
    sides: list[int] = []
    for length, window, stride, step in zip(
        size, kernel, layer.attributes["strides"], dilation, strict=True
    ):
        whole = (-(-(length or 0) // stride) - 1) * stride + (window - 1) * step + 1
        total = max(whole - (length or 0), 0)
        sides += [total // 2, total - total // 2]
    return tuple(sides)


def _flattened(spec: NetworkSpec) -> NetworkSpec:
    """Pictures become vectors by flattening, global pools give vectors by themselves."""
    shapes = layer_shapes(spec)
    for layer in spec.layers:
        vector = layer.op == "reshape" and len(shapes[layer.name]) == VECTOR
        if vector and len(shapes[layer.inputs[0]]) in (PICTURE, VECTOR):
            flat = Layer(layer.name, "flatten", layer.inputs, {"order": layer.attributes["order"]})
            spec = _replaced(spec, flat)
    for layer in spec.layers:
        if layer.op != "flatten":
            continue
        source = spec[layer.inputs[0]]
        if _turns(source) and layer.attributes["order"] == "hwc":
            spec = _with(_bypassed(spec, source), layer.name, order="chw")
            source = spec[source.inputs[0]]
        pooled = source.attributes.get("keepdims") and len(spec.consumers(source.name)) == 1
        if pooled:
            spec = _with(spec, source.name, keepdims=False)
        if pooled or len(shapes[source.name]) == VECTOR:
            spec = _bypassed(spec, spec[layer.name])
    return spec


def _turns(layer: Layer) -> bool:
    """Whether channels that are last come first."""
    return layer.op == "permute" and layer.attributes == {"dims": (3, 1, 2), "order": "hwc"}


def _in_one_order(spec: NetworkSpec) -> NetworkSpec:
    """Pictures are flattened channel by channel, where only dense layers read them.

    Where there are no pictures, an order says nothing.
    """
    shapes = layer_shapes(spec)
    for layer in spec.layers:
        ranks = {len(shapes[name]) for name in (layer.name, *layer.inputs)}
        if "order" in layer.attributes and PICTURE not in ranks:
            spec = _with(spec, layer.name, order="chw")
            continue
        readers = spec.consumers(layer.name)
        shape = shapes[layer.inputs[0]] if layer.inputs else ()
        known = tuple(size for size in shape if size is not None)
        if layer.op != "flatten" or layer.attributes["order"] == "chw" or len(known) != PICTURE:
            continue
        if all(reader.op == "dense" for reader in readers):
            places = np.arange(np.prod(known)).reshape(*known[1:], known[0]).transpose(2, 0, 1)
            keys = [f"{reader.name}/weight" for reader in readers]
            spec = spec.with_arrays({key: spec.arrays[key][:, places.ravel()] for key in keys})
            spec = _with(spec, layer.name, order="chw")
    return spec


def _with(spec: NetworkSpec, name: str, **changed: object) -> NetworkSpec:
    """The network with other attributes of a layer."""
    layer = spec[name]
    return _replaced(spec, replace(layer, attributes={**layer.attributes, **changed}))


def _replaced(spec: NetworkSpec, layer: Layer) -> NetworkSpec:
    layers = tuple(layer if x.name == layer.name else x for x in spec.layers)
    return replace(spec, layers=layers)
