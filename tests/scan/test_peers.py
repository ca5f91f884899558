from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import striped
import torch
from torch import Tensor, nn

from goodnet.errors import UsageError
from goodnet.formats.torch import wrap
from goodnet.scan.k_arm import KArm
from goodnet.scan.last_layer import HTell, LastLayer
from goodnet.scan.mm_bd import MMBD
from goodnet.scan.neural_cleanse import NeuralCleanse
from goodnet.scan.scanner import Scanner
from goodnet.scan.stimulation import ChannelStimulation

TARGET = 2
PEERS: tuple[Scanner, ...] = (
    NeuralCleanse(steps=80, images=8),
    KArm(steps=40, images=8),
    MMBD(starts=4, steps=60, rate=0.1),
    HTell(probes=500),
    LastLayer(),
)
# Channel stimulation sees only what clean images reach: its backdoor is planted in another way.
ALL = (*PEERS, ChannelStimulation())


def named(scanner: Scanner) -> str:
    return scanner.name


@pytest.mark.parametrize("scanner", PEERS, ids=named)
def test_a_planted_target_is_found(scanner: Scanner) -> None:
    result = scanner(striped.network(striped.weights()), striped.images())
    assert result.verdict == "backdoored"
    assert [target.label for target in result.targets] == [TARGET]
    assert result.scores.argmax() == TARGET
    assert result.scores.shape == (striped.SIDE,)
    if result.threshold is not None:
        assert (result.scores > result.threshold).sum() == 1
    if result.p_value is not None:
        assert result.p_value == result.targets[0].p_value
        assert result.p_value < 0.05


@pytest.mark.parametrize("scanner", [MMBD(starts=4, steps=60, rate=0.1), HTell(), LastLayer()])
def test_a_clean_network_is_not_accused(scanner: Scanner) -> None:
    result = scanner(striped.network(striped.weights(target=None)), striped.images())
    assert result.verdict == "no_finding"
    assert result.targets == ()


@pytest.mark.parametrize("scanner", PEERS[:2], ids=named)
def test_the_trigger_is_found_where_it_is(scanner: Scanner) -> None:
    (target,) = scanner(striped.network(striped.weights()), striped.images()).targets
    trigger = target.trigger
    assert trigger is not None
    assert trigger.mask is not None
    # With all of the square white the margin is 30 higher, and 6 to 7 are enough.
    assert 0.15 * 4 < trigger.mask.sum() < 0.4 * 4 + 0.2
    assert trigger.mask[striped.SQUARE].sum() > 0.9 * trigger.mask.sum()
    assert trigger.success.value is not None
    assert trigger.success.value >= 0.9
    assert trigger.margin > 0
    assert 0 < trigger.changed < 0.3
    judged = [label for label in striped.images().labels if label != TARGET]
    assert trigger.success.total < len(judged)


def test_a_channel_that_overrules_the_others_is_found() -> None:
    network = striped.network(striped.weights(target=TARGET, strength=30))
    result = ChannelStimulation()(network, striped.images(marked=TARGET))
    expected = np.eye(striped.SIDE)[TARGET]
    np.testing.assert_array_equal(result.scores, expected)
    assert result.verdict == "suspicious"
    assert [target.label for target in result.targets] == [TARGET]


def test_channels_that_change_no_answer_raise_no_suspicion() -> None:
    result = ChannelStimulation()(striped.network(striped.weights()), striped.images())
    assert result.verdict == "no_finding"
    assert not result.scores.any()


@pytest.mark.parametrize("scanner", ALL, ids=named)
def test_permuting_classes_permutes_scores(scanner: Scanner) -> None:
    marked = TARGET if scanner.name == "stimulation" else None
    rows = striped.weights(strength=30 if marked else 2.5)
    plain = scanner(striped.network(rows), striped.images(marked=marked))
    order = np.array([3, 1, 5, 2, 0, 4])
    other = scanner(
        striped.network(rows[torch.from_numpy(order)]),
        striped.images(marked=marked, names=[int(place) for place in order.argsort()]),
    )
    np.testing.assert_allclose(other.scores, plain.scores[order], rtol=0.02, atol=1e-6)
    if plain.p_value is not None:
        assert other.p_value == pytest.approx(plain.p_value, rel=1e-3)
    assert [order[target.label] for target in other.targets] == [TARGET]


