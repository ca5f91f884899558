from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SPECS, pictures

from goodnet.formats import load_network
from goodnet.formats.build import build
from goodnet.formats.keras import write
from goodnet.formats.spec import NetworkSpec
from goodnet.network import Network
from goodnet.repair.veto import with_veto
from goodnet.repair.watch import Unit
from goodnet.repair.watched_layers import watched_layers


def units_of(network: Network, label: int, *, seed: int = 0, share: float = 0.5) -> list[Unit]:
    """A unit with a random reader at each layer; it fires on a share of the pictures."""
    random, images = np.random.default_rng(seed), pictures(60)
    found = []
    for layer in watched_layers(network):
        reader = random.normal(size=network.shape(layer)).astype(np.float32)
        readings = values(network, layer, images) @ reader.reshape(-1)
        limit = float(np.quantile(readings, 1 - share))
        found.append(Unit(label, layer, reader, limit, max(float(np.ptp(readings)), 1e-3), 2.0))
    return found


def values(network: Network, layer: str, images: np.ndarray) -> np.ndarray:
    cut = network.cut(layer)
    rows = [part[0].flatten(1).numpy() for part in cut.crossing(images.astype(np.float32))]
    return np.concatenate(rows)


def fires(network: Network, units: list[Unit], images: np.ndarray) -> np.ndarray:
    """By how many limits some unit's reading is above its own; below 0 where none is."""
    rows = [
        (values(network, unit.layer, images) @ unit.reader.reshape(-1) - unit.limit) / unit.size
        for unit in units
    ]
    found: np.ndarray = np.max(rows, axis=0)
    return found


@given(st.sampled_from(sorted(SPECS)), st.integers(0, 4), st.integers(0, 3))
@settings(max_examples=15)
def test_only_the_label_goes_and_only_where_a_unit_fires(name: str, label: int, seed: int) -> None:
    network, images = build(SPECS[name]()), pictures(60).astype(np.float32)
    units = units_of(network, label, seed=seed)
    cured = build(with_veto(SPECS[name](), units, spread=100.0))
    before, after = network.outputs(images).numpy(), cured.outputs(images).numpy()
    over = fires(network, units, images)
    quiet, loud = over < -1e-3, over > 0.05
    np.testing.assert_array_equal(after[quiet], before[quiet])
    assert (after[loud].argmax(1) != label).all()
    others = before.argmax(1) != label
    np.testing.assert_array_equal(after[others].argmax(1), before[others].argmax(1))


def test_the_answer_is_the_next_best() -> None:
    spec = SPECS["plain"]()
    network, images = build(spec), pictures(60).astype(np.float32)
    label = int(np.bincount(network.predict(images)).argmax())
    units = units_of(network, label, share=0.8)
    cured = build(with_veto(spec, units, spread=100.0))
    loud = (fires(network, units, images) > 0.05) & (network.predict(images) == label)
    assert loud.any()
    outputs = network.outputs(images[loud]).numpy()
    outputs[:, label] = -np.inf
    assert cured.predict(images[loud]).tolist() == outputs.argmax(1).tolist()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", SPECS)
def test_keras_opens_the_file_and_answers_alike(tmp_path: Path, name: str, suffix: str) -> None:
    spec: NetworkSpec = SPECS[name]()
    network, images = build(spec), pictures(40).astype(np.float32)
    path = tmp_path / f"cured{suffix}"
    write.write(with_veto(spec, units_of(network, 1), spread=10.0), path)
    theirs = keras.models.load_model(path, compile=False, safe_mode=True)
    outputs = theirs.predict(images.transpose(0, 2, 3, 1), verbose=0)
    np.testing.assert_allclose(load_network(path).outputs(images), outputs, atol=1e-4, rtol=1e-4)
