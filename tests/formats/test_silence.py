from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_samples import RELU, Draft, choices, masked, outputs, silenced

from goodnet.errors import InvalidInput
from goodnet.formats import read_spec
from goodnet.formats.silence import default_layer, prunable_layers, silence, silent_channels
from goodnet.formats.spec import Activation, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path


class TestSilence:
    @settings(max_examples=150)
    @given(choices())
    def test_the_arrays_do_what_a_mask_does(
        self, choice: tuple[NetworkSpec, str, list[int]]
    ) -> None:
        spec, layer, channels = choice
        expected = masked(spec, layer, channels)
        found = outputs(silenced(spec, layer, channels))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    @given(choices(), st.integers(0, 5))
    def test_any_order_and_any_split_end_the_same(
        self, choice: tuple[NetworkSpec, str, list[int]], cut: int
    ) -> None:
        spec, layer, channels = choice
        at_once = silenced(spec, layer, sorted(channels))
        in_two = silenced(silenced(spec, layer, channels[cut:]), layer, channels[:cut])
        for key, array in at_once.arrays.items():
            np.testing.assert_array_equal(in_two.arrays[key], array)

    def test_the_producing_convolution_is_changed_where_that_suffices(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv", activation=RELU)
        draft.add("max_pool2d", name="pool")
        draft.conv(4)
        draft.add("flatten")
        draft.add("flatten", inputs=("pool",), name="right")
        draft.add("concatenate", inputs=("flatten_4", "right"))
        spec = draft.ended()
        changed = silence(spec, "pool", [1])
        assert sorted(changed) == ["conv/bias", "conv/weight"]
        assert not changed["conv/weight"][1].any()
        np.testing.assert_array_equal(
            changed["conv/weight"][[0, 2]], spec.arrays["conv/weight"][[0, 2]]
        )

    def test_a_normalization_is_silenced_by_its_scale_and_shift(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3)
        draft.norm(name="norm")
        draft.activation("relu")
        draft.add("max_pool2d", name="pool")
        assert sorted(silence(draft.ended(), "pool", [0])) == ["norm/beta", "norm/gamma"]

    def test_without_a_scale_the_convolution_before_it_is_needed_too(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv", bias=False)
        draft.norm(name="norm", gamma=False)
        changed = silence(draft.ended(), "norm", [0])
        assert sorted(changed) == ["conv/weight", "norm/beta", "norm/mean"]

    def test_behind_a_skip_the_readers_are_changed(self) -> None:
        spec = residual()
        assert sorted(silence(spec, "pool", [1])) == ["fc/weight"]
        assert sorted(silence(spec, "sum", [1])) == ["fc/weight"]

    def test_a_concatenation_is_silenced_where_its_parts_are_made(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, source="image", name="left")
        draft.conv(3, source="image", name="right")
        draft.add("concatenate", inputs=("left", "right"), name="both")
        spec = draft.ended()
        assert sorted(silence(spec, "both", [0])) == ["left/bias", "left/weight"]
        changed = silence(spec, "both", [1, 4])
        assert not changed["left/weight"][1].any()
        assert not changed["right/weight"][2].any()
        assert changed["right/weight"][1].any()

    def test_the_way_is_the_same_for_all_channels_of_a_layer(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, name="shared")
        draft.conv(3, 1, name="own")
        draft.add("concatenate", inputs=("own", "shared"), name="both")
        draft.conv(2, 1, name="reader")
        spec = draft.ended()
        for channels in ([0], [4], [0, 4]):
            assert sorted(silence(spec, "both", channels)) == ["reader/weight"]

    def test_channels_that_become_rows_cannot_be_ignored(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, name="shared")
        draft.conv(2, 1, name="own")
        draft.add("add", inputs=("own", "shared"), name="sum")
        draft.add("permute", dims=(3, 1, 2), order="hwc", name="turned")
        spec = draft.ended()
        assert "sum" not in prunable_layers(spec)
        with pytest.raises(InvalidInput, match="'turned' spreads them over other channels"):
            silence(spec, "sum", [0, 1])

    def test_a_concatenation_along_the_picture_needs_all_its_parts(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, source="image", name="left")
        draft.conv(3, source="image", name="right")
        draft.add("concatenate", inputs=("left", "right"), axis=2, name="both")
        assert len(silence(draft.ended(), "both", [1])) == 4

    def test_features_of_a_dense_layer(self) -> None:
        draft = Draft(2, 8, 8)
        draft.add("flatten")
        draft.dense(5, name="fc", activation=RELU)
        spec = draft.ended()
        assert sorted(silence(spec, "fc", [2])) == ["fc/bias", "fc/weight"]
        np.testing.assert_allclose(
            outputs(silenced(spec, "fc", [2, 3])), masked(spec, "fc", [2, 3]), rtol=1e-6
        )

    def test_a_value_joined_to_itself_is_silenced_where_it_is_read(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, name="conv")
        draft.add("concatenate", inputs=("conv", "conv"), name="twice")
        draft.conv(3, name="next")
        spec = draft.ended()
        assert sorted(silence(spec, "twice", [3])) == ["next/weight"]
        np.testing.assert_allclose(
            outputs(silenced(spec, "twice", [3])), masked(spec, "twice", [3]), rtol=1e-6
        )

    def test_no_channels_change_nothing(self) -> None:
        assert silence(residual(), "pool", []) == {}

    def test_the_network_itself_stays(self) -> None:
        spec = residual()
        before = spec.arrays["fc/weight"].copy()
        silence(spec, "pool", [0])
        np.testing.assert_array_equal(spec.arrays["fc/weight"], before)

    @pytest.mark.parametrize("channel", [-1, 3])
    def test_a_channel_that_is_not_there(self, channel: int) -> None:
        with pytest.raises(InvalidInput, match=f"'pool' has the channels 0 to 2, got {channel}$"):
            silence(residual(), "pool", [0, channel])

    def test_a_layer_that_is_not_there(self) -> None:
        with pytest.raises(InvalidInput, match="no layer is called 'pol'; the network has image"):
            silence(residual(), "pol", [0])

    @pytest.mark.parametrize("layer", ["image", "answer"])
    def test_the_ends_of_the_network(self, layer: str) -> None:
        with pytest.raises(InvalidInput, match="image or its answer"):
            silence(residual(), layer, [0])

    def test_an_activation_that_moves_zero(self) -> None:
        with pytest.raises(
            InvalidInput,
            match=r"'conv' cannot .* sigmoid of 'conv' is not 0 at 0; .* softplus of 'gate' is not",
        ):
            silence(blocked_both_ways(), "conv", [0])

    def test_a_value_without_channels(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3)
        draft.add("reshape", shape=(36, 3), order="hwc", name="steps")
        draft.add("global_max_pool1d")
        with pytest.raises(InvalidInput, match=r"'steps' cannot be pruned: .* \(36, 3\)"):
            silence(draft.ended(), "steps", [0])


def residual() -> NetworkSpec:
    draft = Draft(2, 8, 8)
    draft.conv(3, name="stem", padding="same", activation=RELU)
    draft.conv(3, name="branch", padding="same")
    draft.norm()
    draft.add("add", inputs=(draft.last, "stem"), name="sum")
    draft.add("activation", activation=RELU, name="relu")
    draft.add("global_avg_pool2d", name="pool")
    draft.dense(4, name="fc")
    draft.dense(2, name="answer")
    return draft.spec()


def blocked_both_ways() -> NetworkSpec:
    """A convolution that gives 0.5 at zero, and a softplus that reads it."""
    draft = Draft(2, 8, 8)
    draft.conv(3, name="conv", activation=Activation("sigmoid"))
    draft.add("activation", activation=Activation("softplus"), name="gate")
    return draft.ended()


class TestPrunableLayers:
    def test_names_those_that_can_be_silenced(self) -> None:
        assert prunable_layers(residual()) == [
            "stem",
            "branch",
            "batch_norm_3",
            "sum",
            "relu",
            "pool",
        ]

    def test_vectors_and_the_ends_are_left_out(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv")
        draft.add("flatten")
        draft.dense(5)
        assert prunable_layers(draft.ended()) == ["conv"]

    def test_a_long_chain_is_no_trouble(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2)
        for _ in range(1500):
            draft.add("identity")
        assert len(silence(draft.ended(), "identity_1500", [0])) == 2


class TestDefaultLayer:
    def test_the_last_pooling_layer(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3)
        draft.add("max_pool2d", name="first")
        draft.conv(3, 1)
        draft.add("avg_pool2d", name="second")
        draft.conv(3, 1)
        assert default_layer(draft.ended()) == "second"

    def test_the_global_pool_behind_a_skip(self) -> None:
        assert default_layer(residual()) == "pool"

    def test_without_a_pool_the_last_convolution_with_what_follows(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, 1)
        draft.conv(3, 1)
        draft.norm()
        draft.add("activation", activation=RELU, name="end")
        assert default_layer(draft.ended()) == "end"

    def test_of_dense_layers_the_last_hidden_one(self) -> None:
        draft = Draft(3, 4, 4)
        draft.add("rescale", scale=1 / 255, offset=0.0)
        draft.add("flatten")
        draft.dense(6, activation=RELU)
        draft.dense(4, activation=RELU, name="hidden")
        assert default_layer(draft.ended()) == "hidden"

    def test_no_layer_between_image_and_answer(self) -> None:
        draft = Draft(5)
        with pytest.raises(InvalidInput, match="no layer whose channels can be silenced"):
            default_layer(draft.ended())


class TestRealNetworks:
    @pytest.mark.parametrize(("drop", "count"), [(2, 45), (4, 48), (10, 52), (30, 54)])
    def test_silencing_gives_what_others_made(self, shared: Path, drop: int, count: int) -> None:
        spec = read_spec(shared / "csaw/models/lab3_bd_net.h5")
        made = read_spec(shared / f"csaw/students/pruned_drop_{drop}.h5")
        channels = silent_channels(made, "pool_3")
        assert len(channels) == count
        mine = silenced(spec, "pool_3", channels)
        for key, array in made.arrays.items():
            np.testing.assert_array_equal(mine.arrays[key], array)

    def test_the_default_layer_is_the_last_pool(self, shared: Path) -> None:
        assert default_layer(read_spec(shared / "csaw/models/lab3_bd_net.h5")) == "pool_3"
