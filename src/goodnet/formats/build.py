"""From the plain description to a torch graph: one small module per operation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.errors import InvalidInput
from goodnet.formats.activation_functions import activation_function, fused_function, identity
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.network import Network, Node
from goodnet.preprocessing import IDENTITY

__all__ = ["build", "extract"]

_NORMALIZE_EPSILON = 1e-7


def build(spec: NetworkSpec) -> Network:
    """Turn a description into a network that runs; layers keep their names.

    Raises:
        InvalidInput: If the arrays or the preprocessing do not fit the layers, or the input size is
            left open.
    """
    if None in spec.input_shape:
        raise InvalidInput(
            f"the network takes images of any size (input {spec.input_shape}); give the size"
        )
    preprocessing = spec.preprocessing
    preprocessing.check(spec.input_shape[0] or 0)
    nodes = [
        Node(layer.name, _module(layer, spec.parameters(layer.name)), layer.inputs)
        for layer in spec.layers
        if layer.op != "input"
    ]
    return Network.assemble(
        nodes,
        image=spec.layers[0].name,
        output=spec.output,
        input_shape=tuple(size for size in spec.input_shape if size is not None),
        spec=spec,
        first=None if preprocessing == IDENTITY else _Function(preprocessing, "preprocessing"),
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
    tensors = {name: _tensor(array) for name, array in arrays.items()}
    if layer.op in _WITH_PARAMETERS:
        return _WITH_PARAMETERS[layer.op](layer.attributes, tensors)
    return _Function(_FUNCTIONS[layer.op](layer.attributes), layer.op)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


class _Function(nn.Module):
    """A layer without parameters."""

    def __init__(self, function: Callable[..., Tensor], name: str) -> None:
        super().__init__()
        self.function = function
        self.name = name

    def forward(self, *values: Tensor) -> Tensor:
        return self.function(*values)

    def extra_repr(self) -> str:
        return self.name


class _Convolution(nn.Module):
    def __init__(self, attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        weight = tensors["weight"].contiguous(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(tensors["bias"]) if "bias" in tensors else None
        self.strides, self.dilation = attributes["strides"], attributes["dilation"]
        self.groups, self.padding = attributes["groups"], attributes["padding"]
        self.activation = fused_function(attributes["activation"])

    def forward(self, value: Tensor) -> Tensor:
        pads = (0, 0)
        if self.padding == "same":
            value, pads = _pad_same(
                value, self.weight.shape[2:], self.strides, dilation=self.dilation
            )
        elif self.padding != "valid":
            value, pads = _pad(value, self.padding)
        out = F.conv2d(
            value, self.weight, self.bias, self.strides, pads, self.dilation, self.groups
        )
        return self.activation(out)


class _Dense(nn.Module):
    def __init__(self, attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(tensors["weight"])
        self.bias = nn.Parameter(tensors["bias"]) if "bias" in tensors else None
        self.activation = fused_function(attributes["activation"])

    def forward(self, value: Tensor) -> Tensor:
        return self.activation(F.linear(value, self.weight, self.bias))


class _BatchNorm(nn.Module):
    """Batch normalisation with its stored statistics, as scale and shift."""

    mean: Tensor
    variance: Tensor

    def __init__(self, attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.gamma = nn.Parameter(tensors["gamma"]) if "gamma" in tensors else None
        self.beta = nn.Parameter(tensors["beta"]) if "beta" in tensors else None
        self.register_buffer("mean", tensors["mean"])
        self.register_buffer("variance", tensors["variance"])
        self.epsilon = attributes["epsilon"]

    def forward(self, value: Tensor) -> Tensor:
        return F.batch_norm(
            value,
            self.mean,
            self.variance,
            self.gamma,
            self.beta,
            self.training,
            0.01,
            self.epsilon,
        )


class _PRelu(nn.Module):
    def __init__(self, _attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.alpha = nn.Parameter(tensors["alpha"])

    def forward(self, value: Tensor) -> Tensor:
        return value.clamp(min=0) + self.alpha * value.clamp(max=0)


class _Rescale(nn.Module):
    scale: Tensor
    offset: Tensor

    def __init__(self, attributes: Mapping[str, Any], _tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in ("scale", "offset"):
            number = torch.tensor(attributes[name], dtype=torch.float32)
            self.register_buffer(name, number.reshape(-1, 1, 1) if number.ndim else number)

    def forward(self, value: Tensor) -> Tensor:
        return value * self.scale + self.offset


class _Normalize(nn.Module):
    mean: Tensor
    variance: Tensor

    def __init__(self, attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", tensors["mean"])
        self.register_buffer("variance", tensors["variance"])
        self.invert = attributes["invert"]

    def forward(self, value: Tensor) -> Tensor:
        deviation = self.variance.sqrt().clamp(min=_NORMALIZE_EPSILON)
        return self.mean + value * deviation if self.invert else (value - self.mean) / deviation


def _opaque(attributes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    module: nn.Module = copy.deepcopy(attributes["module"]).cpu().float().requires_grad_()
    state = module.state_dict()
    module.load_state_dict({key: tensors.get(key, tensor) for key, tensor in state.items()})
    return module


def _pad_same(
    value: Tensor,
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    *,
    dilation: tuple[int, int] = (1, 1),
    fill: float = 0.0,
) -> tuple[Tensor, tuple[int, int]]:
    # TensorFlow puts the odd pixel at the bottom and right; an even padding is left to the layer.
    total = [
        max((-(-size // stride) - 1) * stride + (k - 1) * step + 1 - size, 0)
        for size, k, stride, step in zip(value.shape[2:], kernel, strides, dilation, strict=True)
    ]
    if all(t % 2 == 0 for t in total) and fill == 0.0:
        return value, (total[0] // 2, total[1] // 2)
    top, left = total[0] // 2, total[1] // 2
    return F.pad(value, (left, total[1] - left, top, total[0] - top), value=fill), (0, 0)


def _pad(value: Tensor, sides: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """Pad with zeros; what is alike on both sides is left to the layer."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return value, (top, left)
    return F.pad(value, (left, right, top, bottom)), (0, 0)


