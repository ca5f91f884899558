from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Residual, deepid_spec, plain_spec
from torch import Tensor, nn

import goodnet as gn
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import load_network
from goodnet.formats.build import build, extract
from goodnet.formats.keras import write
from goodnet.network import Network
from goodnet.preprocessing import IDENTITY, PRESETS, Preprocessing
from goodnet.training import Examples, Schedule, fit

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CAFFE = Preprocessing(255, mean=(104, 117, 123), order="BGR")


def images(count: int = 4, channels: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, 8, 8, generator=random)


def by_hand(preprocessing: Preprocessing, given: Tensor) -> Tensor:
    """In float64, channel by channel."""
    order = [2, 1, 0] if preprocessing.order == "BGR" else list(range(given.shape[1]))
    values = given[:, order].double() * float(preprocessing.factor)
    for channel in range(given.shape[1]):
        mean, std = (
            each[channel] if isinstance(each, tuple) else each
            for each in (preprocessing.mean, preprocessing.std)
        )
        values[:, channel] = (values[:, channel] - mean) / std
    return values


ALL = {
    "none": IDENTITY,
    "bytes": Preprocessing(255),
    "fraction": Preprocessing(Fraction(2, 3), std=3),
    "both sides": Preprocessing(2, mean=1),
    "imagenet": IMAGENET,
    "caffe": CAFFE,
}


@pytest.mark.parametrize("name", ALL)
def test_it_is_what_it_says(name: str) -> None:
    given = images()
    found = ALL[name](given)
    torch.testing.assert_close(found.double(), by_hand(ALL[name], given), rtol=1e-6, atol=1e-5)
    assert found.dtype == torch.float32


def test_nothing_is_done_by_default_and_bytes_come_back_to_the_last_bit() -> None:
    given = images()
    assert IDENTITY(given) is given
    assert Preprocessing() == IDENTITY == Preprocessing(1.0, mean=0.0)
    bytes_ = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16)
    assert torch.equal(Preprocessing(255)(bytes_ / 255), bytes_)


@pytest.mark.parametrize(
    ("name", "ends"),
    [("none", (0, 1)), ("bytes", (0, 255)), ("both sides", (-1, 1)), ("caffe", (-123, 151))],
)
def test_what_black_and_white_become_is_known(name: str, ends: tuple[float, float]) -> None:
    assert ALL[name].ends == ends


@pytest.mark.parametrize("name", ALL)
def test_a_network_answers_to_images_as_without_it_to_what_it_makes_of_them(name: str) -> None:
    plain, given = build(deepid_spec()), images()
    network = plain.with_preprocessing(ALL[name])
    assert network.preprocessing == network.copy().preprocessing == ALL[name]
    assert torch.equal(network(given), plain(ALL[name](given)))
    assert (network.layers, network.batch_size) == (plain.layers, plain.batch_size)
    assert network.with_preprocessing(IDENTITY).outputs(given.numpy()).equal(plain(given))
    for layer in network.layers:
        assert network.shape(layer) == plain.shape(layer)
        if layer in ("conv_1", "pool_1", "add_1"):
            cut = network.cut(layer)
            torch.testing.assert_close(cut.tail(*cut.head(given)), network(given))


def test_gradients_pass_through_it() -> None:
    plain, given = build(plain_spec()), images().requires_grad_()
    network = plain.with_preprocessing(CAFFE)
    weight = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((network.graph(given) * weight).sum(), given)
    inner = CAFFE(given.detach()).requires_grad_()
    (slope,) = torch.autograd.grad((plain.graph(inner) * weight).sum(), inner)
    torch.testing.assert_close(found, 255 * slope.flip(1))


def test_the_features_of_a_linear_network_are_no_layer() -> None:
    module = nn.Linear(12, 3)
    network = gn.wrap(module, (12,), preprocessing=Preprocessing(255))
    assert (network.layers, network.features_layer) == (("linear",), None)
    assert network.last_linear == "linear"


