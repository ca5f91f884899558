from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from goodnet.scan.families import FAMILIES, Additive, Family, Overlay, Stamp, Wave

SHAPES = [(3, 55, 47), (3, 32, 32), (1, 28, 28), (3, 9, 40), (5, 8, 8)]


def gradients(shape: tuple[int, int, int], labels: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(labels, *shape, generator=torch.Generator().manual_seed(seed))


def proposed(
    family: Family, shape: tuple[int, int, int], *, places: int = 1
) -> list[tuple[Tensor, Tensor]]:
    mean = torch.full(shape, 0.4)
    return list(family.propose(gradients(shape), mean, places=places))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_proposed_and_moved_is_of_the_family(
    family: Family, shape: tuple[int, int, int]
) -> None:
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    for free, place in proposed(family, shape, places=3):
        step = torch.randn(free.shape, generator=torch.Generator().manual_seed(2))
        length = step.flatten(1).norm(dim=1).view(-1, *[1] * (free.ndim - 1))
        for moved in (free, family.move(free, step / length, shape)):
            stamp = family.stamp(moved, place, shape)
            stamped = stamp.on(images)
            assert stamped.shape == (4, 2, *shape)
            assert stamped.min() >= 0
            assert stamped.max() <= 1
            if isinstance(family, Overlay):
                assert stamp.mask is not None
                outside = (stamp.mask == 0).expand(-1, shape[0], -1, -1)
                assert not stamp.added[outside].any()
                assert (stamp.added <= stamp.mask + 1e-6).all()
            else:
                assert stamp.mask is None
                sizes = stamp.added.square().mean((1, 2, 3)).sqrt()
                wanted = torch.full((4,), getattr(family, "size"))  # noqa: B009
                torch.testing.assert_close(sizes, wanted, rtol=0.12, atol=1e-6)


@given(st.integers(0, 1000))
def test_a_perturbation_of_each_pixel_is_the_gradient_at_its_size(seed: int) -> None:
    slopes = gradients((2, 5, 4), seed=seed)
    family = Additive(None, 0.1)
    ((free, place),) = family.propose(slopes, torch.zeros(2, 5, 4), places=1)
    added = family.stamp(free, place, (2, 5, 4)).added
    for one, slope in zip(added, slopes, strict=True):
        torch.testing.assert_close(one, 0.1 * math.sqrt(40) * slope / slope.norm())


def test_a_wave_in_the_gradient_is_found_at_its_frequency() -> None:
    down, across = torch.meshgrid(torch.arange(16) / 16, torch.arange(12) / 12, indexing="ij")
    wave = torch.cos(2 * math.pi * (3 * down + 2 * across) + 0.7)
    colours = torch.tensor([1.0, -0.5, 0.2])
    slopes = colours[None, :, None, None] * wave
    family = Wave(0.08)
    free, place = next(iter(family.propose(slopes, torch.zeros(3, 16, 12), places=1)))
    added = family.stamp(free, place, (3, 16, 12)).added[0]
    wanted = slopes[0] * 0.08 / slopes[0].square().mean().sqrt()
    torch.testing.assert_close(added, wanted, rtol=1e-3, atol=1e-4)


def test_a_rectangle_is_put_where_it_gains_most_and_then_elsewhere() -> None:
    slopes = 0.01 * torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    slopes[:, :, 4:8, 11:15] = 1.0
    slopes[:, :, 14:18, 2:6] = -1.2  # dark there gains: the image is at 0.5
    family = Overlay(0.2, 0.2)
    first, second = list(family.propose(slopes, torch.full((3, 20, 20), 0.5), places=2))
    corners = [tuple(int(v) for v in place[0, 0].nonzero()[0]) for _, place in (first, second)]
    assert corners == [(14, 2), (4, 11)]
    stamp = family.stamp(*first, (3, 20, 20))
    assert stamp.mask is not None
    assert stamp.mask.sum() == 16
    assert not stamp.added.any()
    assert family.stamp(*second, (3, 20, 20)).added[0, :, 5, 12].tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_probes_cover_the_image_in_pure_colours(
    family: Family, shape: tuple[int, int, int]
) -> None:
    count = family.probes(shape)
    if not isinstance(family, Overlay):
        assert count == 0
        return
    stamp = family.stamp(*family.probe(torch.arange(count), shape), shape)
    assert stamp.mask is not None
    assert (stamp.mask.amax(0) > 0).all()
    inside = stamp.mask > 0
    colour = stamp.added / stamp.mask.clamp_min(1e-6)
    values = colour[inside.expand(-1, shape[0], -1, -1)]
    assert ((values == 0) | ((values - 1).abs() < 1e-5)).all()
    assert count <= 17 * 17 * 16


def test_own_images_for_each_trigger_are_stamped_with_it_alone() -> None:
    random = torch.Generator().manual_seed(0)
    stamp = Stamp(
        torch.rand(3, 1, 4, 4, generator=random), torch.rand(3, 2, 4, 4, generator=random)
    )
    images = torch.rand(3, 5, 2, 4, 4, generator=random)
    found = stamp.on(images)
    for place in range(3):
        assert torch.equal(found[place], stamp[place : place + 1].on(images[place])[0])
