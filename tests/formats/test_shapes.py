from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats.shapes import Shape, check_whole, infer, layer_shapes
from goodnet.formats.spec import Activation, Layer, NetworkSpec
from goodnet.ops.layouts import LAYOUTS, array_shape, to_file, to_spec
from goodnet.ops.op import most_held

PICTURE: Shape = (4, 11, 9)
CONV = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": "valid", "activation": None}
POOL = {"pool": (2, 2), "strides": (2, 2), "padding": "valid"}


def shape(op: str, *inputs: Shape, arrays: dict[str, Shape] | None = None, **more: Any) -> Shape:
    names = tuple(f"x{index}" for index in range(len(inputs)))
    return infer(Layer("it", op, names, more), inputs, arrays or {})


def conv(value: Shape, weight: Shape, **more: Any) -> Shape:
    return shape("conv2d", value, arrays={"weight": weight}, **(CONV | more))


def test_convolutions() -> None:
    assert conv(PICTURE, (6, 4, 3, 2)) == (6, 9, 8)
    assert conv(PICTURE, (6, 4, 3, 2), strides=(2, 3)) == (6, 5, 3)
    assert conv(PICTURE, (6, 4, 3, 2), dilation=(2, 4)) == (6, 7, 5)
    assert conv(PICTURE, (6, 4, 3, 3), strides=(2, 2), padding="same") == (6, 6, 5)
    assert conv(PICTURE, (6, 2, 1, 1), groups=2) == (6, 11, 9)
    assert conv((4, None, 9), (6, 4, 3, 3)) == (6, None, 7)


CASES: list[tuple[str, tuple[Shape, ...], dict[str, Any], Shape]] = [
    ("max_pool2d", (PICTURE,), POOL, (4, 5, 4)),
    ("avg_pool2d", (PICTURE,), {**POOL, "padding": "same"}, (4, 6, 5)),
    ("global_max_pool2d", (PICTURE,), {"keepdims": True}, (4, 1, 1)),
    ("global_avg_pool2d", ((4, None, None),), {"keepdims": False}, (4,)),
    ("global_max_pool1d", ((7, 5),), {"keepdims": False}, (5,)),
    ("global_avg_pool1d", ((7, 5),), {"keepdims": True}, (1, 5)),
    ("flatten", (PICTURE,), {"order": "hwc"}, (396,)),
    ("flatten", ((4, None, 9),), {"order": "chw"}, (None,)),
    ("flatten", ((),), {"order": "hwc"}, (1,)),
    ("reshape", (PICTURE,), {"shape": (9, 11, 4), "order": "hwc"}, (4, 9, 11)),
    ("reshape", (PICTURE,), {"shape": (9, 11, 4), "order": "chw"}, (9, 11, 4)),
    ("reshape", (PICTURE,), {"shape": (-1, 4), "order": "hwc"}, (99, 4)),
    ("reshape", ((None,),), {"shape": (-1, 4), "order": "hwc"}, (None, 4)),
    ("permute", (PICTURE,), {"dims": (3, 1, 2), "order": "hwc"}, (9, 4, 11)),
    ("permute", (PICTURE,), {"dims": (3, 1, 2), "order": "chw"}, (9, 4, 11)),
    ("permute", ((5, 6),), {"dims": (2, 1), "order": "hwc"}, (6, 5)),
    ("add", (PICTURE, (4, 1, 1), (1, 11, 9)), {}, PICTURE),
    ("multiply", ((4, None, 9), PICTURE), {}, PICTURE),
    ("average", ((4, None, 1), (4, None, 9)), {}, (4, None, 9)),
    ("subtract", ((3,), (3,)), {}, (3,)),
    ("concatenate", (PICTURE, (2, 11, 9)), {"axis": 1}, (6, 11, 9)),
    ("concatenate", ((None,), (3,)), {"axis": 1}, (None,)),
    ("concatenate", ((4, 2, None), (4, 3, 9)), {"axis": 2}, (4, 5, None)),
    ("zero_pad2d", (PICTURE,), {"padding": (1, 2, 3, 4)}, (4, 14, 16)),
    ("crop2d", (PICTURE,), {"padding": (1, 2, 3, 4)}, (4, 8, 2)),
    ("crop2d", ((4, None, 9),), {"padding": (1, 2, 3, 4)}, (4, None, 2)),
    ("upsample2d", (PICTURE,), {"size": (2, 3), "interpolation": "nearest"}, (4, 22, 27)),
    ("identity", (PICTURE,), {}, PICTURE),
    ("activation", (PICTURE,), {"activation": Activation("softmax", {"axis": 3.0})}, PICTURE),
    ("rescale", (PICTURE,), {"scale": 1.0, "offset": 0.0}, PICTURE),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "expected"), CASES)
