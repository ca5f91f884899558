from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import SPECS, module_network, pictures, plain_spec

from goodnet.errors import InvalidInput
from goodnet.formats.build import build
from goodnet.formats.spec import NetworkSpec


@pytest.mark.parametrize("name", SPECS)
def test_head_then_tail_is_the_network_at_every_layer(name: str) -> None:
    network = build(SPECS[name]())
    images = torch.from_numpy(pictures(9))
    whole = network(images)
    for layer in network.layers[:-1]:
        try:
            cut = network.cut(layer)
        except InvalidInput:
            continue
        torch.testing.assert_close(cut.tail(*cut.head(images)), whole)


def test_cut_of_a_module_carries_the_skip_connection() -> None:
    network = module_network()
    images = torch.from_numpy(pictures(9))
    cut = network.cut("body.0")
    crossing = cut.head(images)
    assert [tuple(value.shape) for value in crossing] == [(9, 6, 8, 8)] * 2
    torch.testing.assert_close(cut.tail(*crossing), network(images))


def test_a_copy_is_independent() -> None:
    network = build(plain_spec())
    images = torch.from_numpy(pictures(3))
    before, duplicate = network(images), network.copy()
    with torch.no_grad():
        next(duplicate.graph.parameters()).zero_()
    assert torch.equal(network(images), before)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_answers_do_not_depend_on_the_batch(count: int) -> None:
    network = build(plain_spec())
    images = pictures(count)
    one_by_one = [int(network.predict(images[i : i + 1])[0]) for i in range(count)]
    assert network.predict(images).tolist() == one_by_one


def test_shapes_and_channels_are_known() -> None:
    network = build(plain_spec())
    assert network.shape("pool_2") == (6, 2, 2)
    assert network.channels("conv_1") == 4
    assert network.num_classes == 5
    assert network.layers[-1] == "output"


def test_layer_names_of_a_hostile_file_reach_no_code() -> None:
    hostile = 'x"),__import__("os").system("false"),getattr(self,"x'
    names = {"conv_1": hostile, "pool_1": "class", "conv_2": "forward", "output": "état.1"}
    spec = plain_spec()
    renamed = NetworkSpec(
        tuple(
            type(layer)(
                names.get(layer.name, layer.name),
                layer.op,
                tuple(names.get(n, n) for n in layer.inputs),
                layer.attributes,
            )
            for layer in spec.layers
        ),
        {
            f"{names.get(key.split('/')[0], key.split('/')[0])}/{key.split('/')[1]}": array
            for key, array in spec.arrays.items()
        },
        names["output"],
    )
    network = build(renamed)
    images = torch.from_numpy(pictures(4))
    assert torch.equal(network(images), build(spec)(images))
    assert hostile in network.layers
    assert "system" not in network.graph.code
    assert network.cut(hostile)


def test_unknown_layers_are_named() -> None:
    network = build(plain_spec())
    with pytest.raises(InvalidInput, match="no layer is called 'pool_9'; the network has conv_1"):
        network.cut("pool_9")


def test_outputs_of_no_images() -> None:
    network = build(plain_spec())
    assert network.outputs(np.empty((0, 3, 8, 8), np.float32)).shape == (0, 5)