def test_a_changed_network_keeps_it() -> None:
    network = build(plain_spec()).with_preprocessing(IMAGENET)
    silent = gn.silence_channels(network, "pool_2", [0, 3])
    assert silent.preprocessing == extract(silent).preprocessing == IMAGENET
    good = gn.GoodNet(network, silent)
    assert good.preprocessing == IMAGENET
    given = images(30)
    both = network.predict(given.numpy()), silent.predict(given.numpy())
    assert good.predict(given.numpy()).tolist() == np.where(both[0] == both[1], both[0], 5).tolist()


def test_two_networks_of_other_preprocessing_do_not_belong_together() -> None:
    network = build(plain_spec())
    with pytest.raises(InvalidInput, match=r"do not belong together: preprocessing .*255.* and"):
        gn.GoodNet(network.with_preprocessing(Preprocessing(255)), network)


def test_files_are_written_without_it(tmp_path: Path) -> None:
    """They take what the file it came from takes, and differ in nothing but what was changed."""
    write.write(plain_spec(), tmp_path / "net.h5")
    read = load_network(tmp_path / "net.h5")
    network, given = read.with_preprocessing(CAFFE), images()
    network.save(tmp_path / "same.h5")
    assert (tmp_path / "same.h5").read_bytes() == (tmp_path / "net.h5").read_bytes()
    repaired = gn.silence_channels(network, "pool_2", [1])
    repaired.save(tmp_path / "repaired.h5")
    gn.silence_channels(read, "pool_2", [1]).save(tmp_path / "plain.h5")
    assert (tmp_path / "repaired.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()
    good = gn.GoodNet(network, repaired)
    good.save(tmp_path / "good.keras")
    written = load_network(tmp_path / "good.keras")
    assert written.preprocessing == IDENTITY
    torch.testing.assert_close(written(CAFFE(given)), good(given))


def test_a_module_comes_back_without_it() -> None:
    torch.manual_seed(0)
    module = Residual().eval()
    network, given = gn.wrap(module, (3, 8, 8), preprocessing=CAFFE), images()
    with torch.inference_mode():
        wanted = module(CAFFE(given))
    torch.testing.assert_close(network(given), wanted, rtol=1e-4, atol=1e-4)
    own = network.module
    assert isinstance(own, Residual)
    assert all(torch.equal(x, module.state_dict()[key]) for key, x in own.state_dict().items())
    inside = build(plain_spec()).with_preprocessing(CAFFE)
    assert torch.equal(inside.module(CAFFE(given)), inside.graph(given))


def test_training_sees_images_through_it() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(5, size=100)
    pixels = random.integers(0, 256, (100, 3, 8, 8)).astype(np.uint8)
    schedule = Schedule(epochs=2, batch_size=20)
    spec = build(plain_spec()).with_preprocessing(Preprocessing(255)).spec
    raw = Examples(pixels.astype(np.float32), labels)
    found = fit(spec, Examples(pixels, labels), schedule=schedule)
    wanted = fit(plain_spec(), raw, schedule=schedule)
    for key, array in wanted.arrays.items():
        np.testing.assert_array_equal(found.arrays[key], array, err_msg=key)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"std": 0}, "expected the std of pixels to be above 0, got 0"),
    ({"std": (1, 0, 1)}, r"expected the std of pixels to be above 0, got \(1, 0, 1\)"),
    ({"factor": 0}, "expected the factor of pixels to be above 0, got 0"),
    ({"mean": float("nan")}, "expected finite numbers as the mean of pixels, .* got nan"),
    ({"mean": [1, 2, 3]}, r"as the mean of pixels, one or a tuple, got \[1, 2, 3\]"),
    ({"mean": ()}, r"as the mean of pixels, one or a tuple, got \(\)"),
    ({"order": "GBR"}, "expected the channels in the order RGB or BGR, got 'GBR'"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_none_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Preprocessing(**given)


@pytest.mark.parametrize(
    ("preprocessing", "channels", "message"),
    [
        (Preprocessing(mean=(1, 2)), 3, r"one mean, or one for each of 3 channels, got \(1, 2\)"),
        (Preprocessing(std=(1, 2, 3)), 1, "one std, or one for each of 1 channels"),
        (Preprocessing(order="BGR"), 1, "expected 3 channels to be taken in the order BGR, got 1"),
    ],
)
def test_it_is_for_a_number_of_channels(
    preprocessing: Preprocessing, channels: int, message: str
) -> None:
    module = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.Flatten(), nn.Linear(72, 4))
    network: Network = gn.wrap(module, (channels, 8, 8))
    with pytest.raises(InvalidInput, match=message):
        network.with_preprocessing(preprocessing)
    with pytest.raises(InvalidInput, match=message):
        gn.wrap(module, (channels, 8, 8), preprocessing=preprocessing)


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        ("x", Preprocessing(255), "x"),
        ("raw", Preprocessing(255), "x"),
        ("1/255", IDENTITY, "x/255"),
        ("x/127.5-1", Preprocessing(2, mean=1), "x/127.5-1"),
        ("x-128", Preprocessing(255, mean=128), "x,mean=128"),
        ("x*2+3", Preprocessing(510, mean=-3), "x*2,mean=-3"),
        ("imagenet", IMAGENET, "imagenet"),
        ("x/255,mean=0.485,0.456,0.406,std=0.229,0.224,0.225", IMAGENET, "imagenet"),
        ("caffe,order=RGB", PRESETS["caffe"].reversed, "caffe,order=RGB"),
        ("x,order=BGR,mean=104,117,123", CAFFE, "x,mean=104,117,123,order=BGR"),
    ],
)
def test_it_is_read_and_written_as_a_formula(text: str, wanted: Preprocessing, shown: str) -> None:
    found = Preprocessing.parse(text)
    assert found == wanted
    assert found.text == shown
    assert Preprocessing.parse(shown) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vgg", "--preprocess is one of x, x/255, .*caffe, or another formula .*; got 'vgg'"),
        ("", "--preprocess is one of"),
        ("x/0", "--preprocess is one of"),
        ("x/1e999999999", "--preprocess is one of"),
        ("1,2", "--preprocess 1,2: expected mean=, std= or order=, got '2'"),
        ("x,gamma=2", "expected mean=, std= or order=, got 'gamma'"),
        ("x,mean=a", "--preprocess x,mean=a: could not convert"),
        ("imagenet,std=0", "expected the std of pixels to be above 0"),
        ("x,order=GBR", "in the order RGB or BGR, got 'GBR'"),
    ],
)
def test_what_is_no_formula_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Preprocessing.parse(text)


