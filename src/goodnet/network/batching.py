"""How many images are computed at a time, and what is said where not even that can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from goodnet.errors import InvalidInput, OverBudget, is_out_of_memory

# Bytes of the largest value of one batch, about what stays in the caches; fewest and most images.
_CACHE = 6 << 20
_BATCHES = (16, 2048)
# Bytes of the images of one block; fewest and most images.
_BLOCK = 16 << 20
_BLOCKS = (16, 512)
# Bytes that one value may take where even the fewest images make it large.
_MOST = 256 << 20
# Bytes that all values may take that are held at the same time.
_HELD = 1 << 30


def batch_of(numbers: int, *, held: int = 0) -> int:
    """Images to compute at a time.

    Args:
        numbers: Of the largest value of one image.
        held: Numbers of all its values that are held at the same time.
    """
    return min(_at_once(numbers, _CACHE, _BATCHES), _fitting(held, _HELD))


def block_of(numbers: int, *, kept: int = 0) -> int:
    """Images of so many numbers to hold at a time.

    Args:
        numbers: Of one image.
        kept: Numbers that are held for each image beside it.
    """
    return min(_at_once(numbers, _BLOCK, _BLOCKS), _fitting(kept, _MOST))


def _at_once(numbers: int, usual: int, bounds: tuple[int, int]) -> int:
    fewest, most = bounds
    return min(max(fewest, min(most, _fitting(numbers, usual))), _fitting(numbers, _MOST))


def _fitting(numbers: int, size: int) -> int:
    return max(1, size // (4 * max(numbers, 1)))


@contextmanager
def computing(shape: tuple[int, ...]) -> Iterator[None]:
    """Errors of PyTorch in one sentence, without what it says of its own insides.

    Args:
        shape: Of one image.

    Raises:
        OverBudget: If memory runs out.
        InvalidInput: If PyTorch refuses to compute a layer.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise refusal(error, shape) from error


def refusal(error: Exception, shape: tuple[int, ...]) -> OverBudget | InvalidInput:
    """What to raise instead of an error that came up when a network ran."""
    if is_out_of_memory(error):
        return OverBudget(
            f"there is not enough memory to run the network on images of shape {shape}; close "
            "other programs or use a larger machine"
        )
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return InvalidInput(f"the network does not run on images of shape {shape}: {reason:.200}")
