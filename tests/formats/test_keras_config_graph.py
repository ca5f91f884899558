"""The graph in a Keras configuration: which layer reads which, and Keras' order of the layers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_samples import Config

from goodnet.errors import InvalidInput
from goodnet.formats.keras.graph import Call, Reference, keras_order, read_calls, read_single


class TestCalls:
    def test_lists_of_keras_2(self) -> None:
        nodes = [[["a", 0, 0, {}], ["b", 1, 0]], [["c", 0, 0, {"training": False, "mask": None}]]]
        assert read_calls("it", nodes) == (
            Call((Reference("a", 0), Reference("b", 1))),
            Call((Reference("c", 0),)),
        )
        assert read_calls("it", [["a", 0, 0, {}]]) == (Call((Reference("a", 0),)),)
        by_name = [[["a", 0, 0, {"y": ["b", 0, 0], "scale": 2.5}]]]
        options = {"y": Reference("b", 0), "scale": 2.5}
        assert read_calls("it", by_name) == (Call((Reference("a", 0),), options),)
        constant = [[["_CONSTANT_VALUE", -1, 1.0, {"y": ["a", 0, 0]}]]]
        assert read_calls("it", constant) == (Call((1.0,), {"y": Reference("a", 0)}),)
        assert read_calls("it", []) == ()

    def test_objects_of_keras_3(self) -> None:
        def value(name: str) -> Config:
            return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

        one = {"args": [value("a")], "kwargs": {}}
        several = {"args": [[value("a"), value("b")]], "kwargs": {"mask": None}}
        assert read_calls("it", [one, several]) == (
            Call((Reference("a", 0),)),
            Call((Reference("a", 0), Reference("b", 0))),
        )
        constant = {"args": [1, value("a")], "kwargs": {"key": value("b"), "training": True}}
        assert read_calls("it", [constant]) == (
            Call((1, Reference("a", 0)), {"key": Reference("b", 0)}),
        )

    @pytest.mark.parametrize(
        ("nodes", "match"),
        [
            (None, "expected inbound_nodes to be a list"),
            ({}, "expected inbound_nodes to be a list"),
            (["a"], "expected a call to be a list or an object"),
            ([[]], "is applied to nothing"),
            ([[["a"]]], r"expected \[layer, call, output\]"),
            ([[["a", "b", 0]]], r"expected \[layer, call, output\]"),
            ([[["a", 0, 1]]], "is output 1 of layer 'a'"),
            ([[["a", 0, 0, {"training": True}]]], "Keras 2 runs it as in training"),
            ([{"args": [], "kwargs": {}}], "is applied to nothing"),
            ([{"args": [3], "kwargs": {}}], "applied to 3, which is not the value of a layer"),
            ([{"args": [{"config": 1}]}], "which is not the value of a layer"),
            ([{"args": [], "kwargs": {"training": True}}], "is applied to nothing"),
            ([{"args": [{"config": {"keras_history": [1]}}]}], r"expected \[layer, call"),
        ],
    )
    def test_malformed(self, nodes: object, match: str) -> None:
        with pytest.raises(InvalidInput, match=match):
            read_calls("it", nodes)

    @pytest.mark.parametrize(
        "value", [["a", 0, 0], [["a", 0, 0]], {"x": ["a", 0, 0]}, [[["a", 0, 0]]]]
    )
    def test_single(self, value: object) -> None:
        assert read_single(value, "input") == Reference("a", 0)

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            ([["a", 0, 0], ["b", 0, 0]], "expected a network with one input, got 2"),
            ({"x": ["a", 0, 0], "y": ["b", 0, 0]}, "expected a network with one input, got 2"),
            (None, r"expected \[layer, call, output\] as input"),
            ([], r"expected \[layer, call, output\] as input"),
            ("a", r"expected \[layer, call, output\] as input"),
        ],
    )
    def test_not_single(self, value: object, match: str) -> None:
        with pytest.raises(InvalidInput, match=match):
            read_single(value, "input")


class TestOrder:
    def test_depth_first_then_depth(self) -> None:
        edges = {"out": ["b", "a"], "a": ["deep"], "b": ["in"], "deep": ["in"], "in": [], "no": []}
        parents = {(name, 0): [(other, 0) for other in reads] for name, reads in edges.items()}
        found = [name for name, _ in keras_order(parents, ("out", 0))]
        assert found == ["in", "deep", "b", "a", "out"]

    def test_shared_layer(self) -> None:
        parents = {
            ("in", 0): [],
            ("relu", 0): [("in", 0)],
            ("conv", 0): [("relu", 0)],
            ("relu", 1): [("conv", 0)],
        }
        found = keras_order(parents, ("relu", 1))
        assert found == [("in", 0), ("relu", 0), ("conv", 0), ("relu", 1)]

    @pytest.mark.parametrize("length", [1, 2, 10_000])
    def test_cycle(self, length: int) -> None:
        parents = {(str(i), 0): [(str((i + 1) % length), 0)] for i in range(length)}
        with pytest.raises(InvalidInput, match="reads its own value in a cycle"):
            keras_order(parents, ("0", 0))

    @given(st.integers(2, 30), st.randoms(use_true_random=False))
    def test_every_layer_comes_after_what_it_reads(self, size: int, random: Any) -> None:
        parents = {
            (str(i), 0): [(str(random.randrange(i)), 0) for _ in range(random.randint(1, 3))]
            if i
            else []
            for i in range(size)
        }
        found = keras_order(parents, (str(size - 1), 0))
        places = {node: place for place, node in enumerate(found)}
        assert found[-1] == (str(size - 1), 0)
        assert all(places[p] < places[node] for node in found for p in parents[node])

    @settings(max_examples=30)
    @given(st.integers(2, 12), st.randoms(use_true_random=False))
    def test_equals_keras_own_order(self, size: int, random: Any) -> None:
        import keras

        values = [keras.Input((3,), name="v0")]
        reads: list[list[int]] = [[]]
        for index in range(1, size):
            chosen = [random.randrange(index) for _ in range(random.randint(1, 2))]
            reads.append(chosen)
            name = f"v{index}"
            inputs = [values[c] for c in chosen]
            many = len(chosen) > 1
            made = (
                keras.layers.Add(name=name)(inputs)
                if many
                else keras.layers.ReLU(name=name)(inputs[0])
            )
            values.append(made)
        model = keras.Model(values[0], values[-1])
        parents = {(f"v{i}", 0): [(f"v{c}", 0) for c in chosen] for i, chosen in enumerate(reads)}
        found = [name for name, _ in keras_order(parents, (f"v{size - 1}", 0))]
        assert found == [item.name for item in model.layers]
