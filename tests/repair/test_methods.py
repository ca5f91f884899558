from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest
from planted import PATCH, planted

from goodnet.errors import UsageError
from goodnet.options import make, options_of, values_of
from goodnet.repair import FinePrune, find_repair, repairs

GIVEN = {"triggers": (PATCH,)}


@pytest.mark.parametrize("name", repairs())
def test_a_method_is_a_frozen_dataclass_that_says_what_its_options_are(name: str) -> None:
    kind = repairs()[name]
    assert is_dataclass(kind)
    assert kind.name == name
    assert all((kind.summary, kind.paper, kind.needs, kind.output))
    method = make(kind, GIVEN)
    with pytest.raises(AttributeError):
        method.seed = 3
    for option in options_of(kind):
        assert option.help, option.name
        assert not {"backdoor", "poison", "test"} & {option.name}
    assert [option.name for option in options_of(kind)] == list(values_of(method))


def test_options_travel_through_the_fields_that_are_dataclasses() -> None:
    method = make(FinePrune, {"drop": 3.0, "epochs": 7, "unknown": 1})
    assert (method.drop, method.training.epochs, method.training.batch_size) == (3.0, 7, 64)
    assert values_of(method)["epochs"] == 7
    assert [field.name for field in fields(FinePrune)] == ["training", "drop", "layer"]
    names = [option.name for option in options_of(FinePrune)]
    assert names[:3] == ["drop", "layer", "epochs"]


@pytest.mark.parametrize("name", [name for name, kind in repairs().items() if not kind.alone])
def test_without_images_a_method_that_needs_some_says_so(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} needs clean labelled images, got none"):
        make(repairs()[name], GIVEN)(planted().network)


def test_an_unknown_method_lists_those_known() -> None:
    known = "prune, cure, fine-tune, fine-prune, sparsify, unlearn, erase"
    with pytest.raises(UsageError, match=f"the methods are {known}, got 'magic'"):
        find_repair("magic")
