"""Model files that hold code or name it: each is refused in one sentence, nothing runs."""

from __future__ import annotations

import base64
import marshal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hostile_keras import SECRET, image, refused
from keras_samples import (
    Config,
    conv,
    layer,
    native_arrays,
    sequential,
    small_model,
    write_keras,
    write_small,
)

from goodnet.errors import InvalidInput, UnsafeInput
from goodnet.formats.keras import read

if TYPE_CHECKING:
    from pathlib import Path


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
        assert spec.file is not None
        assert "training configuration not read" in spec.file.notes

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
