"""How much a file may ask for before it is refused. Small classifiers stay far below every line."""

from __future__ import annotations

from goodnet.errors import OverBudget

KIB, MIB, GIB = 2**10, 2**20, 2**30

# A model file, and the sum of all arrays it declares.
MODEL_BYTES = 2 * GIB
# A data set is streamed, so it may be larger than memory.
DATA_BYTES = 64 * GIB

# Below the floor nothing is compared; above it, declared bytes over stored bytes.
FLOOR_BYTES = 64 * MIB
HDF5_EXPANSION = 1000
ZIP_EXPANSION = 100
# The length of a file over what of it is not holes.
SPARSE_EXPANSION = 10

# Numbers one layer may give for one image, or make on the way: 256 MiB. Pictures of 600 x 600 in a
# network as large as EfficientNetB7 become 2**24.
VALUE_NUMBERS = 2**26
# Those of all values that wait for a layer to read them: 1 GiB.
HELD_NUMBERS = 2**28
# Multiplications one layer may take for one image, a second or two. A layer of VGG16 takes 2**31.
LAYER_STEPS = 2**36
# Those of all layers: so much whatever the network is, as VGG16 takes, and so much more for each
# number of its image and its arrays, so that a small file cannot ask for much. For each of these
# EfficientNetB7 makes 20 numbers with 600 multiplications; three convolutions of large pictures
# make 100, with 6,000.
NETWORK_NUMBERS, NUMBERS_FOR_EACH = 2**24, 2**8
NETWORK_STEPS, STEPS_FOR_EACH = 2**34, 2**13

JSON_BYTES = 8 * MIB
# Values in a text; the configuration of a network has some thirty a layer.
JSON_VALUES = 500_000
JSON_DEPTH = 64
MAX_LAYERS = 20_000
# Everything in a configuration that has a class: layers, initializers, references to values.
MAX_OBJECTS = 10 * MAX_LAYERS
MAX_LINKS = 30_000
MAX_MEMBERS = 1024
# Of a file of weights. For each array a pickle takes some fifty steps.
MAX_ARRAYS = 20_000
PICKLE_BYTES = 32 * MIB
PICKLE_STEPS = 1_000_000
PICKLE_LINE = 256
# Longest whole number: PyTorch's magic number has ten bytes.
PICKLE_INTEGER_BYTES = 16
MAX_RANK = 8
MAX_DIMENSION = 2**31 - 1
# Characters in the name of a layer.
MAX_NAME = 256


def readable(count: int) -> str:
    """A number of bytes for a message: "3.0 GiB".

    Example:
        >>> readable(3 * 2**30)
        '3.0 GiB'
    """
    for unit, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"


def check_json(text: bytes, what: str) -> None:
    """Refuse JSON that is too long, or has too many values, before it is parsed.

    Raises:
        OverBudget: Naming `what`.
    """
    check(len(text), JSON_BYTES, what)
    if text.count(b",") > JSON_VALUES:
        raise OverBudget(f"{what} may hold at most {JSON_VALUES:,} values, got more")


def check(count: int, limit: int, what: str) -> None:
    """Refuse `count` bytes where at most `limit` are allowed.

    Raises:
        OverBudget: Naming `what`, the limit and what came.
    """
    if count > limit:
        raise OverBudget(f"{what} may take at most {readable(limit)}, got {readable(count)}")
