"""Networks written anew as ONNX: onnx's checker, the answers of onnxruntime, and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layer_samples import CASES
from spec_samples import Draft, outputs, pictures

pytest.importorskip("onnx", reason="no onnx to check files with")
pytest.importorskip("onnxruntime", reason="no onnxruntime to compare with")

import onnx
from onnx_samples import answers

from goodnet.errors import InvalidInput
from goodnet.formats import read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.spec import Array, NetworkSpec

# No operation computes it as PyTorch and Keras do.
REFUSED = "resize the centre"
# What is written and not read: only onnxruntime is asked.
UNREAD = (
    *("attention", "resize", "select", "upsample", "upsample bilinear"),
    *("transposed", "transposed same, strides", "transposed with more"),
)


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def checked(spec: NetworkSpec, path: Path) -> Array:
    """Write, and compare what onnxruntime computes with the network; what that answers."""
    save_spec(spec, path)
    onnx.checker.check_model(str(path), full_check=True)
    expected = outputs(spec)
    close(answers(path, pictures(spec)), expected)
    return expected


@pytest.mark.parametrize("case", sorted({*CASES} - {REFUSED}))
def test_onnxruntime_computes_the_same(tmp_path: Path, case: str) -> None:
    draft = Draft(3, 8, 9)
    CASES[case](draft)
    expected = checked(draft.ended(), tmp_path / "net.onnx")
    if case not in UNREAD:
        close(outputs(read_spec(tmp_path / "net.onnx")), expected)


def test_what_runtimes_compute_differently_is_refused(tmp_path: Path) -> None:
    draft = Draft(3, 8, 9)
    CASES[REFUSED](draft)
    with pytest.raises(InvalidInput, match=r"layer 'resize_1' .* smooths a picture"):
        save_spec(draft.ended(), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
