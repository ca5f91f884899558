from __future__ import annotations

from tiny import deepid_spec, residual_spec

from goodnet.formats.compact import compact
from goodnet.results import LayerRecord
from goodnet.runs.inputs import compact_parameters, network_record


def test_layers_come_in_order_with_what_they_read_and_hold() -> None:
    spec = deepid_spec()
    found = network_record(spec)
    assert (found.name, found.parameters) == ("network", spec.count_parameters())
    layers = {layer.name: layer for layer in found.layers}
    assert list(layers) == [layer.name for layer in spec.layers]
    assert layers["pool_1"] == LayerRecord("pool_1", "max_pool2d", ("conv_1",), (6, 4, 4), 0)
    assert layers["conv_1"].parameters == 6 * 3 * 3 * 3 + 6
    assert layers["add_1"].inputs == ("fc_1", "fc_2")
    assert sum(layer.parameters for layer in found.layers) == found.parameters


def test_what_is_left_without_some_channels() -> None:
    spec = deepid_spec()
    left = compact_parameters(spec, "pool_1", [0, 4])
    assert left == compact(spec, "pool_1", [0, 4]).count_parameters()
    # Gone: two kernels of conv_1, what conv_2 and fc_1 read of them.
    assert spec.count_parameters() - left == 2 * (28 + 4 * 9 + 7 * 16)


def test_channels_that_are_tied_to_others_can_only_be_silenced() -> None:
    assert compact_parameters(residual_spec(), "bn", [1]) is None
    assert compact_parameters(deepid_spec(), "pool_1", range(6)) is None
