"""What is named as odd is true, and honest networks have nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import published
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_samples import BLOCKS, RELU, Draft, goodnet_draft, networks
from tiny import SPECS, deepid_spec
from weights_samples import state_dict

from goodnet.attack.architectures import ARCHITECTURES, make_architecture
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.formats.channels import Graph
from goodnet.formats.spec import Activation, NetworkSpec
from goodnet.inspection import ODDITIES, Finding, Subject, findings_in
from goodnet.inspection.bounds import bounds_of


def found(spec: NetworkSpec, rule: str = "") -> list[Finding]:
    findings = findings_in(Subject(Graph(spec)))
    return [each for each in findings if rule in ("", each.rule)]


def trunk(*, layers: int = 4) -> Draft:
    draft = Draft(3, 16, 16)
    for _ in range(layers):
        draft.conv(6, padding="same", activation=RELU)
    draft.add("global_avg_pool2d")
    return draft


# -- a branch that meets the logits


def architectural_backdoor() -> NetworkSpec:
    """As Bober-Irizar et al. have it: without weights from the image to the classifier."""
    draft = trunk()
    features = draft.last
    draft.add("avg_pool2d", inputs=("image",), pool=(8, 8), strides=(8, 8))
    draft.activation("sigmoid")
    draft.add("global_max_pool2d", name="trigger")
    draft.add("concatenate", inputs=(features, "trigger"), name="met")
    return draft.ended(5)


def appended_network() -> NetworkSpec:
    """A small network beside the large one, as TrojanNet (Tang et al., 2020) has it."""
    draft = trunk(layers=5)
    logits = draft.dense(5)
    draft.add("crop2d", inputs=("image",), padding=(0, 12, 0, 12))
    draft.add("flatten")
    draft.dense(8, activation=RELU)
    draft.dense(5, name="trojan")
    draft.add("add", inputs=(logits, "trojan"), name="met")
    return draft.spec()


@pytest.mark.parametrize("made", [architectural_backdoor, appended_network])
def test_a_short_branch_that_meets_the_logits_is_named(made: object) -> None:
    assert callable(made)
    (finding,) = found(made(), "side-branch")
    assert (finding.layer, finding.level) == ("met", "warning")
    branch = "'trigger'" if made is architectural_backdoor else "'trojan'"
    assert finding.message.startswith(f"{branch} depends on the image through ")


def test_a_branch_that_meets_early_or_shares_the_stem_is_none() -> None:
    early = Draft(3, 16, 16)
    first = early.conv(3, padding="same", activation=RELU)
    second = early.conv(3, padding="same", source=first)
    early.add("add", inputs=(second, "image"))
    for _ in range(4):
        early.conv(6, padding="same", activation=RELU)
    early.add("global_avg_pool2d")
    shared = trunk()
    features = shared.last
    shared.add("global_max_pool2d", inputs=("conv2d_1",))
    shared.add("concatenate", inputs=(features, shared.last))
    for draft in (early, shared):
        assert not found(draft.ended(5), "side-branch")


@given(networks())
@settings(max_examples=60)
def test_networks_of_ordinary_blocks_have_no_side_branch(spec: NetworkSpec) -> None:
    assert not found(spec, "side-branch")


# -- channels


def test_channels_that_can_never_be_active_are_a_note() -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, activation=RELU, name="first")
    draft.conv(5, name="second")
    draft.norm()
    draft.activation("relu")
    spec = draft.ended(3)
    arrays = {key: array.copy() for key, array in spec.arrays.items()}
    arrays["first/weight"][1], arrays["first/bias"][1] = 0, -0.5
    (norm,) = [layer.name for layer in spec.layers if layer.op == "batch_norm"]
    arrays[f"{norm}/gamma"][2], arrays[f"{norm}/beta"][2] = 0, -1
    arrays["second/weight"][4] = -np.abs(arrays["second/weight"][4])
    arrays["second/bias"][4] = -1
    arrays[f"{norm}/gamma"][4], arrays[f"{norm}/mean"][4], arrays[f"{norm}/beta"][4] = 1, 0, 0
    findings = found(spec.with_arrays(arrays))
    assert [(each.rule, each.level) for each in findings] == [("dead-channels", "note")] * 2
    assert [each.message.partition(":")[0] for each in findings] == [
        "1 of 4 channels of first can never be active",
        "2 of 5 channels of activation_4 can never be active",
    ]
    assert findings[1].message.endswith("(2, 4)")


def test_a_layer_that_can_never_be_active_is_a_red_flag() -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, activation=RELU, name="first")
    draft.conv(4, activation=RELU, name="second")
    spec = draft.ended(3)
    below = {"second/weight": -np.abs(spec.arrays["second/weight"])}
    below["second/bias"] = np.full(4, -0.1, np.float32)
    finding, *_ = found(spec.with_arrays(below))
    assert (finding.rule, finding.level, finding.layer) == ("dead-layer", "warning", "second")
    assert "none of the 4 channels of second" in finding.message


def test_channels_without_weights_are_a_red_flag_and_not_named_twice() -> None:
    spec = deepid_spec()
    weight, bias = (spec.arrays[f"conv_2/{name}"].copy() for name in ("weight", "bias"))
    weight[[0, 3]] = bias[[0, 3]] = 0
    (finding,) = found(spec.with_arrays({"conv_2/weight": weight, "conv_2/bias": bias}))
    assert (finding.rule, finding.level) == ("silent-channels", "warning")
    assert finding.message.startswith("2 of 4 channels of conv_2 are all zero")


@st.composite
def bounded(draw: st.DrawFn) -> NetworkSpec:
    """Networks whose first values are bounded, so that all are."""
    draft = Draft(4, 8, 8, seed=draw(st.integers(0, 99)))
    draft.activation(draw(st.sampled_from(["sigmoid", "tanh", "relu6"])))
    for _ in range(draw(st.integers(1, 4))):
        BLOCKS[draw(st.sampled_from(sorted(BLOCKS)))](draft)
    return draft.ended(3)


@given(bounded(), st.integers(0, 9))
@settings(max_examples=60)
def test_all_values_lie_within_their_bounds(spec: NetworkSpec, seed: int) -> None:
    network, bounds = build(spec), bounds_of(Graph(spec)).values
    random = torch.Generator().manual_seed(seed)
    images = 3 * torch.randn(8, *network.input_shape, generator=random)
    for layer in network.layers:
        with torch.inference_mode():
            value = network.cut(layer).head(images)[0].numpy()
        interval = bounds[layer]
        shape = (-1, *[1] * (value.ndim - 2))
        low, high = interval.low.reshape(shape), interval.high.reshape(shape)
        slack = 1e-4 * (1 + np.abs(value))
        assert (value >= low - slack).all(), layer
        assert (value <= high + slack).all(), layer


# -- classes


def last_layer(weight: np.ndarray, bias: np.ndarray, *, positive: bool = True) -> NetworkSpec:
    draft = Draft(weight.shape[1], 4, 4)
    draft.add("global_avg_pool2d")
    if positive:
        draft.activation("relu")
    arrays = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    draft.add("dense", arrays=arrays, activation=Activation("softmax"), name="output")
    return draft.spec()


def test_a_class_that_another_always_beats_is_named() -> None:
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(7, 12)), np.zeros(7)
    weight[5] = weight[2] - random.random(12)
    bias[5] = -0.1
    (finding,) = found(last_layer(weight, bias))
    assert (finding.rule, finding.level, finding.layer) == ("class-never-wins", "warning", "output")
    assert finding.message.startswith("1 of 7 classes")
    assert finding.message.endswith("5 by 2")
    # with features of either sign a class wins somewhere
    assert not found(last_layer(weight, bias, positive=False))
    weight[5] = weight[2]
    (finding,) = found(last_layer(weight, bias, positive=False))
    assert finding.message.endswith("5 by 2")


def test_of_equal_outputs_the_first_is_the_answer() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 6))
    weight[3] = weight[1]
    (finding,) = found(last_layer(weight, np.zeros(4), positive=False))
    assert finding.message.endswith("3 by 1")


@given(st.integers(0, 999), st.integers(2, 9), st.integers(1, 4))
def test_no_features_make_a_beaten_class_the_answer(seed: int, classes: int, width: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-2, 3, (classes, width)).astype(np.float64)
    bias = random.integers(-1, 2, classes).astype(np.float64)
    features = random.exponential(size=(3000, width)) * (random.random((3000, width)) < 0.6)
    won = set((features @ weight.T + bias).argmax(1).tolist())
    findings = found(last_layer(weight, bias), "class-never-wins")
    listed = findings[0].message.rpartition(": ")[2].removesuffix(", ...") if findings else ""
    beaten = {int(pair.split(" by ")[0]) for pair in listed.split(", ") if pair}
    assert not won & beaten


# -- weights


def test_large_weights_are_a_red_flag_and_large_statistics_are_not() -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, name="conv")
    draft.norm(name="norm")
    draft.activation("relu")
    spec = draft.ended(3)
    variance = spec.with_arrays({"norm/variance": np.full(4, 1e6, np.float32)})
    assert not found(variance, "large-weight")
    weight = spec.arrays["conv/weight"].copy()
    weight[0, 0, 0, 0] = -2e3
    (finding,) = found(spec.with_arrays({"conv/weight": weight}), "large-weight")
    assert finding.message == "conv/weight holds a number as large as 2e+03"
    (finding,) = found(
        spec.with_arrays({"norm/mean": np.full(4, 3e38, np.float32)}), "large-weight"
    )
    assert "may be infinite or NaN" in finding.message


# -- honest networks


@pytest.mark.parametrize("kind", [*SPECS, "goodnet"])
def test_small_networks_have_nothing_odd(kind: str) -> None:
    spec = goodnet_draft() if kind == "goodnet" else SPECS[kind]()
    assert [each for each in found(spec) if each.level != "note"] == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_that_are_trained_here_have_nothing_odd(name: str) -> None:
    spec = make_architecture(name, shape=(3, 32, 32), num_classes=10)
    assert [each for each in found(spec) if each.level != "note"] == []


@pytest.mark.parametrize("model", ["lab3", "sunglasses", "multi_trigger_multi_target"])
def test_the_csaw_networks_have_nothing_odd(model: str, shared: Path) -> None:
    assert found(read_spec(shared / "csaw" / "models" / f"{model}_bd_net.h5")) == []


def test_the_cifar_badnet_has_nothing_odd(shared: Path) -> None:
    assert found(read_spec(shared / "cifar_badnet" / "bd_net.h5")) == []


def test_what_pruning_leaves_dead_is_really_dead(shared: Path) -> None:
    spec = read_spec(shared / "csaw" / "students" / "pruned_drop_10.h5")
    silent, dead = found(spec)
    assert (silent.layer, dead.layer) == ("conv_3", "conv_4")
    assert dead.message.startswith("4 of 80 channels of conv_4 can never be active")
    channels = [int(x) for x in dead.message.rpartition("(")[2].rstrip(")").split(", ")]
    images = 255 * torch.rand(20, 3, 55, 47, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        value = build(spec).cut("conv_4").head(images)[0]
    assert (value[:, channels] == 0).all()


def test_every_rule_has_its_own_id() -> None:
    ids = [rule.id for each in ODDITIES for rule in each.rules]
    assert len(set(ids)) == len(ids)


EVERYDAY: dict[str, Callable[[], dict[str, tuple[int, ...]]]] = {
    "resnet": lambda: published.resnet((2, 2, 2, 2), deep=False, small=True, classes=10),
    "mobilenet": published.mobilenet_v2,
    "densenet": lambda: published.densenet((6, 12, 24, 16)),
    "vit": lambda: published.timm_vit(192, 12, 16, 224),
}


@pytest.mark.parametrize("kind", EVERYDAY)
def test_everyday_architectures_have_nothing_odd(kind: str, tmp_path: Path) -> None:
    torch.save(state_dict(EVERYDAY[kind]()), tmp_path / "net.pt")
    assert [each for each in found(read_spec(tmp_path / "net.pt")) if each.level != "note"] == []
