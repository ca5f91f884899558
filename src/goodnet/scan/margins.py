"""The margin of a label: how far its logit lies above the best other one. Tensors in, tensors out.

Margins, not probabilities, are what a search raises: probabilities saturate.
"""

from __future__ import annotations

import torch
from torch import Tensor


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of a label minus the largest other logit.

    Args:
        logits: Shape (..., classes), of at least two classes.
        labels: Shape of the leading axes of `logits`, or one that broadcasts to it.

    Returns:
        Shape (...), above 0 where the label is the answer.

    Example:
        >>> margins(torch.tensor([[1.0, 4.0, 2.0]]), torch.tensor([1]))
        tensor([2.])
    """
    at = labels.expand(logits.shape[:-1])[..., None]
    best, places = logits.topk(2, dim=-1)
    other = torch.where(places[..., :1] == at, best[..., 1:], best[..., :1])
    return (logits.gather(-1, at) - other).squeeze(-1)


def all_margins(logits: Tensor) -> Tensor:
    """The margins of all labels at once.

    Args:
        logits: Shape (..., classes), of at least two classes.

    Returns:
        Shape (..., classes).

    Example:
        >>> all_margins(torch.tensor([[1.0, 4.0, 2.0]]))
        tensor([[-3.,  2., -2.]])
    """
    best = logits.topk(2, dim=-1).values
    leading = logits == best[..., :1]
    return logits - torch.where(leading, best[..., 1:], best[..., :1])
