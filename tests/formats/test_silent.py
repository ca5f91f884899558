from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from spec_samples import Draft, choices, masked, outputs, silenced

from goodnet.formats.silence import default_layer, silence, silent_channels
from goodnet.formats.spec import NetworkSpec


@settings(max_examples=50)
@given(choices())
def test_finds_what_was_silenced(choice: tuple[NetworkSpec, str, list[int]]) -> None:
    spec, layer, channels = choice
    changed = silence(spec, layer, channels)
    assert silent_channels(spec, layer) == []
    assume(all(key.startswith(f"{layer}/") for key in changed))
    assert silent_channels(spec.with_arrays(changed), layer) == sorted(channels)


@settings(max_examples=50)
@given(choices())
def test_a_silent_channel_is_zero_on_every_image(
    choice: tuple[NetworkSpec, str, list[int]],
) -> None:
    spec = silenced(*choice)
    layer = default_layer(spec)
    expected = masked(spec, layer, silent_channels(spec, layer))
    np.testing.assert_allclose(outputs(spec), expected, rtol=1e-5, atol=1e-5)


def test_through_normalization_and_pool() -> None:
    draft = Draft(2, 8, 8)
    draft.conv(3)
    draft.norm(name="norm")
    draft.activation("relu")
    draft.add("max_pool2d", name="pool")
    draft.add("flatten", name="flat")
    draft.dense(3, name="answer")
    spec = silenced(draft.spec(), "norm", [2])
    assert silent_channels(spec, "norm") == [2]
    assert silent_channels(spec, "pool") == [2]
    assert silent_channels(spec, "flat") == list(range(2, 27, 3))
    assert silent_channels(spec, "answer") == []


def test_a_bias_alone_is_not_silent() -> None:
    draft = Draft(2, 8, 8)
    draft.conv(3, name="conv")
    spec = draft.ended()
    weight = np.zeros_like(spec.arrays["conv/weight"])
    assert silent_channels(spec.with_arrays({"conv/weight": weight}), "conv") == []


def test_merges() -> None:
    draft = Draft(2, 8, 8)
    draft.conv(3, source="image", name="a")
    draft.conv(3, source="image", name="b")
    draft.add("multiply", inputs=("a", "b"), name="product")
    draft.add("add", inputs=("product", "b"), name="sum")
    draft.add("concatenate", inputs=("sum", "a"), name="both")
    spec = silenced(silenced(draft.ended(), "a", [0]), "b", [1, 2])
    assert silent_channels(spec, "product") == [0, 1, 2]
    assert silent_channels(spec, "sum") == [1, 2]
    assert silent_channels(spec, "both") == [1, 2, 3]
