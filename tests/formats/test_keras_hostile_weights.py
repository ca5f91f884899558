"""Model files whose weights are broken or made to do harm: each is refused in one sentence."""

from __future__ import annotations

import resource
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hostile_keras import refused
from keras_samples import (
    dense,
    functional,
    layer,
    legacy_groups,
    native_arrays,
    sequential,
    small_arrays,
    small_layers,
    small_model,
    write_keras,
    write_legacy,
    write_small,
)

from goodnet.errors import InvalidInput, OverBudget
from goodnet.formats import read_spec
from goodnet.formats.keras import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def replace_weight(path: Path, name: str, **options: Any) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, **options)


KERNEL = "model_weights/conv/conv/kernel:0"


class TestWeights:
    @pytest.mark.parametrize("shape", [(800 * 2**20,), (2**50,), (2**25, 3, 3, 4)])
    def test_shape_bomb(self, shape: tuple[int, ...], tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        chunks = (2**16, *shape[1:])
        replace_weight(path, KERNEL, shape=shape, dtype="f4", chunks=chunks, compression="gzip")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(path, InvalidInput, r"conv/kernel is \(.*\), expected \(3, 3, 3, 4\)")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024

    def test_shape_bomb_that_the_architecture_agrees_with(self, tmp_path: Path) -> None:
        model = functional(
            [
                layer("InputLayer", "image", batch_input_shape=[None, 2**14]),
                dense(units=2**14, use_bias=False),
            ]
        )
        path = tmp_path / "model.h5"
        write_legacy(path, model, {"answer": [("answer/kernel:0", np.zeros(1, np.float32))]})
        name = "model_weights/answer/answer/kernel:0"
        options = {"dtype": "f4", "chunks": (64, 2**14), "compression": "gzip"}
        replace_weight(path, name, shape=(2**14, 2**14), **options)
        refused(path, OverBudget, r"declares 1\.0 GiB but stores only 0 bytes")

    def test_filter_bomb(self, tmp_path: Path) -> None:
        model = functional(
            [
                layer("InputLayer", "image", batch_input_shape=[None, 2**14]),
                dense(units=2**13, use_bias=False),
            ]
        )
        path = tmp_path / "model.h5"
        write_legacy(path, model, {"answer": [("answer/kernel:0", np.zeros(1, np.float32))]})
        name = "model_weights/answer/answer/kernel:0"
        options = {"dtype": "f4", "chunks": (32, 2**13), "compression": "gzip"}
        replace_weight(path, name, shape=(2**14, 2**13), **options)
        packed = zlib.compress(bytes(2**20), 9)
        with h5py.File(path, "r+") as file:
            for row in range(0, 2**14 // 2, 32):
                file[name].id.write_direct_chunk((row, 0), packed)
        refused(path, OverBudget, r"declares 512\.0 MiB but stores only")

    @pytest.mark.parametrize(
        ("dtype", "match"),
        [
            ("i1", "expected floating-point weights in .*, got int8"),
            ("i8", "expected floating-point weights in .*, got int64"),
            (np.dtype([("a", "f4")]), "expected plain integers or floats"),
            (h5py.string_dtype(), "expected plain integers or floats"),
            (h5py.vlen_dtype(np.dtype("f4")), "expected plain integers or floats"),
            (h5py.enum_dtype({"A": 1}), "expected plain integers or floats"),
            (np.dtype("V2"), "expected plain integers or floats"),
            (h5py.ref_dtype, "expected plain integers or floats"),
        ],
        ids=str,
    )
    def test_other_types(self, dtype: Any, match: str, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        replace_weight(path, "model_weights/conv/conv/bias:0", shape=(4,), dtype=dtype)
        with h5py.File(path, "r+") as file:
            if dtype in ("i1", "i8"):
                file["model_weights/conv/conv/bias:0"][:] = 1
        refused(path, InvalidInput, match)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("every", [True, False])
    def test_not_finite(self, value: float, every: bool, tmp_path: Path) -> None:
        arrays = small_arrays()
        arrays["conv/kernel"][... if every else (1, 1, 1, 1)] = value
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        count = 108 if every else 1
        refused(path, InvalidInput, f"{count} of the 108 numbers in the weight '{KERNEL}' are NaN")

    def test_too_large_for_float32(self, tmp_path: Path) -> None:
        arrays = {key: array.astype(np.float64) for key, array in small_arrays().items()}
        arrays["answer/bias"][2] = 1e300
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        refused(path, InvalidInput, "1 of the 5 numbers in the weight .* are NaN or infinite in fl")

    def test_largest_and_smallest_numbers_are_fine(self, tmp_path: Path) -> None:
        arrays = small_arrays()
        arrays["answer/bias"][:2] = 1e38, 1e-45
        path = write_legacy(tmp_path / "model.h5", small_model(), legacy_groups(arrays))
        np.testing.assert_array_equal(read(path).arrays["answer/bias"], arrays["answer/bias"])

    def test_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        groups = legacy_groups(small_arrays())
        cases: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
            ("one weight", lambda g: g["conv"].pop(), "conv/bias is missing"),
            ("one layer", lambda g: g.pop("norm"), "norm/gamma is missing; norm/beta is missing; "),
            ("extra weight", lambda g: g["conv"].append(("conv/more:0", np.zeros(2))),
             "model_weights/conv/conv/more:0 is left over"),
            ("extra layer", lambda g: g.update(more=[("more/kernel:0", np.zeros(2))]),
             "model_weights/more/more/kernel:0 is left over"),
            ("transposed", lambda g: g.update(answer=[("answer/kernel:0", np.zeros((5, 36))),
             ("answer/bias:0", np.zeros(5))]), r"answer/kernel is \(5, 36\), expected \(36, 5\)"),
        ]  # fmt: skip
        for name, change, match in cases:
            changed = {key: list(weights) for key, weights in groups.items()}
            change(changed)
            path = write_legacy(tmp_path / f"{name}.h5", small_model(), changed)
            refused(path, InvalidInput, f"the weights do not fit the architecture: .*{match}")

    def test_only_the_first_five_are_listed(self, tmp_path: Path) -> None:
        path = write_legacy(tmp_path / "model.h5", small_model(), {})
        refused(path, InvalidInput, "norm/moving_mean is missing and 3 more$")

    def test_native_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        def without(name: str) -> dict[str, Any]:
            return {key: array for key, array in native_arrays().items() if key != name}

        cases = [
            (without("layers/conv2d/vars/1"), "conv/bias is missing"),
            ({}, "conv/kernel is missing; conv/bias is missing; norm/gamma"),
            ({**native_arrays(), "layers/conv2d/vars/2": np.zeros(3)}, "vars/2 is left over"),
            ({**native_arrays(), "layers/conv2d_1/vars/0": np.zeros(3)}, "conv2d_1/vars/0 is left"),
            ({**native_arrays(), "layers/conv2d/vars/0": np.zeros((4, 3, 3, 3))},
             r"conv/kernel is \(4, 3, 3, 3\), expected \(3, 3, 3, 4\)"),
            ({**without("layers/dense/vars/0"), "layers/dense/vars/0/x": np.zeros(3)},
             "answer/kernel is missing"),
        ]  # fmt: skip
        for index, (arrays, match) in enumerate(cases):
            path = write_keras(tmp_path / f"{index}.keras", small_model(), arrays)
            refused(path, InvalidInput, f"the weights do not fit the architecture: .*{match}")

    def test_index_that_names_what_is_not_there(self, tmp_path: Path) -> None:
        for name, kind in (("norm", "group"), ("conv/conv/bias:0", "weight")):
            path = write_small(tmp_path / "model.h5")
            with h5py.File(path, "r+") as file:
                del file["model_weights"][name]
            words = {
                "group": "expected a group 'norm'",
                "weight": "lists the weight .* but does not",
            }
            refused(path, InvalidInput, words[kind])

    @pytest.mark.parametrize("name", ["model_weights", "model_weights/conv"])
    def test_numbers_where_a_group_should_be(self, name: str, tmp_path: Path) -> None:
        path = write_small(tmp_path / "model.h5")
        replace_weight(path, name, data=np.zeros(3))
        refused(path, InvalidInput, "expected a group .* with weights in the file, got none")


class TestVariance:
    """Numbers that are finite themselves, and make every answer NaN."""

    @pytest.mark.parametrize(
        ("variance", "message"),
        [
            ([0.2, -1, 3, -0.5], "2 of its 4 variances are zero or negative even with epsilon"),
            ([0.2, -1e-9, 0, -1e-4], None),
        ],
    )
    def test_of_batch_normalization(
        self, variance: list[float], message: str | None, tmp_path: Path
    ) -> None:
        path = write_small(tmp_path / "model.h5")
        with h5py.File(path, "r+") as file:
            file["model_weights/norm/norm/moving_variance:0"][...] = variance
        if message is None:
            assert read_spec(path).arrays["norm/variance"].shape == (4,)
            return
        with pytest.raises(InvalidInput, match=rf"layer 'norm': {message}"):
            read_spec(path)

    @pytest.mark.parametrize("epsilon", [1e39, 1e308])
    def test_an_epsilon_beyond_single_precision_is_no_warning(
        self, epsilon: float, tmp_path: Path
    ) -> None:
        layers = small_layers()
        layers[2]["config"]["epsilon"] = epsilon
        path = write_small(tmp_path / "model.h5", sequential(layers))
        assert read_spec(path)["norm"].attributes == {"epsilon": epsilon}

    @pytest.mark.parametrize(
        ("kind", "config", "message"),
        [
            ("Normalization", {"mean": 0.5, "variance": -2.0}, "1 of its 1 variances are negative"),
            ("LayerNormalization", {"epsilon": -1.0, "scale": False, "center": False}, "epsilon"),
        ],
    )
    def test_in_the_configuration(
        self, kind: str, config: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        layers = [
            layer("InputLayer", "image", batch_input_shape=[None, 2]),
            layer(kind, "odd", axis=None if kind == "Normalization" else -1, **config),
            dense(units=2, use_bias=False),
        ]
        arrays = {"answer/kernel": np.ones((2, 2), np.float32)}
        path = write_legacy(tmp_path / "model.h5", functional(layers), legacy_groups(arrays))
        with pytest.raises(InvalidInput, match=rf"layer 'odd': .*{message}"):
            read_spec(path)
