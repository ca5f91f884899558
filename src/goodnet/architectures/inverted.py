"""Networks of inverted residuals, of which MobileNet and EfficientNet are made.

A block widens its channels, takes each for itself, perhaps weighs them all, and narrows them again.
What the channels are is read from the shapes; only names, strides and functions are told.

References:
    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018. Hu et al.,
    "Squeeze-and-Excitation Networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from goodnet.architectures.family import Shapes

Activation = Callable[[], nn.Module]


@dataclass(frozen=True)
class Functions:
    """What a network computes between its convolutions.

    Attributes:
        activation: Behind normalizations.
        inner: Within the weighing of channels.
        gate: At its end.
        epsilon: Of the normalizations.
    """

    activation: Activation
    inner: Activation = nn.ReLU
    gate: Activation = nn.Sigmoid
    epsilon: float = 1e-5


@dataclass(frozen=True)
class Block:
    """One block of a network.

    Attributes:
        path: Of the module it is.
        names: Of its parts within: "expand", "depth", "project", each with its normalization
            ("expand_norm", ...), and "down" and "up"; those it has.
        stride: Of the convolution in the middle.
        functions: It computes.
    """

    path: str
    names: Mapping[str, str]
    stride: int
    functions: Functions


@dataclass(frozen=True)
class Outline:
    """A whole network.

    Attributes:
        stem: Names of the first convolution and its normalization.
        blocks: In running order.
        last: Names of the last convolution and its normalization.
        head: Names of the linear layers behind the mean of all pixels.
        functions: Of stem, last convolution and head.
    """

    stem: tuple[str, str]
    blocks: Sequence[Block]
    last: tuple[str, str]
    head: Sequence[str]
    functions: Functions


def put(root: nn.Module, path: str, module: nn.Module) -> nn.Module:
    """Make a module a part of another at a path; what lies between is made as well."""
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in root._modules:
            root.add_module(folder, nn.Module())
        root = root.get_submodule(folder)
    root.add_module(name, module)
    return module


class _Inverted(nn.Module):
    """A block as a module, with its parts at their names."""

    def __init__(self, shapes: Shapes, block: Block) -> None:
        super().__init__()
        self.names, functions = dict(block.names), block.functions
        for part in ("expand", "depth", "project"):
            if part not in self.names:
                continue
            out, each, kernel, _ = shapes[f"{block.path}.{self.names[part]}.weight"]
            groups = out if part == "depth" else 1
            stride = block.stride if part == "depth" else 1
            conv = nn.Conv2d(
                each * groups, out, kernel, stride, kernel // 2, groups=groups, bias=False
            )
            put(self, self.names[part], conv)
            put(self, self.names[f"{part}_norm"], nn.BatchNorm2d(out, functions.epsilon))
        for part in ("down", "up"):
            if part in self.names:
                out, into, *_ = shapes[f"{block.path}.{self.names[part]}.weight"]
                put(self, self.names[part], nn.Conv2d(into, out, 1))
        self.activation, self.inner = functions.activation(), functions.inner()
        self.gate, self.pool = functions.gate(), nn.AdaptiveAvgPool2d(1)
        first = shapes[f"{block.path}.{self.names.get('expand', self.names['depth'])}.weight"]
        into = first[1] if "expand" in self.names else first[0]
        self.adds = block.stride == 1 and into == out_channels(shapes, block)

    def _apply_part(self, part: str, value: Tensor) -> Tensor:
        value = self.get_submodule(self.names[part])(value)
        result: Tensor = self.get_submodule(self.names[f"{part}_norm"])(value)
        return result

    def forward(self, value: Tensor) -> Tensor:
        same = value
        for part in ("expand", "depth"):
            if part in self.names:
                value = self.activation(self._apply_part(part, value))
        if "down" in self.names:
            inner = self.inner(self.get_submodule(self.names["down"])(self.pool(value)))
            value = value * self.gate(self.get_submodule(self.names["up"])(inner))
        value = self._apply_part("project", value)
        return value + same if self.adds else value


class Inverted(nn.Module):
    """The network as a module."""

    def __init__(self, shapes: Shapes, network: Outline) -> None:
        super().__init__()
        self.network, functions = network, network.functions
        for names, stride in ((network.stem, 2), (network.last, 1)):
            out, into, kernel, _ = shapes[f"{names[0]}.weight"]
            conv = nn.Conv2d(into, out, kernel, stride, kernel // 2, bias=False)
            put(self, names[0], conv)
            put(self, names[1], nn.BatchNorm2d(out, functions.epsilon))
        for block in network.blocks:
            put(self, block.path, _Inverted(shapes, block))
        for name in network.head:
            out, into = shapes[f"{name}.weight"]
            put(self, name, nn.Linear(into, out))
        self.activation, self.pool = functions.activation(), nn.AdaptiveAvgPool2d(1)

    def _convolved(self, names: tuple[str, str], value: Tensor) -> Tensor:
        for name in names:
            value = self.get_submodule(name)(value)
        result: Tensor = self.activation(value)
        return result

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images."""
        value = self._convolved(self.network.stem, images)
        for block in self.network.blocks:
            value = self.get_submodule(block.path)(value)
        value = torch.flatten(self.pool(self._convolved(self.network.last, value)), 1)
        *hidden, last = self.network.head
        for name in hidden:
            value = self.activation(self.get_submodule(name)(value))
        result: Tensor = self.get_submodule(last)(value)
        return result


def out_channels(shapes: Shapes, block: Block) -> int:
    """Of a block."""
    return shapes[f"{block.path}.{block.names['project']}.weight"][0]


def pairs(**paths: str) -> dict[str, str]:
    """Names of convolutions and of the normalizations beside them.

    Example:
        >>> pairs(depth="block.0")
        {'depth': 'block.0.0', 'depth_norm': 'block.0.1'}
    """
    found: dict[str, str] = {}
    for part, path in paths.items():
        found |= {part: f"{path}.0", f"{part}_norm": f"{path}.1"}
    return found


def timm_names(shapes: Shapes, path: str) -> dict[str, str]:
    """The names of timm within the block at a path."""
    if f"{path}.conv_pwl.weight" in shapes:
        parts = {"expand": "conv_pw", "depth": "conv_dw", "project": "conv_pwl"}
    else:
        parts = {"depth": "conv_dw", "project": "conv_pw"}
    norms = {f"{part}_norm": f"bn{place}" for place, part in enumerate(parts, start=1)}
    gate = {"down": "se.conv_reduce", "up": "se.conv_expand"}
    return parts | norms | (gate if f"{path}.se.conv_reduce.weight" in shapes else {})