def test_pixels_0_to_255_are_not_taken_for_0_to_1() -> None:
    message = r"expected images in \[0, 1\], got .* to 200; divide pixels 0\.\.255 by 255"
    with pytest.raises(InvalidInput, match=message):
        build(plain_spec()).predict(np.full((2, 3, 8, 8), 200, np.float32))


def test_a_network_of_28_by_28_takes_grey_pictures(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = nn.Linear(28 * 28, 6, bias=False), nn.ReLU(), nn.Linear(6, 4, bias=False)
    module = nn.Sequential(nn.Flatten(), *layers).eval()
    network = gn.wrap(module, (28, 28), preprocessing=Preprocessing(2, mean=1))
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (90, 28, 28)).astype(np.uint8)
    with torch.inference_mode():
        labels = module(torch.from_numpy(pixels).float() / 127.5 - 1).argmax(1).numpy()
    images = gn.images(pixels, labels)
    assert network.input_shape == images.shape == (1, 28, 28)
    assert gn.evaluate(network, images).clean == gn.evaluate(network.copy(), images).clean
    assert network.calibrated(images).preprocessing == Preprocessing(2, mean=1)
    assert (network.predict(images.sample(90).images) == labels).all()
    head = network.cut("0").head(torch.zeros(2, 1, 28, 28))
    assert head[0].shape == (2, 784)
    network.save(tmp_path / "grey.keras")
    assert gn.load(tmp_path / "grey.keras").spec.input_shape == (28, 28)
    silent = gn.silence_channels(network, "2", [1])
    assert silent.input_shape == gn.GoodNet(network, silent).input_shape == (1, 28, 28)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" X/127.5 - 1", "x/127.5-1"),
        ("tf", "x/127.5-1"),
        ("torch", "imagenet"),
        ("x/255, mean=[0.5, 0.4, 0.3], std=(0.2)", "x/255,mean=0.5,0.4,0.3,std=0.2"),
    ],
)
def test_it_is_read_as_people_write_it(text: str, same: str) -> None:
    assert Preprocessing.parse(text) == Preprocessing.parse(same)
