"""States of training that were damaged, or that somebody has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from goodnet.training.checkpoint import Checkpoint

Work = tuple[nn.Linear, torch.optim.Adam]


def begun(steps: int) -> Work:
    network = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(steps):
        network(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    return network, optimizer


def numbers(work: Work) -> list[torch.Tensor]:
    network, optimizer = work
    remembered = [x for each in optimizer.state.values() for x in each.values()]
    return [x.clone() for x in (*network.parameters(), *remembered)]


def test_a_state_is_taken_over(tmp_path: Path) -> None:
    saved, found = begun(2), begun(0)
    checkpoint = Checkpoint(tmp_path / "state", "same")
    checkpoint.save(*saved, 2, watch={"best": 0.5})
    assert checkpoint.load(*found) == (2, {"best": 0.5})
    assert all(map(torch.equal, numbers(found), numbers(saved)))


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no weights": lambda state: state.pop("network"),
    "weights of another shape": lambda state: state["network"].update(bias=torch.ones(7)),
    "a list for the weights": lambda state: state.update(network=[]),
    "no optimizer": lambda state: state.pop("optimizer"),
    "an optimizer of nothing": lambda state: state.update(optimizer={}),
    "steps that are no number": lambda state: state["optimizer"]["state"][0].pop("step"),
    "epochs that are no number": lambda state: state.update(epochs="a"),
    "no watch": lambda state: state.update(watch=3),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_state_that_does_not_fit_leaves_everything_as_it_was(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "state"
    checkpoint = Checkpoint(path, "same")
    checkpoint.save(*begun(2), 2, watch={})
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    found = begun(1)
    before = numbers(found)
    assert checkpoint.load(*found) == (0, {})
    assert all(map(torch.equal, numbers(found), before))


@pytest.mark.parametrize(
    "content",
    [b".", b"K.", b"(dp0\n.", b"PK\x05\x06" + bytes(18), b"\x80\x02]q\x00.", b"\x80\x02K\x01."],
)
def test_what_is_no_state_is_started_over(tmp_path: Path, content: bytes) -> None:
    """PyTorch raises an IndexError and others of its own over such files."""
    (tmp_path / "state").write_bytes(content)
    assert Checkpoint(tmp_path / "state", "same").load(*begun(0)) == (0, {})
