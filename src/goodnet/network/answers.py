"""From a network's outputs to its answers; outputs that are no numbers answer nothing.

The largest of outputs that are NaN is a class as good as any other, so a network that overflows
would be judged like one that works. All that turns outputs into answers does it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodnet.errors import NoNumbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

# The answer to an image that has none: no class, and no label (see `imagesets.UNLABELLED`).
NO_ANSWER = -2


def answers(outputs: Tensor) -> Tensor:
    """The class of each image, `NO_ANSWER` where the largest output is NaN or infinite.

    A lower one may be minus infinity, as the logarithm of a probability of 0.

    Args:
        outputs: Shape (images, classes).

    Returns:
        Shape (images,).
    """
    found = outputs.argmax(1)
    best = outputs.gather(1, found[:, None]).squeeze(1)
    return found.masked_fill_(~best.isfinite(), NO_ANSWER)


def check_answered(
    found: NDArray[np.int64], *, who: str = "the network", images: str = ""
) -> NDArray[np.int64]:
    """The same answers, known to be classes.

    Args:
        found: As `answers` gives them, shape (images,).
        who: Whose answers, for the message.
        images: Name of the set, for the message.

    Raises:
        NoNumbers: If the network has none for some images.
    """
    check_finite(int((found == NO_ANSWER).sum()), len(found), who=who, images=images)
    return found


def check_finite(bad: int, total: int, *, who: str = "the network", images: str = "") -> None:
    """Refuse a network that computes no numbers for `bad` of `total` images.

    Raises:
        NoNumbers: If there are any such images.
    """
    if bad:
        named = f"{images}: " if images else ""
        raise NoNumbers(
            f"{named}{who} answers NaN or infinity on {bad} of {total} images; it cannot be "
            "judged, as what it computes is beyond the numbers there are"
        )
