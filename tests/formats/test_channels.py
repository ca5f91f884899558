from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from spec_samples import Draft

from goodnet.errors import InvalidInput
from goodnet.formats.channels import BlockedError, Graph, keeps_zero


def carried(draft: Draft, op: str, channels: list[int], **attributes: Any) -> list[int]:
    """Where channels of the last layer are in the value of one more layer."""
    source = draft.last
    name = draft.add(op, **attributes)
    graph = Graph(draft.spec())
    return [int(x) for x in graph.carry(graph.layers[name], {source: np.array(channels)})]


@pytest.mark.parametrize(("order", "expected"), [("hwc", [1, 4, 7, 10]), ("chw", [4, 5, 6, 7])])
def test_a_flatten_spreads_a_channel_by_its_order(order: str, expected: list[int]) -> None:
    assert carried(Draft(3, 2, 2), "flatten", [1], order=order) == expected


def test_a_permute_may_move_channels_onto_channels() -> None:
    assert carried(Draft(3, 2, 2), "permute", [1], dims=(2, 1, 3), order="hwc") == [1]


def test_a_permute_may_turn_channels_into_rows() -> None:
    with pytest.raises(BlockedError, match="spreads them over other channels"):
        carried(Draft(3, 2, 2), "permute", [1], dims=(3, 1, 2), order="hwc")


def test_a_reshape_of_one_pixel_keeps_channels() -> None:
    assert carried(Draft(4, 1, 1), "reshape", [0, 2], shape=(4,), order="hwc") == [0, 2]
    assert carried(Draft(4), "reshape", [3], shape=(1, 1, 4), order="hwc") == [3]


def test_an_open_size_has_no_places() -> None:
    with pytest.raises(BlockedError, match="'image' has no known size"):
        carried(Draft(3, None, 2), "flatten", [0])


def test_a_concatenation_moves_channels_behind_those_before_them() -> None:
    draft = Draft(2, 3, 3)
    for name in ("a", "b"):
        draft.conv(3, 1, source="image", name=name)
    draft.add("concatenate", inputs=("a", "b"), name="both")
    graph = Graph(draft.spec())
    both = graph.layers["both"]
    assert graph.carry(both, {"b": np.array([0, 2])}).tolist() == [3, 5]
    split = graph.split(both, np.array([1, 3, 5]))
    assert {name: found.tolist() for name, found in split.items()} == {"a": [1], "b": [0, 2]}


def test_a_private_value_has_one_reader() -> None:
    draft = Draft(2, 3, 3)
    draft.conv(2, 1, name="shared")
    draft.conv(2, 1, source="shared", name="one")
    draft.conv(2, 1, source="shared", name="two")
    graph = Graph(draft.spec())
    with pytest.raises(BlockedError, match="'shared' is also read by two"):
        graph.check_private("shared", graph.layers["one"])
    with pytest.raises(BlockedError, match="'two' is also read by the network's answer"):
        graph.check_private("two", graph.layers["two"])


def test_channels_are_checked_and_sorted() -> None:
    graph = Graph(Draft(3, 2, 2).spec())
    assert graph.checked("image", [2, 0, 2]).tolist() == [0, 2]
    for wrong in (3, -1, 10**30):
        with pytest.raises(InvalidInput, match=f"the channels 0 to 2, got {wrong}$"):
            graph.checked("image", [0, wrong])


@pytest.mark.parametrize(
    ("channels", "expected"), [([0], False), ([1], True), ([1, 2], True), ([0, 1], False)]
)
def test_an_offset_counts_for_its_own_channels(channels: list[int], expected: bool) -> None:
    draft = Draft(3, 2, 2)
    draft.add("rescale", scale=2.0, offset=(1.0, 0.0, 0.0))
    assert keeps_zero(draft.layers[-1], np.array(channels)) is expected
