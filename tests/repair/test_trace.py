from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import masked, slow_correct
from tiny import SPECS, module_network, pictures
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.torch import wrap
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import Network
from goodnet.preprocessing import Preprocessing
from goodnet.repair.activity import measure_activity
from goodnet.repair.prune import prune_curve, trace_backdoor
from goodnet.repair.trace import trace_predictions

LAYERS = {
    "plain": ("pool_2", "conv_1", "flatten"),
    "deepid": ("pool_1", "conv_2", "activation_1"),
    "residual": ("gap", "bn", "conv", "relu"),
}
CASES = [(name, layer) for name, layers in LAYERS.items() for layer in layers]


def labelled(network: Network, count: int, seed: int = 0) -> ImageSet:
    """Images with the network's own answers as labels, some of them wrong."""
    images = (pictures(count, seed) + np.float32(1)) / 2
    labels = network.predict(images)
    labels[::7] = (labels[::7] + 1) % network.num_classes
    return images_from_arrays(images, labels, range="0..1")


def signed(network: Network) -> Network:
    """A network that is given pixels -1..1: half of what it reads is below zero."""
    return network.with_preprocessing(Preprocessing(2, mean=1))


@pytest.mark.parametrize(("name", "layer"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_incremental_equals_slow(name: str, layer: str, seed: int) -> None:
    network = signed(build(SPECS[name](seed)))
    images = labelled(network, 60, seed)
    groups = [[int(c)] for c in np.random.default_rng(seed).permutation(network.channels(layer))]
    trace = trace_predictions(network, images, layer, groups=groups)
    assert trace.correct.tolist() == slow_correct(network, images, layer, groups).tolist()
    assert layer != LAYERS[name][0] or len(set(trace.correct.tolist())) > 1


class Overflowing(nn.Module):
    """Two channels of one sign each; what is far from zero becomes infinite."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.channels, self.last = nn.Conv2d(1, 2, 1, bias=False), nn.Linear(2, 2)
        with torch.no_grad():
            self.channels.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        value = self.channels(images).amax((2, 3))
        logits: Tensor = self.last(value)
        total = value.sum(1, keepdim=True).abs()
        return torch.where(total > self.limit, torch.inf, logits)


def overflowing(limit: float) -> tuple[Network, ImageSet]:
    images = images_from_arrays(np.ones((6, 1, 2, 2), np.float32), [0, 1] * 3, range="0..1")
    return wrap(Overflowing(limit), (1, 2, 2)), images


def test_a_step_that_makes_outputs_infinite_answers_nothing_right() -> None:
    network, images = overflowing(0.99)
    trace = trace_predictions(network, images, "channels", groups=[[0], [1]])
    assert trace.correct.tolist() == [3, 0, 3]


def test_a_network_that_answers_no_numbers_is_not_traced() -> None:
    network, images = overflowing(-1.0)
    with pytest.raises(InvalidInput, match="the network answers NaN or infinity on 6 of 6 images"):
        trace_predictions(network, images, "channels", groups=[[0]])


def test_a_layer_that_is_no_number_has_no_activity() -> None:
    network, images = overflowing(9.0)
    with torch.no_grad():
        network.layer("channels").get_parameter("weight").fill_(torch.inf)
    with pytest.raises(InvalidInput, match=r"layer 'channels' answers NaN .* on 6 of 6 images"):
        measure_activity(network, images, "channels")


@pytest.mark.parametrize("layer", ["body.1", "add", "stem", "adaptive_avg_pool2d"])
def test_incremental_equals_slow_for_a_module(layer: str) -> None:
    network = signed(module_network())
    images = labelled(network, 60)
    groups = [[3], [0, 5], [], [1]]
    trace = trace_predictions(network, images, layer, groups=groups)
    assert trace.correct.tolist() == slow_correct(network, images, layer, groups).tolist()


@given(st.integers(1, 70), st.sampled_from(["plain", "deepid", "residual"]))
@settings(max_examples=20)
def test_the_size_of_a_block_does_not_matter(block: int, name: str) -> None:
    network = signed(build(SPECS[name]()))
    images = labelled(network, 60)
    layer = LAYERS[name][0]
    groups = [[c] for c in range(network.channels(layer))]
    whole = trace_predictions(network, images, layer, groups=groups)
    parts = trace_predictions(network, images, layer, groups=groups, block=block)
    assert parts.correct.tolist() == whole.correct.tolist()


@pytest.mark.parametrize("block", [None, 7])
def test_every_answer_is_that_of_the_silenced_network(block: int | None) -> None:
    network = signed(build(SPECS["plain"]()))
    pixels = labelled(network, 60).sample(60).images
    for step, channels in enumerate(([], [1, 2], [1, 2, 4])):
        expected = masked(network, "pool_2", channels).predict(pixels)
        images = images_from_arrays(pixels, expected, layout="NCHW", range="0..1")
        trace = trace_predictions(network, images, "pool_2", groups=[[1, 2], [4]], block=block)
        assert trace.correct[step] == len(images)


def test_only_touched_images_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    network = signed(build(SPECS["plain"]()))
    images = labelled(network, 60)
    features = network.cut("pool_2").head(torch.from_numpy(images.sample(60).images))[0]
    active = (features != 0).flatten(2).any(2).sum(0)
    seen: list[int] = []
    original = type(network).cut

    def counting(self: Network, layer: str) -> object:
        cut = original(self, layer)
        cut.tail.register_forward_pre_hook(lambda _, values: seen.append(len(values[0])))
        return cut

    monkeypatch.setattr(Network, "cut", counting)
    trace_predictions(network, images, "pool_2", groups=[[c] for c in range(6)])
    assert sum(seen) == 60 + int(active.sum())
    assert int(active.min()) < 60


def test_activity_is_the_mean_over_images_and_positions() -> None:
    network = signed(build(SPECS["plain"]()))
    images = labelled(network, 60)
    features = network.cut("pool_2").head(torch.from_numpy(images.sample(60).images))[0]
    activity = measure_activity(network, images, "pool_2")
    np.testing.assert_allclose(activity.mean, features.double().mean((0, 2, 3)).detach(), rtol=1e-6)
    expected = (features != 0).flatten(2).any(2).sum(0)
    assert activity.active_images.tolist() == expected.tolist()
    assert activity.total == 60


def test_channels_that_do_not_exist_or_come_twice_are_refused() -> None:
    network = signed(build(SPECS["plain"]()))
    images = labelled(network, 5)
    with pytest.raises(InvalidInput, match=r"has the channels 0\.\.5, got 6"):
        trace_predictions(network, images, "pool_2", groups=[[6]])
    with pytest.raises(InvalidInput, match="channel 2 of layer 'pool_2' is listed twice"):
        trace_predictions(network, images, "pool_2", groups=[[2], [2]])


@given(st.integers(1, 70), st.sampled_from(CASES))
@settings(max_examples=20)
def test_the_activity_of_a_trace_is_the_one_measured_alone(
    block: int, case: tuple[str, str]
) -> None:
    name, layer = case
    network = signed(build(SPECS[name]()))
    images = labelled(network, 60)
    groups = [[c] for c in range(network.channels(layer))]
    trace = trace_predictions(network, images, layer, groups=groups, block=block)
    expected = measure_activity(network, images, layer).mean
    np.testing.assert_allclose(trace.mean_activation, expected, rtol=1e-5, atol=1e-9)


def test_the_activity_on_poison_is_that_of_the_whole_network() -> None:
    network = signed(module_network())
    clean, poisoned = labelled(network, 60), labelled(network, 40, seed=1)
    curve = prune_curve(network, clean, layer="body.1", order="descending")
    trace = trace_backdoor(curve, network, poisoned)
    expected = measure_activity(network, poisoned, "body.1").mean
    np.testing.assert_allclose(trace.mean_activation, expected, rtol=1e-6)
    assert not np.allclose(trace.mean_activation, curve.mean_activation)
