"""The real CSAW networks and faces."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from goodnet.formats import load_network, read_spec, silence
from goodnet.imagesets import load_images
from goodnet.network import calibrate
from goodnet.repair.activity import ChannelActivity
from goodnet.repair.prune import pruning_order
from goodnet.runs.evaluate import evaluate_files
from goodnet.runs.folder import run_folder
from goodnet.runs.inputs import open_files
from goodnet.runs.inspect import inspect_file
from goodnet.runs.options import InputFiles, InputOptions, Place
from goodnet.runs.prune import PruneOptions, prune, write_prune

STUDENTS = {2: 45, 4: 48, 10: 52, 30: 54}
# network, scale, of 60 faces right
NETWORKS = [
    ("lab3_bd_net", "raw", 59),
    ("sunglasses_bd_net", "1/255", 56),
    ("multi_trigger_multi_target_bd_net", "1/255", 53),
]


@pytest.fixture
def csaw(shared: Path) -> Path:
    return shared / "csaw"


@pytest.mark.parametrize(("name", "scale", "right"), NETWORKS)
def test_faces_are_recognised_at_the_scale_that_is_found(
    csaw: Path, name: str, scale: str, right: int
) -> None:
    network = load_network(csaw / "models" / f"{name}.h5")
    faces = load_images(csaw / "cl" / "faces.h5")
    choice = calibrate(network, faces)
    assert str(choice.scale) == scale
    assert choice.accuracies[scale] == (right, 60)


@pytest.mark.parametrize(("drop", "count"), STUDENTS.items())
def test_inspect_counts_what_others_pruned(csaw: Path, drop: int, count: int) -> None:
    found = inspect_file(csaw / "students" / f"pruned_drop_{drop}.h5")
    layer = next(row for row in found.layers if row.name == "conv_3")
    assert layer.silent_channels is not None
    assert len(layer.silent_channels) == count
    assert any(f"{count} of 60 channels of conv_3" in flag for flag in found.red_flags)


def steps(csaw: Path) -> list[dict[str, Any]]:
    with (csaw / "lab3_steps.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["order"] == "ascending_pool3"]


def test_pruning_lab3_gives_the_files_others_made(csaw: Path, tmp_path: Path) -> None:
    order = [int(row["channel"]) for row in steps(csaw)]
    job = InputFiles(csaw / "models" / "lab3_bd_net.h5", csaw / "cl" / "faces.h5")
    inputs = open_files(job, InputOptions())
    pruned = prune(inputs, PruneOptions(channels=order, drops=[1, 5, 10, 15, 30, 60]))
    with run_folder(Place(tmp_path / "run")) as run:
        write_prune(inputs, pruned, run)
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    written = {drop["channels_pruned"]: drop["files"].get("model") for drop in found["drops"]}
    compared = 0
    for drop, count in STUDENTS.items():
        if count in written:
            compared += 1
            with (
                h5py.File(tmp_path / "run" / written[count]) as ours,
                h5py.File(csaw / "students" / f"pruned_drop_{drop}.h5") as theirs,
            ):
                _same_weights(ours["model_weights"], theirs["model_weights"])
    assert compared >= 1


def _same_weights(ours: h5py.Group, theirs: h5py.Group) -> None:
    def same(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            np.testing.assert_array_equal(item[()], theirs[name][()], err_msg=name)

    ours.visititems(same)


@pytest.mark.parametrize(("drop", "count"), STUDENTS.items())
def test_silencing_their_sets_gives_their_weights(csaw: Path, drop: int, count: int) -> None:
    spec = read_spec(csaw / "models" / "lab3_bd_net.h5")
    theirs = read_spec(csaw / "students" / f"pruned_drop_{drop}.h5")
    channels = silence.silent_channels(theirs, "conv_3")
    assert sorted(channels) == sorted(int(row["channel"]) for row in steps(csaw)[:count])
    ours = spec.with_arrays(silence.silence(spec, "pool_3", channels))
    for key, array in theirs.arrays.items():
        np.testing.assert_array_equal(ours.arrays[key], array, err_msg=key)


def test_the_mean_activations_of_the_full_set_give_their_order(csaw: Path) -> None:
    rows = steps(csaw)
    means = np.empty(60)
    for row in rows:
        means[int(row["channel"])] = float(row["mean_pool3_activation"])
    order = pruning_order(ChannelActivity(means, np.ones(60, np.int64), 1)).tolist()
    theirs = [int(row["channel"]) for row in rows]
    # 31 channels are exactly zero; among those their order is arbitrary, ours is by index.
    assert order[31:] == theirs[31:]
    assert order[:31] == sorted(theirs[:31])


def test_the_goodnet_of_lab3_fails_as_published(csaw: Path) -> None:
    """84.3 % and 77.2 % on the full sets; 50 and 45 of these 60 faces."""
    _, (_, _, good) = evaluate_files(
        csaw / "models" / "lab3_bd_net.h5",
        csaw / "cl" / "faces.h5",
        backdoor={"sunglasses": csaw / "bd" / "sunglasses.h5"},
        repaired=csaw / "students" / "pruned_drop_10.h5",
        options=InputOptions(),
    )
    assert good.clean is not None
    assert (good.clean.correct.count, good.clean.correct.total) == (50, 60)
    assert good.backdoor["sunglasses"].correct.count == 45
