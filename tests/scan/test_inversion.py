from __future__ import annotations

import math

import striped
import torch

from goodnet.scan.case import Case, Shown
from goodnet.scan.inversion import Masks, SearchOptions, begin, shrink, targets
from goodnet.scan.subject import Subject

PACE = SearchOptions(steps=20, images=6, success=0.99)


def case(rows: torch.Tensor, *, bias: float = 0.0) -> Case:
    network = striped.network(rows, bias=bias)
    block = striped.images().sample(48)
    shown = Shown(torch.from_numpy(block.images), torch.from_numpy(block.labels))
    return Case(Subject.of(network), shown[:24], shown[24:], invented=False)


def shrunk(given: Case, masks: Masks, options: SearchOptions = PACE) -> Masks:
    return shrink(given, masks, options, generator=torch.Generator().manual_seed(0))


def started(given: Case) -> Masks:
    return begin(given.subject, torch.Generator().manual_seed(0))


def test_a_mask_grows_dear_while_it_succeeds_and_costs_nothing_before() -> None:
    given = case(striped.weights(), bias=1e4)
    masks = shrunk(given, started(given))
    # Five steps until there is a price, and five for each doubling.
    assert masks.price[0].item() == torch.tensor(0.001 * 2**3).item()
    assert not masks.price[1:].any()
    assert masks.norms[0] < 18
    assert torch.isinf(masks.norms[1:]).all()


def test_a_mask_that_never_succeeds_is_given_as_it_is_last() -> None:
    given = case(striped.weights(), bias=1e4)
    masks = shrunk(given, started(given))
    assert torch.isfinite(masks.sizes).all()
    mask = masks.stamp.mask
    assert mask is not None
    torch.testing.assert_close(mask[1, 0], (torch.tanh(masks.free[1, 0]) + 1) / 2)


def test_labels_do_not_disturb_each_other() -> None:
    given = case(striped.weights())
    together = shrunk(given, started(given))
    alone = shrunk(given, started(given)[3:4])
    torch.testing.assert_close(together[3:4].sizes, alone.sizes, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(together[3:4].entropy, alone.entropy, rtol=1e-3, atol=1e-3)


def test_a_second_call_goes_on_from_the_first() -> None:
    given = case(striped.weights())
    once = shrunk(given, started(given), SearchOptions(60, 6, 0.99))
    twice = shrunk(given, once, SearchOptions(60, 6, 0.99))
    assert (twice.sizes <= once.sizes).all()
    assert twice.sizes.sum() < once.sizes.sum()


def test_joined_masks_are_those_that_were_parted() -> None:
    start = started(case(striped.weights()))
    joined = Masks.join([start[:2], start[2:]])
    assert len(joined) == striped.SIDE
    assert joined.labels.tolist() == list(range(striped.SIDE))
    assert all(map(math.isinf, joined.norms.tolist()))


def test_triggers_are_judged_by_images_of_other_classes() -> None:
    given = case(striped.weights())
    masks = shrunk(given, started(given))
    scores = torch.arange(striped.SIDE).float().numpy()
    found = targets(given, masks, scores, threshold=3.5)
    assert [target.label for target in found] == [5, 4]
    for target in found:
        assert target.trigger is not None
        assert target.trigger.success.total == int((given.judge.truth != target.label).sum())


def test_with_no_images_of_other_classes_nothing_is_known_of_success() -> None:
    given = case(striped.weights())
    own = given.judge[given.judge.truth == 5]
    (target,) = targets(
        Case(given.subject, given.search, own, invented=False),
        shrunk(given, started(given)),
        torch.arange(striped.SIDE).float().numpy(),
        threshold=4.5,
    )
    assert target.trigger is not None
    assert target.trigger.success.value is None
    assert math.isfinite(target.trigger.margin)
