"""Known architectures have the arrays that were published, and compute what their papers say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import published
import pytest
import torch
from published import Shapes, parameters
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from weights_samples import small_resnet, state_dict

import goodnet as gn
from goodnet.architectures import efficientnet, module_of, names, recognised
from goodnet.architectures.inverted import Block, Functions, _Inverted
from goodnet.architectures.vit import attend
from goodnet.errors import InvalidInput
from goodnet.formats import read_spec
from goodnet.formats.torch.known import layers_of

# Shapes, the name, how many numbers are trained in the published network, and how many arrays its
# state_dict has, where that is told.
PUBLISHED: dict[str, tuple[Shapes, str, int, int]] = {
    "resnet18": (published.resnet((2, 2, 2, 2), deep=False), "resnet18", 11_689_512, 122),
    "resnet34": (published.resnet((3, 4, 6, 3), deep=False), "resnet34", 21_797_672, 218),
    "resnet50": (published.resnet((3, 4, 6, 3), deep=True), "resnet50", 25_557_032, 320),
    "resnet101": (published.resnet((3, 4, 23, 3), deep=True), "resnet101", 44_549_160, 626),
    "resnet152": (published.resnet((3, 8, 36, 3), deep=True), "resnet152", 60_192_808, 932),
    "wide_resnet50_2": (
        published.resnet((3, 4, 6, 3), deep=True, width=128),
        "wide_resnet50_2",
        68_883_240,
        320,
    ),
    "resnext50_32x4d": (
        published.resnet((3, 4, 6, 3), deep=True, width=128, groups=32),
        "resnext50_32x4d",
        25_028_904,
        320,
    ),
    "resnext101_32x8d": (
        published.resnet((3, 4, 23, 3), deep=True, width=256, groups=32),
        "resnext101_32x8d",
        88_791_336,
        626,
    ),
    "resnet18 for CIFAR": (
        published.resnet((2, 2, 2, 2), deep=False, small=True, cifar=True, classes=10),
        "resnet18",
        11_173_962,
        122,
    ),
    "vgg11": (published.vgg((1, 1, 2, 2, 2)), "vgg11", 132_863_336, 22),
    "vgg13": (published.vgg((2, 2, 2, 2, 2)), "vgg13", 133_047_848, 26),
    "vgg16": (published.vgg((2, 2, 3, 3, 3)), "vgg16", 138_357_544, 32),
    "vgg19": (published.vgg((2, 2, 4, 4, 4)), "vgg19", 143_667_240, 38),
    "vgg16_bn": (
        published.vgg((2, 2, 3, 3, 3), normalized=True),
        "vgg16_bn",
        138_365_992,
        97,
    ),
    "vgg16 of timm": (published.timm_vgg((2, 2, 3, 3, 3)), "vgg16", 138_357_544, 32),
    "densenet121": (published.densenet((6, 12, 24, 16)), "densenet121", 7_978_856, 727),
    "densenet161": (published.densenet((6, 12, 36, 24), 48, 96), "densenet161", 28_681_000, 967),
    "densenet169": (published.densenet((6, 12, 32, 32)), "densenet169", 14_149_480, 1015),
    "densenet201": (published.densenet((6, 12, 48, 32)), "densenet201", 20_013_928, 1207),
    "mobilenet_v2": (published.mobilenet_v2(), "mobilenet_v2", 3_504_872, 314),
    "mobilenet_v2 of timm": (
        published.timm_mobile(published.V2, squeezes=False),
        "mobilenet_v2",
        3_504_872,
        314,
    ),
    "mobilenet_v3_large": (
        published.mobilenet_v3(published.V3_LARGE, 1280),
        "mobilenet_v3_large",
        5_483_032,
        312,
    ),
    "mobilenet_v3_small": (
        published.mobilenet_v3(published.V3_SMALL, 1024),
        "mobilenet_v3_small",
        2_542_856,
        244,
    ),
    "efficientnet_b0": (published.efficientnet_b0(), "efficientnet_b0", 5_288_548, 360),
    "efficientnet_b0 of timm": (
        published.timm_mobile(published.B0, squeezes=True),
        "efficientnet_b0",
        5_288_548,
        360,
    ),
    "vit_b_16": (published.vit(768, 12, 16, 224), "vit_b_16", 86_567_656, 152),
    "vit_b_32": (published.vit(768, 12, 32, 224), "vit_b_32", 88_224_232, 152),
    "vit_l_16": (published.vit(1024, 24, 16, 224), "vit_l_16", 304_326_632, 296),
    "vit_l_32": (published.vit(1024, 24, 32, 224), "vit_l_32", 306_535_400, 296),
    "vit_tiny": (published.timm_vit(192, 12, 16, 224), "vit_tiny_patch16_224", 5_717_416, 152),
    "vit_small": (published.timm_vit(384, 12, 16, 224), "vit_small_patch16_224", 22_050_664, 152),
    "vit_base": (published.timm_vit(768, 12, 16, 384), "vit_base_patch16_384", 86_859_496, 152),
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_published_arrays_are_recognised(kind: str) -> None:
    shapes, name, trained, arrays = PUBLISHED[kind]
    assert (parameters(shapes), len(shapes)) == (trained, arrays)
    plan = recognised(shapes)
    assert plan.name == name
    assert name in names()
    module = module_of(plan)
    assert sum(math.prod(x.shape) for x in module.parameters()) == trained
    assert {key: tuple(x.shape) for key, x in module.state_dict().items()} == shapes
    assert recognised(shapes, name).name == name


@pytest.mark.parametrize("kind", PUBLISHED)
def test_every_part_is_a_known_layer_and_every_array_is_used(kind: str) -> None:
    shapes, *_ = PUBLISHED[kind]
    plan = recognised(shapes)
    found = layers_of(module_of(plan), plan.size, any_size=plan.any_size)
    assert sorted(found.origins.values()) == sorted(
        key for key in shapes if not key.endswith("num_batches_tracked")
    )
    for key, parameter in found.parameters.items():
        shape = parameter.shape or tuple(parameter.tensor.shape)
        assert math.prod(shape) == math.prod(shapes[found.origins[key]])
    if plan.any_size:
        other = layers_of(module_of(plan), (256, 288), any_size=True)
        assert other.layers == found.layers


def test_all_scales_of_efficientnet_have_the_published_sizes() -> None:
    for name, stem, last, blocks in (
        ("efficientnet_b0", 32, 1280, 16),
        ("efficientnet_b1", 32, 1280, 23),
        ("efficientnet_b2", 32, 1408, 23),
        ("efficientnet_b3", 40, 1536, 26),
        ("efficientnet_b4", 48, 1792, 32),
        ("efficientnet_b5", 48, 2048, 39),
        ("efficientnet_b6", 56, 2304, 45),
        ("efficientnet_b7", 64, 2560, 55),
    ):
        (found,) = (key for key, known in efficientnet._NAMES.items() if known == name)
        assert isinstance(found[2], tuple)
        assert (found[0], found[1], sum(found[2])) == (stem, last, blocks)


# -- computed as the papers say --------------------------------------------------------------

Weights = Mapping[str, Tensor]


def normal(state: Weights, name: str, value: Tensor) -> Tensor:
    """By the formula of the paper."""
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (value - mean) / (variance + 1e-5).sqrt() * weight + bias


def resnet18(state: Weights, images: Tensor, *, small: bool) -> Tensor:
    """Line by line."""
    value = F.conv2d(images, state["conv1.weight"], None, 1 if small else 2, 1 if small else 3)
    value = normal(state, "bn1", value).relu()
    if not small:
        value = F.max_pool2d(value, 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = F.conv2d(value, state[f"{name}.conv1.weight"], None, stride, 1)
            inner = normal(state, f"{name}.bn1", inner).relu()
            inner = F.conv2d(inner, state[f"{name}.conv2.weight"], None, 1, 1)
            inner = normal(state, f"{name}.bn2", inner)
            if stride == 2:
                value = F.conv2d(value, state[f"{name}.downsample.0.weight"], None, 2)
                value = normal(state, f"{name}.downsample.1", value)
            value = (inner + value).relu()
    return F.linear(value.mean((2, 3)), state["fc.weight"], state["fc.bias"])


@pytest.mark.parametrize("small", [True, False])
def test_resnet_computes_what_its_paper_says(tmp_path: Path, *, small: bool) -> None:
    shapes = small_resnet()
    if not small:
        shapes["conv1.weight"] = (4, 3, 7, 7)
    state = state_dict(shapes)
    torch.save(state, tmp_path / "net.pt")
    network = gn.load(tmp_path / "net.pt", size=(40, 56))
    images = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(network(images), resnet18(state, images, small=small))


def test_attention_is_that_of_pytorch(tmp_path: Path) -> None:
    """A block is an encoder layer of PyTorch that normalizes first."""
    shapes = published.vit(192, 12, 112, 224, 3)
    state = state_dict(shapes)
    torch.save(state, tmp_path / "net.pt")
    layer = nn.TransformerEncoderLayer(
        192, 3, 768, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    value = F.conv2d(images, state["conv_proj.weight"], state["conv_proj.bias"], 112)
    value = torch.cat([state["class_token"].expand(2, -1, -1), value.flatten(2).mT], 1)
    value = value + state["encoder.pos_embedding"]
    own = {
        "self_attn": "self_attention",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "linear1": "mlp.0",
        "linear2": "mlp.3",
    }
    with torch.inference_mode():
        for place in range(12):
            prefix = f"encoder.layers.encoder_layer_{place}."
            layer.load_state_dict(
                {
                    key: state[prefix + own[key.split(".")[0]] + "." + key.split(".", 1)[1]]
                    for key in layer.state_dict()
                }
            )
            value = layer(value)
        value = F.layer_norm(
            value, (192,), state["encoder.ln.weight"], state["encoder.ln.bias"], 1e-6
        )
        wanted = F.linear(value[:, 0], state["heads.head.weight"], state["heads.head.bias"])
    network = gn.load(tmp_path / "net.pt")
    torch.testing.assert_close(network(images), wanted, rtol=1e-4, atol=1e-4)


def test_heads_attend_each_to_its_part() -> None:
    query, key, value = torch.randn(3, 2, 5, 8, generator=torch.Generator().manual_seed(4))
    found = attend(query, key, value, 2)
    for head in (slice(0, 4), slice(4, 8)):
        scores = (query[..., head] @ key[..., head].mT / 2).softmax(-1)
        torch.testing.assert_close(found[..., head], scores @ value[..., head])


def test_a_block_weighs_its_channels_as_the_paper_says() -> None:
    shapes = {
        "b.conv_dw.weight": (6, 1, 3, 3),
        "b.se.conv_reduce.weight": (2, 6, 1, 1),
        "b.se.conv_expand.weight": (6, 2, 1, 1),
        "b.conv_pw.weight": (6, 6, 1, 1),
    }
    parts = {
        "depth": "conv_dw",
        "depth_norm": "bn1",
        "down": "se.conv_reduce",
        "up": "se.conv_expand",
        "project": "conv_pw",
        "project_norm": "bn2",
    }
    block = _Inverted(shapes, Block("b", parts, 1, Functions(nn.SiLU, inner=nn.SiLU))).eval()
    state = state_dict({key: tuple(x.shape) for key, x in block.state_dict().items()})
    block.load_state_dict(state)
    images = torch.rand(2, 6, 7, 7, generator=torch.Generator().manual_seed(5))
    inner = F.conv2d(images, state["conv_dw.weight"], None, 1, 1, groups=6)
    inner = F.silu(normal(state, "bn1", inner))
    mean = inner.mean((2, 3))
    weights = F.silu(
        mean @ state["se.conv_reduce.weight"][..., 0, 0].T + state["se.conv_reduce.bias"]
    )
    weights = weights @ state["se.conv_expand.weight"][..., 0, 0].T + state["se.conv_expand.bias"]
    inner = F.conv2d(inner * weights.sigmoid()[..., None, None], state["conv_pw.weight"])
    with torch.inference_mode():
        torch.testing.assert_close(block(images), normal(state, "bn2", inner) + images)


# -- written as Keras ------------------------------------------------------------------------

THIN: dict[str, Callable[[], Mapping[str, tuple[int, ...]]]] = {
    "resnet": small_resnet,
    "mobilenet": lambda: published.mobilenet_v2(4),
    "vit": lambda: published.timm_vit(192, 12, 112, 224, 3),
}


@pytest.mark.parametrize("kind", THIN)
def test_networks_are_written_as_keras_files_that_answer_alike(kind: str, tmp_path: Path) -> None:
    torch.save(state_dict(THIN[kind]()), tmp_path / "net.pt")
    size = (64, 64) if kind == "mobilenet" else None
    network = gn.load(tmp_path / "net.pt", size=size)
    network.save(tmp_path / "net.keras")
    images = torch.rand(2, *network.input_shape, generator=torch.Generator().manual_seed(6))
    again = gn.load(tmp_path / "net.keras")
    torch.testing.assert_close(again(images), network(images), rtol=1e-4, atol=1e-5)


# -- told ------------------------------------------------------------------------------------


def test_a_head_of_the_users_own_is_told() -> None:
    shapes = dict(small_resnet())
    shapes["fc.0.weight"] = shapes.pop("fc.weight")
    with pytest.raises(InvalidInput, match=r"of an architecture that is known \(resnet18"):
        recognised(shapes)
    with pytest.raises(InvalidInput, match=r"of resnet18, but fc\.weight is missing"):
        recognised(shapes, "resnet18")


def test_other_names_are_the_same() -> None:
    shapes = published.timm_vit(192, 12, 16, 224)
    assert recognised(shapes, "deit_tiny_patch16_224").name == "vit_tiny_patch16_224"


def test_vgg_takes_the_size_that_its_linear_layers_are_for(tmp_path: Path) -> None:
    shapes = published.vgg((1, 1, 2, 2, 2), normalized=True, classes=3, small=True)
    torch.save(state_dict(shapes), tmp_path / "net.pt")
    spec = read_spec(tmp_path / "net.pt")
    assert (spec.name, spec.input_shape) == ("vgg11_bn", (3, 32, 32))
    with pytest.raises(InvalidInput, match="takes images of"):
        gn.load(tmp_path / "net.pt", size=(64, 64))
