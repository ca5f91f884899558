"""Clean images: read, held against the network, and split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted import CLASSES, as_images, clean_images, planted, stripes

from goodnet.errors import InvalidInput, OverBudget
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import Network
from goodnet.preprocessing import IDENTITY
from goodnet.repair import clean
from goodnet.repair.clean import count_right, prepare
from goodnet.repair.fine_prune import FinePrune
from goodnet.repair.fine_tune import FineTune
from goodnet.repair.result import RepairResult
from goodnet.repair.sparsify import Sparsify
from goodnet.training import Examples, TrainingConfig

METHODS: list[Callable[[Network, ImageSet], RepairResult]] = [FineTune(), FinePrune(), Sparsify()]


@given(count=st.integers(8, 80), share=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_every_image_is_either_trained_on_or_held_back(count: int, share: float, seed: int) -> None:
    images = as_images(stripes(count, seed=3))
    found = prepare(planted().network, images, TrainingConfig(held_back=share, seed=seed))
    assert len(found.held_back) == min(count - 2, max(2, round(share * count)))
    parts = [part.images.reshape(len(part), -1) for part in (found.train, found.held_back)]
    everything = images.sample(count).images.reshape(count, -1)
    assert sorted(map(bytes, np.concatenate(parts))) == sorted(map(bytes, everything))


def test_all_classes_are_held_back_alike() -> None:
    labels = np.repeat(np.arange(CLASSES), 20)
    examples = stripes(1000)
    rows = [np.flatnonzero(examples.labels == label)[:20] for label in range(CLASSES)]
    images = as_images(Examples(examples.images[np.concatenate(rows)], labels))
    for seed in range(5):
        found = prepare(planted().network, images, TrainingConfig(held_back=0.2, seed=seed))
        assert np.bincount(found.held_back.labels).tolist() == [4] * CLASSES


def test_another_seed_holds_back_others() -> None:
    first, same, other = (
        prepare(planted().network, clean_images(50), TrainingConfig(held_back=0.2, seed=seed))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first.held_back.images, same.held_back.images)
    assert not np.array_equal(first.held_back.images, other.held_back.images)


def test_what_was_right_before_is_counted_on_those_held_back() -> None:
    examples = stripes(50, seed=2)
    labels = examples.labels.copy()
    labels[::3] = (labels[::3] + 1) % CLASSES
    images = as_images(Examples(examples.images, labels))
    found = prepare(planted().network, images, TrainingConfig(held_back=0.4, seed=0))
    assert found.before == count_right(planted().network, found.held_back)
    assert 0.4 < (found.before.value or 0) < 0.9


def test_many_images_need_no_note() -> None:
    found = prepare(planted().network, clean_images(100), TrainingConfig(held_back=0.2, seed=0))
    assert not found.few
    assert not found.notes


def test_few_images_and_missing_classes_are_told() -> None:
    images = clean_images(12, classes=(0, 3))
    found = prepare(planted().network, images, TrainingConfig(held_back=0.25, seed=0))
    assert found.few
    missing, few = found.notes
    assert missing.startswith("3 of 5 classes have no clean image to train on")
    assert few.startswith("9 images are few for 5 classes")


@pytest.mark.parametrize("method", METHODS)
def test_a_mislabelled_set_is_refused(method: Callable[[Network, ImageSet], RepairResult]) -> None:
    examples = stripes(60)
    wrong = as_images(Examples(examples.images, (examples.labels + 1) % CLASSES))
    with pytest.raises(
        InvalidInput, match=r"answers only 0 of 60 clean images as they are labelled; .*mislabelled"
    ):
        method(planted().network, wrong)


@pytest.mark.parametrize("method", METHODS)
def test_images_at_the_wrong_scale_are_refused(
    method: Callable[[Network, ImageSet], RepairResult],
) -> None:
    network = planted().network.with_preprocessing(IDENTITY)
    with pytest.raises(InvalidInput, match=r"answers only \d+ of 60 clean images.*wrong scale"):
        method(network, clean_images(60))


def test_three_images_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 4 clean images, got 3"):
        FineTune()(planted().network, clean_images(3))


def test_images_of_another_size_are_refused() -> None:
    images = images_from_arrays(np.zeros((9, 3, 9, 9), np.uint8), np.zeros(9, np.int64))
    with pytest.raises(InvalidInput, match=r"images of 3x9x9 .* the network takes 3x8x8"):
        FineTune()(planted().network, images)


def test_images_without_labels_are_refused() -> None:
    images = replace(clean_images(8), labels=np.full(8, -1))
    with pytest.raises(InvalidInput, match="images has no labels, which are needed here"):
        FineTune()(planted().network, images)


def test_a_set_that_does_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "_MOST_BYTES", 1 << 10)
    with pytest.raises(OverBudget, match=r"20 clean images take .* GiB, more than"):
        FineTune()(planted().network, clean_images(20))


def test_counting_leaves_the_network_as_it_is() -> None:
    network = planted().network
    before = {key: tensor.clone() for key, tensor in network.graph.state_dict().items()}
    count_right(network, stripes_as_floats())
    for key, tensor in network.graph.state_dict().items():
        assert torch.equal(tensor, before[key])
    assert not network.graph.training


def stripes_as_floats() -> Examples:
    examples = stripes(10)
    return Examples(examples.pixels(slice(None)), examples.labels)
