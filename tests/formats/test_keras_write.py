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
from layer_samples import CASES
from spec_samples import Draft, goodnet_draft, outputs, pictures

from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.formats import read_spec
from goodnet.formats.build import build
from goodnet.formats.keras.graph import valid_name
from goodnet.formats.keras.write import write
from goodnet.formats.spec import Activation, Array, NetworkSpec

if TYPE_CHECKING:
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
