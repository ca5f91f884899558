"""Model files that are broken or made to do harm: each is refused in one sentence, nothing runs."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import marshal
import os
import pickle
import resource
import subprocess
import sys
import zipfile
import zlib
from itertools import product
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_samples import (
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

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats.keras import read
from goodnet.formats.keras.config.architecture import read_architecture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "token-of-another-file"
EXIT_CODES = {UnsafeInput: 3, InvalidInput: 4, OverBudget: 5, FileError: 6}
SHARES = [0.0, 0.01, 0.1, 0.5, 0.9, 0.99]


def refused(path: Path, error: type[GoodnetError], match: str) -> None:
    """The file is refused with this error; the message is one line and holds no secret."""
    with pytest.raises(error, match=match) as caught:
        read(path)
    assert caught.value.exit_code == EXIT_CODES[error]
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500


def image() -> Config:
    return layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3])


def nested(item: Config, levels: int) -> Config:
    for level in range(levels, 0, -1):
        item = sequential([item], name=f"level{level}")
    return item


def lambda_layer(folder: Path) -> Config:
    """As Keras 2 stores it: marshalled bytecode; run, it would make the folder `marker`."""
    code = compile(f"__import__('os').mkdir({str(folder / 'marker')!r})", "x", "eval")
    text = base64.b64encode(marshal.dumps(code)).decode()
    return layer("Lambda", "boom", function=[text, None, None], function_type="lambda")


class TestCode:
    @pytest.mark.parametrize("levels", [0, 1, 2, 5])
    @pytest.mark.parametrize("suffix", [".h5", ".keras"])
    def test_lambda(self, levels: int, suffix: str, tmp_path: Path) -> None:
        model = sequential([image(), nested(lambda_layer(tmp_path), levels)])
        path = tmp_path / f"model{suffix}"
        write_small(path, model) if suffix == ".h5" else write_keras(path, model, {})
        where = "/".join([*(f"level{i + 1}" for i in range(levels)), "boom"])
        refused(path, UnsafeInput, f"layer '{where}' is a Lambda, which holds Python code; it is")
        assert not (tmp_path / "marker").exists()

    @pytest.mark.parametrize("wrapper", ["TimeDistributed", "Bidirectional", "Wrapper"])
    def test_lambda_in_a_wrapper(self, wrapper: str, tmp_path: Path) -> None:
        item = layer(wrapper, "wrap", layer=lambda_layer(tmp_path))
        path = write_small(tmp_path / "model.h5", sequential([image(), item]))
        refused(path, UnsafeInput, "layer 'wrap/boom' is a Lambda")

    def test_lambda_that_the_output_does_not_need(self, tmp_path: Path) -> None:
        model = small_model()
        extra = {**lambda_layer(tmp_path), "name": "boom", "inbound_nodes": [[["conv", 0, 0, {}]]]}
        model["config"]["layers"].append(extra)
        refused(write_small(tmp_path / "m.h5", model), UnsafeInput, "layer 'boom' is a Lambda")

    def test_lambda_of_keras_3(self, tmp_path: Path) -> None:
        code = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None}}
        model = sequential([image(), conv(activation=code)])
        path = write_keras(tmp_path / "model.keras", model, {})
        refused(path, UnsafeInput, "layer 'conv/__lambda__' is a __lambda__, which holds Python")

    @pytest.mark.parametrize(
        ("module", "kind"),
        [
            ("os", "system"),
            ("builtins", "exec"),
            ("subprocess", "Popen"),
            ("numpy", "load"),
            ("keras.utils", "get_file"),
            ("keras.src.utils.file_utils", "get_file"),
            ("keras.config", "enable_unsafe_deserialization"),
            ("keras.src.saving.saving_api", "load_model"),
            ("keras.saving", "load_model"),
            ("keras.src.backend.common.global_state", "clear_session"),
            ("keras_hub.models", "Backbone"),
        ],
    )
    def test_modules_outside_keras_layers(self, module: str, kind: str, tmp_path: Path) -> None:
        item = {"module": module, "class_name": kind, "config": {"name": "it"}}
        model = sequential([image(), item | {"registered_name": None}])
        path = write_keras(tmp_path / "model.keras", model, native_arrays())
        refused(path, UnsafeInput, f"layer 'it' names '{kind}' from the module '{module}'")

    @pytest.mark.parametrize("kind", ["get_file", "load_model", "enable_unsafe_deserialization"])
    def test_functions_that_pretend_to_be_layers(self, kind: str, tmp_path: Path) -> None:
        item = {"module": "keras.layers", "class_name": kind, "config": {"name": "it"}}
        path = write_keras(tmp_path / "model.keras", sequential([image(), item]), {})
        refused(path, InvalidInput, f"layer 'it' is a {kind}, which is not read")

    def test_custom_objects(self, tmp_path: Path) -> None:
        item = {**conv(), "module": "keras.layers", "registered_name": "my_package>Conv2D"}
        path = write_keras(tmp_path / "model.keras", sequential([image(), item]), {})
        refused(path, UnsafeInput, "layer 'conv' is the custom object 'my_package>Conv2D'")
        model = {"class_name": "MyModel", "module": "my.models", "config": {}}
        refused(write_keras(tmp_path / "b.keras", model, {}), UnsafeInput, "module 'my.models'")
        path = write_small(tmp_path / "c.h5", {"class_name": "MyModel", "config": {}})
        refused(path, InvalidInput, "expected a Functional or Sequential model, got a 'MyModel'")

    def test_foreign_objects_in_training_settings_are_never_resolved(self, tmp_path: Path) -> None:
        foreign = {"module": "os", "class_name": "system", "config": {"command": "mkdir marker"}}
        model = {**small_model(), "compile_config": {"loss": foreign}, "build_config": foreign}
        path = write_keras(tmp_path / "model.keras", model, native_arrays())
        spec = read(path)
        assert spec.source is not None
        assert "training configuration not read" in spec.source.notes

    @pytest.mark.parametrize(
        ("kind", "config", "reason"),
        [
            ("StringLookup", {"vocabulary": "{secret}"}, "may read a file named in the model"),
            ("TextVectorization", {"vocabulary": "https://example.org/x"}, "may read a file"),
            ("TFSMLayer", {"filepath": "{secret}"}, "loads another model from disk"),
            ("TorchModuleWrapper", {"module": "gASVCg=="}, "holds a pickled PyTorch module"),
            ("JaxLayer", {"call_fn": "x"}, "holds code of another library"),
        ],
    )
    def test_layers_that_reach_out(
        self, kind: str, config: dict[str, str], reason: str, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text(SECRET)
        filled = {key: value.format(secret=secret) for key, value in config.items()}
        model = sequential([image(), layer(kind, "it", **filled)])
        path = write_keras(tmp_path / "model.keras", model, {})
        refused(path, UnsafeInput, f"layer 'it' is a {kind}, which {reason}")

    def test_nothing_is_imported_or_run(self, tmp_path: Path) -> None:
        """An audit hook sees every import, exec, process, socket and unpickling of a reading."""
        write_small(tmp_path / "good.h5")
        write_small(tmp_path / "bad.h5", sequential([image(), lambda_layer(tmp_path)]))
        write_keras(tmp_path / "good.keras", small_model(), native_arrays())
        code = """
