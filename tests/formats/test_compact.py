from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spec_samples import RELU, Draft, masked, networks, outputs

from goodnet.errors import InvalidInput
from goodnet.formats import read_spec
from goodnet.formats.compact import compact
from goodnet.formats.shapes import layer_shapes
from goodnet.formats.silence import silence, silent_channels
from goodnet.formats.spec import Activation, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path


def check(spec: NetworkSpec, layer: str, channels: list[int]) -> NetworkSpec:
    """Compact and compare with a mask."""
    small = compact(spec, layer, channels)
    expected = masked(spec, layer, channels)
    np.testing.assert_allclose(outputs(small), expected, rtol=1e-4, atol=1e-4)
    assert layer_shapes(small)[layer][0] == (layer_shapes(spec)[layer][0] or 0) - len(channels)
    return small


@settings(max_examples=150)
@given(networks(), st.data())
def test_a_smaller_network_answers_as_a_masked_one(spec: NetworkSpec, data: st.DataObject) -> None:
    shapes = layer_shapes(spec)
    names = [x.name for x in spec.layers[1:-1] if (shapes[x.name][0] or 0) > 1]
    layer = data.draw(st.sampled_from(names))
    order = data.draw(st.permutations(range(shapes[layer][0] or 0)))
    channels = order[: data.draw(st.integers(1, len(order) - 1))]
    try:
        check(spec, layer, channels)
    except InvalidInput as error:
        assert "cannot be removed, only silenced" in str(error)  # noqa: PT017
        assume(False)


class TestCompact:
    @pytest.mark.parametrize("order", ["hwc", "chw"])
    def test_through_normalization_pool_and_flatten(self, order: str) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4, name="conv")
        draft.norm(name="norm")
        draft.add("prelu", arrays={"alpha": draft.numbers(4, 6, 6)}, name="prelu")
        draft.add("max_pool2d", name="pool")
        draft.add("flatten", order=order)
        draft.dense(3, name="fc")
        small = check(draft.spec(), "pool", [0, 2])
        assert {key: array.shape for key, array in small.arrays.items()} == {
            "conv/weight": (2, 2, 3, 3),
            "conv/bias": (2,),
            "norm/gamma": (2,),
            "norm/beta": (2,),
            "norm/mean": (2,),
            "norm/variance": (2,),
            "prelu/alpha": (2, 6, 6),
            "fc/weight": (3, 18),
            "fc/bias": (3,),
        }

    def test_behind_an_activation_that_moves_zero(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4)
        draft.add("activation", activation=Activation("sigmoid"), name="gate")
        check(draft.ended(), "gate", [1])

    def test_through_a_depthwise_convolution_backwards(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4, name="point")
        draft.conv(8, groups=4, name="depth", activation=RELU)
        small = check(draft.ended(), "depth", [2, 3, 6, 7])
        assert small["depth"].attributes["groups"] == 2
        assert small.arrays["point/weight"].shape[0] == 2

    def test_through_a_depthwise_convolution_forwards(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4, name="point")
        draft.conv(8, groups=4, bias=False, name="depth")
        small = check(draft.ended(), "point", [3])
        assert small["depth"].attributes["groups"] == 3

    def test_across_concatenations(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, source="image", name="left")
        draft.conv(3, source="image", name="right")
        draft.add("concatenate", inputs=("left", "right"), name="both")
        draft.conv(2, source="both", name="more")
        draft.conv(2, source="both", name="other")
        draft.add("concatenate", inputs=("more", "other"))
        small = check(draft.ended(), "both", [0, 3, 4])
        assert layer_shapes(small)["left"][0] == 1
        assert layer_shapes(small)["right"][0] == 1

    def test_reshapes_get_a_new_target(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4)
        draft.add("global_avg_pool2d", name="pool")
        draft.add("reshape", shape=(1, 1, 4), order="hwc", name="shaped")
        draft.conv(3, 1)
        small = check(draft.ended(), "pool", [1])
        assert small["shaped"].attributes["shape"] == (1, 1, 3)

    def test_factors_per_channel_go_too(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3)
        draft.add("rescale", scale=(1.0, 2.0, 3.0), offset=(0.5, 0.0, 0.1), name="scaled")
        small = check(draft.ended(), "scaled", [1])
        assert small["scaled"].attributes["scale"] == (1.0, 3.0)

    def test_a_normalization_that_keeps_zero_is_passed(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv")
        draft.norm(name="norm")
        spec = draft.ended()
        quiet = spec.with_arrays(silence(spec, "norm", [1]))
        assert layer_shapes(check(quiet, "conv", [1]))["norm"][0] == 2

    def test_the_result_is_not_the_file_any_more(self, shared: Path) -> None:
        spec = read_spec(shared / "csaw/models/lab3_bd_net.h5")
        made = read_spec(shared / "csaw/students/pruned_drop_30.h5")
        channels = silent_channels(made, "pool_3")
        small = check(spec, "pool_3", channels)
        np.testing.assert_allclose(outputs(small), outputs(made), rtol=1e-4, atol=1e-4)
        assert small.source is None
        assert small.count_parameters() < 0.75 * spec.count_parameters()


class TestErrors:
    def test_a_skip_ties_channels(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, padding="same", name="stem")
        draft.conv(3, padding="same", name="branch")
        draft.add("add", inputs=("branch", "stem"), name="sum")
        spec = draft.ended()
        with pytest.raises(InvalidInput, match="'stem' is also read by branch"):
            compact(spec, "sum", [0])
        with pytest.raises(InvalidInput, match=r"'sum' \(add\) ties them to those of 'stem'"):
            compact(spec, "branch", [0])

    def test_one_channel_must_stay(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv")
        with pytest.raises(InvalidInput, match="at least one channel of layer 'conv' must stay"):
            compact(draft.ended(), "conv", [0, 1, 2])

    def test_a_whole_branch_must_not_vanish(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(2, source="image", name="left")
        draft.conv(3, source="image", name="right")
        draft.add("concatenate", inputs=("left", "right"), name="both")
        with pytest.raises(InvalidInput, match="nothing would be left of 'left'"):
            compact(draft.ended(), "both", [0, 1])

    def test_a_normalization_behind_the_layer(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv")
        draft.norm(name="norm")
        with pytest.raises(InvalidInput, match=r"'norm' \(batch_norm\) does not leave zero"):
            compact(draft.ended(), "conv", [0])

    def test_a_softmax_over_channels(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3, name="conv", activation=Activation("softmax"))
        with pytest.raises(InvalidInput, match="softmax of 'conv' mixes them"):
            compact(draft.ended(), "conv", [0])

    def test_grouped_convolutions_stay_whole(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4, name="first")
        draft.conv(6, groups=2, name="grouped")
        for layer in ("first", "grouped"):
            with pytest.raises(InvalidInput, match="'grouped' takes them in groups with others"):
                compact(draft.ended(), layer, [0])

    def test_one_of_two_channels_that_belong_together(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(4)
        draft.conv(8, groups=4, name="depth")
        with pytest.raises(InvalidInput, match="'depth' makes them in groups with others"):
            compact(draft.ended(), "depth", [0])

    def test_the_ends_of_the_network(self) -> None:
        draft = Draft(2, 8, 8)
        draft.conv(3)
        with pytest.raises(InvalidInput, match="image or its answer"):
            compact(draft.ended(), "image", [0])
