from __future__ import annotations

import hypothesis.strategies as st
import torch
from hypothesis import given

from goodnet.scan.margins import all_margins, margins


def reference(logits: torch.Tensor, label: int) -> torch.Tensor:
    others = [k for k in range(logits.shape[-1]) if k != label]
    return logits[..., label] - logits[..., others].amax(-1)


@given(st.integers(0, 99), st.integers(2, 7), st.booleans())
def test_a_margin_is_the_logit_less_the_best_other(seed: int, classes: int, ties: bool) -> None:
    logits = torch.randn(3, 4, classes, generator=torch.Generator().manual_seed(seed))
    logits = logits.round() if ties else logits
    every = all_margins(logits)
    for label in range(classes):
        wanted = reference(logits, label)
        assert torch.equal(margins(logits, torch.tensor(label)), wanted)
        assert torch.equal(every[..., label], wanted)


def test_labels_broadcast_over_images() -> None:
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    found = margins(logits, torch.tensor([[1], [3]]))
    wanted = torch.stack([reference(logits[0], 1), reference(logits[1], 3)])
    assert torch.equal(found, wanted)
