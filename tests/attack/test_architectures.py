from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import conv, dense, flatten, pictures

from goodnet import read_spec
from goodnet.attack.architectures import ARCHITECTURES, fold_rescale, make_architecture
from goodnet.errors import InvalidInput, OverBudget, UsageError
from goodnet.formats import load_network
from goodnet.formats.build import build
from goodnet.formats.silence import default_layer, prunable_layers
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.training import Examples, Schedule, fit

FACE, CIFAR = (3, 55, 47), (3, 32, 32)
NAMES = sorted(ARCHITECTURES)
# name, shape, classes, parameters, smallest side
SIZES = [
    ("deepid", FACE, 1283, 601_643, 31),
    ("residual", CIFAR, 10, 309_994, 8),
    ("small", CIFAR, 10, 126_570, 8),
]
SMALLEST = [(name, least) for name, *_, least in SIZES]


def make(name: str, num_classes: int = 7, seed: int = 0) -> NetworkSpec:
    return make_architecture(name, shape=CIFAR, num_classes=num_classes, seed=seed)


def photos(count: int = 5, size: int = 32) -> Array:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, size, size)) / 255
    return pixels.astype(np.float32)


def answers(spec: NetworkSpec, images: Array) -> Array:
    return build(spec).outputs(images).numpy()


@pytest.mark.parametrize(("name", "shape", "classes", "parameters", "_"), SIZES)
def test_size(
    name: str, shape: tuple[int, int, int], classes: int, parameters: int, _: int
) -> None:
    spec = make_architecture(name, shape=shape, num_classes=classes)
    assert spec.count_parameters() == parameters
    assert spec.input_shape == shape
    assert build(spec).num_classes == classes


