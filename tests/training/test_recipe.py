from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import plain_spec
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from goodnet.formats.build import build
from goodnet.formats.softmax import without_softmax
from goodnet.training import (
    Examples,
    Recipe,
    Schedule,
    cross_entropy,
    distillation,
    fit,
    once,
    shifts,
)
from goodnet.training.gradient import shared_gradient

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], requires_grad=True)
RADIUS = 0.5
LABELS, IMAGES = torch.tensor([0, 2]), torch.zeros(2, 3, 4, 4)


def examples(count: int = 40) -> Examples:
    random = np.random.default_rng(0)
    images = random.normal(size=(count, 3, 8, 8)).astype(np.float32)
    return Examples(images, random.integers(5, size=count))


def test_cross_entropy_is_a_sum_over_images() -> None:
    expected = -LOGITS.log_softmax(1)[[0, 1], [0, 2]].sum()
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS, IMAGES), expected)


def test_distillation_weighs_the_label_against_the_teacher() -> None:
    taught = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]])
    own, other = LOGITS.softmax(1), taught.softmax(1)
    apart = (other * (other / own).log()).sum()
    for weight in (0.0, 0.3, 1.0):
        loss = distillation(lambda _: taught, weight=weight)(LOGITS, LABELS, IMAGES)
        expected = (1 - weight) * cross_entropy(LOGITS, LABELS, IMAGES) + weight * apart
        torch.testing.assert_close(loss, expected)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    loss = distillation(lambda _: LOGITS.detach(), weight=1.0)(LOGITS, LABELS, IMAGES)
    (gradient,) = torch.autograd.grad(loss, [LOGITS])
    torch.testing.assert_close(gradient, torch.zeros_like(LOGITS))


def test_a_network_teaches_and_does_not_change() -> None:
    """What a network answers is made for inference; it serves as something to learn from."""
    teacher = build(without_softmax(plain_spec(seed=1)))
    before = copy.deepcopy(teacher.graph.state_dict())
    shown = examples(200)
    recipe = Recipe("taught", distillation(teacher, weight=1.0))
    student = fit(
        plain_spec(),
        shown,
        schedule=Schedule(epochs=20, batch_size=20, learning_rate=0.01),
        recipe=recipe,
    )
    wanted = teacher.outputs(shown.images).softmax(1)
    taught, untaught = (
        (build(spec).outputs(shown.images) - wanted).abs().mean()
        for spec in (student, plain_spec())
    )
    assert taught < untaught / 3
    for key, value in teacher.graph.state_dict().items():
        assert torch.equal(value, before[key])


def test_shifted_images_are_windows_of_the_image_with_its_edges_repeated() -> None:
    images = torch.arange(6 * 3 * 5 * 7, dtype=torch.float32).reshape(6, 3, 5, 7)
    moved = shifts(2)(images, np.random.default_rng(0))
    wide = F.pad(images, (2, 2, 2, 2), mode="replicate")
    corners = np.random.default_rng(0).integers(0, 4, (6, 2), endpoint=True)
    assert len({tuple(corner) for corner in corners.tolist()}) > 3
    for image, window, (top, left) in zip(moved, wide, corners.tolist(), strict=True):
        assert torch.equal(image, window[:, top : top + 5, left : left + 7])


