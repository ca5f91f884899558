"""The kinds of layers: what all have, and a new one in a module of its own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from keras_samples import conv, dense, functional, layer, legacy_groups, write_legacy
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.formats import read_spec
from goodnet.formats.build import build, extract
from goodnet.formats.compact import compact
from goodnet.formats.format import save_spec
from goodnet.formats.keras.write import write
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.silence import prunable_layers, silence
from goodnet.formats.spec import NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.torch import resolved


def test_each_class_of_keras_and_name_of_pytorch_belongs_to_one_kind() -> None:
    for spelled in ("from_keras", "from_torch"):
        names = [name for op in OPS.values() for name in getattr(op, spelled)]
        assert len(names) == len(set(names)) > 30


def test_every_name_of_pytorch_stands_for_something() -> None:
    methods = {name for op in OPS.values() for name in op.from_torch if name.startswith(".")}
    assert all(hasattr(Tensor, name[1:]) for name in methods)
    others = {name for op in OPS.values() for name in op.from_torch} - methods
    assert all(callable(resolved(name)) for name in others)


def test_every_kind_is_written_but_what_no_layers_of_keras_compute() -> None:
    unwritten = {op.name for op in OPS.values() if op.to_keras is None}
    assert unwritten == {"opaque", "response_norm", "window_attention"}


def test_kinds_are_known_without_torch() -> None:
    code = "import sys, goodnet.ops; sys.exit(bool({'torch', 'keras', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# All that a new kind takes: every second or third row and column, times a gain for each channel.
KIND = """
from goodnet.ops.attributes import WHOLE
from goodnet.ops.expression import Parameter, apply, sizes
from goodnet.ops.keras import Fields, Step, setting
from goodnet.ops.op import Kept, Op, register

STEP = {"step": setting("step", Fields.integer, default=1)}


def shape(given):
    channels, size = given.picture
    given.check_vectors(("gain",), channels)
    return (channels, *(None if length is None else -(-length // given["step"]) for length in size))


def compute(attributes):
    step = attributes["step"]
    return lambda own, value: value[:, :, ::step, ::step] * own.gain[:, None, None]


def read(applied):
    gain = applied.weight("gain", (applied.channels(),))
    return applied.read_as("thin", [gain], step=STEP["step"].read(applied))


def write(part):
    return [Step("Thin", {"step": part["step"]}, part.named("gain"))]


def say(written):
    step, end = written["step"], 2**31 - 1
    kept = apply(
        "Slice", written.value, sizes(0, 0), sizes(end, end), sizes(2, 3), sizes(step, step)
    )
    gain = written.arrays["gain"].reshape(-1, 1, 1)
    return apply("Mul", kept, Parameter("gain", gain))


register(
    Op(
        name="thin",
        attributes=("step",),
        parameters=("gain",),
        shape=shape,
        compute=compute,
        channels=Kept(rows=("gain",)),
        from_keras={"Thin": read},
        to_keras=write,
        to_onnx=say,
        checks={"step": WHOLE},
    )
)
"""


@pytest.fixture
def _thin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "thin_kind.py").write_text(KIND)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "thin_kind", raising=False)
    known = dict(OPS)
    importlib.import_module("thin_kind")
    yield
    OPS.clear()
    OPS.update(known)


def keras_file(folder: Path) -> Path:
    """A file with such a layer between a convolution and the answer."""
    random = np.random.default_rng(0)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "conv": {"kernel": (1, 1, 3, 4), "bias": (4,)},
        "thin": {"gain": (4,)},
        "answer": {"kernel": (36, 5), "bias": (5,)},
    }
    arrays = {
        f"{name}/{key}": random.normal(size=shape).astype(np.float32)
        for name, weights in shapes.items()
        for key, shape in weights.items()
    }
    layers = [
        layer("InputLayer", "image", batch_input_shape=[None, 6, 6, 3]),
        conv(kernel_size=[1, 1]),
        layer("Thin", "thin", step=2),
        layer("Flatten", "flat"),
        dense(),
    ]
    return write_legacy(folder / "model.h5", functional(layers), legacy_groups(arrays))


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def answers(spec: NetworkSpec) -> Tensor:
    return build(spec)(images())


@pytest.mark.usefixtures("_thin")
def test_it_is_read_shaped_and_built(tmp_path: Path) -> None:
    spec = read_spec(keras_file(tmp_path))
    assert [layer.op for layer in spec.layers] == ["input", "conv2d", "thin", "flatten", "dense"]
    assert layer_shapes(spec)["thin"] == (4, 3, 3)
    network = build(spec)
    (gain,) = network.layer("thin").parameters()
    value = images()[:, [0, 1, 2, 0]]
    found = network.layer("thin")(value)
    torch.testing.assert_close(found, value[:, :, ::2, ::2] * gain[:, None, None])
    assert extract(network).arrays["thin/gain"].tolist() == gain.tolist()


@pytest.mark.usefixtures("_thin")
def test_a_file_that_asks_too_much_of_it_is_refused(tmp_path: Path) -> None:
    path = keras_file(tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"step": 2', '"step": 0')
    with pytest.raises(InvalidInput, match="layer 'thin': expected step to be a whole number of 1"):
        read_spec(path)


@pytest.mark.usefixtures("_thin")
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_it_is_written_again(suffix: str, tmp_path: Path) -> None:
    spec = read_spec(keras_file(tmp_path))
    write(spec, tmp_path / f"copy{suffix}")
    copy = read_spec(tmp_path / f"copy{suffix}")
    assert copy.layers == spec.layers
    assert torch.equal(answers(copy), answers(spec))


@pytest.mark.usefixtures("_thin")
def test_it_is_written_as_onnx_and_described(tmp_path: Path) -> None:
    spec = read_spec(keras_file(tmp_path))
    save_spec(spec, tmp_path / "net.safetensors")
    copy = read_spec(tmp_path / "net.safetensors")
    assert copy.layers == spec.layers
    assert torch.equal(answers(copy), answers(spec))
    save_spec(spec, tmp_path / "net.onnx")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    found = session.run(None, {"image": images().numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), answers(spec))


@pytest.mark.usefixtures("_thin")
def test_channels_pass_it_and_go_from_it(tmp_path: Path) -> None:
    spec = read_spec(keras_file(tmp_path))
    assert prunable_layers(spec) == ["conv", "thin"]
    silent, small = spec.with_arrays(silence(spec, "thin", [1])), compact(spec, "thin", [1])
    assert small.arrays["thin/gain"].tolist() == np.delete(spec.arrays["thin/gain"], 1).tolist()
    torch.testing.assert_close(answers(small), answers(silent))


@pytest.mark.usefixtures("_thin")
def test_who_does_not_know_it_refuses_it(tmp_path: Path) -> None:
    path = keras_file(tmp_path)
    del OPS["thin"]
    with pytest.raises(InvalidInput, match="layer 'thin' is a Thin, which is not read"):
        read_spec(path)
