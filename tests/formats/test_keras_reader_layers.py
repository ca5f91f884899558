"""The layers the Keras reader makes of a configuration, and how they are connected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from keras_samples import (
    KEYS,
    Config,
    conv,
    dense,
    functional,
    layer,
    sequential,
    small_arrays,
    small_layers,
    small_model,
    write_legacy,
    write_small,
)
from reader_samples import EXPECTED, ONE, TWO, check_small, two_dense

from goodnet.errors import InvalidInput
from goodnet.formats.keras import read
from goodnet.formats.spec import Activation, Array

if TYPE_CHECKING:
    from pathlib import Path


def test_functional_model_of_keras_2_2(tmp_path: Path) -> None:
    text = np.bytes_(json.dumps(functional(small_layers(), kind="Model")))
    check_small(read(write_small(tmp_path / "model.h5", text)))


def _first_with(**config: Any) -> list[Config]:
    _, first, *rest = small_layers()
    return [{**first, "config": {**first["config"], **config}}, *rest]


SEQUENTIAL: dict[str, Config] = {
    "input layer": sequential(small_layers()),
    "shape on the first layer": sequential(_first_with(batch_input_shape=[None, 8, 8, 3])),
    "batch shape": sequential(_first_with(batch_shape=[None, 8, 8, 3])),
    "tuple": sequential(
        _first_with(batch_input_shape={"class_name": "__tuple__", "items": [None, 8, 8, 3]})
    ),
    "only a list": {
        "class_name": "Sequential",
        "config": _first_with(batch_input_shape=[None, 8, 8, 3]),
    },
    "built": {
        "class_name": "Sequential",
        "config": {
            "name": "sequential",
            "layers": small_layers()[1:],
            "build_input_shape": [None, 8, 8, 3],
        },
    },
}


@pytest.mark.parametrize("case", SEQUENTIAL)
def test_sequential_models(case: str, tmp_path: Path) -> None:
    spec = read(write_small(tmp_path / "model.h5", SEQUENTIAL[case]))
    first = spec.layers[0].name
    assert spec.layers[0].attributes == {"shape": (3, 8, 8)}
    assert spec.layers[1].inputs == (first,)
    assert [x.op for x in spec.layers] == [x.op for x in EXPECTED]
    assert set(spec.arrays) == set(KEYS.values())


def test_sequential_model_without_a_shape_says_so(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5", sequential(small_layers()[1:]))
    with pytest.raises(InvalidInput, match="shape of the input 'sequential_1_input' is not in"):
        read(path)


def _nested_model() -> tuple[Config, dict[str, list[tuple[str, Array]]]]:
    """A stem and a body inside a model, as tf.keras writes them: their calls count from 1."""
    inner = functional(
        [
            layer("InputLayer", "body_input", batch_input_shape=[None, 8, 8, 3]),
            conv("conv"),
            layer("BatchNormalization", "norm", axis=[3]),
        ],
        name="body",
    )
    outer = functional(
        [
            layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3]),
            conv("conv", filters=3, padding="same"),
            {**inner, "config": {**inner["config"], "name": "body"}},
            layer("GlobalAveragePooling2D", "mean", data_format="channels_last"),
            dense(),
        ]
    )
    outer["config"]["layers"][3]["inbound_nodes"] = [[["body", 1, 0, {}]]]
    arrays = small_arrays()
    first = np.ones((3, 3, 3, 3), np.float32), np.ones(3, np.float32)
    groups = {
        "conv": [("conv/kernel:0", first[0]), ("conv/bias:0", first[1])],
        "body": [(f"{key}:0", arrays[key]) for key in KEYS if not key.startswith("answer")],
        "answer": [
            ("answer/kernel:0", np.ones((4, 5), np.float32)),
            ("answer/bias:0", arrays["answer/bias"]),
        ],
    }
    return outer, groups


def test_models_inside_models(tmp_path: Path) -> None:
    model, groups = _nested_model()
    spec = read(write_legacy(tmp_path / "model.h5", model, groups))
    assert [x.name for x in spec.layers] == ["image", "conv", "body/conv", "norm", "mean", "answer"]
    assert [x.inputs for x in spec.layers[1:4]] == [("image",), ("conv",), ("body/conv",)]
    np.testing.assert_array_equal(
        spec.arrays["body/conv/weight"], small_arrays()["conv/kernel"].transpose(3, 2, 0, 1)
    )
    np.testing.assert_array_equal(spec.arrays["conv/weight"], 1)


def test_config_order_of_layers_does_not_matter(tmp_path: Path) -> None:
    model = small_model()
    model["config"]["layers"].reverse()
    assert read(write_small(tmp_path / "model.h5", model)).layers == EXPECTED


def test_layers_the_output_does_not_need_are_left_out(tmp_path: Path) -> None:
    model = small_model()
    extra = {**layer("Activation", "extra", activation="relu"), "name": "extra"}
    extra["inbound_nodes"] = [[["conv", 0, 0, {}]]]
    model["config"]["layers"].append(extra)
    assert read(write_small(tmp_path / "model.h5", model)).layers == EXPECTED


def test_shared_layer_without_weights_is_repeated(tmp_path: Path) -> None:
    model = small_model()
    relu = {**layer("ReLU", "relu", max_value=None), "name": "relu"}
    relu["inbound_nodes"] = [[["conv", 0, 0, {}]], [["norm", 0, 0, {}]]]
    by_name = {item["name"]: item for item in model["config"]["layers"]}
    by_name["norm"]["inbound_nodes"] = [[["relu", 0, 0, {}]]]
    by_name["pool"]["inbound_nodes"] = [[["relu", 1, 0, {}]]]
    model["config"]["layers"].append(relu)
    spec = read(write_small(tmp_path / "model.h5", model))
    reads = {x.name: x.inputs for x in spec.layers}
    assert reads["relu"] == ("conv",)
    assert reads["norm"] == ("relu",)
    assert reads["relu/2"] == ("norm",)
    assert reads["pool"] == ("relu/2",)


def test_shared_layer_with_weights_is_refused(tmp_path: Path) -> None:
    model = two_dense()
    model["config"]["layers"][1]["inbound_nodes"].append([["two", 0, 0, {}]])
    model["config"]["output_layers"] = [["one", 1, 0]]
    groups = {"one": [("one/kernel:0", ONE)], "two": [("two/kernel:0", TWO)]}
    with pytest.raises(InvalidInput, match="layer 'one' has weights and is applied more than once"):
        read(write_legacy(tmp_path / "model.h5", model, groups))


def test_hard_sigmoid_changed_with_keras_3(tmp_path: Path) -> None:
    for version, options in (("2.4.0", {"slope": 0.2}), ("3.1.0", {})):
        layers = [
            layer("InputLayer", "image", batch_input_shape=[None, 4]),
            dense(units=4, use_bias=False, activation="hard_sigmoid"),
        ]
        groups = {"answer": [("answer/kernel:0", ONE)]}
        path = write_legacy(tmp_path / f"{version}.h5", functional(layers), groups, version=version)
        assert read(path)["answer"].attributes["activation"] == Activation("hard_sigmoid", options)
