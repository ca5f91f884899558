from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import modules
import pytest
import torch
from modules import SHAPE, made
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from goodnet import wrap
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network
from goodnet.formats.build import build, extract
from goodnet.formats.silence import default_layer
from goodnet.formats.torch.described import described
from goodnet.network import Network
from goodnet.ops.torch import Operation


def images(count: int = 4, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(7))


def operations(network: Network) -> list[str]:
    return [layer.op for layer in network.spec.layers]


@pytest.mark.parametrize("kind", modules.KNOWN)
def test_a_network_answers_as_the_module_and_gives_it_back(kind: type[nn.Module]) -> None:
    module = made(kind)
    network = wrap(module, SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), module(images()))
    again = network.module
    assert type(again) is kind
    assert again is not module
    assert list(again.state_dict()) == list(module.state_dict())
    for key, tensor in module.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key


@pytest.mark.parametrize(
    ("kind", "whole"),
    [
        (modules.ResNet, set()),
        (modules.MobileNet, set()),
        (modules.DenseNet, {"getitem"}),
        (modules.PartlyTraceable, {"inner"}),
        (modules.Untraceable, {"module"}),
        (modules.WritesOver, {"module"}),
    ],
)
def test_only_what_is_not_known_stays_whole(kind: type[nn.Module], whole: set[str]) -> None:
    spec = wrap(made(kind), SHAPE).spec
    assert {layer.name for layer in spec.layers if layer.op == "opaque"} == whole


def test_layers_have_the_names_of_the_submodules() -> None:
    network = wrap(made(modules.ResNet), SHAPE)
    assert network.layers[:4] == ("conv1", "bn1", "relu", "maxpool")
    assert {"layer1.0.relu", "layer1.0.relu_1", "layer2.0.downsample.1"} <= set(network.layers)
    assert (network.last_linear, network.features_layer) == ("fc", "flatten")


def test_the_head_of_a_transformer_is_found() -> None:
    network = wrap(made(modules.Transformer), SHAPE)
    assert network.last_linear == "head"
    assert network.spec[network.features_layer or ""].op == "opaque"
    assert "blocks.0.mlp.1" in network.layers


class Applies(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        with torch.no_grad():
            size = function(torch.rand(1, *shape)).flatten(1).shape[1]
        self.head = nn.Linear(size, 3)

    def forward(self, value: Tensor) -> Tensor:
        result: Tensor = self.head(self.function(value).flatten(1))
        return result


FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "leaky_relu": (lambda x: F.leaky_relu(x - 0.5, 0.3), "activation"),
    "elu": (lambda x: F.elu(x - 0.5, 0.7), "activation"),
    "gelu": (lambda x: F.gelu(x - 0.5, approximate="tanh"), "activation"),
    "softplus": (lambda x: F.softplus(x), "activation"),
    "hardtanh": (lambda x: F.hardtanh(x - 0.5), "activation"),
    "softmax": (lambda x: x.softmax(-3), "activation"),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), "max_pool2d"),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 4)), "avg_pool2d"),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, 4), "avg_pool2d"),
    "adaptive_same": (lambda x: F.adaptive_avg_pool2d(x, (32, 32)), "identity"),
    "adaptive_max": (lambda x: F.adaptive_max_pool2d(x, 1), "global_max_pool2d"),
    "mean": (lambda x: x.mean(dim=(-1, -2), keepdim=True), "global_avg_pool2d"),
    "tokens": (lambda x: x.flatten(2).mean(1), "global_avg_pool1d"),
    "permute": (lambda x: x.permute(0, 2, 3, 1), "permute"),
    "transpose": (lambda x: torch.transpose(x, 2, 3), "permute"),
    "reshape": (lambda x: x.reshape(-1, 6, 16, 32), "reshape"),
    "minus": (lambda x: 1 - x, "rescale"),
    "difference": (lambda x: torch.sub(x, x * 2), "subtract"),
    "largest": (lambda x: torch.maximum(x, 1 - x), "maximum"),
    "neighbours": (lambda x: F.local_response_norm(x, 3, k=2.0), "local_response_norm"),
    "upsample": (lambda x: F.interpolate(x, scale_factor=2.0), "upsample2d"),
    "pad": (lambda x: F.pad(x, (1, 2, 3, 4)), "zero_pad2d"),
    "copy": (lambda x: x.contiguous(), "identity"),
}
UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "threshold": lambda x: F.threshold(x, 0.5, 0.0),
    "ceil_mode": lambda x: F.max_pool2d(x, 3, ceil_mode=True),
    "padded_average": lambda x: F.avg_pool2d(x, 3, padding=1),
    "reflect": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "power": lambda x: x**2,
    "chunks": lambda x: x.chunk(3, dim=1)[1],
    "largest_of": lambda x: x.amax(1, keepdim=True),
    "roll": lambda x: x.roll(1, 3),
    "broadcast": lambda x: x.flatten(2) + x.flatten(1)[:, None, :1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_known_functions(name: str) -> None:
    function, op = FUNCTIONS[name]
    module = Applies(function, SHAPE).eval()
    network = wrap(module, SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), module(images()))
    assert op in operations(network)
    assert "opaque" not in operations(network)


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_functions_stay_as_they_are(name: str) -> None:
    module = Applies(UNKNOWN[name], SHAPE).eval()
    network = wrap(module, SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), module(images()))
    assert "opaque" in operations(network)
    assert network.last_linear == "head"


