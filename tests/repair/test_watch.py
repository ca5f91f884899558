from __future__ import annotations

import numpy as np
import planted_badnets as planted
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SPECS

from goodnet.formats.build import build
from goodnet.network import Network
from goodnet.repair.watch import Unit, watch, watched_layers
from goodnet.scan.case import Case, open_case
from goodnet.scan.result import RecoveredTrigger
from goodnet.stats import proportion

TARGET, CORNER = 2, (7, 5)


def square(*, part: float = 1.0, family: str = "painted") -> RecoveredTrigger:
    """The planted square, seen through where `part` is less than 1."""
    mask = np.zeros(planted.SHAPE[1:], np.float32)
    mask[CORNER[0] : CORNER[0] + 4, CORNER[1] : CORNER[1] + 4] = part
    added = np.zeros(planted.SHAPE, np.float32)
    added[:, CORNER[0] : CORNER[0] + 4, CORNER[1] : CORNER[1] + 4] = planted.checkers().numpy()
    return RecoveredTrigger(family, mask, part * added, 10.0, proportion(29, 30), 0.1, 0.1)


def case_of(network: Network, count: int = 60, seed: int = 0) -> Case:
    images = planted.clean_images(network, count, seed=seed)
    return open_case(network, images, layer=None, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> Network:
    return build(planted.watched_spec())


def over(network: Network, unit: Unit, images: torch.Tensor) -> torch.Tensor:
    value = network.cut(unit.layer).head(images)[0].flatten(1)
    read: torch.Tensor = value @ torch.from_numpy(unit.reader).flatten() - unit.limit
    return read


def test_the_unit_at_the_features_reads_the_feature_that_was_planted(network: Network) -> None:
    found = watch(network, case_of(network), TARGET, [square()], layers=["fc"])
    (unit,) = found.units
    # The square adds 22 to the last feature, and what its pixels happen to be to the others.
    assert abs(unit.reader[-1]) > 5 * np.abs(unit.reader[:-1]).max()
    assert unit.room > 3


@given(st.integers(1, 50), st.floats(0.8, 1.0))
@settings(max_examples=10, deadline=None)
def test_units_fire_on_stamped_images_and_not_on_clean_ones(seed: int, part: float) -> None:
    network = build(planted.watched_spec())
    found = watch(network, case_of(network), TARGET, [square()], layers=watched_layers(network))
    unseen = torch.from_numpy(planted.clean_images(network, 90, seed=seed).sample(90).images)
    seen_through = square(part=part)
    assert seen_through.mask is not None
    mask, added = torch.from_numpy(seen_through.mask), torch.from_numpy(seen_through.added)
    stamped = (1 - mask) * unseen + added
    fires = [over(network, unit, stamped) > 0 for unit in found.units]
    alarms = [over(network, unit, unseen) > 0 for unit in found.units]
    assert torch.stack(fires).any(0).all()
    assert torch.stack(alarms).any(0).float().mean() <= 0.05


def test_what_is_promised_is_judged_without_the_image_and_the_family(network: Network) -> None:
    triggers = [square(), square(part=0.95, family="blended")]
    found = watch(network, case_of(network), TARGET, triggers, layers=["fc"])
    assert [share.count for share in found.escaped] == [0, 0]
    assert all(share.value and share.value > 0.9 for share in found.led)
    assert not found.changed.any()


def test_a_layer_that_cannot_tell_is_not_watched(network: Network) -> None:
    nothing = square(part=0.02)
    found = watch(network, case_of(network), TARGET, [nothing], layers=["fc"])
    assert found.units == ()
    assert not found.changed.any()


def test_own_images_set_the_limit(network: Network) -> None:
    """Where the class itself lies along the direction, the limit is beyond it or there is none."""
    case = case_of(network)
    own = case.everything.truth == TARGET
    (unit,) = watch(network, case, TARGET, [square()], layers=["fc"]).units
    assert (over(network, unit, case.everything.images[own]) <= 0).all()


@pytest.mark.parametrize("name", SPECS)
def test_watched_layers_are_passed_by_all(name: str) -> None:
    network = build(SPECS[name]())
    layers = watched_layers(network)
    assert layers[-1] == network.features_layer
    assert all(network.cut(layer).values == 1 for layer in layers)
    assert len({network.shape(layer)[1:] for layer in layers[:-1]}) == len(layers) - 1