def test_layers_without_arrays(
    op: str, inputs: tuple[Shape, ...], attributes: dict[str, Any], expected: Shape
) -> None:
    assert shape(op, *inputs, **attributes) == expected


def test_layers_with_arrays() -> None:
    assert shape("dense", (7, 5), arrays={"weight": (3, 5), "bias": (3,)}, activation=None) == (
        7,
        3,
    )
    statistics: dict[str, Shape] = {"mean": (4,), "variance": (4,), "gamma": (4,)}
    assert shape("batch_norm", PICTURE, arrays=statistics, epsilon=0.1) == PICTURE
    assert shape("prelu", PICTURE, arrays={"alpha": (4, 1, 1)}) == PICTURE
    given: dict[str, Shape] = {"mean": (1,), "variance": (4, 1, 1)}
    assert shape("normalize", PICTURE, arrays=given, invert=False) == PICTURE


WRONG: list[tuple[str, tuple[Shape, ...], dict[str, Any], str]] = [
    ("max_pool2d", ((4, 1, 9),), POOL, "a window of 2 does not fit into 1 pixels"),
    ("max_pool2d", ((4, 9),), POOL, r"expected a picture .* got the shape \(4, 9\)"),
    ("max_pool2d", (PICTURE, PICTURE), POOL, "expected one input, got 2"),
    ("global_max_pool1d", (PICTURE,), {"keepdims": False}, r"of shape \(steps, features\)"),
    ("reshape", (PICTURE,), {"shape": (5,), "order": "hwc"}, "cannot be reshaped"),
    ("reshape", (PICTURE,), {"shape": (-1, 5), "order": "hwc"}, "cannot be reshaped"),
    ("reshape", (PICTURE,), {"shape": (-1, -1), "order": "hwc"}, "cannot be reshaped"),
    ("reshape", (PICTURE,), {"shape": (0, -1), "order": "hwc"}, "cannot be reshaped"),
    ("permute", (PICTURE,), {"dims": (1, 2), "order": "hwc"}, "do not permute"),
    ("permute", (PICTURE,), {"dims": (0, 1, 2), "order": "hwc"}, "do not permute"),
    ("add", (PICTURE,), {}, "two or more inputs, got 1"),
    ("add", (PICTURE, (4,)), {}, "same number of axes"),
    ("add", (PICTURE, (3, 11, 9)), {}, "do not fit together"),
    ("subtract", ((1,), (1,), (1,)), {}, "expected two inputs, got 3"),
    ("concatenate", (PICTURE, (2, 11, 8)), {"axis": 1}, "differ outside axis 1"),
    ("concatenate", (PICTURE, PICTURE), {"axis": 4}, "there is no axis 4"),
    ("crop2d", (PICTURE,), {"padding": (6, 5, 0, 0)}, "nothing is left"),
    ("activation", ((4,),), {"activation": Activation("softmax", {"axis": 2.0})}, "no axis 2"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "match"), WRONG)
def test_values_that_do_not_fit(
    op: str, inputs: tuple[Shape, ...], attributes: dict[str, Any], match: str
) -> None:
    with pytest.raises(InvalidInput, match=f"layer 'it': .*{match}"):
        shape(op, *inputs, **attributes)


def test_arrays_that_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match="in 1 groups does not fit 4 channels"):
        conv(PICTURE, (6, 3, 3, 2))
    with pytest.raises(InvalidInput, match="in 2 groups does not fit 4 channels"):
        conv(PICTURE, (5, 2, 3, 2), groups=2)
    with pytest.raises(InvalidInput, match="expected a weight of 4 axes"):
        conv(PICTURE, (6, 3))
    with pytest.raises(InvalidInput, match=r"expected bias of shape \(6,\), got \(5,\)"):
        shape("conv2d", PICTURE, arrays={"weight": (6, 4, 1, 1), "bias": (5,)}, **CONV)
    with pytest.raises(InvalidInput, match="for 6 features does not fit 5 features"):
        shape("dense", (5,), arrays={"weight": (3, 6)}, activation=None)
    with pytest.raises(InvalidInput, match=r"expected mean of shape \(4,\), got \(5,\)"):
        shape("batch_norm", PICTURE, arrays={"mean": (5,)}, epsilon=0.1)
    with pytest.raises(InvalidInput, match="expected a vector or a picture"):
        shape("batch_norm", (3, 4), arrays={}, epsilon=0.1)
    with pytest.raises(InvalidInput, match=r"layer 'it': .*do not fit together"):
        shape("prelu", PICTURE, arrays={"alpha": (5, 1, 1)})


