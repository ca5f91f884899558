from __future__ import annotations

from collections.abc import Callable

import numpy as np
import planted_badnets as planted
import pytest
import torch
from torch import Tensor, nn

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.torch import wrap
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.network import Network
from goodnet.preprocessing import Preprocessing
from goodnet.scan import Scan, ScanResult
from goodnet.scan.invent import find_preprocessing, scenes


@pytest.fixture(scope="module")
def found() -> ScanResult:
    network, _ = planted.watched()
    return Scan()(network, planted.clean_images(network))


def test_a_planted_label_is_named_and_no_other(found: ScanResult) -> None:
    assert found.verdict == "backdoored"
    assert [target.label for target in found.targets] == [2]
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.images == (30, 30)
    (target,) = found.targets
    assert target.trigger is not None
    assert target.trigger.success.value == 1
    assert 20 <= target.trigger.success.total < 30
    assert target.direction is not None
    assert target.direction.own is not None
    # The last feature is the one that watches; own images have nothing of it.
    assert int(np.abs(target.direction.vector).argmax()) == 6
    assert abs(target.direction.own) < 0.2


def test_nothing_is_named_in_a_network_without_backdoor() -> None:
    network = planted.linear(target=None)
    result = Scan()(network, planted.clean_images(network))
    assert result.verdict == "no_finding"
    assert result.targets == ()
    assert any("not looked for" in note for note in result.notes)


def test_the_network_is_left_as_it_was(found: ScanResult) -> None:
    network, _ = planted.watched()
    before = {name: value.clone() for name, value in network.graph.state_dict().items()}
    Scan()(network, planted.clean_images(network, 12))
    for name, value in network.graph.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in network.graph.parameters())


def test_same_seed_same_result(found: ScanResult) -> None:
    network, _ = planted.watched()
    again = Scan()(network, planted.clean_images(network))
    assert again.to_record() == found.to_record()


def permuted(network: Network, order: Tensor) -> Network:
    """The same network with its classes numbered anew."""

    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network.graph

        def forward(self, images: Tensor) -> Tensor:
            answer: Tensor = self.inner(images)[:, order]
            return answer

    return wrap(Renamed(), planted.SHAPE)


def test_numbering_the_classes_anew_numbers_the_scores_anew() -> None:
    network = planted.linear(5, size=2.0)
    images = planted.clean_images(network, classes=5)
    order = torch.tensor([3, 0, 4, 2, 1])
    renamed = permuted(network, order)
    place = torch.argsort(order).numpy()
    block = images.sample(len(images))
    others = images_from_arrays(block.images, place[block.labels], range="0..1", layout="NCHW")
    # Both without a known last layer, so that the arithmetic is the same.
    first = Scan()(permuted(network, torch.arange(5)), images)
    second = Scan()(renamed, others)
    np.testing.assert_allclose(second.scores, first.scores[order], atol=0.02)
    assert [place[target.label] for target in first.targets] == [
        target.label for target in second.targets
    ]


def test_two_classes_are_scanned() -> None:
    network = planted.linear(2, target=1, size=1.0)
    result = Scan()(network, planted.clean_images(network, classes=2))
    assert result.scores.shape == (2,)
    assert result.verdict in ("no_finding", "inconclusive")


def test_without_images_some_are_made(found: ScanResult) -> None:
    network, _ = planted.watched()
    result = Scan()(network)
    assert any("no clean images were given" in note for note in result.notes)
    assert result.images[0] > 0
    assert result.verdict in ("no_finding", "suspicious")
    assert result.p_value is None
    assert result.scores.shape == found.scores.shape


class Biased(nn.Module):
    """Its logits differ by about four among pictures of pixels 0..1, and by biases."""

    def __init__(self, biases: float) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        weight = torch.randn(20, planted.PIXELS, generator=random)
        pictures = scenes(32, planted.SHAPE, random).flatten(1)
        self.layer = nn.Linear(planted.PIXELS, 20)
        with torch.no_grad():
            self.layer.weight.copy_(4 * weight / (pictures @ weight.T).std(0).mean())
            middle = self.layer.weight @ pictures.mean(0)
            self.layer.bias.copy_(torch.linspace(0, biases, 20) - middle)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1))
        return logits


