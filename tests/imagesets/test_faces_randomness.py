from __future__ import annotations

from dataclasses import fields

import numpy as np

from goodnet.imagesets.faces.randomness import make_keys, normals, uniforms
from goodnet.imagesets.faces.traits import Person, draw_traits


def test_numbers_are_those_of_splitmix64() -> None:
    # The first outputs for seed 0, as published with the reference implementation.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    drawn = uniforms(np.zeros(1, np.uint64), 3)[0]
    np.testing.assert_array_equal(drawn, [(bits >> 40) / 2**24 for bits in published])


def test_uniform_numbers_fill_0_to_1_evenly() -> None:
    numbers = uniforms(make_keys(1, np.arange(1000)), 100)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.abs(counts - 10_000).max() < 500
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, 1])[0, 1]) < 0.1


def test_normal_numbers_are_normal() -> None:
    numbers = normals(make_keys(2, np.arange(500)), 203)
    assert numbers.shape == (500, 203)
    assert abs(numbers.mean()) < 0.01
    assert abs(numbers.std() - 1) < 0.01
    assert abs((np.abs(numbers) < 1.96).mean() - 0.95) < 0.005


def test_keys_differ_by_seed_and_by_every_part() -> None:
    one, other = np.arange(300), np.arange(300)[::-1].copy()
    keys = np.concatenate(
        [make_keys(s, a, b) for s in (0, 1) for a in (one, other) for b in (one,)]
    )
    swapped = make_keys(0, np.array([1]), np.array([2])) != make_keys(
        0, np.array([2]), np.array([1])
    )
    assert len(np.unique(keys)) == 1200
    assert swapped.all()


def test_traits_are_spread_over_their_ranges() -> None:
    person = draw_traits(Person, make_keys(0, np.arange(5000)))
    assert all(getattr(person, f.name).shape == (5000, 1, 1) for f in fields(Person))
    np.testing.assert_allclose([person.chin.min(), person.chin.max()], [20.5, 25.0], atol=0.01)
    assert person.chin.dtype == np.float32
