"""Folders of models that nobody vouches for: nothing outside is read, and two files must agree."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hugging_face_samples import CONFIGS, arrays, written
from safetensors.numpy import save_file

from goodnet.cli.main import run
from goodnet.errors import GoodnetError, InvalidInput
from goodnet.formats import read_spec
from goodnet.processor_config import processor_config_beside

CONFIG = CONFIGS["ConvNeXT"]
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "model", CONFIG)


def as_pickle(folder: Path, **changed: np.ndarray[Any, Any]) -> None:
    state = {key: torch.from_numpy(array) for key, array in {**arrays(CONFIG), **changed}.items()}
    torch.save(state, folder / "pytorch_model.bin")


def in_shards(folder: Path, *, keep: bool = False) -> dict[str, str]:
    """The weights in three files and an index of them, as the library writes large ones."""
    every = arrays(CONFIG)
    files = [f"model-{place:05}-of-00003.safetensors" for place in range(1, 4)]
    where = {key: files[place % 3] for place, key in enumerate(every)}
    for name in files:
        save_file({key: every[key] for key in every if where[key] == name}, folder / name)
    index(folder, where)
    if not keep:
        (folder / WEIGHTS).unlink()
    return where


def index(folder: Path, where: object) -> None:
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
    (folder / f"{WEIGHTS}.index.json").write_text(text, encoding="utf-8")


def test_weights_in_any_form_are_the_same_network(folder: Path) -> None:
    wanted = read_spec(folder)
    assert wanted.file is not None
    assert wanted.file.format == "hugging-face"
    content = b"".join((folder / name).read_bytes() for name in ("config.json", WEIGHTS))
    assert wanted.file.sha256 == hashlib.sha256(content).hexdigest()
    in_shards(folder)
    shards = read_spec(folder)
    for each in folder.glob("model*"):
        each.unlink()
    as_pickle(folder)
    for other in (shards, read_spec(folder)):
        assert other.layers == wanted.layers
        assert all(np.array_equal(other.arrays[key], wanted.arrays[key]) for key in wanted.arrays)


def test_a_second_file_of_the_same_weights_is_said_and_one_of_others_refused(folder: Path) -> None:
    as_pickle(folder)
    in_shards(folder, keep=True)
    spec = read_spec(folder)
    assert spec.file is not None
    said = (
        "read from model.safetensors; the same numbers are in model.safetensors.index.json and "
        "pytorch_model.bin beside it"
    )
    assert said in spec.file.notes
    as_pickle(folder, **{"classifier.bias": np.ones(5, np.float32)})
    with pytest.raises(
        InvalidInput,
        match=r"model\.safetensors and pytorch_model\.bin are not the same network: 1 of \d+ "
        r"arrays differ \('classifier\.bias'\).*give the file that you mean",
    ):
        read_spec(folder)
    assert read_spec(folder / WEIGHTS).layers == spec.layers


@pytest.mark.parametrize(
    ("processor", "size"),
    [
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.9}, (384, 384)),
        ({"size": 48, "do_center_crop": True, "crop_size": {"height": 40, "width": 24}}, (40, 24)),
        ({"size": {"height": 10**9, "width": -1}}, (32, 32)),
        ({"size": "large"}, (32, 32)),
        ([], (32, 32)),
    ],
)
def test_the_size_of_images_is_what_the_processor_gives_the_network(
    processor: object, size: tuple[int, int], folder: Path
) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    assert read_spec(folder).usually_sized.input_shape == (3, *size)


def test_what_is_not_read_is_said(folder: Path) -> None:
    for name in ("tf_model.h5", "flax_model.msgpack", "modeling.py", "README.md"):
        (folder / name).write_text("nothing", encoding="utf-8")
    spec = read_spec(folder)
    assert spec.file is not None
    assert "code in the folder, not run or read: modeling.py" in spec.file.notes
    assert "weights in the folder, not read: flax_model.msgpack, tf_model.h5" in spec.file.notes


def test_the_cache_of_the_hub_is_read_by_its_links(folder: Path, tmp_path: Path) -> None:
    """Of a snapshot all files are links to where their contents are kept."""
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    processor = {"do_resize": True, "size": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    text = json.dumps(processor)
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")
    for each in list(folder.iterdir()):
        each.rename(blobs / each.name)
        (snapshot / each.name).symlink_to(Path("../../blobs") / each.name)
    assert read_spec(snapshot).name == "ConvNextForImageClassification"
    beside = processor_config_beside(snapshot)
    assert beside is not None
    assert beside[0].startswith("resize,")


Spoil = Callable[[Path], object]


def text(name: str, content: str) -> Spoil:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


def link(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to(target)

    return spoil


def large(name: str, size: int) -> Spoil:
    """A file of zeros that takes no room on the disk."""
    return lambda folder: os.truncate(folder / name, size)


def sharded(**changed: object) -> Spoil:
    """An index some of whose entries are others."""

    def spoil(folder: Path) -> None:
        index(folder, {**in_shards(folder), **changed})

    return spoil


def without(name: str, *, shards: bool = False) -> Spoil:
    def spoil(folder: Path) -> None:
        if shards:
            in_shards(folder)
        (folder / name).unlink()

    return spoil


class _Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def that_runs(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"weight": _Runs()}, folder / "pytorch_model.bin", pickle_protocol=2)


def bare_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Runs(), protocol=2))


SPOILT: dict[str, tuple[Spoil, int, str]] = {
    "a link out": (
        link("config.json", "../outside"),
        3,
        "'config.json' in .* leads out of it",
    ),
    "weights elsewhere": (link(WEIGHTS, "../outside"), 3, "'model.safetensors' .* leads out of it"),
    "a link to a device": (link(WEIGHTS, "/dev/zero"), 3, "leads out of it, to '/dev/zero'"),
    "a link to nothing": (link(WEIGHTS, "missing"), 6, "there is no file 'model.safetensors'"),
    "an index that climbs": (sharded(odd="../outside"), 3, "'../outside' in the folder .* leads"),
    "an index of the root": (sharded(odd="/etc/passwd"), 3, "'/etc/passwd' in the folder"),
    "an index of the folder": (sharded(odd=".."), 3, "'..' in the folder .* leads out"),
    "an index of numbers": (sharded(odd=7), 4, "to name a file for each array"),
    "an index of nothing": (text(f"{WEIGHTS}.index.json", "{}"), 4, "to name a file for each"),
    "an array in no shard": (
        sharded(odd="model-00001-of-00003.safetensors"),
        4,
        "no file holds the array 'odd'",
    ),
    "a missing shard": (
        without("model-00002-of-00003.safetensors", shards=True),
        4,
        "'model-00002-of-00003.safetensors', which model.safetensors.index.json names, is missing",
    ),
    "no weights": (without(WEIGHTS), 4, "expected model.safetensors or pytorch_model.bin in the"),
    "no configuration": (without("config.json"), 6, "there is no file 'config.json'"),
    "a cut file": (large(WEIGHTS, 200), 4, "is cut off"),
    "no JSON": (text("config.json", "{'a': 1}"), 4, "is not JSON in UTF-8"),
    "no object": (text("config.json", "[1]"), 4, "expected an object in the config.json"),
    "a key twice": (text("config.json", '{"a": 1, "a": 2}'), 4, "the key 'a' appears twice"),
    "no number": (text("config.json", '{"image_size": NaN}'), 4, "NaN is not a number"),
    "a long number": (
        text("config.json", '{"image_size": 1' + "0" * 5000 + "}"),
        4,
        "is too large",
    ),
    "deep": (text("config.json", '{"a": ' + "[" * 10**5 + "]" * 10**5 + "}"), 5, "nested"),
    "a gigabyte": (large("config.json", 2**30), 5, "may take at most 4.0 MiB, got 1.0 GiB"),
    "weights of 3 GB": (large(WEIGHTS, 3 * 2**30), 5, "may take at most 2.0 GiB, got 3.0 GiB"),
    "a program": (that_runs, 3, r"pytorch_model\.bin: the file asks for 'posix\.system' to be run"),
    "a bare program": (bare_pickle, 3, "asks for 'posix.system' to be run"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_spoilt_is_refused_in_a_sentence(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    spoil, code, said = SPOILT[case]
    spoil(folder)
    with pytest.raises(GoodnetError, match=said) as raised:
        read_spec(folder)
    assert raised.value.exit_code == code
    assert len(str(raised.value)) < 700
    assert not (folder.parent / "ran").exists()


def test_the_command_line_shows_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "hugging-face" in shown
    assert "described as ConvNextForImageClassification by its config.json" in shown
    assert "convnext.encoder.stages.1.layers.1.dwconv" in shown
