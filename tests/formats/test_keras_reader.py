"""Reading Keras files of all ages; those of old versions are made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from keras_samples import (
    Config,
    legacy_groups,
    native_arrays,
    small_arrays,
    small_model,
    write_keras,
    write_legacy,
    write_small,
)
from reader_samples import EXPECTED, check_small

from goodnet.errors import InvalidInput
from goodnet.formats.keras import read
from goodnet.ops.layouts import to_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "variable"])
@pytest.mark.parametrize("version", ["2.2.4", "2.3.1", "2.15.0", "2.4.0-tf", "3.0.5", None])
def test_legacy_file(version: str | None, fixed: bool, tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5", version=version, fixed=fixed)
    spec = read(path)
    check_small(spec)
    assert spec.layers == EXPECTED
    assert spec.name == "model_1"
    assert spec.file is not None
    assert (spec.file.path, spec.file.format) == (path, "keras-h5")
    assert spec.file.version == (version or "")
    assert spec.file.sha256 == sha256(path.read_bytes()).hexdigest()
    assert spec.file.notes == ()


def test_origins_lead_back_to_the_file(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    spec = read(path)
    assert spec.file is not None
    with h5py.File(path) as file:
        for key, origin in spec.file.origins.items():
            stored = file[origin.path][()]
            np.testing.assert_array_equal(
                to_file(spec.arrays[key], origin.layout, stored.shape), stored
            )
    assert spec.file.origins["conv/weight"].path == "model_weights/conv/conv/kernel:0"


def test_long_lists_of_names_in_parts(tmp_path: Path) -> None:
    check_small(read(write_small(tmp_path / "model.h5", parts=2)))


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
    assert spec.file is not None
    assert (spec.file.format, spec.file.version) == ("keras-zip", version)
    assert spec.file.origins["conv/bias"].path == f"{container}/conv2d/vars/1"
    noted = "training configuration not read" in spec.file.notes
    assert noted == version.startswith("3")


def test_keras_archive_as_written_on_windows(tmp_path: Path) -> None:
    arrays = {
        name.replace("layers/", "layers\\", 1): array for name, array in native_arrays().items()
    }
    check_small(read(write_keras(tmp_path / "model.keras", small_model(), arrays)))


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
    assert spec.file is not None
    assert any("architecture taken from another file" in note for note in spec.file.notes)


def test_what_is_left_unread_is_noted(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = '{"loss": {"class_name": "os.system"}}'
        file["optimizer_weights/x"] = np.zeros(3)
    spec = read(path)
    assert spec.file is not None
    assert spec.file.notes == ("training configuration not read", "optimizer weights not read")


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
    paths = [*(folder / "models").glob("*.h5"), *(folder / "students").glob("*.h5")]
    assert len(paths) > 3
    for path in paths:
        spec = read(path)
        assert spec.count_parameters() == 601_643
        assert spec.input_shape == (3, 55, 47)
        assert [x.name for x in spec.layers if x.op == "conv2d"] == [f"conv_{i}" for i in "1234"]
    assert read(shared / "cifar_badnet" / "bd_net.h5").arrays["output/bias"].shape == (10,)


def test_a_version_may_be_any_text(tmp_path: Path) -> None:
    path = write_small(tmp_path / "model.h5", version="9" * 5000)
    spec = read(path)
    check_small(spec)
    assert spec.file is not None
    assert spec.file.version == "9" * 40
