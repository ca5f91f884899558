from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny import pictures, plain_spec
from torch import Tensor, nn

from goodnet.errors import InvalidInput
from goodnet.evaluation import evaluate, predict_inside
from goodnet.formats.build import build
from goodnet.formats.torch import wrap
from goodnet.imagesets import UNLABELLED, images_from_arrays
from goodnet.network import NO_ANSWER, Network, answers

NAN, INF = math.nan, math.inf


class Overflowing(nn.Module):
    """Answers whether an image is bright; of very bright ones, something that is no number."""

    def __init__(self, odd: float, limit: float = 0.8) -> None:
        super().__init__()
        self.odd, self.limit = odd, limit
        self.last = nn.Linear(2, 2)
        self.last.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})

    def forward(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3))[:, None]
        logits = torch.cat([0.5 - bright, bright - 0.5], 1)
        found: Tensor = self.last(torch.where(bright > self.limit, self.odd, logits))
        return found


def overflowing(odd: float = NAN) -> Network:
    return wrap(Overflowing(odd), (1, 5, 5))


BRIGHTNESS = np.array([0.1, 0.9, 0.7, 1.0, 0.3], np.float32)
IMAGES = np.broadcast_to(BRIGHTNESS[:, None, None, None], (5, 1, 5, 5)).copy()


def test_the_largest_output_is_the_answer_if_it_is_a_number() -> None:
    rows = [[1, 3, 2], [1, NAN, 2], [1, INF, 2], [-INF] * 3, [-INF, 3, 1], [NAN, 0, INF]]
    none = NO_ANSWER
    assert answers(torch.tensor(rows)).tolist() == [1, none, none, none, 1, none]
    assert none not in (UNLABELLED, *range(3))


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
def test_what_is_not_a_number_is_no_class(odd: float) -> None:
    network = overflowing(odd)
    assert network.answers(IMAGES).tolist() == [0, NO_ANSWER, 1, NO_ANSWER, 0]
    with pytest.raises(InvalidInput, match="the network answers NaN or infinity on 2 of 5 images"):
        network.predict(IMAGES)
    assert network.predict(IMAGES[[0, 2]]).tolist() == [0, 1]


def test_all_images_of_a_set_are_counted_not_those_of_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Network, "block_size", 2)
    images = images_from_arrays(IMAGES, [0, 1, 1, 1, 0], range="0..1", name="test.h5")
    with pytest.raises(InvalidInput, match=r"^test.h5: the network answers .* on 2 of 5 images"):
        evaluate(overflowing(), images)


def test_both_answers_of_a_goodnet_are_looked_at() -> None:
    images = images_from_arrays(IMAGES, [0, 1, 1, 1, 0], range="0..1")
    with pytest.raises(InvalidInput, match=r"the repaired network answers .* on 2 of 5 images"):
        predict_inside(overflowing(), overflowing().features_layer or "", images)


def test_a_cut_network_gives_no_class_either() -> None:
    network = build(plain_spec())
    cut = network.cut("pool_2")
    ((value,),) = cut.crossing(pictures(3))
    value = value.clone()
    value[1] = INF
    expected = network.predict(pictures(3)).tolist()
    assert cut.predict([value]).tolist() == [expected[0], NO_ANSWER, expected[2]]
