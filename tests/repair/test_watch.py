from __future__ import annotations

from dataclasses import replace

import numpy as np
import planted_badnets as planted
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SPECS

from goodnet.formats.build import build
from goodnet.network import Network
from goodnet.repair.watch import Unit, Watch, watch
from goodnet.repair.watched_layers import WatchedLayer, watched_layers
from goodnet.scan.case import Case, open_case
from goodnet.scan.directions import readers
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


def watch_at(layers: list[str], network: Network, triggers: list[RecoveredTrigger]) -> Watch:
    case = case_of(network)
    return watch([WatchedLayer.of(case, name) for name in layers], case, TARGET, triggers)


@pytest.fixture(scope="module")
def network() -> Network:
    return build(planted.watched_spec())


def over(network: Network, unit: Unit, images: torch.Tensor) -> torch.Tensor:
    value = network.cut(unit.layer).head(images)[0].flatten(1)
    read: torch.Tensor = value @ torch.from_numpy(unit.reader).flatten() - unit.limit
    return read


def test_the_unit_at_the_features_reads_the_feature_that_was_planted(network: Network) -> None:
    found = watch_at(["fc"], network, [square()])
    (unit,) = found.units
    # The square adds 22 to the last feature, and what its pixels happen to be to the others.
    assert abs(unit.reader[-1]) > 5 * np.abs(unit.reader[:-1]).max()
    assert unit.room > 3


@given(st.integers(1, 50), st.floats(0.8, 1.0))
@settings(max_examples=10, deadline=None)
def test_units_fire_on_stamped_images_and_not_on_clean_ones(seed: int, part: float) -> None:
    network = build(planted.watched_spec())
    found = watch_at(watched_layers(network), network, [square()])
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
    found = watch_at(["fc"], network, triggers)
    assert [share.count for share in found.escaped] == [0, 0]
    assert all(share.value and share.value > 0.9 for share in found.led)
    assert not found.changed.any()


def test_a_layer_that_cannot_tell_is_not_watched(network: Network) -> None:
    nothing = square(part=0.02)
    found = watch_at(["fc"], network, [nothing])
    assert found.units == ()
    assert not found.changed.any()


def test_own_images_set_the_limit(network: Network) -> None:
    """Where the class itself lies along the direction, the limit is beyond it or there is none."""
    case = case_of(network)
    own = case.everything.truth == TARGET
    (unit,) = watch_at(["fc"], network, [square()]).units
    assert (over(network, unit, case.everything.images[own]) <= 0).all()


@pytest.mark.parametrize("name", SPECS)
def test_watched_layers_are_passed_by_all(name: str) -> None:
    network = build(SPECS[name]())
    layers = watched_layers(network)
    assert layers[-1] == network.features_layer
    assert all(network.cut(layer).values == 1 for layer in layers)
    assert len({network.shape(layer)[1:] for layer in layers[:-1]}) == len(layers) - 1


def test_a_label_that_may_be_innocent_is_watched_from_halfway(network: Network) -> None:
    case = case_of(network)
    layers = [WatchedLayer.of(case, "fc")]
    weak = [square(part=0.12)]
    (near,) = watch(layers, case, TARGET, weak).units
    (far,) = watch(layers, case, TARGET, weak, named=False).units
    np.testing.assert_array_equal(near.reader, far.reader)
    assert far.limit > near.limit
    assert 1 < far.room < near.room


def test_more_images_of_the_class_move_the_limit_beyond_them(network: Network) -> None:
    case = case_of(network)
    layers = [WatchedLayer.of(case, "fc")]
    (before,) = watch(layers, case, TARGET, [square()]).units
    faint = square(part=0.3)
    assert faint.mask is not None
    own = case.everything.images[case.everything.truth == TARGET]
    own = (1 - torch.from_numpy(faint.mask)) * own + torch.from_numpy(faint.added)
    (after,) = watch(layers, case, TARGET, [square()], own=own).units
    assert after.limit > before.limit
    assert (over(network, after, own) <= 1e-4).all()


@pytest.mark.parametrize(("count", "holds"), [(99, 0.01), (30, 1 / 31)])
def test_units_hold_a_rate_of_false_alarms_on_the_class_itself(count: int, holds: float) -> None:
    """One image of the class bears the square faintly: none may be refused, or one in ten."""
    network = build(planted.watched_spec())
    case = case_of(network)
    layers = [WatchedLayer.of(case, name) for name in watched_layers(network)]
    faint = square(part=0.6)
    assert faint.mask is not None
    clean = planted.clean_images(network, 900, seed=7).sample(900)
    own = torch.from_numpy(clean.images[clean.labels == TARGET])[:count].clone()
    mask, added = torch.from_numpy(faint.mask), torch.from_numpy(faint.added)
    own[0] = (1 - mask) * own[0] + added
    seen = int((case.everything.truth == TARGET).sum())
    found = watch(layers, case, TARGET, [square()], own=own[: count - seen])
    assert found.own == count
    assert found.alarms == pytest.approx(holds)
    fires = torch.stack([over(network, unit, own[: count - seen]) > 1e-3 for unit in found.units])
    assert int(fires.any(0).sum()) == 0
    loose = watch(layers, case, TARGET, [square()], own=own[: count - seen], false_alarms=0.1)
    assert loose.alarms == pytest.approx(int(0.1 * (count + 1)) / (count + 1))
    fires = torch.stack([over(network, unit, own[: count - seen]) > 0 for unit in loose.units])
    assert fires.any(0)[0], "the one that bears the square may be refused now"
    assert int(fires.any(0).sum()) <= 0.1 * (count + 1)


def test_readers_from_products_are_those_of_the_values(network: Network) -> None:
    layer = WatchedLayer.of(case_of(network), "fc")
    random = torch.Generator().manual_seed(0)
    rows = torch.rand(len(layer.clean), generator=random) < 0.7
    directions = torch.nn.functional.normalize(torch.randn(7, 3, generator=random), dim=0)
    plain = readers(layer.clean[rows] - layer.clean[rows].mean(0), directions)
    torch.testing.assert_close(layer.readers(rows, directions), plain, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close((plain * directions).sum(0), torch.ones(3))


def test_triggers_that_gain_nothing_are_no_error(network: Network) -> None:
    weak = [replace(square(), margin=-2.0), replace(square(), margin=-3.0)]
    assert len(watch_at(["fc"], network, weak).led) == 1
