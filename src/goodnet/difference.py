"""Whether two networks are the same function: layer by layer, and by what they answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from goodnet.errors import InvalidInput
from goodnet.formats.build import build, extract
from goodnet.formats.pairing import Pairing, pair
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.softmax import without_softmax
from goodnet.formats.spec import Array, Layer, NetworkSpec
from goodnet.imagesets import ImageSet
from goodnet.network import Network, answers, check_answered, check_network, check_pair
from goodnet.results import (
    DiffResults,
    LayerDifference,
    LayerRecord,
    ModelFile,
    OutputDifference,
)
from goodnet.scan.invent import find_preprocessing, scenes
from goodnet.stats import proportion

# Numbers that went through another program in single precision differ by less than this, relative
# to the largest of their array.
_ROUNDING = 1e-5
_FOLDED = (
    "in one of the files batch normalisation or biases are layers of their own: they are compared "
    "as part of the layers before them"
)
_COUNT, _SEED = 48, 0
_SUM = 1e-4


def diff(first: Network, second: Network, images: ImageSet | None = None) -> DiffResults:
    """Compare two networks, perhaps of two formats.

    Layers are matched by name, and else by order and shape. Each network is given the images with
    its own preprocessing.

    Args:
        first: The one.
        second: The other, for images of the same size and with as many classes.
        images: To compare the answers on; labels are not looked at. None to make some from a seed,
            for which both networks get the preprocessing that the first seems to want.

    Raises:
        InvalidInput: If the networks take other images or have other classes, or one of them
            answers NaN or infinity.

    Example:
        >>> print(gn.diff(gn.load("net.h5"), gn.load("net.onnx")))  # doctest: +SKIP
        the same function; 48 of 48 answers are equal on images made from seed 0 (100.00 [92.6, ...
    """
    check_comparable(first, second)
    if images is None:
        first, second = fed_alike(first, second)
    found = pair(extract(first), extract(second))
    changed = tuple(_changed(found))
    outputs = compare_outputs(first, second, images)
    structure = [*found.structure, *_preprocessing(first, second)]
    same = found.alike and not changed and not structure and outputs.alike
    return DiffResults(
        first=_file(first),
        second=_file(second),
        same=same,
        layers=len(found.pairs),
        changed=changed,
        only_first=tuple(_records(found.first, found.only_first)),
        only_second=tuple(_records(found.second, found.only_second)),
        structure=tuple(structure),
        outputs=outputs,
        notes=(_FOLDED,) if found.folded else (),
    )


def check_comparable(first: Network, second: Network) -> None:
    """See whether two networks can be given the same images and asked for the same classes.

    Raises:
        UsageError: If one is no network.
        InvalidInput: If they cannot.
    """
    for network in (first, second):
        check_network(network)
    mine, theirs = ((n.input_shape, n.num_classes) for n in (first, second))
    if mine != theirs:
        raise InvalidInput(
            f"the second network takes images {theirs[0]} and has {theirs[1]} classes, expected "
            f"{mine[0]} and {mine[1]} as in the first; networks of other sizes are not compared"
        )


def fed_alike(first: Network, second: Network) -> tuple[Network, Network]:
    """Both networks with the preprocessing that the first seems to want.

    A network that has a preprocessing, or takes no images, is left as it is.
    """
    if len(first.input_shape) != 3 or first.preprocessing != second.preprocessing:
        return first, second
    fed = find_preprocessing(first)
    return fed, second.with_preprocessing(fed.preprocessing)


def compare_outputs(
    first: Network, second: Network, images: ImageSet | None = None
) -> OutputDifference:
    """Compare what two networks answer on the same images, see `diff`.

    Raises:
        InvalidInput: If one of them answers NaN or infinity.
    """
    name = f"images made from seed {_SEED}" if images is None else f"images of {images.name}"
    one, other = _bare(first), _bare(second)
    equal = total = 0
    apart, logit, both_logits = 0.0, 0.0, True
    for block in _blocks(first, images):
        mine, theirs = one.outputs(block), other.outputs(block)
        found = []
        for who, outputs in (("the first network", mine), ("the second network", theirs)):
            found.append(check_answered(answers(outputs).numpy(), who=who))
        equal += int((found[0] == found[1]).sum())
        total += len(block)
        apart = max(apart, _apart(_probabilities(mine), _probabilities(theirs)))
        both_logits &= not (_are_probabilities(mine) or _are_probabilities(theirs))
        logit = max(logit, _apart(mine, theirs))
    known = both_logits and math.isfinite(logit)
    return OutputDifference(name, proportion(equal, total), apart, logit if known else None)


def _blocks(network: Network, images: ImageSet | None) -> Iterable[Tensor | Array]:
    if images is not None:
        check_pair(network, images, labels=False)
        return (block.images for block in images.blocks(network.block_size))
    random, shape = torch.Generator().manual_seed(_SEED), network.input_shape
    if len(shape) == 3:
        return iter([scenes(_COUNT, (shape[0], shape[1], shape[2]), random)])
    return iter([torch.rand(_COUNT, *shape, generator=random)])


def _bare(network: Network) -> Network:
    """The network up to its logits."""
    return build(without_softmax(extract(network))).to(network.device)


def _are_probabilities(outputs: Tensor) -> bool:
    return bool((outputs >= 0).all() and ((outputs.sum(1) - 1).abs() <= _SUM).all())


def _probabilities(outputs: Tensor) -> Tensor:
    return outputs if _are_probabilities(outputs) else outputs.softmax(1)


def _apart(one: Tensor, other: Tensor) -> float:
    """The largest difference; what is infinite in both alike does not differ."""
    return float(torch.where(one == other, 0.0, one - other).abs().max()) if len(one) else 0.0


def _changed(found: Pairing) -> Iterator[LayerDifference]:
    for mine, theirs in found.pairs.items():
        arrays = list(found.arrays(mine))
        if not all(np.array_equal(one, other) for _, one, other in arrays):
            record = _difference(found.first[mine], theirs, arrays)
            if record.changed:
                yield record


def _difference(
    layer: Layer, other: str, arrays: list[tuple[str, Array, Array]]
) -> LayerDifference:
    apart, changed, norms = [], [], []
    count = len(arrays[0][1])
    channels = np.zeros(count, dtype=bool)
    for _, one, two in arrays:
        gap = np.abs(one.astype(np.float64) - two)
        beyond = gap > _ROUNDING * max(np.abs(each).max(initial=0.0) for each in (one, two))
        apart.append(gap.ravel())
        changed.append(int(beyond.sum()))
        norms.append(float(np.square(one, dtype=np.float64).sum()))
        if len(one) == count:
            channels |= beyond.reshape(count, -1).any(1)
    gaps, norm = np.concatenate(apart), sum(norms) ** 0.5
    return LayerDifference(
        layer.name,
        other,
        layer.op,
        numbers=gaps.size,
        changed=sum(changed),
        largest=float(gaps.max(initial=0.0)),
        mean=float(gaps.mean()) if gaps.size else 0.0,
        relative=float(np.sqrt(np.square(gaps).sum())) / norm if norm else None,
        channels=count,
        changed_channels=int(channels.sum()),
    )


def _preprocessing(first: Network, second: Network) -> Iterator[str]:
    mine, theirs = first.preprocessing, second.preprocessing
    if mine != theirs:
        yield f"pixels x from 0 to 255 become {mine.text} for the first and {theirs.text}"


def _records(spec: NetworkSpec, layers: Iterable[Layer]) -> Iterator[LayerRecord]:
    shapes = layer_shapes(spec)
    for layer in layers:
        numbers = sum(int(array.size) for array in spec.parameters(layer.name).values())
        yield LayerRecord(layer.name, layer.op, layer.inputs, shapes[layer.name], numbers)


def _file(network: Network) -> ModelFile:
    source = network.spec.file
    return ModelFile(source.path.name, source.sha256) if source else ModelFile(network.spec.name)
