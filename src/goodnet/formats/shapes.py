"""The shape of every value of a network, from plain data, before a single number is allocated.

A shape leaves out the batch axis: (channels, height, width) for a picture, (features,) for a
vector. None stands for a size that is left open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import budgets
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.ops import OPS
from goodnet.ops.op import Cost, Given, Parameters, Shape, most_held, product

__all__ = ["Shape", "infer", "layer_shapes"]


def infer(layer: Layer, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
    """The shape of a layer's value.

    Args:
        layer: One layer of a spec.
        inputs: Shapes of the values it reads, in order.
        parameters: Shapes of its arrays by parameter name, as the spec lays them out.

    Returns:
        The shape, None where it depends on an open size.

    Raises:
        InvalidInput: If the layer cannot be applied to such values, or its arrays do not fit them.
        OverBudget: If the layer would take more numbers or time per image than the budgets allow.
    """
    return _costed(layer, inputs, parameters)[0]


def _costed(layer: Layer, inputs: Sequence[Shape], parameters: Parameters) -> tuple[Shape, Cost]:
    """The shape of a layer's value, and what it takes to make it."""
    op, given = OPS[layer.op], Given(layer.attributes, tuple(inputs), parameters)
    try:
        shape = op.shape(given)
    except InvalidInput as error:
        raise InvalidInput(f"layer {layer.name!r}: {error}") from error
    cost = op.cost(given, shape)
    _check_size(layer.name, shape)
    _check_cost(layer.name, cost)
    return shape, cost


def layer_shapes(spec: NetworkSpec) -> dict[str, Shape]:
    """The shape of the value of every layer of a network, by layer name.

    Raises:
        InvalidInput: As `infer`.
        OverBudget: As `infer`.
    """
    return {name: shape for name, (shape, _) in _all_costed(spec).items()}


def _all_costed(spec: NetworkSpec) -> dict[str, tuple[Shape, Cost]]:
    """The same with what each layer takes."""
    found: dict[str, tuple[Shape, Cost]] = {}
    parameters: dict[str, dict[str, Shape]] = {}
    for key, array in spec.arrays.items():
        owner, _, name = key.rpartition("/")
        parameters.setdefault(owner, {})[name] = np.shape(array)
    for layer in spec.layers:
        inputs = [found[name][0] for name in layer.inputs]
        found[layer.name] = _costed(layer, inputs, parameters.get(layer.name, {}))
    return found


def check_whole(spec: NetworkSpec) -> None:
    """See whether a network takes more for one image than the budgets allow all of its layers.

    Raises:
        InvalidInput: As `infer`.
        OverBudget: If it holds too many numbers at the same time, or makes too many, or takes too
            many multiplications, for an image of its size and as many numbers as its arrays hold.
    """
    costed = _all_costed(spec)
    sizes = {name: product(shape) or 0 for name, (shape, _) in costed.items()}
    _check_held(spec, sizes)
    own = (product(spec.input_shape) or 0) + spec.count_parameters()
    made = sum(sizes.values()) + sum(cost.numbers for _, cost in costed.values())
    _check_work("make {:,} numbers", made, budgets.NETWORK_NUMBERS + own * budgets.NUMBERS_FOR_EACH)
    steps = sum(cost.steps for _, cost in costed.values())
    most = budgets.NETWORK_STEPS + own * budgets.STEPS_FOR_EACH
    _check_work("take as long as {:,} multiplications", steps, most)


def _check_work(what: str, count: int, most: int) -> None:
    if count > most:
        raise OverBudget(
            f"the network would {what.format(count)} for each image, at most {most:,} are allowed "
            "for an image and weights as small as its own"
        )


def _check_held(spec: NetworkSpec, sizes: Mapping[str, int]) -> None:
    steps = [(layer.name, layer.inputs) for layer in spec.layers]
    held = most_held(steps, sizes)
    if held > budgets.HELD_NUMBERS:
        raise OverBudget(
            f"the network would hold {held:,} numbers at a time for each image, at most "
            f"{budgets.HELD_NUMBERS:,} are allowed"
        )


def _check_size(name: str, shape: Shape) -> None:
    known = [size for size in shape if size is not None]
    if any(size < 0 or size > budgets.MAX_DIMENSION for size in known):
        raise InvalidInput(f"layer {name!r} would give a value of shape {shape}")
    if math.prod(known) > budgets.VALUE_NUMBERS:
        raise OverBudget(
            f"the value of layer {name!r} may hold at most {budgets.VALUE_NUMBERS:,} numbers for "
            f"each image, got the shape {shape}"
        )


def _check_cost(name: str, cost: Cost) -> None:
    if cost.numbers > budgets.VALUE_NUMBERS:
        raise OverBudget(
            f"layer {name!r} would make a value of {cost.numbers:,} numbers for each image on the "
            f"way, at most {budgets.VALUE_NUMBERS:,} are allowed"
        )
    if cost.steps > budgets.LAYER_STEPS:
        raise OverBudget(
            f"layer {name!r} would take as long as {cost.steps:,} multiplications for each image, "
            f"at most {budgets.LAYER_STEPS:,} are allowed"
        )
