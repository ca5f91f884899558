"""Modules as ONNX files, by both exporters of PyTorch, and what onnxruntime answers on them."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from attention_samples import ViT
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Array = Any


def export(module: nn.Module, path: Path, *, shape: tuple[int, ...], how: str = "17") -> Path:
    """By the exporter that traces, for a version of the operations, or by the newer one.

    Args:
        module: What to export.
        path: Where to.
        shape: Of an image.
        how: The version ("17"), "dynamo" for the newer exporter, or both ("dynamo 23").
    """
    images = torch.rand(2, *shape)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if how.startswith("dynamo"):
            sizes = ({0: torch.export.Dim("images")},)
            version = int(how.split()[1]) if " " in how else None
            torch.onnx.export(
                *(module, (images,), path),
                dynamo=True,
                dynamic_shapes=sizes,
                opset_version=version,
            )
        else:
            torch.onnx.export(
                module,
                (images,),
                str(path),
                dynamo=False,
                opset_version=int(how),
                input_names=["images"],
                dynamic_axes={"images": {0: "count"}},
            )
    return path


def answers(path: Path, images: Array) -> Array:
    """The outputs of onnxruntime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def write_graph(
    path: Path,
    nodes: list[Any],
    arrays: dict[str, Array],
    *,
    shape: list[Any],
    opset: int = 17,
    output: str = "logits",
) -> Path:
    """A model of some operations on `images`."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9
    onnx.save(model, path)
    return path


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


class LayerNorm(nn.Module):
    """Along the channels of a picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, value: Tensor) -> Tensor:
        found: Tensor = self.norm(value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return found


class ResponseNorm(nn.Module):
    """Of pictures with the channels last, as transformers has it, and as timm has it."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(1, 1, 1, 24)) for _ in range(2))
        self.fused = fused

    def forward(self, value: Tensor) -> Tensor:
        strength = torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True)
        scaled = value * (strength / (strength.mean(-1, keepdim=True) + 1e-6))
        if self.fused:
            return value + torch.addcmul(self.bias.view(-1), self.weight.view(-1), scaled)
        found: Tensor = self.weight * scaled + self.bias + value
        return found


class ConvNeXt(nn.Module):
    """A stem, one block with the channels last, and a head."""

    def __init__(self, respond: nn.Module | None = None) -> None:
        super().__init__()
        self.respond = respond or nn.Identity()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 4, 4), LayerNorm(12))
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.norm, self.head_norm = nn.LayerNorm(12), nn.LayerNorm(12)
        self.first, self.second = nn.Linear(12, 24), nn.Linear(24, 12)
        self.scale = nn.Parameter(torch.rand(12))
        self.head = nn.Linear(12, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = self.stem(images)
        inner = self.norm(self.depthwise(value).permute(0, 2, 3, 1))
        inner = self.second(self.respond(F.gelu(self.first(inner)))) * self.scale
        value = value + inner.permute(0, 3, 1, 2)
        found: Tensor = self.head(self.head_norm(value.mean((2, 3))))
        return found


class Normalized(nn.Module):
    """Takes pixels whose mean is taken away, and flattens by the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 8 * 8, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = F.max_pool2d(F.relu6(self.conv((images - self.mean) / 0.25)), 2)
        found: Tensor = self.head(value.view(value.size(0), -1))
        return found


def everyday() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 3)),
        *(nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(128, 20), nn.ELU(), nn.Dropout()),
        *(nn.Linear(20, 5), nn.Softmax(1)),
    )


def normalizing() -> nn.Module:
    return nn.Sequential(
        *(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(3, 8, 3, padding="same"), nn.GroupNorm(2, 8)),
        *(nn.PReLU(8), nn.InstanceNorm2d(8, affine=True), nn.Mish()),
        *(nn.MaxPool2d(2, ceil_mode=True), nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        nn.Linear(8, 5),
    )


def activating() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, 2, 1), nn.SELU(), nn.Conv2d(8, 8, 3), nn.Hardtanh(), nn.SiLU()),
        *(nn.AvgPool2d(3, 2, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(8, 5), nn.LogSoftmax(1)),
    )


def single() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 16 * 16, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()
    )


class Reshaping(nn.Module):
    """Upsampling, shuffled channels, neighbours that suppress each other, vectors of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.grow = nn.Conv2d(3, 6, 3, 2, 1), nn.ConvTranspose2d(6, 8, 3, 2, 1, 1)
        self.mix, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        value = F.relu(self.grow(self.conv(images)))
        first, second = value.chunk(2, 1)
        value = torch.cat(
            [F.interpolate(first, scale_factor=0.5, mode="bilinear"), second[:, :, 8:, 8:]], 1
        )
        count, channels, height, width = value.shape
        value = value.view(count, 2, channels // 2, height, width).transpose(1, 2)
        value = self.mix(value.reshape(count, channels, height, width))
        found: Tensor = self.head(F.normalize(value.mean(3).mean(2), dim=1))
        return found


MODULES: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: ViT("by hand"),
    "reshaping": Reshaping,
    "convnext": ConvNeXt,
    "convnext v2": lambda: ConvNeXt(ResponseNorm(fused=False)),
    "convnext v2 of timm": lambda: ConvNeXt(ResponseNorm(fused=True)),
    "normalized": Normalized,
    "everyday": everyday,
    "normalizing": normalizing,
    "activating": activating,
    "single": single,
}
