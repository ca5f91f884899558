"""A whole model in a Keras configuration: which objects it may name, and how it is read."""

from __future__ import annotations

from copy import deepcopy

import pytest
from config_reading import architecture
from keras_samples import Config, dense, functional, layer, sequential, small_model

from goodnet.errors import InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.keras.configuration import screen


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
            (
                ("inbound_nodes",),
                [[["image", 0, 0, {"mask": ["image", 0, 0]}]]],
                "'conv' is applied with mask='image', which is not read",
            ),
            (
                ("inbound_nodes",),
                [[["image", 0, 0, {}], ["_CONSTANT_VALUE", -1, 2.5, {}]]],
                r"'conv' is applied to 2\.5, which is not the value of a layer",
            ),
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
