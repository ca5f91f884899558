from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from goodnet.formats.torch import wrap
from goodnet.preprocessing import Preprocessing
from goodnet.scan.gradients import margin_gradients, roughen
from goodnet.scan.subject import Subject

SHAPE = (3, 6, 5)


class Tiny(nn.Module):
    """A convolution, a hidden layer, and logits of some classes."""

    def __init__(self, classes: int, features: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.hidden = nn.Conv2d(3, 2, 3), nn.Linear(24, features)
        self.last = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.tanh(self.hidden(torch.relu(self.conv(images)).flatten(1)))
        answer: Tensor = self.last(hidden)
        return answer


def reference(subject: Subject, images: Tensor, labels: Tensor) -> Tensor:
    """One image and one class at a time."""
    found = torch.zeros(subject.classes, *SHAPE)
    for label in range(subject.classes):
        own = [i for i in range(len(images)) if labels[i] != label] or list(range(len(images)))
        for i in own:
            pixels = images[i : i + 1].clone().requires_grad_()
            logits = subject.logits(pixels)[0]
            (slope,) = torch.autograd.grad(logits[label] - logits.max(), pixels)
            found[label] += slope[0] / len(own)
    return found


@pytest.mark.parametrize("some", [slice(None), slice(1, 3)])
@pytest.mark.parametrize("classes", [3, 9])
def test_gradients_of_many_labels_equal_those_one_by_one(classes: int, some: slice) -> None:
    network = wrap(Tiny(classes), SHAPE, preprocessing=Preprocessing(2, mean=(0.5, 0, 1), std=0.7))
    subject = Subject.of(network)
    assert subject.weight is not None
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1, 2, -1])
    looked = torch.arange(classes)[some]
    found = margin_gradients(subject, images, labels, looked)
    wanted = reference(subject, images, labels)[some]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_rough_images_differ_by_as_much_as_asked_and_stay_in_range() -> None:
    images = torch.full((4, 3, 20, 15), 0.5)
    rough = roughen(images, 0.05, torch.Generator().manual_seed(0))
    sizes = (rough - images).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(sizes, torch.full((4,), 0.05), rtol=1e-4, atol=1e-5)
    wild = roughen(images, 3.0, torch.Generator().manual_seed(0))
    assert wild.min() == 0
    assert wild.max() == 1
    assert roughen(images, 0.0, torch.Generator()) is images
