"""Edges beside the layers: every reader is reached, whatever the network looks like."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.views.network import LANE, ROW, Edges, route_edges
from goodnet.results import LayerRecord


def layer(name: str, *inputs: str) -> LayerRecord:
    return LayerRecord(name, "any", inputs, (1,), 0)


def test_a_chain_is_one_straight_edge() -> None:
    edges = route_edges([layer("a"), layer("b", "a"), layer("c", "b")])
    assert {edge.node for edge in edges} == {LANE / 2}
    assert [len(edge.lines) for edge in edges] == [1, 2, 1]


def test_branches_stand_beside_each_other_and_meet() -> None:
    layers = [layer("a"), layer("b", "a"), layer("c", "a"), layer("d", "b"), layer("e", "d", "c")]
    edges = route_edges(layers)
    assert [round(edge.node / LANE - 0.5) for edge in edges] == [0, 0, 1, 0, 0]
    assert len(edges[4].lines) == 2


def test_what_reads_one_value_twice_has_one_edge_to_it() -> None:
    assert len(route_edges([layer("a"), layer("b", "a", "a")])[1].lines) == 1


def test_unknown_inputs_have_no_edge() -> None:
    assert route_edges([layer("a", "nowhere"), layer("b", "b")]) == (
        Edges(LANE / 2, ()),
        Edges(LANE / 2, ()),
    )


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=25))
def test_lines_go_on_from_row_to_row(graph: list[list[int]]) -> None:
    layers = [
        layer(str(place), *(str(source) for source in sources if source < place))
        for place, sources in enumerate(graph)
    ]
    edges = route_edges(layers)
    for above, below in pairwise(edges):
        leaving = {end for line in above.lines for _, _, end, y in [ends(line)] if y == ROW}
        coming = {start for line in below.lines for start, y, _, _ in [ends(line)] if y == 0}
        assert leaving == coming


def ends(line: str) -> tuple[float, float, float, float]:
    """Where a path begins and ends: x, y, x, y."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", line)]
    if "V" in line:
        return numbers[0], numbers[1], numbers[0], numbers[2]
    return numbers[0], numbers[1], numbers[-2], numbers[-1]