def test_values_over_the_budget() -> None:
    with pytest.raises(OverBudget, match="may hold at most 67,108,864 numbers"):
        shape("input", shape=(3, 100_000, 100_000))
    with pytest.raises(OverBudget, match="the value of layer 'it'"):
        shape("upsample2d", PICTURE, size=(2**15, 2**15), interpolation="nearest")
    with pytest.raises(InvalidInput, match="would give a value of shape"):
        shape("input", shape=(2**40,))


UNITS = {"strides": (1, 1), "padding": "same"}
COSTLY: list[tuple[str, Shape, dict[str, Any], dict[str, Shape], str]] = [
    # borders that are made on the way
    (
        "max_pool2d",
        (2**20, 2, 2),
        {**UNITS, "pool": (64, 64), "strides": (64, 64)},
        {},
        "on the way",
    ),
    (
        "conv2d",
        (2**20, 2, 2),
        {**CONV, "padding": (30, 30, 30, 30)},
        {"weight": (1, 2**20, 1, 1)},
        "on the way",
    ),
    (
        "conv2d_transpose",
        (1, 100, 100),
        {**CONV, "strides": (900, 900), "padding": "same", "output_padding": None},
        {"weight": (1, 1, 1, 1)},
        "numbers for each image",
    ),
    ("attention", (2**14, 4), {"heads": 1}, {}, "on the way"),
    # windows and kernels that are laid on too often
    ("avg_pool2d", (1, 1000, 1000), {**UNITS, "pool": (999, 999)}, {}, "multiplications"),
    (
        "conv2d",
        (1, 4000, 4000),
        {**CONV, "padding": "same"},
        {"weight": (1, 1, 1001, 1001)},
        "multiplications",
    ),
    ("dense", (2**13, 2**13), {"activation": None}, {"weight": (2**13, 2**13)}, "multiplications"),
]


@pytest.mark.parametrize(("op", "value", "attributes", "arrays", "match"), COSTLY)
def test_what_a_layer_takes_beside_its_value_is_counted(
    op: str, value: Shape, attributes: dict[str, Any], arrays: dict[str, Shape], match: str
) -> None:
    if op == "conv2d_transpose":
        attributes = {key: x for key, x in attributes.items() if key != "groups"}
    values = [value] * (3 if op == "attention" else 1)
    with pytest.raises(OverBudget, match=f"layer 'it' .*{match}"):
        shape(op, *values, arrays=arrays, **attributes)


@pytest.mark.parametrize("padding", ["same", (40, 40, 40, 40)])
def test_windows_far_wider_than_the_picture(padding: Any) -> None:
    pools = {"strides": (1, 1), "padding": padding}
    assert shape("max_pool2d", PICTURE, **pools, pool=(64, 64))
    assert shape("max_pool2d", (4, 99, 99), **pools, pool=(150, 150))
    with pytest.raises(InvalidInput, match="reaches over 65 pixels is far wider than the 9"):
        shape("max_pool2d", PICTURE, **pools, pool=(64, 65))
    with pytest.raises(InvalidInput, match=r"over 201 pixels .*the 99 .*expected at most 198"):
        shape("avg_pool2d", (4, 99, 99), **{**pools, "padding": "same"}, pool=(201, 2))
    with pytest.raises(InvalidInput, match="over 67 pixels"):
        conv(PICTURE, (6, 4, 3, 3), dilation=(1, 33), padding=padding)


def test_layers_of_large_classifiers_are_within_the_budgets() -> None:
    assert conv((192, 300, 300), (192, 1, 3, 3), groups=192, padding="same")  # EfficientNetB7
    assert conv((64, 224, 224), (64, 64, 3, 3), padding="same")  # VGG16
    assert shape("max_pool2d", (64, 600, 600), pool=(3, 3), strides=(2, 2), padding="same")
    assert shape("avg_pool2d", (2048, 32, 32), pool=(32, 32), strides=(1, 1), padding="valid")


