"""The structures that most ONNX files of classifiers have, in short PyTorch, after their papers.

Full width and depth; inputs are small, and classifiers behind flattened pictures are smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

CLASSES = 10


class Residual(nn.Module):
    """What some layers give, added to what they read, perhaps brought to its shape."""

    def __init__(
        self, inner: nn.Module, past: nn.Module | None = None, after: bool = False
    ) -> None:
        super().__init__()
        self.inner, self.past, self.after = inner, past or nn.Identity(), after

    def forward(self, value: Tensor) -> Tensor:
        found: Tensor = self.inner(value) + self.past(value)
        return F.relu(found) if self.after else found


class Joined(nn.Module):
    """What several branches give, or what is read and what they give, behind one another."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, value: Tensor) -> Tensor:
        return torch.cat([branch(value) for branch in self.branches], 1)


class Squeeze(nn.Module):
    """Channels weighed by their means, after Hu et al., 2018."""

    def __init__(self, width: int, inner: int, between: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), between),
            *(nn.Conv2d(inner, width, 1), gate),
        )

    def forward(self, value: Tensor) -> Tensor:
        found: Tensor = value * self.weigh(value)
        return found


def conv(
    into: int,
    out: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    act: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution, batch normalisation and an activation."""
    layer = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), *([act()] if act else []))


def head(width: int, *before: nn.Module) -> nn.Sequential:
    return nn.Sequential(*before, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


def resnet(depths: Sequence[int], *, deep: bool) -> nn.Module:
    """He et al., 2016."""
    layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    into = 64
    for stage, depth in enumerate(depths):
        inner = 64 << stage
        out = 4 * inner if deep else inner
        for place in range(depth):
            stride = 2 if stage and not place else 1
            past = conv(into, out, 1, stride, act=None) if stride > 1 or into != out else None
            first = [conv(into, inner), conv(inner, inner, 3, stride), conv(inner, out, act=None)]
            plain = [conv(into, inner, 3, stride), conv(inner, out, 3, act=None)]
            layers.append(Residual(nn.Sequential(*(first if deep else plain)), past, after=True))
            into = out
    return nn.Sequential(*layers, head(into))


def vgg16() -> nn.Module:
    """Simonyan and Zisserman, 2015."""
    layers: list[nn.Module] = []
    into = 3
    for out, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(into, out, 3, padding=1), nn.ReLU()]
            into = out
        layers.append(nn.MaxPool2d(2))
    dense = (nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, CLASSES))
    return nn.Sequential(*layers, nn.Flatten(), *dense)


def alexnet() -> nn.Module:
    """Krizhevsky et al., 2012, with its local response normalisation."""
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4, 2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1)),
        *(nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Dropout(), nn.Linear(2304, 512)),
        *(nn.ReLU(), nn.Linear(512, CLASSES)),
    )


def squeezenet() -> nn.Module:
    """Iandola et al., 2016."""

    def fire(into: int, inner: int, out: int) -> nn.Module:
        both = (nn.Conv2d(inner, out, 1), nn.Conv2d(inner, out, 3, padding=1))
        return nn.Sequential(
            *(nn.Conv2d(into, inner, 1), nn.ReLU(inplace=True)),
            Joined(*(nn.Sequential(each, nn.ReLU(inplace=True)) for each in both)),
        )

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), fire(64, 16, 64), fire(128, 16, 64), pool()),
        *(fire(128, 32, 128), fire(256, 32, 128), pool(), fire(256, 48, 192), fire(384, 48, 192)),
        *(fire(384, 64, 256), fire(512, 64, 256), nn.Dropout(), nn.Conv2d(512, CLASSES, 1)),
        *(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def googlenet() -> nn.Module:
    """Szegedy et al., 2015, with batch normalisation, and without its auxiliary classifiers."""

    def inception(into: int, *widths: int) -> nn.Module:
        one, inner3, three, inner5, five, pooled = widths
        return Joined(
            conv(into, one),
            nn.Sequential(conv(into, inner3), conv(inner3, three, 3)),
            nn.Sequential(conv(into, inner5), conv(inner5, five, 3)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(into, pooled)),
        )

    def pool(size: int = 3) -> nn.Module:
        return nn.MaxPool2d(size, 2, ceil_mode=True)

    return nn.Sequential(
        *(conv(3, 64, 7, 2), pool(), conv(64, 64), conv(64, 192, 3), pool()),
        *(inception(192, 64, 96, 128, 16, 32, 32), inception(256, 128, 128, 192, 32, 96, 64)),
        *(pool(), inception(480, 192, 96, 208, 16, 48, 64)),
        *(inception(512, 160, 112, 224, 24, 64, 64), inception(512, 128, 128, 256, 24, 64, 64)),
        *(inception(512, 112, 144, 288, 32, 64, 64), inception(528, 256, 160, 320, 32, 128, 128)),
        *(pool(2), inception(832, 256, 160, 320, 32, 128, 128)),
        head(1024, inception(832, 384, 192, 384, 48, 128, 128)),
    )


def densenet121() -> nn.Module:
    """Huang et al., 2017."""
    layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for stage, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            inner = (nn.BatchNorm2d(width), nn.ReLU(), conv(width, 128))
            narrow = nn.Conv2d(128, 32, 3, padding=1, bias=False)
            layers.append(Joined(nn.Identity(), nn.Sequential(*inner, narrow)))
            width += 32
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        if stage < 3:
            layers += [nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*layers, head(width))


def _inverted(
    into: int,
    out: int,
    *,
    wide: int,
    kernel: int = 3,
    stride: int = 1,
    act: Callable[[], nn.Module] = nn.ReLU6,
    squeeze: nn.Module | None = None,
) -> nn.Module:
    """Wider, by channel, narrower: a block of MobileNet and EfficientNet."""
    layers = nn.Sequential(
        *([conv(into, wide, act=act)] if wide != into else []),
        conv(wide, wide, kernel, stride, groups=wide, act=act),
        *([squeeze] if squeeze else []),
        conv(wide, out, act=None),
    )
    return Residual(layers) if stride == 1 and into == out else layers


def mobilenet_v2() -> nn.Module:
    """Sandler et al., 2018."""
    layers: list[nn.Module] = [conv(3, 32, 3, 2, act=nn.ReLU6)]
    into = 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    for wide, out, depth, first in (*rows, (6, 160, 3, 2), (6, 320, 1, 1)):
        for place in range(depth):
            stride = first if place == 0 else 1
            layers.append(_inverted(into, out, wide=wide * into, stride=stride))
            into = out
    return nn.Sequential(*layers, conv(into, 1280, act=nn.ReLU6), head(1280))


def mobilenet_v3() -> nn.Module:
    """Howard et al., 2019, the small one."""
    rows = (
        (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1),
        (5, 96, 40, True, True, 2), (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1),
        (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1), (5, 288, 96, True, True, 2),
        (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
    )  # fmt: skip
    layers: list[nn.Module] = [conv(3, 16, 3, 2, act=nn.Hardswish)]
    into = 16
    for kernel, wide, out, squeezes, hard, stride in rows:
        squeeze = Squeeze(wide, (wide // 4 + 4) // 8 * 8, nn.ReLU(), nn.Hardsigmoid())
        act: Callable[[], nn.Module] = nn.Hardswish if hard else nn.ReLU
        options = {"wide": wide, "kernel": kernel, "stride": stride}
        layers.append(
            _inverted(into, out, act=act, squeeze=squeeze if squeezes else None, **options)
        )
        into = out
    last = (nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(), nn.Linear(1024, CLASSES))
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, conv(into, 576, act=nn.Hardswish), *pooled, *last)


def efficientnet_b0() -> nn.Module:
    """Tan and Le, 2019."""
    layers: list[nn.Module] = [conv(3, 32, 3, 2, act=nn.SiLU)]
    into = 32
    rows = ((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2))
    for wide, kernel, out, depth, first in (
        *rows,
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ):
        for place in range(depth):
            squeeze = Squeeze(wide * into, into // 4, nn.SiLU(), nn.Sigmoid())
            options = {"wide": wide * into, "kernel": kernel, "stride": first if not place else 1}
            layers.append(_inverted(into, out, act=nn.SiLU, squeeze=squeeze, **options))
            into = out
    return nn.Sequential(*layers, conv(into, 1280, act=nn.SiLU), head(1280))


class Shuffled(nn.Module):
    """Half of the channels, or with a stride all of them, by a branch; then shuffled."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        half = out // 2
        inside = into if stride > 1 else half
        self.branch = nn.Sequential(
            *(conv(inside, half), conv(half, half, 3, stride, groups=half, act=None)),
            conv(half, half),
        )
        past = (conv(into, into, 3, stride, groups=into, act=None), conv(into, half))
        self.past = nn.Sequential(*past) if stride > 1 else None

    def forward(self, value: Tensor) -> Tensor:
        if self.past is None:
            kept, value = value.chunk(2, dim=1)
        else:
            kept = self.past(value)
        value = torch.cat((kept, self.branch(value)), dim=1)
        count, channels, height, width = value.size()
        value = value.view(count, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return value.view(count, channels, height, width)


def shufflenet_v2() -> nn.Module:
    """Ma et al., 2018."""
    layers: list[nn.Module] = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
    into = 24
    for out, depth in ((116, 4), (232, 8), (464, 4)):
        for place in range(depth):
            layers.append(Shuffled(into, out, 1 if place else 2))
            into = out
    return nn.Sequential(*layers, head(1024, conv(into, 1024)))


class LastNorm(nn.LayerNorm):
    """Layer normalisation of the channels of a picture."""

    def forward(self, value: Tensor) -> Tensor:
        return super().forward(value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Liu et al., 2022: linear layers with the channels last, on a learned scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.wide = nn.LayerNorm(width, 1e-6), nn.Linear(width, 4 * width)
        self.narrow, self.scale = nn.Linear(4 * width, width), nn.Parameter(torch.rand(width))

    def forward(self, value: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(value).permute(0, 2, 3, 1))
        inner = self.scale * self.narrow(F.gelu(self.wide(inner)))
        found: Tensor = value + inner.permute(0, 3, 1, 2)
        return found


def convnext_tiny() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), LastNorm(96, 1e-6)]
    for stage, depth in enumerate((3, 3, 9, 3)):
        width = 96 << stage
        if stage:
            layers += [LastNorm(width // 2, 1e-6), nn.Conv2d(width // 2, width, 2, 2)]
        layers += [ConvNeXtBlock(width) for _ in range(depth)]
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(width, 1e-6))
    return nn.Sequential(*layers, *end, nn.Linear(width, CLASSES))


class Attention(nn.Module):
    """Of three heads, from one linear layer as in timm, or from three as in transformers."""

    def __init__(self, width: int, *, fused: bool) -> None:
        super().__init__()
        self.fused, self.out = fused, nn.Linear(width, width)
        self.three = nn.ModuleList(
            [nn.Linear(width, 3 * width)] if fused else [nn.Linear(width, width) for _ in range(3)]
        )

    def forward(self, value: Tensor) -> Tensor:
        count, steps, width = value.shape
        if self.fused:
            apart = self.three[0](value).reshape(count, steps, 3, 3, width // 3)
            query, key, own = apart.permute(2, 0, 3, 1, 4).unbind(0)
            read = F.scaled_dot_product_attention(query, key, own)
        else:
            query, key, own = (
                each(value).view(count, steps, 3, width // 3).transpose(1, 2) for each in self.three
            )
            scores = torch.matmul(query, key.transpose(2, 3)) * (width // 3) ** -0.5
            read = torch.matmul(F.softmax(scores, dim=-1), own)
        found: Tensor = self.out(read.transpose(1, 2).reshape(count, steps, width))
        return found


class OfPyTorch(nn.MultiheadAttention):
    """PyTorch's own, as in torchvision."""

    def forward(self, value: Tensor) -> Tensor:  # type: ignore[override]
        found: Tensor = super().forward(value, value, value, need_weights=False)[0]
        return found


class ViT(nn.Module):
    """Dosovitskiy et al., 2020, the tiny one of DeiT, with patches of 8 x 8."""

    def __init__(self, attention: Callable[[], nn.Module], width: int = 192) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, width, 8, 8), nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, 65, width))
        blocks = []
        for _ in range(12):
            mlp = (nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            blocks += [
                Residual(nn.Sequential(nn.LayerNorm(width, 1e-6), attention())),
                Residual(nn.Sequential(nn.LayerNorm(width, 1e-6), *mlp)),
            ]
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        value = self.patches(images).flatten(2).transpose(1, 2)
        value = torch.cat((self.token.expand(value.shape[0], -1, -1), value), dim=1)
        found: Tensor = self.head(self.norm(self.blocks(value + self.places))[:, 0])
        return found


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "AlexNet": alexnet,
    "ConvNeXt-T": convnext_tiny,
    "DenseNet-121": densenet121,
    "EfficientNet-B0": efficientnet_b0,
    "GoogLeNet": googlenet,
    "MobileNetV2": mobilenet_v2,
    "MobileNetV3-S": mobilenet_v3,
    "ResNet-18": lambda: resnet((2, 2, 2, 2), deep=False),
    "ResNet-50": lambda: resnet((3, 4, 6, 3), deep=True),
    "ShuffleNetV2": shufflenet_v2,
    "SqueezeNet": squeezenet,
    "VGG-16": vgg16,
    "ViT-Ti, as in timm": lambda: ViT(lambda: Attention(192, fused=True)),
    "ViT-Ti, as in transformers": lambda: ViT(lambda: Attention(192, fused=False)),
    "ViT-Ti, as in torchvision": lambda: ViT(lambda: OfPyTorch(192, 3, batch_first=True)),
}