def test_shifts_reach_every_side_and_leave_some_in_place() -> None:
    images = torch.zeros(400, 1, 9, 9)
    images[:, :, 4, 4] = 1
    moved = shifts(1)(images, np.random.default_rng(1))
    places = {tuple(place) for place in moved.nonzero()[:, 2:].tolist()}
    assert places == {(4 + down, 4 + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}


def test_no_shift_leaves_images_as_they_are() -> None:
    images = torch.rand(3, 3, 4, 4)
    assert torch.equal(shifts(0)(images, np.random.default_rng(0)), images)


def test_the_network_and_the_objective_see_the_same_moved_images() -> None:
    seen: list[Tensor] = []

    def objective(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        seen.append(images)
        torch.testing.assert_close(logits, graph(images))
        return cross_entropy(logits, labels, images)

    shown = examples()
    graph = build(without_softmax(plain_spec())).graph
    recipe = Recipe("watched", objective, shifts(2))
    with shared_gradient(graph, torch.device("cpu"), recipe=recipe) as parts:
        parts.step(shown, np.arange(8), seed=[0, 1])
        first = torch.cat(seen)
        seen.clear()
        parts.step(shown, np.arange(8), seed=[0, 2])
    assert len(first) == 8
    assert not torch.equal(first, torch.from_numpy(shown.images[:8]))
    assert not torch.equal(first, torch.cat(seen))


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("moved", augment=shifts(1))])
def test_a_recipe_gives_the_same_on_any_number_of_threads(recipe: Recipe) -> None:
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        schedule = Schedule(epochs=2, batch_size=16)
        found.append(fit(plain_spec(), examples(), schedule=schedule, recipe=recipe).arrays)
    torch.set_num_threads(before)
    assert all(np.array_equal(found[0][key], found[1][key]) for key in found[0])


def test_a_checkpoint_of_another_recipe_is_not_used(tmp_path: Path) -> None:
    state = tmp_path / "state"
    schedule, moved = Schedule(epochs=1), Recipe("moved", augment=shifts(1))
    fit(plain_spec(), examples(), schedule=schedule, recipe=moved, checkpoint=state)
    found = fit(plain_spec(), examples(), schedule=schedule, checkpoint=state)
    expected = fit(plain_spec(), examples(), schedule=schedule)
    assert all(np.array_equal(found.arrays[key], expected.arrays[key]) for key in found.arrays)


def test_what_layers_hold_can_be_asked_for() -> None:
    """The gradient of a loss of a layer's value is that of autograd on the whole batch."""
    network = build(without_softmax(plain_spec()))
    data = examples(8)
    layer = network.layers[2]

    def inside(values: Sequence[Tensor], labels: Tensor) -> Tensor:
        (value,) = values
        assert len(value) == len(labels)
        return value.square().sum()

    recipe = Recipe("inside", layers=(layer,), inside=inside)
    with shared_gradient(network.graph, network.device, recipe=recipe) as parts:
        loss = parts.step(data, np.arange(8))
        found = [parameter.grad for parameter in parts.parameters]
    plain = copy.deepcopy(network)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    head = plain.cut(layer).head
    total = cross_entropy(plain.graph(images), labels, images) + head(images)[0].square().sum()
    wanted = torch.autograd.grad(total / 8, list(plain.graph.parameters()))
    assert loss == pytest.approx(float(total.detach()) / 8, rel=1e-4)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_step_may_take_the_gradient_elsewhere() -> None:
    """Uphill by `RADIUS` first, as sharpness-aware methods do: on a square the slope is steeper."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))

    def gradient() -> float:
        weight.grad = 2 * weight.detach().clone()
        return float((weight.detach() ** 2).sum())

    def sharp(gradient: Callable[[], float], parameters: Sequence[nn.Parameter]) -> float:
        loss = gradient()
        slopes = [p.grad for p in parameters if p.grad is not None]
        norm = torch.cat([slope.flatten() for slope in slopes]).norm()
        climbs = [RADIUS * slope / norm for slope in slopes]
        for sign in (1, -1):
            for parameter, climb in zip(parameters, climbs, strict=True):
                parameter.data.add_(climb, alpha=sign)
            if sign == 1:
                gradient()
        return loss

    assert sharp(gradient, [weight]) == 25
    torch.testing.assert_close(weight.detach(), torch.tensor([3.0, 4.0]))
    assert weight.grad is not None
    # At 5 + RADIUS from the middle of the square.
    torch.testing.assert_close(weight.grad, 2 * (1 + RADIUS / 5) * torch.tensor([3.0, 4.0]))
    schedule = Schedule(epochs=1, batch_size=8)
    plain, other = (
        fit(plain_spec(), examples(), schedule=schedule, recipe=Recipe("sharp", step=step))
        for step in (once, sharp)
    )
    assert any((plain.arrays[key] != other.arrays[key]).any() for key in plain.arrays)