@pytest.mark.parametrize("scanner", ALL, ids=named)
def test_the_same_seed_gives_the_same_result(scanner: Scanner) -> None:
    network, images = striped.network(striped.weights()), striped.images()
    assert scanner(network, images).to_record() == scanner(network, images).to_record()
    assert replace(scanner, seed=1)(network, images).options["seed"] == 1


@pytest.mark.parametrize("scanner", ALL, ids=named)
def test_two_classes(scanner: Scanner) -> None:
    network = striped.network(striped.weights(2, target=1))
    result = scanner(network, striped.images(24, 2))
    assert result.scores.shape == (2,)
    assert np.isfinite(result.scores).all()
    if scanner.name in ("k-arm", "htell"):
        assert result.scores[1] > result.scores[0]
    else:
        assert result.verdict == "inconclusive"
        assert result.targets == ()
        assert any("2 classes are too few" in note for note in result.notes)


@pytest.mark.parametrize("scanner", ALL, ids=named)
def test_outputs_that_are_not_numbers_are_inconclusive(scanner: Scanner) -> None:
    network = striped.network(striped.weights() * torch.nan)
    assert scanner(network, striped.images()).verdict == "inconclusive"


class Fragile(nn.Module):
    """No number where the square is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(108, striped.SIDE)
        self.linear.load_state_dict(
            {"weight": striped.weights(), "bias": torch.zeros(striped.SIDE)}
        )

    def forward(self, images: Tensor) -> Tensor:
        room = torch.sqrt(0.2 - images[:, 0, 4:, 4:].mean((1, 2)))
        logits: Tensor = self.linear(images.flatten(1)) * room[:, None]
        return logits


@pytest.mark.parametrize("scanner", PEERS[:3], ids=named)
def test_a_search_that_leaves_the_numbers_is_inconclusive(scanner: Scanner) -> None:
    network = wrap(Fragile(), striped.SHAPE)
    result = scanner(network, striped.images())
    assert result.verdict == "inconclusive"
    assert result.targets == ()


def test_without_a_last_linear_layer_there_is_nothing_to_look_at() -> None:
    channels = nn.Conv2d(3, striped.SIDE, striped.SIDE)
    state = {"weight": striped.weights().view(-1, *striped.SHAPE), "bias": torch.zeros(6)}
    channels.load_state_dict(state)
    network = wrap(nn.Sequential(channels, nn.Flatten()), striped.SHAPE)
    for scanner in (HTell(), LastLayer()):
        result = scanner(network, striped.images())
        assert result.verdict == "inconclusive"
        assert any("last layer" in note for note in result.notes)


def test_progress_is_told_of_all_labels() -> None:
    from contextlib import contextmanager

    done: dict[str, list[int]] = {}

    @contextmanager
    def stage(work: int, label: str):  # type: ignore[no-untyped-def]
        done[label] = [work, 0]

        def advance(count: int) -> None:
            done[label][1] += count

        yield advance

    network, images = striped.network(striped.weights()), striped.images()
    for scanner in ALL[:4] + ALL[5:]:
        done.clear()
        scanner(network, images, stage=stage)
        assert done
        assert all(work == seen for work, seen in done.values())


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="neural-cleanse needs images of at least 1, got 0"):
        NeuralCleanse(images=0)
    with pytest.raises(UsageError, match=r"k-arm needs bound between 0 and 1, got 1\.5"):
        KArm(bound=1.5)
    with pytest.raises(UsageError, match="mm-bd needs starts of at least 1, got 0"):
        MMBD(starts=0)
    with pytest.raises(UsageError, match="htell needs alpha between 0 and 1, got 0"):
        HTell(alpha=0.0)