MODULES: dict[str, nn.Module] = {
    "prelu": nn.PReLU(3),
    "group_norm": nn.GroupNorm(1, 3),
    "instance_norm": nn.InstanceNorm2d(3, affine=True),
    "reflect": nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    "dilated": nn.Conv2d(3, 6, 3, padding=(2, 1), dilation=(2, 1), stride=(1, 2), groups=3),
    "transposed": nn.ConvTranspose2d(3, 4, 2, 2),
    "pixel_shuffle": nn.Sequential(nn.Conv2d(3, 4, 1), nn.PixelShuffle(2)),
    "batch_statistics": nn.BatchNorm2d(3, track_running_stats=False),
    "no_affine": nn.BatchNorm2d(3, affine=False),
    "unflatten": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 32, 32))),
    "weight_norm": nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
    "hooked": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()),
}
MODULES["hooked"][1].register_forward_hook(lambda _m, _i, output: output + 1)  # type: ignore[index]


@pytest.mark.parametrize("name", MODULES)
def test_modules_known_and_unknown(name: str) -> None:
    part = MODULES[name].eval()
    with torch.no_grad():
        size = part(images(2)).flatten(1).shape[1]
    module = nn.Sequential(part, nn.Flatten(), nn.Linear(size, 3)).eval()
    network = wrap(module, SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), module(images()))
        torch.testing.assert_close(network.module(images()), module(images()))


def test_the_module_of_the_user_stays_as_it_is() -> None:
    module = made(modules.ResNet).train()
    network = wrap(module, SHAPE)
    assert module.training
    before = network(images())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(network(images()), before)


def test_numbers_that_changed_come_back_under_their_own_keys() -> None:
    module = made(modules.Transformer)
    spec = wrap(module, SHAPE).spec
    changed = {key: array + 1 for key, array in spec.arrays.items()}
    network = build(spec.with_arrays(changed))
    for key, tensor in network.module.state_dict().items():
        torch.testing.assert_close(tensor, module.state_dict()[key] + 1)
    assert extract(network).arrays.keys() == spec.arrays.keys()


def test_half_and_double_precision_come_back_as_they_were() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        module = made(modules.ResNet).to(dtype)
        network = wrap(module, SHAPE)
        assert network(images()).dtype == torch.float32
        assert {x.dtype for x in network.module.parameters()} == {dtype}


def test_a_shared_array_that_differs_is_refused() -> None:
    network = wrap(made(modules.Tied), SHAPE)
    with torch.no_grad():
        network.layer("conv").get_parameter("weight").add_(1)
    with pytest.raises(InvalidInput, match=r"'conv\.weight' are used by more than one layer"):
        _ = network.module


def test_state_dict_is_written_under_the_own_keys(tmp_path: Path) -> None:
    module = made(modules.ResNet)
    wrap(module, SHAPE).save(tmp_path / "b.safetensors")
    made(modules.ResNet, seed=1).load_state_dict(load_file(tmp_path / "b.safetensors"))
    with pytest.raises(UsageError, match="exists"):
        wrap(module, SHAPE).save(tmp_path / "b.safetensors")


def test_known_layers_are_written_for_keras(tmp_path: Path) -> None:
    network = wrap(made(modules.Tied), SHAPE)
    network.save(tmp_path / "b.keras")
    again = load_network(tmp_path / "b.keras")
    torch.testing.assert_close(again(images()), network(images()))
    again.save(tmp_path / "b.safetensors")
    torch.testing.assert_close(load_network(tmp_path / "b.safetensors")(images()), again(images()))