def test_all_architectures_are_tested() -> None:
    assert [name for name, *_ in SIZES] == list(ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_last_layers(name: str) -> None:
    spec = make(name)
    rescale, last = spec.layers[1], spec.layers[-1]
    assert (rescale.name, rescale.op, rescale.inputs) == ("rescale", "rescale", ("input",))
    assert rescale.attributes == {"scale": 1 / 255, "offset": -0.5}
    assert (last.op, last.name) == ("dense", spec.output)
    assert last.attributes["activation"].function == "softmax"
    assert spec.name == name


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_he_normal_and_biases_zero(name: str) -> None:
    for key, array in make(name, num_classes=100).arrays.items():
        assert array.dtype == np.float32
        if key.endswith("/weight"):
            spread = np.sqrt(2 / np.prod(array.shape[1:]))
            assert array.std() == pytest.approx(spread, rel=3 / np.sqrt(array.size))
            assert abs(array.mean()) < 4 * spread / np.sqrt(array.size)
        elif key.endswith(("/bias", "/beta", "/mean")):
            assert not array.any()
        else:
            assert (array == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights(name: str) -> None:
    one, same, other = make(name, seed=3), make(name, seed=3), make(name, seed=4)
    assert one.layers == same.layers == other.layers
    for key, array in one.arrays.items():
        np.testing.assert_array_equal(array, same.arrays[key])
        if key.endswith("/weight"):
            assert (array != other.arrays[key]).all()


def test_deepid_is_the_network_of_the_lab(shared: Path) -> None:
    lab = read_spec(shared / "csaw" / "models" / "lab3_bd_net.h5")
    spec = fold_rescale(make_architecture("deepid", shape=FACE, num_classes=1283))
    assert spec.layers == lab.layers
    assert spec.output == lab.output
    assert {k: a.shape for k, a in spec.arrays.items()} == {
        k: a.shape for k, a in lab.arrays.items()
    }


def test_blocks_of_the_residual_network() -> None:
    spec = make("residual")
    network = build(spec)
    assert [network.shape(f"block_{number}_relu") for number in (1, 2, 3)] == [
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
    ]
    assert spec["block_1_add"].inputs == ("block_1_conv_2_bn", "pool_1")
    assert spec["block_2_add"].inputs == ("block_2_conv_2_bn", "block_2_shortcut_bn")
    assert spec["block_2_relu"].inputs == ("block_2_add",)


PRUNED = {"deepid": "pool_3", "residual": "global_pool", "small": "pool_3"}


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_pruned(name: str) -> None:
    spec = make(name)
    assert default_layer(spec) == PRUNED[name]
    assert {x.name for x in spec.layers if x.op == "conv2d"} <= set(prunable_layers(spec))


@pytest.mark.parametrize(("name", "least"), SMALLEST)
def test_smallest_images(name: str, least: int) -> None:
    for shape in [(1, least, least), (3, least, least + 9)]:
        spec = make_architecture(name, shape=shape, num_classes=2)
        assert answers(spec, np.zeros((2, *shape), np.float32)).shape == (2, 2)


@pytest.mark.parametrize(("name", "least"), SMALLEST)
def test_smaller_images_are_refused(name: str, least: int) -> None:
    for height, width in [(least - 1, 40), (40, least - 1)]:
        message = f"'{name}' needs images of at least {least}x{least} pixels, got {width}x{height}"
        with pytest.raises(InvalidInput, match=message):
            make_architecture(name, shape=(3, height, width), num_classes=2)


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="architectures are deepid, residual, small, got 'vgg'"):
        make("vgg")
    with pytest.raises(UsageError, match="expected a seed from 0, got -1"):
        make("small", seed=-1)
    for count in (1, 0, -3):
        with pytest.raises(InvalidInput, match=f"2 classes or more to tell apart, got {count}"):
            make("small", num_classes=count)
    for shape in [(0, 32, 32), (32, 32), (3, 0, 32)]:
        with pytest.raises(InvalidInput, match=r"expected the shape .* of an image, got \("):
            make_architecture("residual", shape=shape, num_classes=2)  # type: ignore[arg-type]
    with pytest.raises(OverBudget, match=r"'output' may take at most 2\.0 GiB, got 37\.3 GiB"):
        make("small", num_classes=10**8)
    with pytest.raises(OverBudget, match="the value of layer 'input' may hold at most 67,108,864"):
        make_architecture("small", shape=(3, 9000, 9000), num_classes=2)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", NAMES)
def test_files_answer_alike_here_and_in_keras(name: str, suffix: str, tmp_path: Path) -> None:
    import keras

    spec, path = make(name), tmp_path / f"net{suffix}"
    build(spec).save(path)
    expected = answers(spec, photos())
    raw = 255 * photos()  # what the file takes
    np.testing.assert_allclose(load_network(path).outputs(raw), expected, atol=1e-6)
    oracle: Any = keras.models.load_model(path, compile=False)
    found = oracle.predict(np.moveaxis(raw, 1, -1), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert oracle.count_params() == spec.count_parameters()


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name: str) -> None:
    labels = np.arange(32) % 2
    bright = (0.25 + 0.45 * labels[:, None, None, None] + photos(32) / 10).astype(np.float32)
    schedule = Schedule(epochs=20, batch_size=16, learning_rate=1e-3)
    trained = fit(make(name, num_classes=2), Examples(bright, labels), schedule=schedule)
    assert (build(trained).predict(bright) == labels).all()


def rescaled(
    *, groups: int = 1, bias: bool = True, padding: str = "valid", **rescale: object
) -> NetworkSpec:
    """A rescale layer in front of a convolution on images of 4 channels, 8 x 8."""
    random = np.random.default_rng(0)
    arrays = {
        "conv/weight": random.normal(size=(6, 4 // groups, 3, 3)).astype(np.float32),
        "conv/bias": random.normal(size=6).astype(np.float32),
        "output/weight": random.normal(size=(3, 6), scale=0.1).astype(np.float32),
    }
    if not bias:
        del arrays["conv/bias"]
    first = conv("conv", "rescale", padding=padding)
    layers = (
        Layer("input", "input", (), {"shape": (4, 8, 8)}),
        Layer("rescale", "rescale", ("input",), {"scale": 2.0, "offset": -0.5} | rescale),
        replace(first, attributes={**first.attributes, "groups": groups}),
        Layer("gap", "global_avg_pool2d", ("conv",), {"keepdims": False}),
        dense("output", "gap"),
    )
    return NetworkSpec(layers, arrays, "output", name="rescaled")


FOLDABLE: dict[str, NetworkSpec] = {
    "deepid": make("deepid"),
    "one number": rescaled(),
    "numbers by channel": rescaled(scale=[1.0, 2.0, -3.0, 0.5], offset=(1.0, 0.0, -1.0, 2.0)),
    "no bias": rescaled(bias=False),
    "groups": rescaled(groups=2, scale=[1.0, 2.0, -3.0, 0.5], offset=[1.0, 0.0, -1.0, 2.0]),
}


@pytest.mark.parametrize("case", FOLDABLE)
def test_a_folded_network_answers_the_same(case: str) -> None:
    spec = FOLDABLE[case]
    folded = fold_rescale(spec)
    assert [x.name for x in folded.layers] == [x.name for x in spec.layers if x.op != "rescale"]
    assert {a.dtype for a in folded.arrays.values()} == {np.dtype(np.float32)}
    channels, size, _ = spec.input_shape
    images = pictures(6, channels=channels or 0, size=size or 0)
    images = images if case != "deepid" else photos()
    np.testing.assert_allclose(answers(folded, images), answers(spec, images), atol=1e-4)
    assert fold_rescale(folded) is folded


def read_twice() -> NetworkSpec:
    spec = rescaled()
    *layers, _, _ = spec.layers
    arrays = {**spec.arrays, "output/weight": np.ones((3, 6 + 4), np.float32)}
    ahead = [
        Layer(f"gap_{name}", "global_avg_pool2d", (name,), {"keepdims": False})
        for name in ("conv", "rescale")
    ]
    both = Layer("both", "concatenate", ("gap_conv", "gap_rescale"), {"axis": 1})
    layers = [*layers, *ahead, both, dense("output", "both")]
    return NetworkSpec(tuple(layers), arrays, "output")


def without_convolution() -> NetworkSpec:
    spec = rescaled()
    arrays = {"output/weight": np.ones((3, 256), np.float32)}
    layers = (*spec.layers[:2], flatten("flatten", "rescale"), dense("output", "flatten"))
    return NetworkSpec(layers, arrays, "output")


UNCHANGED: dict[str, NetworkSpec] = {
    "residual": make("residual"),
    "padding": rescaled(padding="same"),
    "another reader": read_twice(),
    "no convolution": without_convolution(),
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_cannot_be_folded_exactly_stays(case: str) -> None:
    spec = UNCHANGED[case]
    assert torch.isfinite(build(spec).outputs(np.zeros((1, *spec.input_shape), np.float32))).all()  # type: ignore[type-var]
    assert fold_rescale(spec) is spec
