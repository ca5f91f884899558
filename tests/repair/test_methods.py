from __future__ import annotations

import inspect

import pytest

from goodnet.errors import UsageError
from goodnet.repair.methods import METHODS, find_method
from goodnet.repair.result import Repair


@pytest.mark.parametrize("name", METHODS)
def test_all_methods_have_the_same_shape(name: str) -> None:
    signature = inspect.signature(METHODS[name].function)
    network, images, *own = signature.parameters.values()
    assert (network.name, images.name) == ("network", "images")
    assert {parameter.kind for parameter in own} == {inspect.Parameter.KEYWORD_ONLY}
    assert signature.parameters["settings"].default is None
    assert signature.return_annotation == Repair.__name__
    assert not {"backdoor", "poison", "test"} & set(signature.parameters)


def test_the_parameters_are_those_of_the_function() -> None:
    assert METHODS["fine-tune"].parameters == ()
    assert METHODS["fine-prune"].parameters == ("drop", "layer")
    assert "triggers" in METHODS["unlearn"].parameters


def test_an_unknown_method_lists_those_known() -> None:
    known = "cure, fine-tune, fine-prune, sparsify, unlearn, erase"
    with pytest.raises(UsageError, match=f"the methods are {known}, got 'magic'"):
        find_method("magic")
    assert find_method("erase") is METHODS["erase"]
