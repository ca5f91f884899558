from __future__ import annotations

import planted_badnets as planted
import pytest
import torch
from torch import Tensor, nn

from goodnet.network import Network
from goodnet.scan.case import Shown
from goodnet.scan.families import Additive, Overlay
from goodnet.scan.search import measure, search
from goodnet.scan.subject import Subject


def shown(network: Network, count: int = 30) -> Shown:
    block = planted.clean_images(network, count).sample(count)
    return Shown(torch.from_numpy(block.images), torch.from_numpy(block.labels))


def run(network: Network, family: Additive | Overlay, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The trigger found for label 2, and the margins reached for all labels."""
    subject = Subject.of(network)
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(subject.classes)
    (view,) = search(subject, [family], shown(network), labels=labels, generator=random)
    row = int((view.found.labels == 2).nonzero()[0])
    stamp = view.stamp(subject.shape)
    picture = stamp.added[row] if stamp.mask is None else stamp.added[row] / stamp.mask[row]
    return picture, view.reached


def test_the_direction_of_a_linear_network_is_recovered_within_a_quarter() -> None:
    network = planted.linear()
    added, reached = run(network, Additive(None, 0.05))
    # Against the nearest other row the best direction is the difference of the two rows.
    row = network.layer("1").get_parameter("weight").detach()[2]
    cosine = nn.functional.cosine_similarity(added.flatten(), row, dim=0)
    assert cosine > 0.75
    assert int(reached.argmax()) == 2


def test_the_pattern_of_a_square_is_recovered_within_a_quarter() -> None:
    network, pattern = planted.watched()
    found, reached = run(network, Overlay(0.34, 0.4))
    assert int(reached.argmax()) == 2
    square = found[:, 7:11, 5:9].nan_to_num(0.5)  # not covered: nothing is said of it
    assert (square - pattern).abs().mean() < 0.25


def test_the_same_seed_finds_the_same() -> None:
    network, _ = planted.watched()
    first, again = (run(network, Overlay(0.34, 0.4), seed=3) for _ in range(2))
    assert torch.equal(first[1], again[1])
    assert torch.equal(first[0].nan_to_num(), again[0].nan_to_num())


def test_labels_that_are_not_looked_for_are_not_reached() -> None:
    network = planted.linear()
    subject = Subject.of(network)
    random = torch.Generator().manual_seed(0)
    (view,) = search(
        subject,
        [Additive(3, 0.1)],
        shown(network),
        labels=torch.tensor([1, 4]),
        generator=random,
    )
    assert sorted(view.found.labels.tolist()) == [1, 4]
    assert torch.isneginf(view.reached[[0, 2, 3, 5]]).all()


@pytest.mark.parametrize("family", [Additive(4, 0.1), Overlay(0.3, 0.3)])
def test_margins_are_those_of_the_stamped_images(family: Additive | Overlay) -> None:
    network = planted.linear()
    subject, images = Subject.of(network), shown(network)
    free, place = next(
        iter(family.propose(torch.randn(2, *planted.SHAPE), images.images.mean(0), places=1))
    )
    stamp = family.stamp(free, place, subject.shape)
    labels = torch.tensor([2, 5])
    found, moved = measure(subject, stamp, labels, images)
    clean = subject.all_features(images.images).flatten(1).mean(0)
    assert (moved.norm(dim=1) > 0).all()
    for row, label in enumerate(labels):
        stamped = stamp[row : row + 1].on(images.images)[0]
        logits = subject.all_logits(stamped)
        features = subject.all_features(stamped).flatten(1).mean(0)
        torch.testing.assert_close(moved[row], features - clean, rtol=1e-4, atol=1e-5)
        others = logits.clone()
        others[:, label] = -torch.inf
        torch.testing.assert_close(found[row], logits[:, label] - others.amax(1))


def test_images_of_the_label_come_last() -> None:
    truth = torch.tensor([0, 1, 1, 2, 0])
    some = Shown(torch.zeros(5, 1, 2, 2), truth)
    order = torch.tensor([1, 0, 2, 4, 3])
    found = some.others(torch.tensor([0, 1, 3]), order, 4)
    assert found.tolist() == [[1, 2, 3, 0], [0, 4, 3, 1], [1, 0, 2, 4]]
