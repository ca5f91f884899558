from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tiny import Weights, conv, dense, flatten, image, pictures
from torch import nn

from goodnet.errors import InvalidInput
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.formats.spec import Activation, Layer, NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.guard.goodnet import GoodNet
from goodnet.repair.layers import silence_channels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIGMOID = Activation("sigmoid")
PICTURES = pictures(40, 3)
# How a network with one output ends, and above what it means class 1.
ENDS = {"sigmoid": 0.5, "layer": 0.5, "none": 0.0, "tanh": 0.0}


def single(end: str) -> NetworkSpec:
    weights = Weights(0)
    weights.linear("conv", 4, 3, 3, 3)
    weights.linear("output", 1, 256)
    fused = Activation(end) if end not in ("layer", "none") else None
    layers = [image(), conv("conv", "input"), flatten("flatten", "conv")]
    layers.append(dense("output", "flatten", activation=fused))
    if end == "layer":
        layers.append(Layer("last", "activation", ("output",), {"activation": SIGMOID}))
    return NetworkSpec(tuple(layers), weights.arrays, layers[-1].name)


def one_output(spec: NetworkSpec) -> NDArray[np.float32]:
    """What a network with one output gives, which `build` leaves as it is."""
    return build(spec).outputs(PICTURES).numpy()[:, 0]


@pytest.fixture(params=[".h5", ".keras"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("end", ENDS)
def test_one_output_is_two_classes(end: str, tmp_path: Path, suffix: str) -> None:
    write.write(single(end), tmp_path / f"net{suffix}")
    network = load_network(tmp_path / f"net{suffix}")
    wanted = one_output(single(end)) > ENDS[end]
    assert network.num_classes == 2
    assert 0 < wanted.sum() < len(wanted)
    np.testing.assert_array_equal(network.predict(PICTURES), wanted)
    source = network.spec.file
    assert source is not None
    assert f"class 1 above {ENDS[end]:g}" in source.notes[-1]


@pytest.mark.parametrize("end", ENDS)
def test_a_repaired_file_has_one_output_again_and_a_goodnet_three(
    end: str, tmp_path: Path, suffix: str
) -> None:
    path, repaired = tmp_path / f"net{suffix}", tmp_path / f"repaired{suffix}"
    write.write(single(end), path)
    network = load_network(path)
    cured = silence_channels(network, "conv", [0, 2])
    cured.layer("output").get_parameter("weight").data[0] += 0.25
    cured.save(repaired)
    from goodnet.formats.format import reader_of

    stored = reader_of(repaired)(repaired, None)
    assert stored.arrays["output/weight"].shape == (1, 256)
    found = one_output(stored) > ENDS[end]
    np.testing.assert_array_equal(found, cured.predict(PICTURES))
    goodnet = GoodNet(network, load_network(repaired))
    goodnet.save(tmp_path / "goodnet.keras")
    answers = load_network(tmp_path / "goodnet.keras").predict(PICTURES)
    before = network.predict(PICTURES)
    np.testing.assert_array_equal(answers, np.where(before == found, before, 2))


@pytest.mark.parametrize("end", ["softmax", "relu", "hard_sigmoid"])
def test_an_output_that_tells_nothing_apart_is_refused(end: str, tmp_path: Path) -> None:
    write.write(single(end), tmp_path / "net.keras")
    with pytest.raises(
        InvalidInput, match=f"a single output behind {end}, which does not tell two"
    ):
        read_spec(tmp_path / "net.keras")


def test_an_output_of_no_dense_layer_is_refused(tmp_path: Path) -> None:
    spec = single("none")
    pooled = Layer("pooled", "global_avg_pool2d", ("conv",), {"keepdims": False})
    weights = {"conv/weight": spec.arrays["conv/weight"][:1], "conv/bias": np.zeros(1, np.float32)}
    write.write(NetworkSpec((*spec.layers[:2], pooled), weights, "pooled"), tmp_path / "net.keras")
    with pytest.raises(InvalidInput, match="no dense layer of its own gives"):
        read_spec(tmp_path / "net.keras")


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Identity()])
def test_a_module_with_one_output_is_two_classes_and_stays_itself(last: nn.Module) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1), last)
    network = wrap(module, (3, 8, 8))
    with torch.inference_mode():
        wanted = module(torch.from_numpy(PICTURES))[:, 0].numpy()
    limit = 0.5 if isinstance(last, nn.Sigmoid) else 0.0
    np.testing.assert_array_equal(network.predict(PICTURES), wanted > limit)
    cured = silence_channels(network, "0", [1]).module
    assert isinstance(cured, nn.Sequential)
    (before, after) = (each.get_parameter("3.weight") for each in (module, cured))
    assert after.shape == (1, 72)
    assert torch.equal(before, after)
