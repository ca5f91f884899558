"""Files of weights alone: every form is the same network, and a copy has the same keys."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import densenet
from safetensors.torch import load_file, save_file
from torch import Tensor
from weights_samples import small_resnet, state_dict

import goodnet as gn
from goodnet.architectures import recognised
from goodnet.errors import InvalidInput, OverBudget, UnsafeInput, UsageError
from goodnet.formats import budgets, load_network, read_spec, safe_zip
from goodnet.formats.state_dict import read_weights, weights_in
from goodnet.runs.inspect import inspect_file

STATE = state_dict(small_resnet())

Writer = Callable[[dict[str, Any], Path], None]


def zipped(protocol: int) -> Writer:
    return lambda held, path: torch.save(held, path, pickle_protocol=protocol)


def row(protocol: int) -> Writer:
    return lambda held, path: torch.save(
        held, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False
    )


def packed_again(held: dict[str, Any], path: Path) -> None:
    """An archive that another program wrote from that of PyTorch."""
    torch.save(held, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def as_safetensors(held: dict[str, Tensor], path: Path) -> None:
    save_file(held, path)


FORMS: dict[str, Writer] = {
    **{f"zip {protocol}": zipped(protocol) for protocol in range(2, 6)},
    **{f"row {protocol}": row(protocol) for protocol in range(1, 6)},
    "packed again": packed_again,
    "safetensors": as_safetensors,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_network(form: str, tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    FORMS[form](STATE, path)
    spec = read_spec(path)
    assert spec.name == "resnet18"
    assert spec.input_shape == (3, None, None)
    assert spec.file is not None
    assert spec.file.format == ("safetensors" if form == "safetensors" else "pytorch")
    keys = {origin.path for origin in spec.file.origins.values()}
    assert keys == {key for key in STATE if "num_batches" not in key}
    for key, origin in spec.file.origins.items():
        assert np.array_equal(spec.arrays[key], STATE[origin.path].numpy()), key


def module_of_state(state: dict[str, Tensor] | None = None) -> torch.nn.Module:
    held = STATE if state is None else state
    module = recognised({key: tuple(x.shape) for key, x in held.items()}).build()
    module.load_state_dict(held, strict=True)
    return module.eval()


def test_the_network_answers_as_the_module(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "net.pt")
    network = gn.load(tmp_path / "net.pt")
    assert network.input_shape == (3, 32, 32)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = module_of_state()(images)
    torch.testing.assert_close(network(images), wanted)
    other = gn.load(tmp_path / "net.pt", architecture="resnet18", size=(48, 40))
    assert other.input_shape == (3, 48, 40)


@pytest.mark.parametrize("name", ["net.pt", "net.safetensors"])
def test_what_is_written_has_the_same_keys_and_all_else_as_it_was(
    name: str, tmp_path: Path
) -> None:
    FORMS["safetensors" if name.endswith("safetensors") else "zip 2"](STATE, tmp_path / name)
    network, out = load_network(tmp_path / name), tmp_path / "out.safetensors"
    silent = gn.silence_channels(network, "layer4.1.relu", [3])
    silent.save(out)
    found = load_file(out)
    assert set(found) == set(STATE)
    changed = {key for key in STATE if not torch.equal(found[key], STATE[key])}
    assert changed
    assert all(key.startswith(("layer4", "fc")) for key in changed)
    assert all(found[key].dtype == STATE[key].dtype for key in STATE)
    images = torch.rand(2, 3, 32, 32)
    module = module_of_state(found)
    with torch.inference_mode():
        torch.testing.assert_close(silent(images), module(images))
    torch.testing.assert_close(load_network(out)(images), silent(images))


WRAPPED: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "a checkpoint": (lambda x: {"epoch": 3, "state_dict": x, "best": 0.5}, "'state_dict'.*best"),
    "a model": (lambda x: {"model": x, "args": {"lr": [0.1]}}, "'model'.*args"),
    "one in another": (lambda x: {"net": {"state_dict": x}}, "'net'.*'state_dict'"),
    "an average beside it": (lambda x: {"model": x, "model_ema": x}, "'model'.*model_ema"),
    "data parallel": (lambda x: {f"module.{k}": v for k, v in x.items()}, r"'module\.'"),
    "compiled": (lambda x: {f"_orig_mod.module.{k}": v for k, v in x.items()}, "'_orig_mod.module"),
    "what is no tensor": (lambda x: {**x, "note": "text"}, "no tensors, not read: note"),
    "parameters": (
        lambda x: {k: torch.nn.Parameter(v, v.is_floating_point()) for k, v in x.items()},
        "",
    ),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_training_scripts_add_is_taken_off_and_said(kind: str, tmp_path: Path) -> None:
    wrap, said = WRAPPED[kind]
    path, out = tmp_path / "net.pt", tmp_path / "out.safetensors"
    torch.save(wrap(dict(STATE)), path)
    network = load_network(path)
    assert network.spec.file is not None
    assert re.search(said, " ".join(network.spec.file.notes))
    network.save(out)
    found = load_file(out)
    assert set(found) == set(STATE)
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", ["zip 2", "safetensors"])
def test_other_types_become_float32_and_are_written_as_they_were(
    kind: torch.dtype, form: str, tmp_path: Path
) -> None:
    state = {k: x.to(kind) if x.is_floating_point() else x for k, x in STATE.items()}
    path, out = tmp_path / "net.bin", tmp_path / "out.safetensors"
    FORMS[form](state, path)
    spec = read_spec(path)
    assert spec.file is not None
    assert f"{str(kind).removeprefix('torch.')} weights converted to float32" in spec.file.notes
    assert np.array_equal(spec.arrays["conv1/weight"], state["conv1.weight"].float().numpy())
    network = load_network(path)
    silent = gn.silence_channels(network, "layer4.1.relu", [0])
    silent.save(out)
    found = load_file(out)
    assert {key: x.dtype for key, x in found.items()} == {k: x.dtype for k, x in state.items()}
    assert torch.equal(found["conv1.weight"], state["conv1.weight"])


def test_rounding_to_bfloat16_is_that_of_pytorch() -> None:
    from goodnet.formats.stored import Stored

    numbers = torch.randn(4096, generator=torch.Generator().manual_seed(2)) * 100
    old = Stored("BF16", (4096,), bytes(2 * 4096))
    found = old.replaced(numbers.numpy())
    wanted = numbers.to(torch.bfloat16)
    assert np.array_equal(found.array("x"), wanted.float().numpy())


def test_views_of_one_storage_are_read(tmp_path: Path) -> None:
    whole = torch.arange(24.0)
    held = {"a": whole[4:12].reshape(2, 4).t(), "b": whole[::3], "c": whole, "d": whole[5]}
    for form in ("zip 2", "row 2"):
        FORMS[form](held, tmp_path / "net.pt")
        arrays = read_weights(tmp_path / "net.pt").arrays
        for key, tensor in held.items():
            assert np.array_equal(arrays[key].array(key), tensor.numpy()), key


def test_old_files_lack_counters_and_have_other_names(tmp_path: Path) -> None:

    state = {k: x for k, x in STATE.items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "net.pt")
    load_network(tmp_path / "net.pt").save(tmp_path / "out.safetensors")
    assert set(load_file(tmp_path / "out.safetensors")) == set(state)
    shapes = densenet((6, 12, 24, 16))
    key = "features.denseblock1.denselayer2.norm1.weight"
    torch.save({key.replace("norm1", "norm.1"): torch.ones(shapes[key])}, tmp_path / "old.pt")
    assert list(read_weights(tmp_path / "old.pt").arrays) == [key]


# -- refused ---------------------------------------------------------------------------------


def test_nan_is_refused_by_name(tmp_path: Path) -> None:
    state = {**STATE, "conv1.weight": torch.full_like(STATE["conv1.weight"], torch.nan)}
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(InvalidInput, match=r"conv1\.weight.*NaN or infinite"):
        read_spec(tmp_path / "net.pt")


def test_a_tensor_of_more_numbers_than_are_stored_is_refused(tmp_path: Path) -> None:
    for form in ("zip 2", "row 2"):
        FORMS[form]({"a": torch.zeros(1).expand(1 << 20, 1 << 8)}, tmp_path / "net.pt")
        with pytest.raises(OverBudget, match=r"'a' has 268,435,456 numbers.*holds 1"):
            read_weights(tmp_path / "net.pt")


def test_many_views_of_one_storage_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = torch.zeros(1000)
    torch.save({str(place): one for place in range(100)}, tmp_path / "net.pt")
    read_weights(tmp_path / "net.pt")
    monkeypatch.setattr(budgets, "MODEL_BYTES", 100_000)
    with pytest.raises(OverBudget, match="tensors of the file"):
        read_weights(tmp_path / "net.pt")


def changed(path: Path, **members: bytes | None) -> None:
    """Write an archive again with other members, or without some."""
    with zipfile.ZipFile(path) as archive:
        held = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        place = name.replace("__", "/")
        held.pop(place, None)
        held |= {} if content is None else {place: content}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(f"net/{name}", content)


def test_archives_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"

    def refused(said: str, error: type[Exception] = InvalidInput, **members: bytes | None) -> None:
        torch.save({"w": torch.ones(4)}, path)
        changed(path, **members)
        with pytest.raises(error, match=said):
            read_weights(path)

    refused("expected 16 bytes", data__0=bytes(12))
    refused("expected 16 bytes", data__0=None)
    refused("big-endian", byteorder=b"big")
    refused("TorchScript, which is a program", UnsafeInput, code__a=b"y")
    torch.save({"w": torch.ones(4)}, path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidInput, match="not packed"):
        read_weights(path)


def test_streams_whose_ends_differ_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"w": torch.ones(4)}, path)
    content = path.read_bytes()
    read_weights(path)
    behind, second = content.index(b"PK\x07\x08"), content.index(b"PK\x06\x06")
    for place in (behind + 5, behind + 9, second + 24, second + 40, second + 56 + 8):
        broken = bytearray(content)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(UnsafeInput, match=r"two (?:ends|different ways)"):
            read_weights(path)


@pytest.mark.parametrize("form", ["zip 2", "row 2", "safetensors"])
def test_what_is_cut_off_is_refused(form: str, tmp_path: Path) -> None:
    path = tmp_path / "net.bin"
    FORMS[form]({"w": torch.rand(50), "v": torch.rand(3)}, path)
    content = path.read_bytes()
    for kept in range(30, len(content), 37):
        path.write_bytes(content[:kept])
        with pytest.raises((InvalidInput, UnsafeInput)):
            read_weights(path)


def test_bytes_behind_the_last_tensor_are_refused(tmp_path: Path) -> None:
    for form in ("row 2", "safetensors"):
        FORMS[form]({"w": torch.rand(50)}, tmp_path / "net.bin")
        with (tmp_path / "net.bin").open("ab") as file:
            file.write(b"more")
        with pytest.raises(InvalidInput, match="bytes that belong to no"):
            read_weights(tmp_path / "net.bin")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([torch.ones(2)], "a list"),
        (torch.ones(2), "one tensor"),
        ({"optimizer": {"lr": 1}, "step": 3}, "a dictionary with 'optimizer', 'step'"),
        ({}, "an empty dictionary"),
    ],
)
def test_what_is_no_state_dict_is_told(held: Any, said: str, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "net.pt")
    with pytest.raises(InvalidInput, match=f"expected a state_dict.*got {said}"):
        read_spec(tmp_path / "net.pt")


def test_types_that_are_not_read_are_told(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "net.pt")
    save_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        with pytest.raises(InvalidInput, match="'w' is of the type"):
            read_weights(tmp_path / name)


# -- architectures ---------------------------------------------------------------------------


def test_the_architecture_is_checked_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(STATE, path)
    assert read_spec(path, architecture="resnet18").file is not None
    with pytest.raises(InvalidInput, match="of resnet34, got those of resnet18"):
        read_spec(path, architecture="resnet34")
    with pytest.raises(UsageError, match=r"'resnet99'; known are resnet18, .*vit_b_16"):
        read_spec(path, architecture="resnet99")
    with pytest.raises(UsageError, match="--architecture takes a name"):
        read_spec(path, architecture=path)


def test_missing_unexpected_and_misshaped_arrays_are_told(tmp_path: Path) -> None:
    state = dict(STATE)
    state["extra.weight"] = torch.ones(2)
    state["layer2.1.bn1.bias"] = torch.ones(3)
    del state["layer1.1.bn2.weight"]
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(InvalidInput) as caught:
        read_spec(tmp_path / "net.pt")
    said = str(caught.value)
    assert "almost those of resnet18" in said
    assert "1 are missing (layer1.1.bn2.weight)" in said
    assert "1 are not of it (extra.weight)" in said
    assert "layer2.1.bn1.bias is (3,), expected (8,)" in said


def test_unknown_arrays_are_listed_by_inspect(tmp_path: Path) -> None:
    save_file({"body.weight": torch.ones(2, 3), "head.bias": torch.ones(4)}, tmp_path / "net.bin")
    with pytest.raises(InvalidInput, match=r"resnet18, .*got 2 others: .*goodnet\.wrap"):
        read_spec(tmp_path / "net.bin")
    found = inspect_file(tmp_path / "net.bin")
    assert [(x.name, x.op, x.shape) for x in found.layers] == [
        ("body.weight", "array", (2, 3)),
        ("head.bias", "array", (4,)),
    ]
    assert (found.format, found.classes, found.parameters) == ("safetensors", None, 10)
    assert "of an architecture that is known" in found.notes[-1]


def test_inspect_names_the_architecture_and_the_size(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "net.pt")
    found = inspect_file(tmp_path / "net.pt")
    assert (found.name, found.classes) == ("resnet18", 5)
    assert "recognised as resnet18 by the names and shapes of the weights" in found.notes
    assert any("without them 32 x 32" in note for note in found.notes)


def test_one_output_is_two_classes_and_one_in_the_copy(tmp_path: Path) -> None:
    state = state_dict(small_resnet(1))
    torch.save(state, tmp_path / "net.pt")
    network = load_network(tmp_path / "net.pt")
    assert network.num_classes == 2
    network.save(tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_grey_images_are_told_from_the_first_convolution(tmp_path: Path) -> None:
    torch.save(state_dict(small_resnet(channels=1)), tmp_path / "net.pt")
    assert load_network(tmp_path / "net.pt").input_shape == (1, 32, 32)


def test_a_changed_file_is_not_copied(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "net.pt")
    network = load_network(tmp_path / "net.pt")
    torch.save(state_dict(small_resnet(), seed=1), tmp_path / "net.pt")
    with pytest.raises(InvalidInput, match="changed since it was read"):
        network.save(tmp_path / "out.safetensors")


def test_other_layers_are_written_as_onnx(tmp_path: Path) -> None:
    from goodnet.formats.format import file_suffix, save_spec

    torch.save(STATE, tmp_path / "net.pt")
    spec = read_spec(tmp_path / "net.pt")
    assert spec.file is not None
    other = replace(spec, source=None)
    assert (file_suffix(spec, spec.file), file_suffix(other, spec.file)) == (
        ".safetensors",
        ".onnx",
    )
    save_spec(other, tmp_path / "out.safetensors")
    found = read_spec(tmp_path / "out.safetensors")
    assert found.layers == other.layers


def test_other_files_hold_no_weights(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert weights_in(tmp_path / "a.h5") is None
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"a": 1}))
    assert weights_in(tmp_path / "b.pkl") is None


def test_tensors_that_share_a_storage_read_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = torch.arange(12.0)
    torch.save({str(place): whole[place : place + 2] for place in range(10)}, tmp_path / "w.pt")
    read, names = safe_zip.read_member, []

    def watched(file: Any, member: safe_zip.Member, **limits: Any) -> bytes:
        names.append(member.name)
        return read(file, member, **limits)

    monkeypatch.setattr(safe_zip, "read_member", watched)
    found = read_weights(tmp_path / "w.pt").arrays
    np.testing.assert_array_equal(found["7"].array("7"), [7, 8])
    assert sum("/data/" in name for name in names) == 1
