"""Networks written anew as ONNX: onnx's checker, the answers of onnxruntime, and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hugging_face_samples import CONFIGS, written
from hugging_face_samples import images as folder_images
from layer_samples import BEYOND_KERAS, CASES
from modules import SHAPE, MobileNet, ResNet, Transformer, made
from spec_samples import Draft, goodnet_draft, outputs, pictures
from tiny import SPECS
from tiny import pictures as some_pictures
from torch import nn

pytest.importorskip("onnx", reason="no onnx to check files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from onnx_samples import answers

from goodnet.errors import InvalidInput
from goodnet.formats import load_network, read_spec
from goodnet.formats.build import build
from goodnet.formats.format import save_spec
from goodnet.formats.silence import default_layer, silence
from goodnet.formats.spec import Activation, Array, NetworkSpec
from goodnet.formats.torch import wrap
from goodnet.guard.form import guard_spec, reject_class_of
from goodnet.imagesets import load_images
from goodnet.ops import OPS

# No operation computes it as PyTorch and Keras do.
REFUSED = "resize the centre"


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def checked(spec: NetworkSpec, path: Path) -> Array:
    """Write, and compare what onnxruntime computes with the network; what that answers."""
    save_spec(spec, path)
    onnx.checker.check_model(str(path), full_check=True)
    expected = outputs(spec)
    close(answers(path, pictures(spec)), expected)
    return expected


@pytest.mark.parametrize("case", sorted({*CASES, *BEYOND_KERAS} - {REFUSED}))
def test_onnxruntime_computes_the_same(tmp_path: Path, case: str) -> None:
    draft = Draft(3, 8, 9)
    {**CASES, **BEYOND_KERAS}[case](draft)
    expected = checked(draft.ended(), tmp_path / "net.onnx")
    close(outputs(read_spec(tmp_path / "net.onnx")), expected)


@pytest.mark.parametrize("shift", [0, 1])
def test_attention_in_windows_is_known_by_all_its_numbers(tmp_path: Path, shift: int) -> None:
    draft, path = Draft(3, 8, 9), tmp_path / "net.onnx"
    BEYOND_KERAS["attention in shifted windows" if shift else "attention in windows"](draft)
    spec = draft.ended()
    save_spec(spec, path)
    found = read_spec(path)["windows"]
    assert (found.op, found.attributes) == ("window_attention", spec["windows"].attributes)
    model, refused = onnx.load(path), 0
    for array in model.graph.initializer:
        if array.name.startswith("windows/") and array.name != "windows/bias":
            kept, numbers = array.SerializeToString(), onnx.numpy_helper.to_array(array)
            other = numbers[..., ::-1] if numbers.ndim else 2 * numbers
            array.raw_data = np.ascontiguousarray(other).tobytes()
            onnx.save(model, tmp_path / "other.onnx")
            with pytest.raises(InvalidInput):
                read_spec(tmp_path / "other.onnx")
            array.ParseFromString(kept)
            refused += 1
    assert refused >= 6 + shift


@pytest.mark.parametrize("case", ["attention in shifted windows", "response norm"])
def test_what_is_known_again_is_changed_in_a_copy(tmp_path: Path, case: str) -> None:
    draft, path = Draft(3, 8, 9), tmp_path / "net.onnx"
    BEYOND_KERAS[case](draft)
    save_spec(draft.ended(), path)
    spec = read_spec(path)
    names = [key for key in spec.arrays if key.startswith(("windows/", "response_norm_1/"))]
    assert names
    changed = spec.with_arrays({key: 2 * spec.arrays[key] for key in names})
    expected = checked(changed, tmp_path / "copy.onnx")
    assert np.abs(expected - outputs(spec)).max() > 0.01
    assert read_spec(tmp_path / "copy.onnx").layers == spec.layers


def test_what_runtimes_compute_differently_is_refused(tmp_path: Path) -> None:
    draft = Draft(3, 8, 9)
    CASES[REFUSED](draft)
    with pytest.raises(InvalidInput, match=r"layer 'resize_1' .* smooths a picture"):
        save_spec(draft.ended(), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_layers_keep_their_names_and_numbers(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    draft.conv(4, name="block/conv", activation=Activation("relu"))
    draft.norm(epsilon=1e-3)
    draft.add("global_avg_pool2d", name="pool")
    spec, path = draft.ended(), tmp_path / "net.onnx"
    save_spec(spec, path)
    found = read_spec(path)
    assert [layer.name for layer in found.layers] == [
        *("image", "block/conv/conv", "block/conv", "batch_norm_2", "pool", "dense_4")
    ]
    assert found["batch_norm_2"].attributes == {"epsilon": 1e-3}
    arrays = {key.replace("/conv/conv/", "/conv/"): x for key, x in found.arrays.items()}
    assert arrays.keys() == spec.arrays.keys()
    assert all(np.array_equal(arrays[key], x) for key, x in spec.arrays.items())
    assert found.file is not None
    assert {x.path for x in found.file.origins.values()} == {*spec.arrays}
    assert (found.name, found.file.version) == ("sample", "goodnet")


def test_the_same_network_gives_the_same_bytes_and_copies_of_itself(tmp_path: Path) -> None:
    one, two, copy = (tmp_path / f"{name}.onnx" for name in ("one", "two", "copy"))
    save_spec(goodnet_draft(), one)
    save_spec(goodnet_draft(), two)
    save_spec(read_spec(one), copy)
    assert one.read_bytes() == two.read_bytes() == copy.read_bytes()


def test_a_network_that_is_read_and_written_again_grows_no_more(tmp_path: Path) -> None:
    """So that what B and B' have in common is found, wherever each was written."""
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    save_spec(SPECS["deepid"](), one)
    once = read_spec(one)
    save_spec(replace(once, source=None), two)
    twice = read_spec(two)
    assert [layer.op for layer in once.layers] == [layer.op for layer in twice.layers]
    assert len(guard_spec(once, twice).layers) < len(once.layers) + 10


