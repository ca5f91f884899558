"""Reading Keras files of all ages; those of old versions are made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from keras_samples import (
    KEYS,
    Config,
    conv,
    dense,
    functional,
    layer,
    legacy_groups,
    native_arrays,
    sequential,
    small_arrays,
    small_layers,
    small_model,
    write_keras,
    write_legacy,
    write_small,
)

from goodnet.errors import InvalidInput, UnsafeInput
from goodnet.formats.keras import read
from goodnet.formats.layouts import to_file
from goodnet.formats.spec import Activation, Array, Layer, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path

WINDOW = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid"}
EXPECTED = (
    Layer("image", "input", (), {"shape": (3, 8, 8)}),
    Layer("conv", "conv2d", ("image",), {**WINDOW, "activation": Activation("relu")}),
    Layer("norm", "batch_norm", ("conv",), {"epsilon": 0.001}),
    Layer("pool", "max_pool2d", ("norm",), {"pool": (2, 2), "strides": (2, 2), "padding": "valid"}),
    Layer("drop", "identity", ("pool",), {}),
    Layer("flat", "flatten", ("drop",), {"order": "hwc"}),
    Layer("answer", "dense", ("flat",), {"activation": Activation("softmax")}),
)


def check_small(spec: NetworkSpec) -> None:
    """It is the small network, with its arrays in the layout of the spec."""
    arrays = small_arrays()
    assert spec.output == "answer"
    assert spec.layers[1:] == EXPECTED[1:]
    assert set(spec.arrays) == set(KEYS.values())
    for key, array in arrays.items():
        found = spec.arrays[KEYS[key]]
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[array.ndim]
        np.testing.assert_array_equal(found, array.transpose(axes))
        assert found.dtype == np.float32


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "variable"])
@pytest.mark.parametrize("version", ["2.2.4", "2.3.1", "2.15.0", "2.4.0-tf", "3.0.5", None])
def test_legacy_file(version: str | None, fixed: bool, tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5", version=version, fixed=fixed)
    spec = read(path)
    check_small(spec)
    assert spec.layers == EXPECTED
    assert spec.name == "model_1"
    assert spec.source is not None
    assert (spec.source.path, spec.source.format) == (path, "keras-h5")
    assert spec.source.version == (version or "")
    assert spec.source.sha256 == sha256(path.read_bytes()).hexdigest()
    assert spec.source.notes == ()


def test_origins_lead_back_to_the_file(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    spec = read(path)
    assert spec.source is not None
    with h5py.File(path) as file:
        for key, origin in spec.source.origins.items():
            stored = file[origin.path][()]
            np.testing.assert_array_equal(
                to_file(spec.arrays[key], origin.layout, stored.shape), stored
            )
    assert spec.source.origins["conv/weight"].path == "model_weights/conv/conv/kernel:0"


def test_functional_model_of_keras_2_2(tmp_path: Path) -> None:
    text = np.bytes_(json.dumps(functional(small_layers(), kind="Model")))
    check_small(read(write_small(tmp_path / "model.h5", text)))


def test_long_lists_of_names_in_parts(tmp_path: Path) -> None:
    check_small(read(write_small(tmp_path / "model.h5", parts=2)))


@pytest.mark.parametrize(
    "pattern",
    ["{layer}/{name}", "{layer}_2/{name}:0", "model_1/{layer}/{name}:0", "{name}:0", "x/y_{name}"],
)
def test_names_of_weights(pattern: str, tmp_path: Path) -> None:
    groups = legacy_groups(small_arrays(), pattern=pattern)
    spec = read(write_legacy(tmp_path / "model.h5", small_model(), groups))
    check_small(spec)
    assert spec.source is not None
    unknown = pattern == "x/y_{name}"
    assert any("under other names" in note for note in spec.source.notes) == unknown


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


def as_keras_3(model: Config) -> Config:
    """The same model with the calls and modules of Keras 3."""
    layers = []
    for item in model["config"]["layers"]:
        nodes = [
            {
                "args": [
                    {
                        "class_name": "__keras_tensor__",
                        "config": {"shape": [None], "dtype": "float32", "keras_history": entry[:3]},
                    }
                    for entry in node
                ],
                "kwargs": {"mask": None},
            }
            for node in item["inbound_nodes"]
        ]
        policy = {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        }
        config = {**item["config"], "dtype": policy}
        layers.append(
            {
                **item,
                "config": config,
                "module": "keras.layers",
                "registered_name": None,
                "build_config": {"input_shape": [None, 8, 8, 3]},
                "inbound_nodes": nodes,
            }
        )
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {**model["config"], "layers": layers, "trainable": True},
        "registered_name": "Functional",
        "compile_config": {"loss": {"module": "my.losses", "class_name": "Mine"}},
    }


@pytest.mark.parametrize("container", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("version", ["2.12.0", "3.15.1"])
def test_keras_archive(version: str, container: str, tmp_path: Path) -> None:
    model = as_keras_3(small_model()) if version.startswith("3") else small_model()
    arrays = native_arrays(container)
    spec = read(write_keras(tmp_path / "model.keras", model, arrays, version=version))
    check_small(spec)
    assert spec.source is not None
    assert (spec.source.format, spec.source.version) == ("keras-zip", version)
    assert spec.source.origins["conv/bias"].path == f"{container}/conv2d/vars/1"
    noted = "training configuration not read" in spec.source.notes
    assert noted == version.startswith("3")


def test_keras_archive_as_written_on_windows(tmp_path: Path) -> None:
    arrays = {
        name.replace("layers/", "layers\\", 1): array for name, array in native_arrays().items()
    }
    check_small(read(write_keras(tmp_path / "model.keras", small_model(), arrays)))


@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 2, 4), (1, 9, 10)])
def test_numbered_layers_of_a_keras_archive(numbers: tuple[int, ...], tmp_path: Path) -> None:
    """TensorFlow 2.12 and 2.13 skip numbers; only their order counts, and 10 follows 9."""
    names = ["c", "a", "b"]
    layers = [
        layer("InputLayer", "image", batch_input_shape=[None, 6]),
        *(dense(name, units=6) for name in names),
    ]
    arrays: dict[str, Array] = {}
    for value, number in enumerate(numbers):
        place = f"_layer_checkpoint_dependencies/dense{f'_{number}' if number else ''}"
        arrays[f"{place}/vars/0"] = np.full((6, 6), value, np.float32)
        arrays[f"{place}/vars/1"] = np.full(6, value, np.float32)
    spec = read(write_keras(tmp_path / "model.keras", functional(layers), arrays))
    assert [spec.arrays[f"{name}/bias"][0] for name in names] == [0, 1, 2]
    assert [spec.arrays[f"{name}/weight"][0, 0] for name in names] == [0, 1, 2]


def test_random_state_of_layers_is_not_a_weight(tmp_path: Path) -> None:
    arrays = native_arrays() | {"layers/dropout/seed_generator/vars/0": np.zeros(2, np.uint32)}
    check_small(read(write_keras(tmp_path / "model.keras", small_model(), arrays)))


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


TRAINED, NOT = ("gamma", "beta"), ("moving_mean", "moving_variance")
FROZEN: dict[str, list[str]] = {
    "": [*(f"{n}/{w}" for n in "ab" for w in TRAINED), *(f"{n}/{w}" for n in "ab" for w in NOT)],
    "a": [
        *(f"b/{w}" for w in TRAINED),
        *(f"a/{w}" for w in (*TRAINED, *NOT)),
        *(f"b/{w}" for w in NOT),
    ],
    "body": [f"{n}/{w}" for n in "ab" for w in (*TRAINED, *NOT)],
}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("frozen", FROZEN)
def test_frozen_weights_are_stored_last(frozen: str, named: bool, tmp_path: Path) -> None:
    norms = [layer("BatchNormalization", name, axis=[1], trainable=name != frozen) for name in "ab"]
    start = layer("InputLayer", "body_input", batch_input_shape=[None, 4])
    body = functional([start, *norms], name="body")
    body["config"]["trainable"] = frozen != "body"
    if frozen == "body":
        for norm in norms:
            norm["config"]["trainable"] = False
    image = layer("InputLayer", "image", batch_input_shape=[None, 4])
    stored = [
        (f"{name}:0" if named else f"w{index}", np.full(4, index, np.float32))
        for index, name in enumerate(FROZEN[frozen])
    ]
    spec = read(write_legacy(tmp_path / "m.h5", functional([image, body]), {"body": stored}))
    found = {key: int(array[0]) for key, array in spec.arrays.items()}
    assert found == {
        name.replace("moving_", ""): index for index, name in enumerate(FROZEN[frozen])
    }
    assert spec.source is not None
    assert bool(spec.source.notes) != named


def _two_dense(names: tuple[str, str] = ("one", "two")) -> Config:
    return functional(
        [
            layer("InputLayer", "image", batch_input_shape=[None, 4]),
            *(dense(name, units=4, use_bias=False) for name in names),
        ]
    )


ONE, TWO = np.full((4, 4), 1, np.float32), np.full((4, 4), 2, np.float32)


def test_renamed_layers_are_taken_in_order(tmp_path: Path) -> None:
    groups = {"dense_7": [("dense_7/kernel:0", ONE)], "one": [("one/kernel:0", TWO)]}
    spec = read(write_legacy(tmp_path / "m.h5", _two_dense(("first", "second")), groups))
    assert spec.arrays["first/weight"][0, 0] == 1
    groups = {"two": [("two/kernel:0", ONE)], "three": [("three/kernel:0", TWO)]}
    spec = read(write_legacy(tmp_path / "n.h5", _two_dense(), groups))
    assert spec.arrays["one/weight"][0, 0] == 1
    assert spec.source is not None
    assert "weights taken in Keras' order: the file lists them under other names" in (
        spec.source.notes
    )


def test_names_against_order_are_refused(tmp_path: Path) -> None:
    groups = {"two": [("two/kernel:0", TWO)], "one": [("one/kernel:0", ONE)]}
    with pytest.raises(UnsafeInput, match="names and the order of the weights of layer 'one'"):
        read(write_legacy(tmp_path / "model.h5", _two_dense(), groups))
    arrays = small_arrays()
    swapped = legacy_groups({key: arrays[key] for key in sorted(arrays)})
    swapped = {name: swapped[name] for name in ("conv", "norm", "answer")}
    with pytest.raises(UnsafeInput, match="of layer 'norm' contradict"):
        read(write_legacy(tmp_path / "other.h5", small_model(), swapped))


def test_odd_order_is_read_by_name(tmp_path: Path) -> None:
    groups = legacy_groups(small_arrays())
    groups = {name: groups[name] for name in ("answer", "norm", "conv")}
    spec = read(write_legacy(tmp_path / "model.h5", small_model(), groups))
    check_small(spec)
    assert spec.source is not None
    assert spec.source.notes == (
        "weights matched by name: the file lists them in an unusual order",
    )
    groups = legacy_groups(small_arrays())
    groups["conv"].reverse()
    check_small(read(write_legacy(tmp_path / "other.h5", small_model(), groups)))


def test_file_without_an_index_is_read_by_name(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights"].attrs["layer_names"]
    check_small(read(path))


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
    model = _two_dense()
    model["config"]["layers"][1]["inbound_nodes"].append([["two", 0, 0, {}]])
    model["config"]["output_layers"] = [["one", 1, 0]]
    groups = {"one": [("one/kernel:0", ONE)], "two": [("two/kernel:0", TWO)]}
    with pytest.raises(InvalidInput, match="layer 'one' has weights and is applied more than once"):
        read(write_legacy(tmp_path / "model.h5", model, groups))


@pytest.mark.parametrize("native", [True, False])
def test_weights_alone(native: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    if native:
        with h5py.File(path, "w") as file:
            for name, array in native_arrays().items():
                file[name] = array
    else:
        write_legacy(path, None, legacy_groups(small_arrays()), root="")
    with pytest.raises(InvalidInput, match=r"weights but not the layers.*--architecture"):
        read(path)
    text = {**small_model(), "keras_version": "2.4.0", "backend": "tensorflow"}
    given = tmp_path / "model.json"
    given.write_text(json.dumps(text))
    check_small(read(path, architecture=given))
    whole = write_keras(tmp_path / "other.keras", small_model(), {})
    check_small(read(path, architecture=whole))
    with pytest.raises(InvalidInput, match="architecture file holds only weights"):
        read(path, architecture=path)


def test_architecture_replaces_the_files_own(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5", {"class_name": "Mine", "config": {}})
    given = tmp_path / "model.json"
    given.write_text(json.dumps(small_model()))
    spec = read(path, architecture=given)
    check_small(spec)
    assert spec.source is not None
    assert any("architecture taken from another file" in note for note in spec.source.notes)


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2"])
def test_other_floats_are_converted(dtype: str, tmp_path: Path) -> None:
    arrays = {key: array.astype(dtype) for key, array in small_arrays().items()}
    spec = read(write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays)))
    found = spec.arrays["answer/weight"]
    assert found.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(found.T, arrays["answer/kernel"].astype(np.float32))
    assert spec.source is not None
    name = np.dtype(dtype).name
    noted = f"{name} weights converted to float32" in spec.source.notes
    assert noted == (name != "float32")


def test_hard_sigmoid_changed_with_keras_3(tmp_path: Path) -> None:
    for version, options in (("2.4.0", {"slope": 0.2}), ("3.1.0", {})):
        layers = [
            layer("InputLayer", "image", batch_input_shape=[None, 4]),
            dense(units=4, use_bias=False, activation="hard_sigmoid"),
        ]
        groups = {"answer": [("answer/kernel:0", ONE)]}
        path = write_legacy(tmp_path / f"{version}.h5", functional(layers), groups, version=version)
        assert read(path)["answer"].attributes["activation"] == Activation("hard_sigmoid", options)


def test_what_is_left_unread_is_noted(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = '{"loss": {"class_name": "os.system"}}'
        file["optimizer_weights/x"] = np.zeros(3)
    spec = read(path)
    assert spec.source is not None
    assert spec.source.notes == ("training configuration not read", "optimizer weights not read")


def test_reading_imports_neither_torch_nor_keras(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    code = (
        "import sys; from goodnet.formats import read_spec; read_spec(sys.argv[1]);"
        "print(sorted({'torch', 'keras', 'tensorflow', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_real_networks(shared: Path) -> None:
    folder = shared / "csaw"
    for path in [*(folder / "models").glob("*.h5"), *(folder / "students").glob("*.h5")]:
        spec = read(path)
        assert spec.count_parameters() == 601_643
        assert spec.input_shape == (3, 55, 47)
        assert [x.name for x in spec.layers if x.op == "conv2d"] == [f"conv_{i}" for i in "1234"]
    assert read(shared / "cifar_badnet" / "bd_net.h5").arrays["output/bias"].shape == (10,)
