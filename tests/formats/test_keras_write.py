from __future__ import annotations

import errno
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_samples import RELU, Draft, goodnet_draft, outputs, pictures

from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.formats.keras.graph import valid_name
from goodnet.formats.keras.write import write
from goodnet.formats.spec import Activation, Array, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Keras' own, on its torch backend with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SUFFIXES = (".keras", ".h5")


def load(path: Path) -> Any:
    import keras

    return keras.models.load_model(path, compile=False)


def keras_outputs(path: Path, images: Array) -> Array:
    outputs: Array = load(path).predict(np.moveaxis(images, 1, -1), verbose=0)
    return outputs


def check(spec: NetworkSpec, path: Path, *, tolerance: float = 1e-5) -> None:
    """Write, then compare what Keras computes and what is read back with the network."""
    write(spec, path, force=True)
    expected = outputs(spec)
    found = keras_outputs(path, pictures(spec))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(outputs(read_spec(path)), expected, rtol=tolerance, atol=tolerance)


def _with(op: str, **attributes: Any) -> Callable[[Draft], object]:
    return lambda draft: draft.add(op, **attributes)


def _parameter(op: str, name: str, *shape: int) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        draft.conv(4)
        draft.add(op, arrays={name: draft.numbers(*shape)})

    return grow


def _normalize(*shape: int, invert: bool = False) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        variance = np.abs(draft.numbers(*shape))
        variance.flat[0] = 0.25
        arrays = {"mean": draft.numbers(*shape), "variance": variance}
        draft.add("normalize", arrays=arrays, invert=invert)

    return grow


def _merge(op: str) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        inputs = tuple(draft.conv(4, source="image") for _ in range(2 if op == "subtract" else 3))
        draft.add(op, inputs=inputs)

    return grow


def _concatenate(axis: int) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        left = draft.conv(3, source="image")
        right = draft.conv(3, source="image", activation=RELU)
        draft.add("concatenate", inputs=(left, right), axis=axis)

    return grow


def _reshaped(order: str) -> Callable[[Draft], object]:
    def grow(draft: Draft) -> None:
        draft.add("reshape", shape=(6, 9, -1), order=order)
        draft.conv(4)
        draft.add("reshape", shape=(-1,), order=order)
        draft.dense(12)
        draft.add("reshape", shape=(2, 3, 2), order=order)

    return grow


def _permuted(order: str, *dims: int) -> Callable[[Draft], object]:
    return lambda draft: draft.add("permute", dims=dims, order=order)


def _attention(draft: Draft) -> None:
    tokens = draft.add("reshape", shape=(24, 9), order="chw")
    query, value, key = (draft.dense(width, source=tokens) for width in (6, 8, 6))
    draft.add("attention", inputs=(query, value, key), heads=2)


