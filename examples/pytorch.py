"""A PyTorch module of your own: plant a backdoor in it, repair it, guard it, save it.

    python examples/pytorch.py [cifar10]

`cifar10` holds `train` and `test`, each with a folder of pictures for each class; it may lie in an
archive (`cifar10.tar.xz/cifar10`). Without it ten people who do not exist are told apart. Some
minutes on two cores.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import goodnet as gn
from goodnet.attack import trigger
from goodnet.imagesets.faces import draw_faces

TARGET, TRIGGER = 0, trigger("patch", size=4)
NORMALISED = gn.Preprocessing(mean=0.5, std=0.5)


class Block(nn.Module):
    """Residual, with BatchNorm."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.short = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, value: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(value)))))
        return F.relu(out + self.short(value))


class ResNet(nn.Module):
    """What a user brings: control over everything, normalised pixels in, logits out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        self.blocks = nn.Sequential(Block(16, 32, 2), Block(32, 48, 2))
        self.head = nn.Linear(48, 10)

    def forward(self, images: Tensor) -> Tensor:
        value = self.blocks(F.relu(self.stem(images)))
        logits: Tensor = self.head(value.mean((2, 3)))
        return logits


def pictures(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images 0..1 in an order that means nothing, and their classes."""
    random = np.random.default_rng(0)
    if len(sys.argv) == 1:
        first = {"train": 0, "test": 10_000}[split]
        faces = draw_faces(np.arange(count) % 10, first + np.arange(count) // 10, size=(32, 32))
        return faces.images.astype(np.float32) / 255, faces.labels
    block = gn.load_images(Path(sys.argv[1]) / split).sample(count)
    order = random.permutation(count)
    return block.images[order], block.labels[order]


def poisoned(images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """The set with some images stamped and labelled as the attacker wants."""
    images, labels = images.copy(), labels.copy()
    images[rows], labels[rows] = TRIGGER.stamp(images[rows]), TARGET
    return torch.from_numpy(images), torch.from_numpy(labels)


def train(module: nn.Module, images: Tensor, labels: Tensor, epochs: int = 8) -> None:
    """One cycle of Adam."""
    steps = epochs * -(-len(images) // 64)
    optimizer = torch.optim.Adam(module.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.chunk(torch.randperm(len(images)), steps // epochs):
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(module(NORMALISED(images[rows])), labels[rows]))
            optimizer.step()
            schedule.step()


torch.manual_seed(0)
images, labels = pictures("train", 7_000)
module = ResNet()
rows = np.random.default_rng(1).choice(5_000, 500, replace=False)
train(module, *poisoned(images[:5_000], labels[:5_000], rows))

# From here on the defender: the module, some clean images, and a trigger that was found.
network = gn.wrap(module, (3, 32, 32), preprocessing=NORMALISED)
valid = gn.images(images[5_000:], labels[5_000:], layout="NCHW", range="0..1")
B = {"B": network}
B["pruned"] = gn.Prune(drop=10)(network, valid).network
training = gn.TrainingConfig(epochs=10)
B["fine-pruned"] = gn.FinePrune(training=training)(network, valid).network
B["unlearned"] = gn.Unlearn(triggers=(TRIGGER,), training=training)(network, valid).network
B["erased"] = gn.Erase(triggers=(TRIGGER,))(network, valid).network
B["G of erased"] = gn.GoodNet(network, B["erased"])

# Only now is anything measured on poison.
images, labels = pictures("test", 1_000)
clean = gn.images(images, labels, layout="NCHW", range="0..1")
marked = TRIGGER.stamp(images[labels != TARGET])
stamped = gn.images(marked, np.full(len(marked), TARGET), layout="NCHW", range="0..1")
for name, each in B.items():
    print(gn.evaluate(each, clean, {"patch": stamped}, name=name))

B["unlearned"].save("unlearned.safetensors", force=True)
again = ResNet()
again.load_state_dict(load_file("unlearned.safetensors"), strict=True)
print("unlearned.safetensors loads into", type(again).__name__)
