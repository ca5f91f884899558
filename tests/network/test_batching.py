from __future__ import annotations

import pytest
import torch
from tiny import plain_spec
from torch import Tensor, nn

from goodnet.errors import GoodnetError, InvalidInput, OverBudget
from goodnet.formats.build import build
from goodnet.formats.torch import wrap
from goodnet.network.batching import batch_of, block_of, computing

MIB = 2**20


@pytest.mark.parametrize(("numbers", "count"), [(1, 2048), (55 * 47 * 20, 30), (MIB, 16)])
def test_usual_values_are_computed_in_usual_batches(numbers: int, count: int) -> None:
    assert batch_of(numbers) == count


@pytest.mark.parametrize("numbers", [MIB, 8 * MIB, 64 * MIB, 2**40])
def test_a_batch_of_large_values_stays_small(numbers: int) -> None:
    assert batch_of(numbers) == 1 or 4 * numbers * batch_of(numbers) <= 256 * MIB
    assert block_of(3, kept=numbers) == 1 or 4 * numbers * block_of(3, kept=numbers) <= 256 * MIB
    assert block_of(numbers) <= 16


def test_many_values_that_are_held_make_a_batch_small() -> None:
    assert batch_of(MIB, held=4 * MIB) == 16
    assert batch_of(MIB, held=128 * MIB) == 2
    assert batch_of(MIB, held=999 * MIB) == 1


def test_a_block_is_as_large_as_its_images_and_what_is_kept_of_them_allow() -> None:
    assert block_of(55 * 47 * 3) == block_of(55 * 47 * 3, kept=1200) == 512
    network = build(plain_spec())
    assert network.cut("pool_2").block == network.block_size == 512


class Demanding(nn.Module):
    """Fails as PyTorch does, but for the images it is built with."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message, self.last = message, nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 3:
            raise RuntimeError(self.message)
        found: Tensor = self.last(images.flatten(1))
        return found


FULL = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: x"
REFUSED = "kernel too large\nException raised from stoll at x.cpp:1 (most recent call first):\n#0"


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (FULL, OverBudget, r"not enough memory .* of shape \(1, 2, 2\); close other programs or"),
        (REFUSED, InvalidInput, r"does not run on images of shape \(1, 2, 2\): kernel too large$"),
    ],
)
def test_what_pytorch_says_becomes_a_sentence(
    message: str, error: type[GoodnetError], said: str
) -> None:
    network = wrap(Demanding(message), (1, 2, 2))
    assert network.outputs(torch.zeros(3, 1, 2, 2)).shape == (3, 2)
    with pytest.raises(error, match=said) as caught:
        network.outputs(torch.zeros(5, 1, 2, 2))
    assert "cpp" not in str(caught.value)


def test_python_runs_out_of_memory_too() -> None:
    with pytest.raises(OverBudget, match="not enough memory"), computing((1, 2, 2)):
        raise MemoryError