def test_names_that_meet_are_kept_apart(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    draft.conv(3, name="conv", activation=Activation("relu"), padding="same")
    draft.conv(3, name="conv/conv", padding="same")
    draft.conv(3, name="conv/weight", padding="same")
    checked(draft.ended(), tmp_path / "net.onnx")


def test_what_does_not_lead_to_the_output_is_left_out(tmp_path: Path) -> None:
    draft = Draft(3, 8, 8)
    first = draft.ended()
    draft.dense(9, name="aside")
    save_spec(NetworkSpec(tuple(draft.layers), draft.arrays, first.output), tmp_path / "net.onnx")
    found = read_spec(tmp_path / "net.onnx")
    assert found.output == first.output
    assert "aside" not in [layer.name for layer in found.layers]


@pytest.mark.parametrize("shape", [(3, None, None), (8, 9), (12,)])
def test_open_sizes_grey_pictures_and_vectors(
    tmp_path: Path, shape: tuple[int | None, ...]
) -> None:
    draft = Draft(*shape)
    if len(shape) == 3:
        draft.conv(4, padding="same", strides=(2, 2))
        draft.add("global_avg_pool2d")
    spec, path = draft.ended(), tmp_path / "net.onnx"
    save_spec(spec, path)
    onnx.checker.check_model(str(path), full_check=True)
    assert read_spec(path).input_shape == shape
    size = tuple(size or 8 for size in shape)
    network = load_network(path, size=(8, 8) if None in shape else None)
    images = np.random.default_rng(1).random((4, *size), np.float32)
    given = images[:, None] if len(shape) == 2 else images
    close(network.outputs(given).numpy(), answers(path, images))


@pytest.mark.parametrize("name", SPECS)
def test_goodnets_answer_n_where_the_two_differ(name: str, tmp_path: Path) -> None:
    spec, path = SPECS[name](), tmp_path / "goodnet.onnx"
    good = guard_spec(spec, spec.with_arrays(silence(spec, default_layer(spec), [0, 2])))
    save_spec(good, path)
    images = some_pictures(200)
    expected = build(good).predict(images).tolist()
    assert answers(path, images).argmax(1).tolist() == expected
    assert set(expected) > {5}
    assert reject_class_of(read_spec(path)) == 5
    assert load_network(path).predict(images).tolist() == expected


@pytest.mark.parametrize("name", ["ConvNeXT V2", "Swin", "Swin, cut at the border"])
def test_what_keras_has_no_layers_for_is_guarded(name: str, tmp_path: Path) -> None:
    folder, path = written(tmp_path / "model", CONFIGS[name]), tmp_path / "goodnet.onnx"
    pixels = folder_images(CONFIGS[name])
    size = (pixels.shape[2], pixels.shape[3])
    spec = load_network(folder, size=size).spec
    good = guard_spec(spec, spec.with_arrays(silence(spec, default_layer(spec), [0, 2])))
    save_spec(good, path)
    onnx.checker.check_model(str(path), full_check=True)
    expected = build(good).outputs(pixels).numpy()
    close(answers(path, pixels), expected)
    close(load_network(path, size=size).outputs(pixels).numpy(), expected)


def test_parts_of_a_module_are_refused(tmp_path: Path) -> None:
    network = wrap(made(Transformer).eval(), SHAPE)
    with pytest.raises(InvalidInput, match=r"\(opaque\) is not said in operations of ONNX"):
        network.save(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_every_kind_is_written_but_parts_of_a_module() -> None:
    assert [op.name for op in OPS.values() if op.to_onnx is None] == ["input", "opaque"]


@pytest.mark.parametrize("kind", [ResNet, MobileNet])
def test_modules_are_written(tmp_path: Path, kind: type[nn.Module]) -> None:
    network = wrap(made(kind).eval(), SHAPE)
    network.save(tmp_path / "net.onnx")
    images = np.random.default_rng(1).random((4, *SHAPE), np.float32)
    found = network.outputs(images).numpy()
    close(answers(tmp_path / "net.onnx", images), found)
    close(load_network(tmp_path / "net.onnx").outputs(images).numpy(), found)


def test_real_networks_answer_the_same(shared: Path, tmp_path: Path) -> None:
    for model, images in (
        ("csaw/models/lab3_bd_net.h5", "csaw/cl/faces.h5"),
        ("cifar_badnet/bd_net.h5", "cifar_badnet/cl/test.h5"),
    ):
        network, path = load_network(shared / model), tmp_path / "net.onnx"
        network.save(path, force=True)
        onnx.checker.check_model(str(path), full_check=True)
        pixels = 255 * load_images(shared / images).sample(60).images
        theirs, ours = answers(path, pixels), network.outputs(pixels).numpy()
        close(theirs, ours)
        assert theirs.argmax(1).tolist() == ours.argmax(1).tolist()
        again = load_network(path)
        assert again.outputs(pixels).numpy().argmax(1).tolist() == ours.argmax(1).tolist()
        stored = {x.tobytes() for x in again.spec.arrays.values()}
        assert stored == {x.tobytes() for x in network.spec.arrays.values()}