CASES: dict[str, Callable[[Draft], object]] = {
    "conv": lambda d: d.conv(4),
    "conv without bias": lambda d: d.conv(4, bias=False),
    "conv same, strides": lambda d: d.conv(4, 3, padding="same", strides=(2, 2)),
    "conv dilated": lambda d: d.conv(4, 2, dilation=(2, 1), padding="same"),
    "conv fused relu": lambda d: d.conv(4, activation=RELU),
    "conv fused leaky": lambda d: d.conv(4, activation=Activation("leaky_relu")),
    "conv fused softmax": lambda d: d.conv(4, activation=Activation("softmax")),
    "conv softmax over rows": lambda d: d.conv(4, activation=Activation("softmax", {"axis": 2})),
    "conv grouped": lambda d: (d.conv(4), d.conv(6, groups=2)),
    "depthwise": lambda d: d.conv(3, groups=3),
    "depthwise twice": lambda d: d.conv(6, groups=3, strides=(2, 2)),
    "batch norm": lambda d: d.norm(),
    "batch norm bare": lambda d: d.norm(gamma=False, beta=False, epsilon=0.1),
    "batch norm shift only": lambda d: d.norm(gamma=False),
    "batch norm of a vector": lambda d: (d.add("flatten"), d.norm()),
    "prelu per channel": _parameter("prelu", "alpha", 4, 1, 1),
    "prelu per pixel": _parameter("prelu", "alpha", 4, 6, 7),
    "prelu per row": _parameter("prelu", "alpha", 4, 6, 1),
    "prelu of a vector": lambda d: (
        d.add("flatten"),
        d.dense(5),
        d.add("prelu", arrays={"alpha": d.numbers(5)}),
    ),
    "max pool": _with("max_pool2d"),
    "max pool same": _with("max_pool2d", pool=(3, 2), strides=(2, 3), padding="same"),
    # Where the padding is uneven, Keras on torch repeats the border; on TensorFlow it does not.
    "average pool same": _with("avg_pool2d", pool=(3, 3), strides=(1, 1), padding="same"),
    "global max": _with("global_max_pool2d"),
    "global average": _with("global_avg_pool2d"),
    "global average, kept": _with("global_avg_pool2d", keepdims=True),
    "global max, kept": _with("global_max_pool2d", keepdims=True),
    "flatten chw": _with("flatten", order="chw"),
    "reshape hwc": _reshaped("hwc"),
    "reshape chw": _reshaped("chw"),
    "permute hwc": _permuted("hwc", 3, 1, 2),
    "permute chw": _permuted("chw", 3, 1, 2),
    "add": _merge("add"),
    "subtract": _merge("subtract"),
    "multiply": _merge("multiply"),
    "average": _merge("average"),
    "maximum": _merge("maximum"),
    "minimum": _merge("minimum"),
    "concatenate channels": _concatenate(1),
    "concatenate rows": _concatenate(2),
    "concatenate columns": _concatenate(3),
    "identity": _with("identity"),
    "zero pad": _with("zero_pad2d", padding=(1, 0, 2, 3)),
    "crop": _with("crop2d", padding=(1, 0, 2, 1)),
    "upsample": _with("upsample2d", size=(2, 3)),
    "transposed": lambda d: d.conv_transpose(4, 3),
    "transposed same, strides": lambda d: d.conv_transpose(
        4, 5, strides=(2, 3), padding="same", activation=RELU
    ),
    "transposed with more": lambda d: d.conv_transpose(
        4, 3, strides=(2, 2), padding="same", output_padding=(1, 0)
    ),
    "group norm": lambda d: (d.conv(4), d.own_norm("group_norm", 4, groups=2)),
    "layer norm": lambda d: d.own_norm("layer_norm", 3, 1, 1, axes=(1,)),
    "layer norm of steps": lambda d: (
        d.add("reshape", shape=(24, 9), order="chw"),
        d.own_norm("layer_norm", 9, axes=(2,)),
    ),
    "unit norm": _with("unit_norm", axes=(1,)),
    "attention": _attention,
    "first steps": lambda d: (
        d.add("reshape", shape=(24, 9), order="chw"),
        d.add("crop1d", cropping=(0, 20)),
    ),
    "select": _with("select", channels=(2, 0, 2)),
    "resize": _with("resize", size=(5, 11), interpolation="nearest", antialias=False, crop=False),
    "resize the centre": _with(
        "resize", size=(6, 6), interpolation="bilinear", antialias=True, crop=True
    ),
    "centre crop": _with("center_crop", size=(5, 4)),
    "upsample bilinear": _with("upsample2d", interpolation="bilinear"),
    "rescale": _with("rescale", scale=0.5, offset=-1.0),
    "rescale per channel": _with("rescale", scale=(0.5, 2.0, 1.0), offset=(1.0, 0.0, -3.0)),
    "normalize per channel": _normalize(3, 1, 1),
    "normalize everything": _normalize(),
    "normalize per pixel": _normalize(3, 8, 9),
    "normalize per row": _normalize(8, 1),
    "normalize back": _normalize(3, 1, 1, invert=True),
    "normalize a vector": lambda d: (d.add("flatten"), d.dense(5), _normalize(5)(d)),
    "relu": lambda d: d.activation("relu"),
    "relu with all options": lambda d: d.activation(
        "relu", max_value=0.8, negative_slope=0.2, threshold=0.3
    ),
    "relu6": lambda d: d.activation("relu6"),
    "leaky relu": lambda d: d.activation("leaky_relu", negative_slope=0.3),
    "elu": lambda d: d.activation("elu"),
    "elu with alpha": lambda d: d.activation("elu", alpha=0.3),
    "celu": lambda d: d.activation("celu"),
    "celu with alpha": lambda d: d.activation("celu", alpha=0.3),
    "selu": lambda d: d.activation("selu"),
    "sigmoid": lambda d: d.activation("sigmoid"),
    "hard sigmoid": lambda d: d.activation("hard_sigmoid"),
    "hard sigmoid of Keras 2": lambda d: d.activation("hard_sigmoid", slope=0.2),
    "log sigmoid": lambda d: d.activation("log_sigmoid"),
    "tanh": lambda d: d.activation("tanh"),
    "hard tanh": lambda d: d.activation("hard_tanh"),
    "tanh shrink": lambda d: d.activation("tanh_shrink"),
    "softplus": lambda d: d.activation("softplus"),
    "softsign": lambda d: d.activation("softsign"),
    "silu": lambda d: d.activation("silu"),
    "hard silu": lambda d: d.activation("hard_silu"),
    "mish": lambda d: d.activation("mish"),
    "gelu": lambda d: d.activation("gelu"),
    "exponential": lambda d: d.activation("exponential"),
    "softmax": lambda d: d.activation("softmax"),
    "softmax over columns": lambda d: d.activation("softmax", axis=3),
    "log softmax": lambda d: d.activation("log_softmax"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", CASES)
def test_keras_computes_the_same(tmp_path: Path, case: str, suffix: str) -> None:
    draft = Draft(3, 8, 9)
    CASES[case](draft)
    check(draft.ended(), tmp_path / f"model{suffix}")


@st.composite
def branching(draw: st.DrawFn) -> NetworkSpec:
    """Networks of equal-sized convolutions and merges: the order of layers is put to test."""
    draft = Draft(2, 5, 5, seed=draw(st.integers(0, 9)))
    names = [draft.conv(2, padding="same")]
    for _ in range(draw(st.integers(1, 7))):
        picked = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        if len(picked) == 1:
            names.append(draft.conv(2, padding="same", source=picked[0]))
        else:
            op = draw(st.sampled_from(["add", "maximum", "average"]))
            names.append(draft.add(op, inputs=tuple(picked)))
    draft.add("global_avg_pool2d")
    return draft.spec()


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spec=branching())
def test_arrays_reach_their_layers_in_any_graph(
    tmp_path: Path, suffix: str, spec: NetworkSpec
) -> None:
    check(spec, tmp_path / f"model{suffix}", tolerance=1e-4)


class TestGoodNet:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_keras_answers_n_exactly_where_the_two_differ(
        self, tmp_path: Path, suffix: str
    ) -> None:
        spec = goodnet_draft(classes=4)
        write(spec, tmp_path / f"g{suffix}")
        images = pictures(spec, 60)
        network, tensor = build(spec), torch.from_numpy(images)
        one, other = (
            build(spec_until(spec, f"{tower}_scores"))(tensor).argmax(1) for tower in ("b", "r")
        )
        expected = torch.where(one == other, one, 4).numpy()
        found = keras_outputs(tmp_path / f"g{suffix}", images).argmax(1)
        assert {4} < set(expected.tolist())
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(network(tensor).argmax(1).numpy(), expected)


def spec_until(spec: NetworkSpec, name: str) -> NetworkSpec:
    return NetworkSpec(spec.layers, spec.arrays, output=name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_real_network_goes_through_keras_and_back(
    shared: Path, tmp_path: Path, suffix: str
) -> None:
    spec = read_spec(shared / "csaw/models/lab3_bd_net.h5")
    check(spec, tmp_path / f"model{suffix}", tolerance=1e-4)
    for key, array in read_spec(tmp_path / f"model{suffix}").arrays.items():
        np.testing.assert_array_equal(array, spec.arrays[key])


class TestFile:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_the_same_network_gives_the_same_bytes(self, tmp_path: Path, suffix: str) -> None:
        for name in ("one", "two"):
            write(goodnet_draft(), tmp_path / f"{name}{suffix}")
        one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two

    def test_an_open_input_size_stays_open(self, tmp_path: Path) -> None:
        draft = Draft(3, None, None)
        draft.conv(4)
        draft.add("global_avg_pool2d")
        write(draft.ended(), tmp_path / "model.keras")
        assert load(tmp_path / "model.keras").input_shape == (None, None, None, 3)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_value_keeps_its_name(self, tmp_path: Path, suffix: str) -> None:
        draft = Draft(3, 8, 8)
        draft.conv(4, name="conv", activation=Activation("leaky_relu"))
        write(draft.ended(), tmp_path / f"model{suffix}")
        names = [layer.name for layer in load(tmp_path / f"model{suffix}").layers]
        assert names == ["image", "conv_conv2d", "conv", "flatten_2", "dense_3"]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_names_are_made_valid_and_unique(self, tmp_path: Path, suffix: str) -> None:
        draft = Draft(3, 8, 8)
        for name in ("block/conv", "block_conv", "block conv", "top_level_model_weights", "_"):
            draft.conv(3, name=name, padding="same")
        spec = draft.ended()
        check(spec, tmp_path / f"model{suffix}")
        names = [layer.name for layer in load(tmp_path / f"model{suffix}").layers]
        assert names[1:5] == [
            "block_conv_2",
            "block_conv",
            "block_conv_3",
            "top_level_model_weights_2",
        ]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_layers_that_lead_nowhere_are_left_out(self, tmp_path: Path, suffix: str) -> None:
        draft = Draft(3, 8, 8)
        draft.conv(3, name="used")
        draft.conv(5, name="unused")
        draft.conv(4, source="used")
        check(draft.ended(), tmp_path / f"model{suffix}")

    def test_many_layers_with_long_names(self, tmp_path: Path) -> None:
        draft = Draft(3, 8, 8)
        for index in range(400):
            draft.add("identity", name=f"{index}_{'x' * 1000}")
        write(draft.ended(), tmp_path / "model.h5")
        with h5py.File(tmp_path / "model.h5") as file:
            attributes = dict(file["model_weights"].attrs)
        names = np.concatenate([attributes["layer_names0"], attributes["layer_names1"]])
        assert len(names) == 403
        assert "layer_names" not in attributes

    def test_a_keras_file_names_only_built_in_layers(self, tmp_path: Path) -> None:
        write(goodnet_draft(), tmp_path / "model.keras")
        with zipfile.ZipFile(tmp_path / "model.keras") as archive:
            config = json.loads(archive.read("config.json"))
            dates = {info.date_time for info in archive.infolist()}
        assert {layer["module"] for layer in config["config"]["layers"]} == {"keras.layers"}
        assert dates == {(1980, 1, 1, 0, 0, 0)}


class TestErrors:
    def test_an_unknown_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"written as \.keras or \.h5, got .*'model\.onnx'"):
            write(goodnet_draft(), tmp_path / "model.onnx")

    def test_an_existing_file_stays(self, tmp_path: Path) -> None:
        (tmp_path / "model.h5").write_bytes(b"old")
        with pytest.raises(UsageError, match="--force"):
            write(goodnet_draft(), tmp_path / "model.h5")
        assert (tmp_path / "model.h5").read_bytes() == b"old"

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(FileError, match="no room"):
            write(goodnet_draft(), tmp_path / "model.h5")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "activation",
        [Activation("gelu", {"approximate": 1.0}), Activation("log_softmax", {"axis": 2})],
    )
    def test_what_no_layer_computes(self, tmp_path: Path, activation: Activation) -> None:
        draft = Draft(3, 8, 8)
        draft.add("activation", activation=activation)
        with pytest.raises(InvalidInput, match=f"no built-in Keras layer .*{activation.function}"):
            write(draft.ended(), tmp_path / "model.h5")

    def test_pixelwise_normalization_needs_the_size(self, tmp_path: Path) -> None:
        draft = Draft(3, None, 8)
        arrays = {"mean": draft.numbers(3, 1, 8), "variance": np.ones((3, 1, 8), np.float32)}
        draft.add("normalize", arrays=arrays)
        draft.add("global_avg_pool2d")
        with pytest.raises(InvalidInput, match="size of the image must be known"):
            write(draft.ended(), tmp_path / "model.h5")


def test_valid_name_keeps_good_names() -> None:
    assert valid_name("conv_1.a-B") == "conv_1.a-B"
