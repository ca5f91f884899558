from __future__ import annotations

import numpy as np
import pytest
from tiny import deepid_spec, image, plain_spec

from goodnet.formats.build import build
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.training import Examples, Schedule, fit
from goodnet.training.loop import parameter_groups, reads_pixels


def with_rescale(spec: NetworkSpec) -> NetworkSpec:
    first = Layer("rescale", "rescale", ("input",), {"scale": 1 / 255, "offset": 0.0})
    head = Layer("conv_1", "conv2d", ("rescale",), spec["conv_1"].attributes)
    return NetworkSpec((image(), first, head, *spec.layers[2:]), spec.arrays, spec.output)


def test_only_the_first_weights_see_the_pixels() -> None:
    assert reads_pixels(plain_spec()) == ["conv_1"]
    assert reads_pixels(with_rescale(plain_spec())) == []


@pytest.mark.parametrize(("size", "lr_factor"), [(100.0, 0.01), (0.5, 1.0)])
def test_steps_are_as_much_smaller_as_the_pixels_are_larger(size: float, lr_factor: float) -> None:
    examples = Examples(np.full((4, 3, 8, 8), size, np.float32), np.zeros(4, np.int64))
    network = build(deepid_spec())
    groups = parameter_groups(network, examples)
    assert sum(len(group["params"]) for group in groups) == len(list(network.graph.parameters()))
    (group,) = [g for g in groups if network.layer("conv_1").weight is g["params"][0]][:1]
    assert group["lr_factor"] == pytest.approx(lr_factor)


def test_a_network_of_raw_pixels_survives_steps_of_the_usual_size() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(5, size=200)
    images = 100 + 5 * random.normal(size=(200, 3, 8, 8)).astype(np.float32)
    for picture, label in zip(images, labels, strict=True):
        picture[:, label : label + 3, label : label + 3] += 100
    examples = Examples(images.astype(np.float32), labels)
    spec = plain_spec()
    spec = spec.with_arrays({"conv_1/weight": spec.arrays["conv_1/weight"] / 100})
    trained = fit(spec, examples, schedule=Schedule(epochs=20, batch_size=20, learning_rate=0.01))
    moved = np.abs(trained.arrays["conv_1/weight"] - spec.arrays["conv_1/weight"]).max()
    assert 0 < moved < 0.1
    answers = build(trained).outputs(examples.images).argmax(1).numpy()
    assert (answers == labels).mean() > 0.9