def _max_pool(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    pool, strides = attributes["pool"], attributes["strides"]

    def function(value: Tensor) -> Tensor:
        if attributes["padding"] == "same":
            value, _ = _pad_same(value, pool, strides, fill=float("-inf"))
        elif attributes["padding"] != "valid":
            top, bottom, left, right = attributes["padding"]
            value = F.pad(value, (left, right, top, bottom), value=float("-inf"))
        return F.max_pool2d(value, pool, strides)

    return function


def _avg_pool(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    pool, strides = attributes["pool"], attributes["strides"]

    def function(value: Tensor) -> Tensor:
        if attributes["padding"] != "same":
            return F.avg_pool2d(value, pool, strides)
        padded, pads = _pad_same(value, pool, strides)
        ones, _ = _pad_same(torch.ones_like(value[:1, :1]), pool, strides)
        share = F.avg_pool2d(ones, pool, strides, pads)
        return F.avg_pool2d(padded, pool, strides, pads) / share

    return function


def _global_pool(
    reduce: Callable[..., Tensor], axes: tuple[int, ...]
) -> Callable[[Mapping[str, Any]], Callable[[Tensor], Tensor]]:
    return lambda attributes: partial(reduce, dim=axes, keepdim=bool(attributes["keepdims"]))


def _to_file(value: Tensor, order: str) -> Tensor:
    return value.permute(0, 2, 3, 1) if value.ndim == 4 and order == "hwc" else value


def _from_file(value: Tensor, order: str) -> Tensor:
    return value.permute(0, 3, 1, 2) if value.ndim == 4 and order == "hwc" else value


def _flatten(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    return lambda value: _to_file(value, attributes["order"]).flatten(1)


def _reshape(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    order, shape = attributes["order"], tuple(attributes["shape"])
    return lambda value: _from_file(_to_file(value, order).reshape(len(value), *shape), order)


def _permute(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    order, dims = attributes["order"], tuple(attributes["dims"])
    return lambda value: _from_file(_to_file(value, order).permute(0, *dims), order)


def _fold(
    operation: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Mapping[str, Any]], Callable[..., Tensor]]:
    def function(*values: Tensor) -> Tensor:
        result = values[0]
        for value in values[1:]:
            result = operation(result, value)
        return result

    return lambda _: function


def _average(*values: Tensor) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values)


def _concatenate(attributes: Mapping[str, Any]) -> Callable[..., Tensor]:
    return lambda *values: torch.cat(values, dim=attributes["axis"])


def _zero_pad(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    top, bottom, left, right = attributes["padding"]
    return lambda value: F.pad(value, (left, right, top, bottom))


def _crop(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    top, bottom, left, right = attributes["padding"]
    return lambda value: value[:, :, top : value.shape[2] - bottom, left : value.shape[3] - right]


def _upsample(attributes: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    size, mode = tuple(map(float, attributes["size"])), attributes["interpolation"]
    align = False if mode == "bilinear" else None
    return partial(F.interpolate, scale_factor=size, mode=mode, align_corners=align)


_WITH_PARAMETERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], nn.Module]] = {
    "conv2d": _Convolution,
    "dense": _Dense,
    "batch_norm": _BatchNorm,
    "prelu": _PRelu,
    "normalize": _Normalize,
    "rescale": _Rescale,
    "opaque": _opaque,
}

_FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Callable[..., Tensor]]] = {
    "activation": lambda a: activation_function(a["activation"]),
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "global_max_pool2d": _global_pool(torch.amax, (2, 3)),
    "global_avg_pool2d": _global_pool(torch.mean, (2, 3)),
    "global_max_pool1d": _global_pool(torch.amax, (1,)),
    "global_avg_pool1d": _global_pool(torch.mean, (1,)),
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "add": _fold(torch.add),
    "subtract": _fold(torch.sub),
    "multiply": _fold(torch.mul),
    "average": lambda _: _average,
    "maximum": _fold(torch.maximum),
    "minimum": _fold(torch.minimum),
    "concatenate": _concatenate,
    "identity": lambda _: identity,
    "zero_pad2d": _zero_pad,
    "crop2d": _crop,
    "upsample2d": _upsample,
}