@pytest.mark.parametrize(
    ("kind", "said"),
    [(modules.Transformer, "is a part of a PyTorch module"), (modules.ResNet, "over a border")],
)
def test_what_keras_cannot_say_is_refused(kind: type[nn.Module], said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        wrap(made(kind), SHAPE).save(tmp_path / "b.keras")
    assert not list(tmp_path.iterdir())


class Named(nn.Module):
    def forward(self, value: Tensor) -> Any:
        return {"logits": value.flatten(1)}


class Quantised(nn.Linear):
    __module__ = "torch.ao.nn.quantized.modules.linear"


class Pair(nn.Module):
    def forward(self, value: Tensor) -> Any:
        return value.flatten(1), value


@pytest.mark.parametrize(
    ("module", "shape", "said"),
    [
        (nn.Conv2d(3, 3, 1), SHAPE, r"outputs \(batch, classes\)"),
        (nn.Sequential(nn.Conv2d(3, 3, 1)), (2, 8, 8), r"does not run on images of shape \(2, 8"),
        (Named(), SHAPE, "the module returns a dict with 'logits'; put it into a module that"),
        (Pair(), SHAPE, "the module returns a tuple of 2; put it into"),
        (nn.Identity().state_dict(), SHAPE, "a state_dict, which has no structure: build the"),
        ("net.pth", SHAPE, "got the file name 'net.pth': build the module"),
        (nn.Identity, SHAPE, "got the class Identity: make one"),
        (None, SHAPE, "expected a PyTorch module, got a NoneType"),
        (nn.Conv2d(3, 3, 1, device="meta"), SHAPE, "on the device 'meta'.*its state_dict first"),
        (nn.Sequential(Quantised(3, 2)), SHAPE, "before it was quantised"),
    ],
)
def test_what_is_not_a_classifier_is_refused(
    module: Any, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        wrap(module, shape)


class Small(nn.Module):
    """A convolution whose value is looked at in another shape, as in many a LeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 30 * 30, 3)

    def forward(self, value: Tensor, return_features: bool = False) -> Any:
        features = F.relu(self.conv(value))
        batch, channels, height, width = features.shape
        flat = features.view(batch, channels * height * width)
        return (self.head(flat), flat) if return_features else self.head(flat)


class Guarded(Small):
    """Control flow that depends on the images, and a view of the batch's size."""

    def forward(self, value: Tensor, return_features: bool = False) -> Any:
        features = self.conv(value)
        if features.sum() > 1e9:
            features = features * 2
        return self.head(features.view(features.size(0), -1))


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_a_scripted_module_is_refused_for_what_it_is() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()))
    with pytest.raises(InvalidInput, match="hides its layers: pass the module it was made from"):
        wrap(scripted, SHAPE)


@pytest.mark.parametrize(
    ("make", "known"),
    [(Small, True), (lambda: nn.DataParallel(Small()), True), (Guarded, False)],
    ids=["optional", "parallel", "guarded"],
)
def test_modules_of_every_kind_answer_as_themselves(
    make: Callable[[], nn.Module], known: bool
) -> None:
    module = make()
    network, inner = wrap(module, SHAPE), getattr(module, "module", module)
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), inner(images()))
        torch.testing.assert_close(network.module(images()), inner(images()))
    assert ("opaque" not in operations(network)) == known
    if not known:
        with pytest.raises(InvalidInput, match="not known layer by layer: module"):
            default_layer(network.spec)


def test_dropout_of_a_part_that_is_not_known_stays_off() -> None:
    network = wrap(made(modules.Untraceable), SHAPE)
    network.graph.train()
    assert not any(part.training for part in network.layer("module").modules())
    assert network.outputs(images().numpy()).isfinite().all()


def test_what_the_user_keeps_from_training_comes_back_so() -> None:
    module = made(modules.ResNet)
    module.get_parameter("conv1.weight").requires_grad_(False)
    again = wrap(module, SHAPE).module
    kept = [name for name, parameter in again.named_parameters() if not parameter.requires_grad]
    assert kept == ["conv1.weight"]


def test_a_description_that_fails_leaves_the_module_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> Operation:
        raise InvalidInput("a rule that does not fit")

    module = made(modules.ResNet)
    monkeypatch.setattr(sys.modules[described.__module__], "_of_function", wrong)
    network = wrap(module, SHAPE)
    assert operations(network) == ["input", "opaque"]
    with torch.inference_mode():
        torch.testing.assert_close(network(images()), module(images()))