@pytest.mark.parametrize(("biases", "factor"), [(1.0, 1), (300.0, 255)])
def test_pictures_that_are_answered_alike_are_of_too_small_a_range(
    biases: float, factor: int
) -> None:
    network = wrap(Biased(biases), planted.SHAPE)
    assert find_preprocessing(network).preprocessing == Preprocessing(factor)


def test_a_preprocessing_that_is_known_is_not_looked_for() -> None:
    network = wrap(Biased(300.0), planted.SHAPE, preprocessing=Preprocessing(2))
    assert find_preprocessing(network) is network


def images(count: int, labels: list[int] | None = None, shape: tuple[int, ...] = ()) -> ImageSet:
    pixels = np.random.default_rng(0).uniform(size=(count, *(shape or planted.SHAPE)))
    return images_from_arrays(
        pixels.astype(np.float32), labels or [0] * count, range="0..1", layout="NCHW"
    )


class Broken(nn.Module):
    """Gives what a function makes of the logits of a linear layer."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.change = nn.Linear(planted.PIXELS, 4), change

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.layer(images.flatten(1)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda logits: logits * float("nan"), "not finite numbers"),
        (lambda logits: logits / 0, "not finite numbers"),
        (lambda logits: logits * 0, "the same outputs whatever the image"),
    ],
)
def test_outputs_that_say_nothing_are_inconclusive(
    change: Callable[[Tensor], Tensor], reason: str
) -> None:
    result = Scan()(wrap(Broken(change), planted.SHAPE), images(8, [0, 1] * 4))
    assert result.verdict == "inconclusive"
    assert reason in result.notes[0]
    assert result.targets == ()


def test_images_that_are_answered_wrongly_are_inconclusive() -> None:
    network = planted.linear()
    block = planted.clean_images(network).sample(60)
    wrong = images_from_arrays(block.images, (block.labels + 1) % 6, range="0..1", layout="NCHW")
    result = Scan()(network, wrong)
    assert result.verdict == "inconclusive"
    assert "answers only 0 of 60 clean images as they are labelled" in result.notes[0]


def test_one_image_is_no_ground_for_no_finding() -> None:
    network = planted.linear(target=None)
    result = Scan()(network, planted.clean_images(network, 1))
    assert result.verdict == "inconclusive"
    assert "1 images are too few" in result.notes[0]


def test_images_of_one_class_are_no_ground_for_no_finding() -> None:
    network = planted.linear(target=None)
    block = planted.clean_images(network).sample(60)
    own = block.labels == 3
    one = images_from_arrays(block.images[own], block.labels[own], range="0..1", layout="NCHW")
    result = Scan()(network, one)
    assert result.verdict == "inconclusive"
    assert "all images are of one class" in result.notes[0]


def test_one_output_is_two_classes() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(planted.PIXELS, 1))
    pixels = images(8).sample(8).images
    two = images_from_arrays(pixels, np.arange(8) % 2, range="0..1", layout="NCHW")
    assert Scan()(wrap(module, planted.SHAPE), two).scores.shape == (2,)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"images of 3x9x9 .* the network takes 3x12x10"):
        Scan()(planted.linear(), images(8, shape=(3, 9, 9)))


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no layer is called 'pool_9'"):
        Scan(layer="pool_9")(planted.linear(), planted.clean_images(planted.linear()))


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_a_level_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(UsageError, match="goodnet needs alpha between 0 and 1"):
        Scan(alpha=alpha)


def test_a_level_that_nothing_was_measured_for_is_refused() -> None:
    with pytest.raises(UsageError, match=r"alpha of at least 0\.001, got 0\.0001"):
        Scan(alpha=1e-4)