import sys
from goodnet.errors import GoodnetError
from goodnet.formats import read_spec
for path in sys.argv[1:3]:
    read_spec(path)
seen = []
words = "import exec compile subprocess socket pickle marshal ctypes os.system".split()
sys.addaudithook(lambda name, _: seen.append(name) if name.startswith(tuple(words)) else None)
for path in sys.argv[1:]:
    try:
        read_spec(path)
    except GoodnetError as error:
        print(type(error).__name__)
print(seen)
"""
        paths = [str(tmp_path / name) for name in ("good.keras", "good.h5", "bad.h5")]
        done = subprocess.run(
            [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["UnsafeInput", "[]"]

    def test_modules_beside_the_file_are_not_imported(self, tmp_path: Path) -> None:
        write_small(tmp_path / "m.h5")
        for name in ("json", "numpy", "h5py", "torch", "keras"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
        code = "import sys; sys.path.pop(0); from goodnet.formats import read_spec as r; r('m.h5')"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
        assert done.returncode == 0


class TestContent:
    @pytest.mark.parametrize("suffix", [".h5", ".keras", ""])
    def test_pickle(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"model{suffix}"
        path.write_bytes(pickle.dumps({"a": 1}))
        refused(
            path, InvalidInput, "expected a Keras model, HDF5 or .keras, got a file whose first"
        )

    def test_format_is_told_by_content(self, tmp_path: Path) -> None:
        write_small(tmp_path / "model.keras")
        write_keras(tmp_path / "model.h5", small_model(), native_arrays())
        sources = [read(tmp_path / name).source for name in ("model.keras", "model.h5")]
        assert [s.format for s in sources if s] == ["keras-h5", "keras-zip"]

    @pytest.mark.parametrize("share", SHARES)
    @pytest.mark.parametrize("suffix", [".h5", ".keras"])
    def test_truncated(self, share: float, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"model{suffix}"
        if suffix == ".h5":
            write_small(path)
        else:
            write_keras(path, small_model(), native_arrays())
        data = path.read_bytes()
        path.write_bytes(data[: max(1, int(share * len(data)))])
        refused(path, InvalidInput, "ends early|starts with its first member")

    def test_empty_missing_and_not_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "empty", InvalidInput, "the model file is empty")
        refused(tmp_path / "nothing", FileError, "there is no model file at")
        refused(tmp_path, InvalidInput, "expected a model file, got a directory")
        refused(tmp_path / "pipe", InvalidInput, "expected a model file, got a named pipe")

    def test_file_with_a_hole_of_10_terabytes(self, tmp_path: Path) -> None:
        path = tmp_path / "model.h5"
        with path.open("wb") as file:
            with contextlib.suppress(OSError):
                file.truncate(10 * 2**40)
            if file.seek(0, os.SEEK_END) == 0:
                file.truncate(3 * 2**30)
        refused(path, OverBudget, r"the model file '.*' may take at most 2\.0 GiB")

    def test_hdf5_without_a_model(self, tmp_path: Path) -> None:
        for name, keys, match in (
            ("a", ["data", "label"], "got a set of images"),
            ("b", [], "got an HDF5 file without one"),
        ):
            with h5py.File(tmp_path / name, "w") as file:
                for key in keys:
                    file[key] = np.zeros(3)
            refused(tmp_path / name, InvalidInput, match)

    def test_polyglot(self, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("config.json", "{}")
        refused(path, UnsafeInput, "an HDF5 file and a zip archive at once")

    @pytest.mark.parametrize("suffix", [".h5", ".keras"])
    @settings(max_examples=100)
    @given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
    def test_changed_bytes_never_crash(
        self,
        suffix: str,
        changes: list[tuple[int, int]],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        path = tmp_path_factory.getbasetemp() / f"changed{suffix}"
        if suffix == ".h5":
            write_small(path)
        else:
            write_keras(path, small_model(), native_arrays())
        content = bytearray(path.read_bytes())
        for place, byte in changes:
            content[place % len(content)] = byte
        path.write_bytes(content)
        with contextlib.suppress(GoodnetError):
            read(path)


class TestReach:
    """HDF5 links and storage, in a legacy file and inside a `.keras` archive."""

    def both(self, tmp_path: Path, change: Callable[[h5py.File, str], object], match: str) -> None:
        secret = tmp_path / "secret.h5"
        with h5py.File(secret, "w") as file:
            file["x"] = np.zeros(4, np.float32)
            file.attrs["token"] = SECRET
        path = write_small(tmp_path / "model.h5")
        with h5py.File(path, "r+") as file:
            change(file, "model_weights/conv/conv/bias:0")
        refused(path, UnsafeInput, match)
        archive = write_keras(tmp_path / "model.keras", small_model(), native_arrays())
        with zipfile.ZipFile(archive) as members:
            content = {name: members.read(name) for name in members.namelist()}
        memory = io.BytesIO(content["model.weights.h5"])
        with h5py.File(memory, "r+") as file:
            change(file, "layers/conv2d/vars/1")
        content["model.weights.h5"] = memory.getvalue()
        with zipfile.ZipFile(archive, "w") as members:
            for name, data in content.items():
                members.writestr(name, data)
        refused(archive, UnsafeInput, match)

    @pytest.mark.parametrize("target", ["secret.h5", "/dev/zero", "nothing.h5"])
    def test_external_link(self, target: str, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            file[name] = h5py.ExternalLink(target, "/x")

        self.both(tmp_path, change, "is a link to another file")

    def test_soft_link(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            file["aside"] = file[name][()]
            del file[name]
            file[name] = h5py.SoftLink("/aside")

        self.both(tmp_path, change, "is a soft link")

    def test_external_storage(self, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text(SECRET)

        def change(file: h5py.File, name: str) -> None:
            del file[name]
            place = [(str(tmp_path / "secret.txt"), 0, 16)]
            file.create_dataset(name, (4,), "f4", external=place)

        self.both(tmp_path, change, "keeps its numbers in another file")

    def test_virtual_dataset(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (4,))
            file.create_virtual_dataset(name, layout)

        self.both(tmp_path, change, "is a virtual data set")

    def test_unknown_filter(self, tmp_path: Path) -> None:
        def change(file: h5py.File, name: str) -> None:
            del file[name]
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((4,))
            plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)

        self.both(tmp_path, change, "packed with the HDF5 filter 32015")

    def test_settings_of_the_system_change_nothing(self, tmp_path: Path) -> None:
        write_small(tmp_path / "model.h5")
        code = "from goodnet.formats import read_spec as r; print(r('model.h5').count_parameters())"
        settings = {"HDF5_PLUGIN_PATH": ".", "KERAS_BACKEND": "nothing", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True,
            env={**os.environ, **settings},
        )  # fmt: skip
        assert done.stdout.strip() == b"313"


def replace_weight(path: Path, name: str, **options: Any) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, **options)


KERNEL = "model_weights/conv/conv/kernel:0"


class TestWeights:
    @pytest.mark.parametrize("shape", [(800 * 2**20,), (2**50,), (2**25, 3, 3, 4)])
    def test_shape_bomb(self, shape: tuple[int, ...], tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        chunks = (2**16, *shape[1:])
        replace_weight(path, KERNEL, shape=shape, dtype="f4", chunks=chunks, compression="gzip")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(path, InvalidInput, r"conv/kernel is \(.*\), expected \(3, 3, 3, 4\)")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024

    def test_shape_bomb_that_the_architecture_agrees_with(self, tmp_path: Path) -> None:
        model = functional(
            [
                layer("InputLayer", "image", batch_input_shape=[None, 2**14]),
                dense(units=2**14, use_bias=False),
            ]
        )
        path = tmp_path / "model.h5"
        write_legacy(path, model, {"answer": [("answer/kernel:0", np.zeros(1, np.float32))]})
        name = "model_weights/answer/answer/kernel:0"
        options = {"dtype": "f4", "chunks": (64, 2**14), "compression": "gzip"}
        replace_weight(path, name, shape=(2**14, 2**14), **options)
        refused(path, OverBudget, r"declares 1\.0 GiB but stores only 0 bytes")

    def test_filter_bomb(self, tmp_path: Path) -> None:
        model = functional(
            [
                layer("InputLayer", "image", batch_input_shape=[None, 2**14]),
                dense(units=2**13, use_bias=False),
            ]
        )
        path = tmp_path / "model.h5"
        write_legacy(path, model, {"answer": [("answer/kernel:0", np.zeros(1, np.float32))]})
        name = "model_weights/answer/answer/kernel:0"
        options = {"dtype": "f4", "chunks": (32, 2**13), "compression": "gzip"}
        replace_weight(path, name, shape=(2**14, 2**13), **options)
        packed = zlib.compress(bytes(2**20), 9)
        with h5py.File(path, "r+") as file:
            for row in range(0, 2**14 // 2, 32):
                file[name].id.write_direct_chunk((row, 0), packed)
        refused(path, OverBudget, r"declares 512\.0 MiB but stores only")

    @pytest.mark.parametrize(
        ("dtype", "match"),
        [
            ("i1", "expected floating-point weights in .*, got int8"),
            ("i8", "expected floating-point weights in .*, got int64"),
            (np.dtype([("a", "f4")]), "expected plain integers or floats"),
            (h5py.string_dtype(), "expected plain integers or floats"),
            (h5py.vlen_dtype(np.dtype("f4")), "expected plain integers or floats"),
            (h5py.enum_dtype({"A": 1}), "expected plain integers or floats"),
            (np.dtype("V2"), "expected plain integers or floats"),
            (h5py.ref_dtype, "expected plain integers or floats"),
        ],
        ids=str,
    )
    def test_other_types(self, dtype: Any, match: str, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        replace_weight(path, "model_weights/conv/conv/bias:0", shape=(4,), dtype=dtype)
        with h5py.File(path, "r+") as file:
            if dtype in ("i1", "i8"):
                file["model_weights/conv/conv/bias:0"][:] = 1
        refused(path, InvalidInput, match)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("every", [True, False])
    def test_not_finite(self, value: float, every: bool, tmp_path: Path) -> None:
        arrays = small_arrays()
        arrays["conv/kernel"][... if every else (1, 1, 1, 1)] = value
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        count = 108 if every else 1
        refused(path, InvalidInput, f"{count} of the 108 numbers in the weight '{KERNEL}' are NaN")

    def test_too_large_for_float32(self, tmp_path: Path) -> None:
        arrays = {key: array.astype(np.float64) for key, array in small_arrays().items()}
        arrays["answer/bias"][2] = 1e300
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        refused(path, InvalidInput, "1 of the 5 numbers in the weight .* are NaN or infinite in fl")

    def test_largest_and_smallest_numbers_are_fine(self, tmp_path: Path) -> None:
        arrays = small_arrays()
        arrays["answer/bias"][:2] = 1e38, 1e-45
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        np.testing.assert_array_equal(read(path).arrays["answer/bias"], arrays["answer/bias"])

    def test_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        groups = legacy_groups(small_arrays())
        cases: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
            ("one weight", lambda g: g["conv"].pop(), "conv/bias is missing"),
            ("one layer", lambda g: g.pop("norm"), "norm/gamma is missing; norm/beta is missing; "),
            ("extra weight", lambda g: g["conv"].append(("conv/more:0", np.zeros(2))),
             "model_weights/conv/conv/more:0 is left over"),
            ("extra layer", lambda g: g.update(more=[("more/kernel:0", np.zeros(2))]),
             "model_weights/more/more/kernel:0 is left over"),
            ("transposed", lambda g: g.update(answer=[("answer/kernel:0", np.zeros((5, 36))),
             ("answer/bias:0", np.zeros(5))]), r"answer/kernel is \(5, 36\), expected \(36, 5\)"),
        ]  # fmt: skip
        for name, change, match in cases:
            changed = {key: list(weights) for key, weights in groups.items()}
            change(changed)
            path = write_legacy(tmp_path / f"{name}.h5", small_model(), changed)
            refused(path, InvalidInput, f"the weights do not fit the architecture: .*{match}")

    def test_only_the_first_five_are_listed(self, tmp_path: Path) -> None:
        path = write_legacy(tmp_path / "model.h5", small_model(), {})
        refused(path, InvalidInput, "norm/moving_mean is missing and 3 more$")

    def test_native_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        def without(name: str) -> dict[str, Any]:
            return {key: array for key, array in native_arrays().items() if key != name}

        cases = [
            (without("layers/conv2d/vars/1"), "conv/bias is missing"),
            ({}, "conv/kernel is missing; conv/bias is missing; norm/gamma"),
            ({**native_arrays(), "layers/conv2d/vars/2": np.zeros(3)}, "vars/2 is left over"),
            ({**native_arrays(), "layers/conv2d_1/vars/0": np.zeros(3)}, "conv2d_1/vars/0 is left"),
            ({**native_arrays(), "layers/conv2d/vars/0": np.zeros((4, 3, 3, 3))},
             r"conv/kernel is \(4, 3, 3, 3\), expected \(3, 3, 3, 4\)"),
            ({**without("layers/dense/vars/0"), "layers/dense/vars/0/x": np.zeros(3)},
             "answer/kernel is missing"),
        ]  # fmt: skip
        for index, (arrays, match) in enumerate(cases):
            path = write_keras(tmp_path / f"{index}.keras", small_model(), arrays)
            refused(path, InvalidInput, f"the weights do not fit the architecture: .*{match}")

    def test_index_that_names_what_is_not_there(self, tmp_path: Path) -> None:
        for name, kind in (("norm", "group"), ("conv/conv/bias:0", "weight")):
            path = write_small(tmp_path / "model.h5")
            with h5py.File(path, "r+") as file:
                del file["model_weights"][name]
            words = {
                "group": "expected a group 'norm'",
                "weight": "lists the weight .* but does not",
            }
            refused(path, InvalidInput, words[kind])

    @pytest.mark.parametrize("name", ["model_weights", "model_weights/conv"])
    def test_numbers_where_a_group_should_be(self, name: str, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        replace_weight(path, name, data=np.zeros(3))
        refused(path, InvalidInput, "expected a group .* with weights in the file, got none")


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "error", "match"),
        [
            ("[1]", InvalidInput, "expected an object in the model configuration"),
            ("nothing", InvalidInput, "the model configuration is not JSON"),
            (b"\xff\xfe", InvalidInput, "not text in UTF-8"),
            ('{"a": 1, "a": 2}', InvalidInput, "the key 'a' appears twice"),
            ('{"a": NaN}', InvalidInput, "NaN is not a number JSON knows"),
            ('{"a": "\\ud800"}', InvalidInput, "half a character"),
            ('{"a":' * 100_000 + "1" + "}" * 100_000, OverBudget, "nested at most 64 levels"),
            ("{}", InvalidInput, "expected a Functional or Sequential model, got a None"),
        ],
    )
    def test_text(
        self, text: str | bytes, error: type[GoodnetError], match: str, tmp_path: Path
    ) -> None:
        refused(write_small(tmp_path / "model.h5", text), error, match)

    def test_100_megabytes(self, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5", " " * (100 * 2**20))
        refused(path, OverBudget, r"attribute 'model_config' may take at most 16\.0 MiB")
        data = b" " * (17 * 2**20)
        path = write_keras(tmp_path / "model.keras", data, {}, compression=zipfile.ZIP_DEFLATED)
        refused(path, OverBudget, "'config.json' in the zip archive may take at most 16.0 MiB")

    def test_huge_sizes_allocate_nothing(self, tmp_path: Path) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for index, (item, error, match) in enumerate(
            [
                (dense(units=2**40), InvalidInput, "expected units to be a whole number"),
                (conv(filters=2**30, kernel_size=1), OverBudget, "value of layer 'conv' may hold"),
                (conv(strides=0), InvalidInput, "expected strides"),
                (conv(kernel_size=[-1, 1]), InvalidInput, "expected kernel_size"),
            ]
        ):
            model = functional([image(), item])
            refused(write_small(tmp_path / f"{index}.h5", model), error, match)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024

    def test_too_many_layers(self, tmp_path: Path) -> None:
        many = [layer("ReLU", f"r{index}") for index in range(20_001)]
        path = write_small(tmp_path / "model.h5", sequential([image(), *many]))
        refused(path, OverBudget, "a model may have at most 20000 layers")

    def test_cycle(self, tmp_path: Path) -> None:
        model = small_model()
        model["config"]["layers"][1]["inbound_nodes"] = [[["drop", 0, 0, {}]]]
        refused(write_small(tmp_path / "m.h5", model), InvalidInput, "own value in a cycle")

    def test_unknown_layer_lists_what_is_read(self, tmp_path: Path) -> None:
        model = functional([*small_layers(), layer("LSTM", "memory", units=3)])
        refused(
            write_small(tmp_path / "m.h5", model),
            InvalidInput,
            "'memory' is a LSTM, which is not read; the layers that are read: .* ZeroPadding2D",
        )

    def test_strange_values_anywhere_never_crash(self) -> None:
        """Replace every single value of the configuration by some of another kind."""
        text = json.dumps(small_model())
        places = list(_places(json.loads(text), ()))
        assert len(places) > 100
        values: list[Any] = [None, -1, 1.5, "x", [], {}, [[]], {"class_name": []}]
        for place, value in product(places, values):
            model = json.loads(text)
            target = model
            for key in place[:-1]:
                target = target[key]
            target[place[-1]] = value
            with contextlib.suppress(GoodnetError):
                read_architecture(model, keras_major=2)


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items if isinstance(value, dict | list) else ():
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from _places(child, (*path, key))


class TestArchive:
    @pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
    def test_member_is_missing(self, name: str, tmp_path: Path) -> None:
        path = write_keras(tmp_path / "model.keras", small_model(), native_arrays())
        with zipfile.ZipFile(path) as archive:
            kept = {n: archive.read(n) for n in archive.namelist() if n != name}
        with zipfile.ZipFile(path, "w") as archive:
            for other, data in kept.items():
                archive.writestr(other, data)
        refused(path, InvalidInput, r"expected config\.json and model\.weights\.h5 in the \.keras")

    @pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "assets/../../evil"])
    def test_names_that_lead_out(self, name: str, tmp_path: Path) -> None:
        more = {name: b"x"}
        path = write_keras(tmp_path / "m.keras", small_model(), native_arrays(), more=more)
        refused(path, UnsafeInput, "a member with an unsafe name")

    def test_assets_are_not_read(self, tmp_path: Path) -> None:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("x", SECRET)
        more = {"assets/vocabulary.txt": b"x", "assets/more.zip": inner.getvalue()}
        spec = read(write_keras(tmp_path / "m.keras", small_model(), native_arrays(), more=more))
        assert spec.source is not None
        assert "assets not read" in spec.source.notes

    def test_bomb(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", json.dumps(small_model()))
            archive.writestr("model.weights.h5", bytes(80 * 2**20))
        refused(path, OverBudget, "unpacks .* to 80.0 MiB; more than 100 times is refused")

    def test_packed_archive_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        packing = zipfile.ZIP_DEFLATED
        read(write_keras(path, small_model(), native_arrays(), compression=packing))

    def test_weights_that_are_not_hdf5(self, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(small_model()))
            archive.writestr("model.weights.h5", pickle.dumps([1]))
        refused(path, InvalidInput, "expected an HDF5 model.weights.h5 in the .keras archive")
