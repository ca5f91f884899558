"""Model files whose configuration is broken or made to do harm: each is refused in one sentence."""

from __future__ import annotations

import contextlib
import json
import resource
import zipfile
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hostile_keras import image, refused
from keras_samples import (
    conv,
    dense,
    functional,
    layer,
    sequential,
    small_layers,
    small_model,
    write_keras,
    write_small,
)

from goodnet.errors import GoodnetError, InvalidInput, OverBudget
from goodnet.formats.keras.architecture import read_architecture

if TYPE_CHECKING:
    from pathlib import Path


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "error", "match"),
        [
            ("[1]", InvalidInput, "expected an object in the model configuration"),
            ("nothing", InvalidInput, "the model configuration is not JSON"),
            (b"\xff\xfe", InvalidInput, "not text in UTF-8"),
            ('{"a": 1, "a": 2}', InvalidInput, "the key 'a' appears twice"),
            ('{"a": NaN}', InvalidInput, "NaN is not a number JSON knows"),
            ('{"a": "\\ud800"}', InvalidInput, "half a character"),
            ('{"a":' * 100_000 + "1" + "}" * 100_000, OverBudget, "nested at most 64 levels"),
            ("{}", InvalidInput, "expected a Functional or Sequential model, got a None"),
        ],
    )
    def test_text(
        self, text: str | bytes, error: type[GoodnetError], match: str, tmp_path: Path
    ) -> None:
        refused(write_small(tmp_path / "model.h5", text), error, match)

    def test_100_megabytes(self, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5", " " * (100 * 2**20))
        refused(path, OverBudget, r"attribute 'model_config' may take at most 8\.0 MiB")
        data = b" " * (17 * 2**20)
        path = write_keras(tmp_path / "model.keras", data, {}, compression=zipfile.ZIP_DEFLATED)
        refused(path, OverBudget, "'config.json' in the zip archive may take at most 8.0 MiB")

    def test_huge_sizes_allocate_nothing(self, tmp_path: Path) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for index, (item, error, match) in enumerate(
            [
                (dense(units=2**40), InvalidInput, "expected units to be a whole number"),
                (conv(filters=2**30, kernel_size=1), OverBudget, "value of layer 'conv' may hold"),
                (conv(strides=0), InvalidInput, "expected strides"),
                (conv(kernel_size=[-1, 1]), InvalidInput, "expected kernel_size"),
            ]
        ):
            model = functional([image(), item])
            refused(write_small(tmp_path / f"{index}.h5", model), error, match)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024

    def test_too_many_layers(self, tmp_path: Path) -> None:
        many = [layer("ReLU", f"r{index}") for index in range(20_001)]
        path = write_small(tmp_path / "model.h5", sequential([image(), *many]))
        refused(path, OverBudget, "a model may have at most 20000 layers")

    def test_cycle(self, tmp_path: Path) -> None:
        model = small_model()
        model["config"]["layers"][1]["inbound_nodes"] = [[["drop", 0, 0, {}]]]
        refused(write_small(tmp_path / "m.h5", model), InvalidInput, "own value in a cycle")

    def test_unknown_layer_lists_what_is_read(self, tmp_path: Path) -> None:
        model = functional([*small_layers(), layer("LSTM", "memory", units=3)])
        refused(
            write_small(tmp_path / "m.h5", model),
            InvalidInput,
            "'memory' is a LSTM, which is not read; the layers that are read: .* ZeroPadding2D",
        )

    def test_strange_values_anywhere_never_crash(self) -> None:
        """Replace every single value of the configuration by some of another kind."""
        text = json.dumps(small_model())
        places = list(_places(json.loads(text), ()))
        assert len(places) > 100
        values: list[Any] = [None, -1, 1.5, "x", [], {}, [[]], {"class_name": []}]
        for place, value in product(places, values):
            model = json.loads(text)
            target = model
            for key in place[:-1]:
                target = target[key]
            target[place[-1]] = value
            with contextlib.suppress(GoodnetError):
                read_architecture(model, keras_major=2)


def _places(value: Any, path: tuple[Any, ...]) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in items if isinstance(value, dict | list) else ():
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from _places(child, (*path, key))
