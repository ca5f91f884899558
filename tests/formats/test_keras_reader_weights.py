"""Which weights of a Keras file go to which layer: by name, by order and by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from keras_samples import (
    dense,
    functional,
    layer,
    legacy_groups,
    native_arrays,
    small_arrays,
    small_model,
    write_keras,
    write_legacy,
    write_small,
)
from reader_samples import ONE, TWO, check_small, two_dense

from goodnet.errors import UnsafeInput
from goodnet.formats.keras import read
from goodnet.formats.spec import Array

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "pattern",
    ["{layer}/{name}", "{layer}_2/{name}:0", "model_1/{layer}/{name}:0", "{name}:0", "x/y_{name}"],
)
def test_names_of_weights(pattern: str, tmp_path: Path) -> None:
    groups = legacy_groups(small_arrays(), pattern=pattern)
    spec = read(write_legacy(tmp_path / "model.h5", small_model(), groups))
    check_small(spec)
    assert spec.file is not None
    unknown = pattern == "x/y_{name}"
    assert any("under other names" in note for note in spec.file.notes) == unknown


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
    assert spec.file is not None
    assert bool(spec.file.notes) != named


def test_renamed_layers_are_taken_in_order(tmp_path: Path) -> None:
    groups = {"dense_7": [("dense_7/kernel:0", ONE)], "one": [("one/kernel:0", TWO)]}
    spec = read(write_legacy(tmp_path / "m.h5", two_dense(("first", "second")), groups))
    assert spec.arrays["first/weight"][0, 0] == 1
    groups = {"two": [("two/kernel:0", ONE)], "three": [("three/kernel:0", TWO)]}
    spec = read(write_legacy(tmp_path / "n.h5", two_dense(), groups))
    assert spec.arrays["one/weight"][0, 0] == 1
    assert spec.file is not None
    assert "weights taken in Keras' order: the file lists them under other names" in (
        spec.file.notes
    )


def test_names_against_order_are_refused(tmp_path: Path) -> None:
    groups = {"two": [("two/kernel:0", TWO)], "one": [("one/kernel:0", ONE)]}
    with pytest.raises(UnsafeInput, match="names and the order of the weights of layer 'one'"):
        read(write_legacy(tmp_path / "model.h5", two_dense(), groups))
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
    assert spec.file is not None
    assert spec.file.notes == ("weights matched by name: the file lists them in an unusual order",)
    groups = legacy_groups(small_arrays())
    groups["conv"].reverse()
    check_small(read(write_legacy(tmp_path / "other.h5", small_model(), groups)))


def test_file_without_an_index_is_read_by_name(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights"].attrs["layer_names"]
    check_small(read(path))


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "<f2"])
def test_other_floats_are_converted(dtype: str, tmp_path: Path) -> None:
    arrays = {key: array.astype(dtype) for key, array in small_arrays().items()}
    spec = read(write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays)))
    found = spec.arrays["answer/weight"]
    assert found.dtype == np.dtype("=f4")
    np.testing.assert_array_equal(found.T, arrays["answer/kernel"].astype(np.float32))
    assert spec.file is not None
    name = np.dtype(dtype).name
    noted = f"{name} weights converted to float32" in spec.file.notes
    assert noted == (name != "float32")
