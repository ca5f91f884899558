"""What is read from a file computes what Keras computes from it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import torch

from goodnet.formats.build import build
from goodnet.formats.format import save_spec
from goodnet.formats.keras import read
from goodnet.ops.activations import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from goodnet.formats.spec import Array

# Keras' own, on its torch backend with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEIGHT, WIDTH, CHANNELS = 11, 9, 4


def randomize(model: Any, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    for weight in model.weights:
        value = random.normal(size=weight.shape) * 0.4
        positive = any(word in weight.path for word in ("variance", "count"))
        weight.assign(np.abs(value) + 0.5 if positive else value)


def to_torch(images: Array, order: str) -> torch.Tensor:
    pictures = images.ndim == 4 and order == "channels_last"
    return torch.from_numpy(np.moveaxis(images, -1, 1).copy() if pictures else images)


def check(model: Any, folder: Path, *, order: str = "channels_last", seed: int = 0) -> None:
    """Save in both formats, read both, compare the answers on random images."""
    randomize(model, seed)
    shape = [size or HEIGHT for size in model.input_shape[1:]]
    images = np.random.default_rng(seed + 1).normal(size=(3, *shape)).astype(np.float32)
    expected = np.asarray(model.predict(images, verbose=0), dtype=np.float32)
    for suffix in (".h5", ".keras"):
        path = folder / f"model{suffix}"
        model.save(path)
        found = build(read(path))(to_torch(images, order)).numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def stack(*layers: Any, shape: tuple[int, ...] = (HEIGHT, WIDTH, CHANNELS)) -> Any:
    import keras

    model = keras.Sequential([keras.Input(shape), *layers])
    if len(model.output_shape) > 2:
        model.add(keras.layers.Flatten())
    return model


def network(image: Any, value: Any) -> Any:
    import keras

    return keras.Model(image, keras.layers.Flatten()(value))


def kernel_cases() -> list[dict[str, Any]]:
    """Sizes, strides, dilation and padding that a convolution can have together."""
    cases = []
    for kernel, strides, dilation, padding in product(
        (1, 2, (3, 2), 5), (1, 2, 3), (1, 2), ("valid", "same")
    ):
        if strides == 1 or dilation == 1:
            cases.append(
                {
                    "kernel_size": kernel,
                    "strides": strides,
                    "dilation_rate": dilation,
                    "padding": padding,
                }
            )
    return [case for case in cases if not (case["kernel_size"] == 5 and case["dilation_rate"] == 2)]


def _name(case: dict[str, Any]) -> str:
    return "-".join(str(value).replace(" ", "") for value in case.values())


@pytest.mark.parametrize("case", kernel_cases(), ids=_name)
def test_convolutions(case: dict[str, Any], tmp_path: Path) -> None:
    from keras import layers

    model = stack(
        layers.Conv2D(6, **case, activation="relu"),
        layers.Conv2D(4, 1, groups=2, use_bias=False),
    )
    check(model, tmp_path)
    check(stack(layers.DepthwiseConv2D(depth_multiplier=2, **case)), tmp_path)
    check(stack(layers.SeparableConv2D(5, depth_multiplier=2, **case)), tmp_path)


LAYERS: dict[str, Callable[[Any], list[Any]]] = {
    "max pool": lambda k: [k.MaxPooling2D()],
    "max pool same": lambda k: [k.MaxPooling2D(3, 2, padding="same")],
    "max pool same 2": lambda k: [k.MaxPooling2D(2, padding="same")],
    "max pool same 4": lambda k: [k.MaxPooling2D(4, 3, padding="same")],
    "max pool uneven": lambda k: [k.MaxPooling2D((2, 3), (3, 1))],
    "average pool": lambda k: [k.AveragePooling2D((3, 2))],
    "average pool same": lambda k: [k.AveragePooling2D(3, 2, padding="same")],
    "global max": lambda k: [k.GlobalMaxPooling2D()],
    "global average": lambda k: [k.GlobalAveragePooling2D(keepdims=True)],
    "flatten and dense": lambda k: [k.MaxPooling2D(), k.Flatten(), k.Dense(5, activation="tanh")],
    "batch norm": lambda k: [k.BatchNormalization(epsilon=0.01)],
    "batch norm plain": lambda k: [k.BatchNormalization(scale=False, center=False)],
    "batch norm of a vector": lambda k: [k.Flatten(), k.Dense(6), k.BatchNormalization()],
    "relu with all": lambda k: [k.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2)],
    "relu6": lambda k: [k.ReLU(max_value=6.0)],
    "leaky relu": lambda k: [k.LeakyReLU()],
    "leaky relu 0.1": lambda k: [k.LeakyReLU(negative_slope=0.1)],
    "elu": lambda k: [k.ELU(alpha=0.7)],
    "softmax": lambda k: [k.Softmax()],
    "prelu": lambda k: [k.PReLU()],
    "prelu shared": lambda k: [k.PReLU(shared_axes=[1, 2])],
    "padding": lambda k: [k.ZeroPadding2D(((1, 2), (0, 3)))],
    "padding 1": lambda k: [k.ZeroPadding2D()],
    "padding pair": lambda k: [k.ZeroPadding2D((2, 1))],
    "cropping": lambda k: [k.Cropping2D(((1, 2), (0, 3)))],
    "cropping 2": lambda k: [k.Cropping2D(2)],
    "upsampling": lambda k: [k.UpSampling2D((2, 3))],
    "upsampling smooth": lambda k: [k.UpSampling2D(2, interpolation="bilinear")],
    "dropouts": lambda k: [
        k.Dropout(0.5),
        k.SpatialDropout2D(0.5),
        k.GaussianNoise(1.0),
        k.GaussianDropout(0.5),
        k.AlphaDropout(0.5),
        k.ActivityRegularization(0.1),
    ],
    "rescaling": lambda k: [k.Rescaling(1 / 127.5, offset=-1)],
    "augmentation": lambda k: [
        k.RandomFlip(),
        k.RandomRotation(0.2),
        k.RandomZoom(0.2),
        k.RandomContrast(0.2),
        k.RandomTranslation(0.1, 0.1),
        k.RandomCrop(HEIGHT, WIDTH),
    ],
    "resizing": lambda k: [k.Resizing(7, 13)],
    "resizing to the nearest": lambda k: [k.Resizing(17, 6, interpolation="nearest")],
    "resizing the centre": lambda k: [k.Resizing(8, 8, crop_to_aspect_ratio=True)],
    "resizing smoothly": lambda k: [k.Resizing(5, 4, antialias=True)],
    "centre crop": lambda k: [k.CenterCrop(6, 4), k.CenterCrop(3, 3)],
    "centre crop of too little": lambda k: [k.CenterCrop(14, 6)],
    "transposed": lambda k: [k.Conv2DTranspose(5, 3, activation="relu", use_bias=False)],
    "transposed same": lambda k: [k.Conv2DTranspose(3, 3, strides=2, padding="same")],
    "transposed larger": lambda k: [k.Conv2DTranspose(3, (4, 5), strides=(2, 3), padding="same")],
    "transposed apart": lambda k: [k.Conv2DTranspose(3, 2, strides=3), k.ReLU()],
    "transposed with more": lambda k: [
        k.Conv2DTranspose(3, 5, strides=3, padding="same", output_padding=1),
        k.Conv2DTranspose(2, 3, strides=2, output_padding=(1, 0)),
    ],
    "transposed dilated": lambda k: [k.Conv2DTranspose(3, 3, dilation_rate=2, padding="same")],
}
ONLY_LAST: dict[str, Callable[[Any], list[Any]]] = {
    "dense on a picture": lambda k: [k.Dense(7, activation="sigmoid"), k.Dense(2, use_bias=False)],
    "reshape": lambda k: [k.Reshape((WIDTH, -1, CHANNELS)), k.Conv2D(3, 2)],
    "reshape to steps": lambda k: [k.Reshape((-1, CHANNELS)), k.GlobalMaxPooling1D()],
    "reshape to a vector": lambda k: [k.Reshape((-1,)), k.Dense(3)],
    "steps": lambda k: [
        k.Reshape((-1, CHANNELS)),
        k.Dense(3, activation="softmax"),
        k.GlobalAveragePooling1D(),
    ],
    "permute": lambda k: [k.Permute((3, 1, 2)), k.Conv2D(3, 2)],
    "permute steps": lambda k: [k.Reshape((-1, CHANNELS)), k.Permute((2, 1)), k.Flatten()],
    "normalization": lambda k: [k.Normalization()],
    "normalization of all": lambda k: [k.Normalization(axis=(1, 2, 3))],
    "normalization of one": lambda k: [k.Normalization(axis=None)],
    "normalization given": lambda k: [
        k.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])
    ],
    "normalization inverse": lambda k: [k.Normalization(mean=0.5, variance=4.0, invert=True)],
    "rescaling by channel": lambda k: [k.Rescaling([0.1, 0.2, 0.3, 0.4], offset=[1, 2, 3, 4])],
    "softmax over rows": lambda k: [k.Softmax(axis=1)],
    "convolution with softmax": lambda k: [k.Conv2D(3, 2, activation="softmax")],
    "group norm": lambda k: [k.Conv2D(8, 1), k.GroupNormalization(4, epsilon=0.01)],
    "instance norm": lambda k: [k.GroupNormalization(-1, center=False)],
    "layer norm": lambda k: [k.LayerNormalization(), k.LayerNormalization(scale=False)],
    "layer norm of all": lambda k: [k.LayerNormalization(axis=[1, 2, 3])],
    "layer norm of steps": lambda k: [k.Reshape((-1, CHANNELS)), k.LayerNormalization()],
    "layer norm of a vector": lambda k: [k.Flatten(), k.LayerNormalization(center=False)],
    "unit norm": lambda k: [k.UnitNormalization(), k.UnitNormalization(axis=[1, 2])],
    "cropping of steps": lambda k: [k.Reshape((-1, CHANNELS)), k.Cropping1D((2, 3))],
    "layer as activation": lambda k: [k.Conv2D(3, 2, activation=k.LeakyReLU(negative_slope=0.2))],
}
# Keras has a function `erf`, but no activation of this name.
ACTIVATIONS = [*sorted(FUNCTIONS.keys() - {"erf"}), "swish", "hard_swish"]


@pytest.mark.parametrize("name", LAYERS | ONLY_LAST)
def test_layers(name: str, tmp_path: Path) -> None:
    from keras import layers

    check(stack(*(LAYERS | ONLY_LAST)[name](layers)), tmp_path)


def test_average_pool_with_uneven_padding_is_tensorflows(tmp_path: Path) -> None:
    # Keras' torch backend repeats the last pixels here; TensorFlow counts only real ones.
    from keras import layers

    model = stack(layers.AveragePooling2D(4, 3, padding="same"), shape=(7, 8, 1))
    model.save(tmp_path / "model.h5")
    image = np.random.default_rng(0).normal(size=(7, 8)).astype(np.float32)
    rows, columns = [(0, 3), (2, 6), (5, 7)], [(0, 3), (2, 6), (5, 8)]
    expected = [image[a:b, c:d].mean() for a, b in rows for c, d in columns]
    found = build(read(tmp_path / "model.h5"))(torch.from_numpy(image[None, None])).numpy()
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, tmp_path: Path) -> None:
    from keras import layers

    check(stack(layers.Conv2D(3, 1, activation=name), layers.Activation(name)), tmp_path)
    check(stack(layers.Dense(3, activation=name), shape=(5,)), tmp_path)


def _steps(image: Any) -> Any:
    from keras import layers

    return layers.Reshape((-1, CHANNELS))(image)


def _attention(image: Any, **options: Any) -> Any:
    from keras import layers

    steps, other = _steps(image), layers.Dense(6)(_steps(image))
    value = layers.MultiHeadAttention(2, 3, **options)(steps, value=other, key=other)
    return layers.MultiHeadAttention(4, 2)(value, value)


# Operators and functions of `keras.ops` on values, as files have them.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "x / 127.5 - 1": lambda x, _: x / 127.5 - 1,
    "1 - 2 x": lambda x, _: 1 - x * 2.0,
    "minus": lambda x, _: -x,
    "by channel": lambda x, _: (x - _numbers(4)) / (1 + _numbers(4)),
    "by pixel": lambda x, _: x + _numbers(HEIGHT, WIDTH, CHANNELS),
    "positions": lambda x, _: _steps(x) + _numbers(1, HEIGHT * WIDTH, CHANNELS),
    "values": lambda x, o: o.maximum(x * x + x - x * 3.0, x),
    "mean": lambda x, o: o.mean(x, axis=(1, 2)),
    "mean of steps": lambda x, o: o.mean(_steps(x), axis=1, keepdims=True),
    "largest": lambda x, o: o.max(x, axis=(1, 2), keepdims=True),
    "rectangle": lambda x, _: x[:, 2:7, :, 1:3],
    "first step": lambda x, _: _steps(x)[:, 0],
    "last steps": lambda x, _: _steps(x)[:, -3:],
    "channels in another order": lambda x, o: o.stack([x[..., 2], x[..., 0]], axis=-1),
    "shapes": lambda x, o: o.transpose(o.reshape(x, (-1, WIDTH, HEIGHT, CHANNELS)), (0, 3, 1, 2)),
    "axes of one": lambda x, o: o.squeeze(o.expand_dims(o.mean(x, axis=(1, 2)), 1), 1),
    "joined": lambda x, o: o.concatenate([x, x], axis=-1),
    "resized": lambda x, o: o.image.resize(x, (4, 6)),
    "functions": lambda x, o: o.silu(o.hard_sigmoid(o.leaky_relu(o.gelu(x, approximate=False)))),
    "more functions": lambda x, o: o.softmax(o.elu(o.relu6(o.tanh(x))) + o.log_softmax(x)),
    "attention": lambda x, _: _attention(x),
    "attention without bias": lambda x, _: _attention(x, value_dim=5, use_bias=False),
}


def _numbers(*shape: int) -> Array:
    return np.random.default_rng(3).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_on_values(name: str, tmp_path: Path) -> None:
    import keras

    image = keras.Input((HEIGHT, WIDTH, CHANNELS))
    check(network(image, OPERATIONS[name](image, keras.ops)), tmp_path)


def test_training_asked_for_in_a_call_is_inference_in_keras_3(tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((HEIGHT, WIDTH, CHANNELS))
    value = layers.RandomZoom(0.2)(layers.RandomFlip()(image))
    value = layers.BatchNormalization()(value, training=True)
    check(network(image, layers.Dropout(0.5)(value, training=True)), tmp_path)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_preprocessing_of_keras_applications(mode: str, tmp_path: Path) -> None:
    import keras

    image = keras.Input((HEIGHT, WIDTH, 3))
    value = keras.applications.imagenet_utils.preprocess_input(image, mode=mode)
    check(network(image, keras.layers.Rescaling(0.01)(value)), tmp_path)


def test_layers_that_keras_applications_bring_along(tmp_path: Path) -> None:
    import keras
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    image = keras.Input((HEIGHT, WIDTH, CHANNELS))
    value = StochasticDepth(0.2)(LayerScale(1e-6, CHANNELS)(image))
    check(network(image, CustomScaleLayer(scale=0.17)([image, value])), tmp_path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_changed_numbers_are_written_back_where_they_came_from(suffix: str, tmp_path: Path) -> None:
    import keras
    from keras import layers
    from keras.src.applications.convnext import LayerScale

    image = keras.Input((HEIGHT, WIDTH, CHANNELS))
    value = LayerScale(1e-6, CHANNELS)(image / 2.0)
    value = layers.Conv2DTranspose(CHANNELS, 3, padding="same")(value)
    value = layers.LayerNormalization()(layers.GroupNormalization(2)(value))
    model = network(image, _attention(value))
    randomize(model)
    model.save(tmp_path / f"model{suffix}")
    spec, random = read(tmp_path / f"model{suffix}"), np.random.default_rng(5)
    changed = {
        key: random.normal(size=array.shape).astype(np.float32)
        for key, array in spec.arrays.items()
    }
    path = tmp_path / f"copy{suffix}"
    save_spec(spec.with_arrays(changed), path)
    images = random.normal(size=(3, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    if suffix == ".keras":
        again = keras.models.load_model(path, custom_objects={"LayerScale": LayerScale})
    else:  # Keras does not load operators from such a file, only its weights
        again = model
        again.load_weights(path)
    found = build(read(path))(to_torch(images, "channels_last")).numpy()
    np.testing.assert_allclose(found, again.predict(images, verbose=0), rtol=1e-3, atol=1e-3)


def test_a_network_of_keras_applications(tmp_path: Path) -> None:
    import keras

    model = keras.applications.MobileNetV3Small(
        weights=None, input_shape=(32, 32, 3), alpha=0.25, minimalistic=True, classes=4
    )
    check(model, tmp_path)


@pytest.fixture
def channels_first() -> Any:
    import keras

    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.usefixtures("channels_first")
@pytest.mark.parametrize("name", [name for name in LAYERS if "batch norm" not in name])
def test_layers_with_channels_first(name: str, tmp_path: Path) -> None:
    from keras import layers

    model = stack(
        layers.Conv2D(CHANNELS, 1),
        *LAYERS[name](layers),
        shape=(CHANNELS, HEIGHT, WIDTH),
    )
    check(model, tmp_path, order="channels_first")


@pytest.mark.usefixtures("channels_first")
def test_network_with_channels_first(tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((3, HEIGHT, WIDTH))
    value = layers.Conv2D(4, 3, padding="same", strides=2)(image)
    value = layers.BatchNormalization(axis=1)(value)
    other = layers.SeparableConv2D(4, 2, padding="same", activation="relu")(value)
    value = layers.Concatenate(axis=1)([value, other])
    value = layers.Reshape((4, -1, 5))(layers.PReLU(shared_axes=[2, 3])(value))
    value = layers.Flatten(data_format="channels_last")(value)
    check(keras.Model(image, layers.Dense(3)(value)), tmp_path, order="channels_first")


@pytest.mark.parametrize("merge", ["Add", "Multiply", "Average", "Maximum", "Minimum"])
def test_merges(merge: str, tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((HEIGHT, WIDTH, 3))
    branches = [layers.Conv2D(4, size, padding="same")(image) for size in (1, 2, 3)]
    narrow = layers.GlobalAveragePooling2D(keepdims=True)(branches[0])
    merged = getattr(layers, merge)()([*branches, narrow])
    check(network(image, merged), tmp_path)


def test_network_with_branches(tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((HEIGHT, WIDTH, 3))
    relu = layers.ReLU()
    stem = relu(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(image)))
    left = relu(layers.Conv2D(6, 3, padding="same")(stem))
    right = layers.Concatenate()([left, layers.Subtract()([stem, left])])
    tall = layers.Concatenate(axis=1)([right, right])
    flat = layers.Flatten()(layers.MaxPooling2D(3)(tall))
    output = layers.Dense(7, activation="softmax")(flat)
    check(keras.Model(image, output), tmp_path)


def _block(name: str, *, trainable: bool = True) -> Any:
    import keras
    from keras import layers

    value = keras.Input((HEIGHT, WIDTH, 4))
    inner = layers.Conv2D(4, 3, padding="same", name="conv")(value)
    inner = layers.BatchNormalization(name="norm")(inner)
    inner = layers.Conv2D(4, 3, padding="same", name="conv_b")(layers.ReLU(name="act")(inner))
    block = keras.Model(value, layers.Add(name="sum")([value, inner]), name=name)
    block.trainable = trainable
    return block


@pytest.mark.parametrize("frozen", [False, True])
def test_models_inside_models(frozen: bool, tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((HEIGHT, WIDTH, 3))
    stem = keras.Sequential(
        [layers.Conv2D(4, 1, name="conv"), layers.BatchNormalization(name="norm")], name="stem"
    )
    value = _block("second")(_block("first", trainable=not frozen)(stem(image)))
    head = keras.Sequential(
        [keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(5)]), layers.Softmax()]
    )
    model = keras.Model(image, head(value))
    check(model, tmp_path)
    names = {layer.name for layer in read(tmp_path / "model.h5").layers}
    assert {"stem/conv", "first/conv", "second/sum", "first/norm"} <= names
    assert not any(name.startswith(("sequential", "functional")) for name in names)


def test_model_as_first_layer_of_a_sequential(tmp_path: Path) -> None:
    import keras
    from keras import layers

    block = _block("body")
    model = keras.Sequential([block, layers.Flatten(), layers.Dense(2)])
    model.build((None, HEIGHT, WIDTH, 4))
    check(model, tmp_path)


def test_frozen_layers_of_one_kind(tmp_path: Path) -> None:
    from keras import layers

    several = [layers.BatchNormalization(name=name) for name in "abc"]
    several[1].trainable = False
    check(stack(*several), tmp_path)


@pytest.mark.parametrize("dtype", ["float16", "float64", "mixed_float16"])
def test_other_types_of_numbers(dtype: str, tmp_path: Path) -> None:
    from keras import layers

    model = stack(layers.Conv2D(3, 2, dtype=dtype), layers.Flatten(dtype=dtype))
    randomize(model)
    model.save(tmp_path / "model.h5")
    spec = read(tmp_path / "model.h5")
    kernel = np.asarray(model.layers[0].kernel.value.detach().float())
    np.testing.assert_array_equal(
        spec.arrays[f"{model.layers[0].name}/weight"], kernel.transpose(3, 2, 0, 1)
    )
    converted = dtype != "mixed_float16"
    assert (f"{dtype} weights converted to float32" in spec.source.notes) == converted  # type: ignore[union-attr]


@pytest.mark.parametrize("weights", ["model.weights.h5", "model.h5"])
@pytest.mark.parametrize("architecture", ["json", ".h5", ".keras"])
def test_weights_alone(weights: str, architecture: str, tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((HEIGHT, WIDTH, 3))
    value = layers.Flatten()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(3)(layers.Dense(3)(value)))
    other = keras.models.clone_model(model)
    randomize(model, seed=1)
    randomize(other, seed=2)
    given = tmp_path / f"other{architecture.removeprefix('json')}"
    if architecture == "json":
        given.write_text(other.to_json())
    else:
        other.save(given)
    path = tmp_path / weights
    model.save_weights(path) if "weights" in weights else save_weights_as_old_keras(model, path)
    opened = build(read(path, architecture=given))
    images = np.random.default_rng(0).normal(size=(2, HEIGHT, WIDTH, 3)).astype(np.float32)
    found = opened(to_torch(images, "channels_last")).numpy()
    np.testing.assert_allclose(found, model.predict(images, verbose=0), rtol=1e-4, atol=1e-5)


def save_weights_as_old_keras(model: Any, path: Path) -> None:
    """As `model.save_weights("x.h5")` of Keras 2."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize(
    ("name", "data", "scale", "right"),
    [
        ("lab3", "cl/faces.h5", 1, 59),
        ("sunglasses", "cl/faces.h5", 255, 56),
        ("multi_trigger_multi_target", "cl/faces.h5", 255, 53),
    ],
)
def test_real_networks(shared: Path, name: str, data: str, scale: int, right: int) -> None:
    import keras

    path = shared / "csaw" / "models" / f"{name}_bd_net.h5"
    with h5py.File(shared / "csaw" / data) as file:
        images = file["data"][:].astype(np.float32) / scale
        labels = file["label"][:]
    found = build(read(path))(torch.from_numpy(images)).numpy()
    oracle = keras.models.load_model(path, compile=False)
    expected = oracle.predict(np.moveaxis(images, 1, -1), verbose=0)
    assert int((found.argmax(axis=1) == labels).sum()) == right
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