def test_values_are_held_until_the_last_layer_has_read_them() -> None:
    sizes = {"a": 8, "b": 5, "c": 3, "d": 1}
    chain = [("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ("c",))]
    assert most_held(chain, sizes) == 13
    assert most_held([*chain[:3], ("d", ("c", "a"))], sizes) == 16
    assert most_held([*chain[:2], ("c", ("b", "b")), ("d", ("c", "c"))], sizes) == 13


def test_many_large_values_at_a_time() -> None:
    def network(count: int) -> NetworkSpec:
        names = [f"relu_{place}" for place in range(count)]
        relu = {"activation": Activation("relu")}
        image = Layer("image", "input", (), {"shape": (1, 2**12, 2**12)})
        parts = [Layer(name, "activation", ("image",), relu) for name in names]
        return NetworkSpec((image, *parts, Layer("sum", "add", tuple(names))), {}, "sum")

    check_whole(network(15))
    with pytest.raises(OverBudget, match="would hold 285,212,672 numbers at a time"):
        check_whole(network(16))


def test_a_size_that_was_open_is_counted_once_it_is_known() -> None:
    layers = (
        Layer("image", "input", (), {"shape": (3, None, None)}),
        Layer("up", "upsample2d", ("image",), {"size": (99, 99), "interpolation": "nearest"}),
        Layer("mean", "global_avg_pool2d", ("up",), {"keepdims": False}),
    )
    spec = NetworkSpec(layers, {}, "mean")
    assert spec.sized((8, 8)).input_shape == (3, 8, 8)
    with pytest.raises(OverBudget, match="the value of layer 'up' may hold at most"):
        spec.sized((80, 80))


def test_shapes_of_a_network() -> None:
    spec = NetworkSpec(
        layers=(
            Layer("image", "input", (), {"shape": (3, 8, 8)}),
            Layer("conv", "conv2d", ("image",), CONV),
            Layer("sum", "add", ("conv", "conv")),
            Layer("mean", "global_avg_pool2d", ("sum",), {"keepdims": False}),
        ),
        arrays={"conv/weight": np.zeros((5, 3, 3, 3)), "conv/bias": np.zeros(5)},
        output="mean",
    )
    assert layer_shapes(spec) == {
        "image": (3, 8, 8),
        "conv": (5, 6, 6),
        "sum": (5, 6, 6),
        "mean": (5,),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shapes_of_arrays(layout: str) -> None:
    ranks = {"hwio": 4, "hwoi": 4, "iohw": 4, "hwim": 4, "io": 2, "io-1x1": 2, "hwc": 3}
    ranks |= {"in-heads": 3, "heads": 2, "heads-out": 3}
    one_output = {"two-io": (2, 1), "two-as-is": (1,)}
    shape = one_output.get(layout, (2, 3, 4, 5)[: ranks.get(layout, 1)])
    array = np.arange(np.prod(shape)).reshape(shape)
    found = to_spec(array, layout)
    assert array_shape(shape, layout) == found.shape
    np.testing.assert_array_equal(to_file(found, layout, shape), array)


def upsampled(times: int, *, units: int = 2, side: int = 8) -> NetworkSpec:
    layers = (
        Layer("image", "input", (), {"shape": (3, side, side)}),
        Layer("up", "upsample2d", ("image",), {"size": (times,) * 2, "interpolation": "nearest"}),
        Layer("mean", "global_avg_pool2d", ("up",), {"keepdims": False}),
        Layer("answer", "dense", ("mean",), {"activation": None}),
    )
    arrays = {"answer/weight": np.zeros((units, 3), np.float32)}
    return NetworkSpec(layers, arrays, "answer")


def test_a_network_makes_no_more_than_its_image_and_its_arrays_account_for() -> None:
    check_whole(upsampled(290))
    with pytest.raises(OverBudget, match=r"would make 17,280,197 numbers .* at most 16,827,904"):
        check_whole(upsampled(300))
    check_whole(upsampled(300, units=1000))
    check_whole(upsampled(30, side=80))


def test_layers_that_each_take_little_may_take_too_much_together() -> None:
    pool = {"pool": (19, 19), "strides": (1, 1), "padding": "same"}

    def network(count: int) -> NetworkSpec:
        image = Layer("0", "input", (), {"shape": (3, 200, 200)})
        pools = (Layer(f"{x + 1}", "avg_pool2d", (f"{x}",), pool) for x in range(count))
        return NetworkSpec((image, *pools), {}, f"{count}")

    check_whole(network(3))
    with pytest.raises(OverBudget, match=r"the network would take as long as .* multiplications"):
        check_whole(network(100))
