"""The parts that turn a Keras configuration into layers, one by one."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_samples import Config, conv, dense, functional, layer, sequential, small_model

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.activations import FUNCTIONS
from goodnet.formats.keras.config.activations import read_activation
from goodnet.formats.keras.config.architecture import Architecture, read_architecture
from goodnet.formats.keras.config.axes import Axes
from goodnet.formats.keras.config.calls import Reference, read_calls, read_single
from goodnet.formats.keras.config.fields import Fields
from goodnet.formats.keras.config.layers import LAYERS
from goodnet.formats.keras.config.order import keras_order
from goodnet.formats.keras.config.screen import screen
from goodnet.formats.keras.config.strict_json import parse_json
from goodnet.formats.spec import Activation


def parse(text: str | bytes) -> dict[str, Any]:
    return parse_json(text if isinstance(text, bytes) else text.encode(), what="configuration")


def architecture(model: Config, *, major: int = 2) -> Architecture:
    return read_architecture(model, keras_major=major)


def one_layer(item: Config, shape: tuple[int | None, ...] = (8, 8, 4)) -> Architecture:
    """An image, the layer, and an answer."""
    image = layer("InputLayer", "image", batch_input_shape=[None, *shape])
    flat = layer("Flatten", "flat", data_format="channels_last")
    return architecture(functional([image, item, flat]))


class TestJson:
    def test_plain(self) -> None:
        assert parse('{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}

    def test_what_keras_wraps(self) -> None:
        text = json.dumps(
            {
                "a": {"class_name": "__tuple__", "items": [1, 2]},
                "b": {"class_name": "TensorShape", "items": [None, 3]},
                "c": {"class_name": "__numpy__", "config": {"value": [0.5], "dtype": "float32"}},
                "d": {"class_name": "__tuple__", "config": [3]},
            }
        )
        assert parse(text) == {"a": [1, 2], "b": [None, 3], "c": [0.5], "d": [3]}

    @pytest.mark.parametrize("text", ["", "{", "[1, 2", "{'a': 1}", "\ufeff{}", b"\xff\xfe{}"])
    def test_not_json(self, text: str | bytes) -> None:
        with pytest.raises(InvalidInput, match="the configuration is not JSON in UTF-8"):
            parse(text)

    @pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
    def test_not_an_object(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="expected an object in the configuration"):
            parse(text)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
    def test_numbers(self, number: str) -> None:
        with pytest.raises(InvalidInput, match="not a number JSON knows|too large"):  # noqa: RUF043
            parse(f'{{"a": [{number}]}}')

    def test_a_key_twice(self) -> None:
        with pytest.raises(InvalidInput, match="the key 'a' appears twice"):
            parse('{"x": {"a": 1, "b": 2, "a": 1}}')

    @pytest.mark.parametrize("text", ['{"\\ud800": 1}', '{"a": ["\\udfff"]}'])
    def test_half_a_character(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="half a character"):
            parse(text)

    @pytest.mark.parametrize("depth", [65, 500, 10**5])
    def test_depth(self, depth: int) -> None:
        with pytest.raises(OverBudget, match="nested at most 64 levels deep"):
            parse('{"a": ' + "[" * depth + "]" * depth + "}")

    def test_length(self) -> None:
        with pytest.raises(OverBudget, match=r"may take at most 16\.0 MiB, got 16\.0 MiB"):
            parse_json(b" " * (2**24 + 1), what="configuration")


class TestScreen:
    def test_what_keras_writes(self) -> None:
        screen(small_model())
        for module in (
            "keras",
            "keras.layers",
            "keras.src.engine.functional",
            "keras.engine.sequential",
            "keras.src.models.functional",
            "tensorflow.keras.layers",
            "tensorflow.python.keras.layers.core",
            "tf_keras.src.layers.core.dense",
            "keras.mixed_precision",
            "keras.initializers",
        ):
            screen({"class_name": "Dense", "module": module, "registered_name": "Dense"})

    @pytest.mark.parametrize(
        "module",
        ["os", "builtins", "keras.utils", "keras.src.saving.serialization_lib", "keras.config",
         "keras_cv.layers", "tensorflow", "kerasx.layers", "keras.layers;os", "keras.layers\n", "",
         "my.keras.layers", 7, ["keras"]],
    )  # fmt: skip
    def test_other_modules(self, module: object) -> None:
        model = small_model()
        model["config"]["layers"][1]["module"] = module
        with pytest.raises(UnsafeInput, match="layer 'conv' names 'Conv2D' from the module"):
            screen(model)

    @pytest.mark.parametrize(
        "item",
        [
            {"class_name": "Custom>Mine", "config": {"name": "x"}},
            {"class_name": "Dense", "registered_name": "my>Dense", "config": {"name": "x"}},
            {"class_name": "Dense", "registered_name": "Dense2", "config": {"name": "x"}},
        ],
    )
    def test_custom_objects(self, item: Config) -> None:
        with pytest.raises(UnsafeInput, match="layer 'x' is the custom object"):
            screen(sequential([item]))

    def test_objects_in_any_place(self) -> None:
        model = small_model()
        for place in ("kernel_initializer", "activation", "anything"):
            changed = deepcopy(model)
            changed["config"]["layers"][1]["config"][place] = {
                "class_name": "function",
                "module": "builtins",
                "config": "system",
            }
            with pytest.raises(UnsafeInput, match="'conv/function' names 'function' from"):
                screen(changed)

    def test_what_is_never_resolved_is_not_looked_at(self) -> None:
        foreign = {"class_name": "system", "module": "os", "config": {}}
        screen({**small_model(), "compile_config": foreign, "build_config": foreign})

    def test_class_that_is_not_a_text(self) -> None:
        with pytest.raises(InvalidInput, match="class of layer 'x' is not a text"):
            screen(sequential([{"class_name": ["Dense"], "config": {"name": "x"}}]))

    def test_too_many_objects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budgets, "MAX_OBJECTS", 3)
        with pytest.raises(OverBudget, match="described by at most 3 objects"):
            screen(small_model())


class TestFields:
    fields = Fields("it", {"a": 3, "b": [1, 2], "c": 0.5, "d": True, "e": "x", "f": None, "g": -1})

    def test_values(self) -> None:
        assert self.fields.integer("a") == 3
        assert self.fields.integer("f", default=7) == 7
        assert self.fields.integers("b") == (1, 2)
        assert self.fields.integers("g") == (-1,)
        assert self.fields.integers("f") == ()
        assert self.fields.pair("a") == (3, 3)
        assert self.fields.pair("b") == (1, 2)
        assert self.fields.number("f", "c", default=1.0) == 0.5
        assert self.fields.number("f", default=float("inf")) == float("inf")
        assert self.fields.numbers("b", default=1.0) == (1.0, 2.0)
        assert self.fields.flag("d", default=False) is True
        assert self.fields.choice("e", ("x", "y"), default="y") == "x"

    @pytest.mark.parametrize("value", [0, -1, 2**31, 2**40, 1.0, True, "3", [3], None, {}])
    def test_integer(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="layer 'it': expected a to be a whole number of 1"):
            Fields("it", {"a": value}).integer("a")

    @pytest.mark.parametrize("value", [0, [1], [1, 2, 3], [1, 0], [1.5, 1], "ab", [True, 1], {}])
    def test_pair(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="expected a to be one or two whole numbers"):
            Fields("it", {"a": value}).pair("a")

    @pytest.mark.parametrize("value", [True, "1", [1], float("nan")])
    def test_number(self, value: object) -> None:
        with pytest.raises(InvalidInput, match="expected a to be a number"):
            Fields("it", {"a": value}).number("a", default=0.0)
        with pytest.raises(InvalidInput, match="expected a to be a number or a list"):
            Fields("it", {"a": [value]}).numbers("a", default=0.0)

    def test_others(self) -> None:
        with pytest.raises(InvalidInput, match="expected a to be true or false, got 'yes'"):
            Fields("it", {"a": "yes"}).flag("a", default=True)
        with pytest.raises(InvalidInput, match="expected a to be 'x' or 'y', got 'z'"):
            Fields("it", {"a": "z"}).choice("a", ("x", "y"), default="x")
        with pytest.raises(InvalidInput, match="a short list of whole numbers"):
            Fields("it", {"a": [1] * 9}).integers("a")


class TestCalls:
    def test_lists_of_keras_2(self) -> None:
        nodes = [[["a", 0, 0, {}], ["b", 1, 0]], [["c", 0, 0, {"training": False, "mask": None}]]]
        assert read_calls("it", nodes) == (
            (Reference("a", 0), Reference("b", 1)),
            (Reference("c", 0),),
        )
        assert read_calls("it", [["a", 0, 0, {}]]) == ((Reference("a", 0),),)
        assert read_calls("it", []) == ()

    def test_objects_of_keras_3(self) -> None:
        def value(name: str) -> Config:
            return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

        one = {"args": [value("a")], "kwargs": {}}
        several = {"args": [[value("a"), value("b")]], "kwargs": {"mask": None}}
        assert read_calls("it", [one, several]) == (
            (Reference("a", 0),),
            (Reference("a", 0), Reference("b", 0)),
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
            ([[["a", 0, 0, {"training": True}]]], "acts as in training"),
            ([[["a", 0, 0, {"y": ["b", 0, 0]}]]], r"applied with y=\['b', 0, 0\], which is not"),
            ([{"args": [], "kwargs": {}}], "is applied to nothing"),
            ([{"args": [3], "kwargs": {}}], "applied to 3, which is not the value of a layer"),
            ([{"args": [{"config": 1}]}], "which is not the value of a layer"),
            ([{"args": [{"config": {"keras_history": [1]}}]}], r"expected \[layer, call"),
            ([{"args": {}, "kwargs": {"training": True}}], "acts as in training"),
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


class TestModel:
    def test_small_model(self) -> None:
        found = architecture(small_model())
        assert [x.name for x in found.layers][-1] == found.output == "answer"
        assert list(found.weights) == [("conv",), ("norm",), ("answer",)]

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"class_name": "Dense"}, "expected a Functional or Sequential model, got a 'Dense'"),
            ({"class_name": None}, "class of layer .* is not a text"),
            ({"config": None}, "configuration of the Functional model has no layers"),
            ({"config": {"layers": {}}}, "configuration of the Functional model has no layers"),
            ({"config": {"layers": []}}, r"expected \[layer, call, output\] as output"),
        ],
    )
    def test_malformed_models(self, change: Config, match: str) -> None:
        with pytest.raises(InvalidInput, match=match):
            architecture(small_model() | change)

    @pytest.mark.parametrize(
        ("place", "value", "match"),
        [
            ((), 7, "expected each layer to be an object, got 7"),
            (("config",), None, "expected each layer to be an object with a config"),
            (("config", "name"), 7, "expected a name of 1 to 256 printable characters, got 7"),
            (("config", "name"), "a\x1b[2J", "printable characters"),
            (("config", "name"), "n" * 257, "printable characters"),
            (("config", "name"), "other", "layer 'other' is also called 'conv'"),
            (("inbound_nodes",), [], "'conv' reads nothing and is not the network's one input"),
            (
                ("inbound_nodes",),
                [[["nobody", 0, 0, {}]]],
                "'conv' reads 'nobody', which is not in",
            ),
            (("inbound_nodes",), [[["image", 1, 0, {}]]], "reads call 1 of 'image', which has 1"),
            (("inbound_nodes",), [[["norm", 0, 0, {}]]], "reads its own value in a cycle"),
            (("inbound_nodes",), [[["conv", 0, 0, {}]]], "reads its own value in a cycle"),
            (("module",), "keras.src.ops.numpy", "is the operation Conv2D of keras.ops"),
        ],
    )
    def test_malformed_layers(self, place: tuple[str, ...], value: object, match: str) -> None:
        model = small_model()
        if place:
            target = model["config"]["layers"][1]
            for key in place[:-1]:
                target = target[key]
            target[place[-1]] = value
        else:
            model["config"]["layers"][1] = value
        with pytest.raises(InvalidInput, match=match):
            architecture(model)

    def test_two_layers_of_one_name(self) -> None:
        model = small_model()
        model["config"]["layers"].append(model["config"]["layers"][1])
        with pytest.raises(InvalidInput, match="two layers of one model are called 'conv'"):
            architecture(model)

    def test_several_inputs_and_outputs(self) -> None:
        for key, word in (("input_layers", "input"), ("output_layers", "output")):
            model = small_model()
            model["config"][key] = [["image", 0, 0], ["answer", 0, 0]]
            with pytest.raises(InvalidInput, match=f"expected a network with one {word}, got 2"):
                architecture(model)

    def test_a_second_input_that_is_not_declared(self) -> None:
        model = small_model()
        other = {**layer("InputLayer", "other", batch_input_shape=[None, 8, 8, 3]), "name": "other"}
        model["config"]["layers"].append({**other, "inbound_nodes": []})
        model["config"]["layers"][1]["inbound_nodes"] = [[["other", 0, 0, {}]]]
        with pytest.raises(
            InvalidInput, match="'other' reads nothing and is not the network's one"
        ):
            architecture(model)

    def test_output_that_does_not_need_the_input(self) -> None:
        model = small_model()
        model["config"]["input_layers"] = [["conv", 0, 0]]
        with pytest.raises(InvalidInput, match="'image' reads nothing"):
            architecture(model)

    def test_empty_sequential_model(self) -> None:
        with pytest.raises(InvalidInput, match="the Sequential model 'sequential_1' has no layers"):
            architecture(sequential([]))

    def test_too_many_layers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(budgets, "MAX_LAYERS", 5)
        with pytest.raises(OverBudget, match="at most 5 layers"):
            architecture(small_model())

    def test_many_layers_take_no_recursion(self) -> None:
        chain = [layer("ReLU", f"r{i}") for i in range(5000)]
        image = layer("InputLayer", "image", batch_input_shape=[None, 4])
        assert len(architecture(functional([image, *chain])).layers) == 5001

    def test_a_model_applied_twice(self) -> None:
        inner = functional([layer("InputLayer", "x", batch_input_shape=[None, 4]), dense(units=4)])
        image = layer("InputLayer", "image", batch_input_shape=[None, 4])
        model = functional([image, inner | {"config": {**inner["config"], "name": "m"}}])
        member = model["config"]["layers"][1]
        member["inbound_nodes"].append([["m", 1, 0, {}]])
        model["config"]["output_layers"] = [["m", 2, 0]]
        with pytest.raises(InvalidInput, match="the model 'm' is applied 2 times"):
            architecture(model)
        member["inbound_nodes"] = [[["image", 0, 0, {}], ["image", 0, 0, {}]]]
        with pytest.raises(InvalidInput, match="the model 'm' is given more than its one input"):
            architecture(model)

    def test_answer_that_is_no_vector(self) -> None:
        model = small_model()
        model["config"]["output_layers"] = [["pool", 0, 0]]
        with pytest.raises(
            InvalidInput, match=r"expected a classifier.*'pool' gives values of shape"
        ):
            architecture(model)

    @pytest.mark.parametrize(
        ("shape", "match"),
        [
            ([None, -1], "expected batch_shape to be"),
            ([None, 0], "expected batch_shape to be"),
            ([None], "expected batch_shape to be"),
            ([None, 2.0], "expected batch_shape to be"),
            ([None, *[2] * 8], "expected batch_shape to be"),
            ("abc", "expected batch_shape to be"),
            (None, "the shape of the input 'image' is not in the file"),
        ],
    )
    def test_shape_of_the_input(self, shape: object, match: str) -> None:
        model = small_model()
        model["config"]["layers"][0]["config"]["batch_shape"] = shape
        del model["config"]["layers"][0]["config"]["batch_input_shape"]
        with pytest.raises(InvalidInput, match=match):
            architecture(model)

    def test_orders_of_axes_must_not_mix(self) -> None:
        model = small_model()
        model["config"]["layers"][3]["config"]["data_format"] = "channels_first"
        with pytest.raises(
            InvalidInput, match="all layers to be channels_last or all channels_first"
        ):
            architecture(model)

    def test_mixed_precision_is_noted(self) -> None:
        model = small_model()
        model["config"]["layers"][1]["config"]["dtype"] = {
            "class_name": "Policy",
            "config": {"name": "mixed_float16"},
        }
        found = architecture(model)
        assert found.notes == ("the file asks for mixed_float16; computed in float32 here",)


WRONG_LAYERS: list[tuple[Config, str]] = [
    (
        layer("LSTM", "it"),
        "layer 'it' is a LSTM, which is not read; the layers that are read: Input",
    ),
    (
        layer("TFOpLambda", "it", function="math.multiply"),
        "'it' is a TFOpLambda, which is not read",
    ),
    (layer("Conv2DTranspose", "it"), "is a Conv2DTranspose, which is not read"),
    (conv("it", filters=0), "expected filters to be a whole number of 1 or more, got 0"),
    (conv("it", filters=2**40), "expected filters to be a whole number"),
    (conv("it", filters=None), "expected filters to be a whole number"),
    (conv("it", kernel_size=[0, 3]), "expected kernel_size to be one or two whole numbers"),
    (conv("it", kernel_size=[-3, 3]), "expected kernel_size to be one or two whole numbers"),
    (conv("it", strides=[0, 1]), "expected strides to be one or two whole numbers"),
    (conv("it", dilation_rate=0), "expected dilation_rate to be one or two whole numbers"),
    (conv("it", padding="causal"), "expected padding to be 'valid' or 'same', got 'causal'"),
    (conv("it", groups=3), "expected groups to be a divisor of 4 channels and 4 filters, got 3"),
    (conv("it", use_bias="no"), "expected use_bias to be true or false"),
    (conv("it", kernel_size=[9, 9]), "layer 'it': a window of 9 does not fit into 8 pixels"),
    (conv("it", activation="mine"), "expected activation to be one of celu, elu, .*, got 'mine'"),
    (conv("it", activation={"class_name": "function", "config": "relu"}), "expected activation"),
    (dense("it", units=-1), "expected units to be a whole number"),
    (layer("BatchNormalization", "it", axis=1), "the axis of the channels"),
    (layer("BatchNormalization", "it", axis=[1, 2]), "the axis of the channels"),
    (layer("BatchNormalization", "it", axis=9), "there is no axis 9"),
    (layer("BatchNormalization", "it", axis=[3], renorm=True), "expected renorm to be false"),
    (layer("BatchNormalization", "it", epsilon="x"), "expected epsilon to be a number"),
    (layer("MaxPooling2D", "it", pool_size=[2]), "expected pool_size"),
    (layer("UpSampling2D", "it", size=2, interpolation="bicubic"), "interpolation to be 'nearest'"),
    (layer("ZeroPadding2D", "it", padding=[1, 2, 3]), "expected padding to be whole numbers of 0"),
    (layer("ZeroPadding2D", "it", padding=[[1, -2], [0, 0]]), "expected padding to be whole"),
    (layer("Cropping2D", "it", cropping=[[5, 5], [0, 0]]), "'it': nothing is left of a picture"),
    (layer("Reshape", "it", target_shape=[7, 7]), "'it': a value of shape .* cannot be reshaped"),
    (layer("Reshape", "it", target_shape=[-2, 7]), "expected target_shape to be sizes"),
    (layer("Permute", "it", dims=[1, 1, 2]), "'it': the axes .* do not permute"),
    (
        layer("Flatten", "it", data_format="channels_first"),
        "is channels_first on a value that is not",
    ),
    (layer("Softmax", "it", axis=[1, 2]), "expected axis to be one axis"),
    (layer("Softmax", "it", axis=0), "layer 'it': there is no axis 0"),
    (layer("LeakyReLU", "it", alpha="x"), "expected negative_slope to be a number"),
    (layer("Normalization", "it", axis=[1]), "expected axis to be the channels, or all axes"),
    (
        layer("Normalization", "it", mean=[1, 2], variance=1.0),
        "expected mean to be numbers of shape",
    ),
    (layer("Normalization", "it", mean="x", variance=1.0), "expected mean to be numbers of shape"),
    (layer("Rescaling", "it", scale=[1, 2]), "one number, or one for each channel"),
    (layer("GlobalMaxPooling1D", "it"), "expected a value of shape \\(steps, features\\)"),
    (layer("Add", "it"), "layer 'it': expected two or more inputs, got 1"),
    (layer("Concatenate", "it", axis=[1, 2]), "expected axis to be one axis"),
]


@pytest.mark.parametrize(("item", "match"), WRONG_LAYERS)
def test_layers_that_are_refused(item: Config, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        one_layer(item)


def test_layers_need_sizes_that_are_known() -> None:
    for item, match in (
        (conv("it"), "needs a picture with a known number of channels"),
        (dense("it"), "needs a known number of features"),
        (layer("PReLU", "it"), "needs a known size"),
        (layer("BatchNormalization", "it"), "needs a known number of channels"),
    ):
        with pytest.raises(InvalidInput, match=match):
            one_layer(item, (8, 8, None))


def test_weights_over_the_budget() -> None:
    item = layer("Dense", "huge", units=2**31 - 1, activation="linear")
    image = layer("InputLayer", "image", batch_input_shape=[None, 8])
    with pytest.raises(OverBudget, match="the value of layer 'huge' may hold at most"):
        architecture(functional([image, item]))
    wide = [layer("Dense", f"d{i}", units=2**15, activation="linear") for i in range(3)]
    with pytest.raises(
        OverBudget, match=r"the weights of the architecture may take at most 2\.0 GiB"
    ):
        architecture(functional([image, *wide]))


def test_names_of_parts_must_not_clash() -> None:
    items = [
        layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3]),
        layer("ReLU", "it/depthwise"),
        layer("SeparableConv2D", "it", filters=2, kernel_size=3),
        layer("Flatten", "flat"),
    ]
    with pytest.raises(InvalidInput, match="two layers are called 'it/depthwise'"):
        architecture(functional(items))


def test_every_layer_is_listed_in_the_refusal() -> None:
    with pytest.raises(InvalidInput) as caught:
        one_layer(layer("GRU", "it"))
    assert all(name in str(caught.value) for name in LAYERS)


@pytest.mark.parametrize("order", ["hwc", "chw"])
def test_axes(order: Any) -> None:
    axes = Axes(order)
    assert [axes.to_spec(axis, 3) for axis in (1, 2, 3, -1)] == (
        [2, 3, 1, 1] if order == "hwc" else [1, 2, 3, 3]
    )
    assert [axes.to_spec(axis, 2) for axis in (1, 2, -1)] == [1, 2, 2]
    shape = (5, 6, 7)
    assert axes.shape_to_file(axes.shape_to_spec(shape)) == shape
    for axis in (0, 4, -4):
        with pytest.raises(InvalidInput, match=f"there is no axis {axis}"):
            axes.to_spec(axis, 3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_read(name: str) -> None:
    found = read_activation(Fields("it", {"activation": name}), Axes("hwc"), rank=3, keras_major=3)
    assert (found.function if found else "linear") == name


def test_softmax_over_the_channels_is_the_default() -> None:
    fields = Fields("it", {"activation": "softmax"})
    first = read_activation(fields, Axes("chw"), rank=3, keras_major=3)
    assert first == Activation("softmax", {"axis": 3.0})
    last = read_activation(fields, Axes("hwc"), rank=3, keras_major=3)
    assert last == Activation("softmax")
