"""The options of methods are checked when these are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

import goodnet as gn
from goodnet.attack import trigger
from goodnet.errors import UsageError
from goodnet.guard.methods import detectors
from goodnet.options import options_of
from goodnet.repair import repairs
from goodnet.scan.methods import scanners

ALL = [*repairs().values(), *scanners().values(), *detectors().values(), gn.TrainingConfig]
PATCH = {"triggers": (trigger("patch"),)}


def made(kind: Callable[..., Any], **options: object) -> object:
    needed = PATCH if "triggers" in {each.name for each in fields(kind)} else {}  # type: ignore[arg-type]
    return kind(**{**needed, **options})


def own_options() -> Iterator[tuple[Any, str]]:
    for kind in ALL:
        known = {option.name for option in options_of(kind)}
        yield from ((kind, each.name) for each in fields(kind) if each.name in known)


@pytest.mark.parametrize(("kind", "name"), [*own_options()])
def test_an_option_of_another_kind_is_one_sentence(kind: Any, name: str) -> None:
    what = getattr(kind, "name", kind.__name__)
    for wrong in (object(), b"1", {"a": 1}):
        with pytest.raises(UsageError, match=f"{what} needs an? .* as {name}, got "):
            made(kind, **{name: wrong})


@pytest.mark.parametrize("kind", ALL)
def test_numbers_out_of_range_are_one_sentence(kind: Any) -> None:
    for option in options_of(kind):
        if option.kind_of_one is float and option.name in {each.name for each in fields(kind)}:
            with pytest.raises(UsageError, match=f"needs a number as {option.name}, got nan"):
                made(kind, **{option.name: math.nan})
            with pytest.raises(UsageError):
                made(kind, **{option.name: -1.0})
        if option.name == "seed" and "seed" in {each.name for each in fields(kind)}:
            with pytest.raises(UsageError, match="expected a seed from 0, got -1"):
                made(kind, seed=-1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gn.Prune(drop="a"), "prune needs a number as drop, got 'a'"),  # type: ignore[arg-type]
        (lambda: gn.Prune(drop=True), "prune needs a number as drop, got True"),
        (lambda: gn.Prune(layer=3), "prune needs a text as layer, got 3"),  # type: ignore[arg-type]
        (lambda: gn.Cure(rounds=1.5), "cure needs a whole number as rounds, got 1.5"),  # type: ignore[arg-type]
        (lambda: gn.Sparsify(layers="fc"), "sparsify needs a tuple as layers, got 'fc'"),  # type: ignore[arg-type]
        (lambda: gn.Unlearn((3,)), "unlearn needs a Trigger as triggers, got 3"),  # type: ignore[arg-type]
        (lambda: gn.FineTune(training=3), "fine-tune needs a TrainingConfig as training"),  # type: ignore[arg-type]
    ],
)
def test_what_was_wrong_is_said(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_numbers_of_numpy_and_lists_are_options_too() -> None:
    assert gn.Prune(drop=np.float32(3)).drop == 3
    assert gn.Cure(rounds=np.int64(1), minutes=2).minutes == 2
    assert gn.Sparsify(layers=["fc"]).layers == ["fc"]  # type: ignore[arg-type, comparison-overlap]
