"""Single layers in a Keras configuration: their settings, axes and activations."""

from __future__ import annotations

from typing import Any

import pytest
from config_reading import architecture
from keras_samples import Config, conv, dense, functional, layer

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats.keras.architecture import Architecture, keras_layers
from goodnet.formats.spec import Activation
from goodnet.ops.activations import FUNCTIONS, read_activation
from goodnet.ops.keras import Applied, Fields, Value
from goodnet.ops.layouts import Axes


def one_layer(item: Config, shape: tuple[int | None, ...] = (8, 8, 4)) -> Architecture:
    """An image, the layer, and an answer."""
    image = layer("InputLayer", "image", batch_input_shape=[None, *shape])
    flat = layer("Flatten", "flat", data_format="channels_last")
    return architecture(functional([image, item, flat]))


WRONG_LAYERS: list[tuple[Config, str]] = [
    (
        layer("LSTM", "it"),
        "layer 'it' is a LSTM, which is not read; the layers that are read: Input",
    ),
    (
        layer("TFOpLambda", "it", function="math.erf"),
        "'it' is a tf.math.erf, which is not read",
    ),
    (layer("Conv3D", "it"), "is a Conv3D, which is not read"),
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
    (layer("Normalization", "it", mean=1e308, variance=1.0), "expected mean to be finite numbers"),
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
    layers = [name for name in keras_layers() if not name.startswith(("tf.", "Random"))]
    assert all(name in str(caught.value) for name in [*layers, "Random..."])


def lambdas(*functions: tuple[str, list[Any], Config]) -> Config:
    """An image, functions of TensorFlow one after another as Keras 2 writes them, and an answer.

    Each has a name, what stands before the value it reads, and its options.
    """
    model = functional(
        [
            layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3]),
            *(
                layer("TFOpLambda", f"f{i}", function=name)
                for i, (name, *_) in enumerate(functions)
            ),
            layer("Flatten", "flat"),
        ]
    )
    items = model["config"]["layers"]
    for item, before, (_, constant, options) in zip(items[1:], items, functions, strict=False):
        value = [before["name"], 0, 0]
        node = ["_CONSTANT_VALUE", -1, *constant, {"y": value}] if constant else [*value, options]
        item["inbound_nodes"] = [node]
    return model


def test_functions_of_tensorflow_are_read() -> None:
    mean = [-103.939, -116.779, -123.68]
    backwards = {"start": None, "stop": None, "step": -1}
    item = {"slice_spec": [{"class_name": "__ellipsis__"}, backwards]}
    found = architecture(
        lambdas(
            ("__operators__.getitem", [], item),
            ("nn.bias_add", [], {"bias": mean, "data_format": "NHWC"}),
            ("math.truediv", [], {"y": 127.5, "name": None}),
            ("math.subtract", [1.0], {}),
            ("__operators__.add", [], {"y": 3}),
            ("nn.relu6", [], {"name": None}),
            ("math.reduce_mean", [], {"axis": [1, 2], "keepdims": True}),
        )
    )
    told = {x.name: (x.op, dict(x.attributes)) for x in found.layers[1:-1]}
    assert told == {
        "f0": ("select", {"channels": (2, 1, 0)}),
        "f1": ("rescale", {"scale": (1.0, 1.0, 1.0), "offset": tuple(mean)}),
        "f2": ("rescale", {"scale": 1 / 127.5, "offset": 0.0}),
        "f3": ("rescale", {"scale": -1.0, "offset": 1.0}),
        "f4": ("rescale", {"scale": 1.0, "offset": 3.0}),
        "f5": ("activation", {"activation": Activation("relu6")}),
        "f6": ("global_avg_pool2d", {"keepdims": True}),
    }


OTHER_FUNCTIONS: list[tuple[tuple[str, list[Any], Config], str]] = [
    (("math.truediv", [2.0], {}), "'f0': to divide such a constant is not read"),
    (("math.truediv", [], {"y": 0}), "'f0': to divide such a constant is not read"),
    (("math.multiply", [], {"y": [1, 2]}), r"the shapes .* do not fit together"),
    (("math.add", [], {"y": "x"}), "'f0': expected a constant of finite numbers, got 'x'"),
    (("math.reduce_mean", [], {"axis": [1]}), "expected axis to be height and width"),
    (("__operators__.getitem", [], {"slice_spec": [0]}), r"the index \[0\] is not read"),
]


@pytest.mark.parametrize(("function", "match"), OTHER_FUNCTIONS)
def test_functions_that_are_refused(function: tuple[str, list[Any], Config], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        architecture(lambdas(function))


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


def activation(name: str, order: Any = "hwc") -> Activation | None:
    """The setting of a layer that reads a picture."""
    fields = Fields("it", {"activation": name})
    return read_activation(
        Applied("it", "Dense", fields, (Value("image", (4, 8, 8)),), {}, Axes(order), keras_major=3)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_read(name: str) -> None:
    found = activation(name)
    assert (found.function if found else "linear") == name


def test_softmax_over_the_channels_is_the_default() -> None:
    assert activation("softmax", "chw") == Activation("softmax", {"axis": 3.0})
    assert activation("softmax", "hwc") == Activation("softmax")
