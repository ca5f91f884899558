"""From the plain description to a torch graph, and back: one module per layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.network import Network, Node
from goodnet.ops import OPS
from goodnet.preprocessing import IDENTITY, Preprocessing


def build(spec: NetworkSpec) -> Network:
    """Turn a description into a network that runs; layers keep their names.

    Raises:
        InvalidInput: If the arrays or the preprocessing do not fit the layers, or the input size is
            left open.
    """
    if None in spec.input_shape:
        raise InvalidInput(
            f"the network takes images of any size (input {spec.input_shape}): give clean images, "
            "whose size it takes, or goodnet.load(path, size=(height, width))"
        )
    shape = tuple(size for size in spec.input_shape if size is not None)
    grey = len(shape) == 2  # height and width of grey pictures, without an axis of channels
    preprocessing = spec.preprocessing
    preprocessing.check(1 if grey else shape[0])
    nodes = [
        Node(layer.name, _module(layer, spec.parameters(layer.name)), layer.inputs)
        for layer in spec.layers
        if layer.op != "input"
    ]
    return Network.assemble(
        nodes,
        image=spec.layers[0].name,
        output=spec.output,
        input_shape=(1, *shape) if grey else shape,
        spec=spec,
        first=_Preprocessed(preprocessing, grey=grey)
        if grey or preprocessing != IDENTITY
        else None,
    )


def extract(network: Network) -> NetworkSpec:
    """The description of a network with the weights it has now: the inverse of `build`."""
    spec = network.spec
    arrays = {
        f"{layer.name}/{key}": tensor.detach().cpu().contiguous().numpy().copy()
        for layer in spec.layers
        if spec.parameters(layer.name)
        for key, tensor in network.layer(layer.name).state_dict().items()
    }
    return spec.with_arrays({key: arrays[key] for key in spec.arrays})


def _module(layer: Layer, arrays: Mapping[str, Array]) -> nn.Module:
    function = OPS[layer.op].compute(layer.attributes)
    if not isinstance(function, nn.Module):
        return _Computed(layer, arrays, function)
    state = function.state_dict()
    state.update({key: _tensor(array) for key, array in arrays.items() if key in state})
    function.load_state_dict(state)
    return function


def _tensor(array: Array) -> Tensor:
    tensor = torch.from_numpy(np.array(array, dtype=np.float32))
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class _Preprocessed(nn.Module):
    """What is done to images before the first layer."""

    def __init__(self, preprocessing: Preprocessing, *, grey: bool) -> None:
        super().__init__()
        self.preprocessing, self.grey = preprocessing, grey

    def forward(self, images: Tensor) -> Tensor:
        values = self.preprocessing(images)
        return values.flatten(1, 2) if self.grey and values.ndim == 4 else values


class _Computed(nn.Module):
    """A layer: its numbers under their names in the description, and what it computes with them."""

    def __init__(
        self, layer: Layer, arrays: Mapping[str, Array], function: Callable[..., Tensor]
    ) -> None:
        super().__init__()
        op = OPS[layer.op]
        self.name, self.function = layer.op, function
        self._has_arrays = bool(op.parameters or op.buffers)
        found = {**op.constants(layer.attributes), **arrays}
        tensors = {name: _tensor(array) for name, array in found.items()}
        for name in op.parameters:
            self.register_parameter(name, nn.Parameter(tensors[name]) if name in tensors else None)
        for name in op.buffers:
            self.register_buffer(name, tensors.get(name))

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(self, *values) if self._has_arrays else self.function(*values)

    def extra_repr(self) -> str:
        return self.name
