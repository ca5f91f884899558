"""The arithmetic of a contact sheet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goodnet.report.contact_sheet import GAP, MARGIN, SIDE, Grid, columns_for, picture_size

grids = st.builds(
    lambda number, columns, tile, head, foot: Grid(
        number=number, columns=min(columns, number), tile=tile, head=head, foot=foot
    ),
    st.integers(1, 500),
    st.integers(1, 40),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(0, 50),
    st.integers(0, 50),
)


@given(grids)
def test_the_tiles_fill_the_sheet_and_keep_apart(grid: Grid) -> None:
    width, height = grid.size
    corners = [grid.corner(index) for index in range(grid.number)]
    assert corners[0] == (MARGIN, MARGIN + grid.head)
    assert max(left for left, _ in corners) + grid.tile[0] + MARGIN == width
    assert max(top for _, top in corners) + grid.tile[1] + grid.foot + MARGIN == height
    assert len(set(corners)) == grid.number
    assert {left for left, _ in corners} == {
        MARGIN + column * (grid.tile[0] + GAP) for column in range(grid.columns)
    }


def test_a_least_width_widens_the_sheet() -> None:
    grid = Grid(number=1, columns=1, tile=(10, 10), least_width=400)
    assert grid.size == (400 + 2 * MARGIN, 10 + 2 * MARGIN)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (1, 1, (168, 168)),
        (32, 32, (160, 160)),
        (55, 47, (141, 165)),
        (168, 10, (10, 168)),
        (169, 169, (168, 168)),
        (10, 5000, (168, 1)),
    ],
)
def test_pictures_grow_by_whole_factors_and_shrink_to_fit(
    height: int, width: int, size: tuple[int, int]
) -> None:
    assert picture_size(height, width) == size


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_pictures_always_fit(height: int, width: int) -> None:
    across, down = picture_size(height, width)
    assert 1 <= min(across, down) <= max(across, down) <= SIDE


@given(st.integers(1, 500), st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_there_is_never_an_empty_column(number: int, tile: tuple[int, int]) -> None:
    assert 1 <= columns_for(number, tile) <= number
