from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from goodnet import process
from goodnet.process import forget_peak, peak_memory


def test_the_peak_without_a_status_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    precise = peak_memory()
    assert precise is not None
    monkeypatch.setattr(process, "_PROCESS", tmp_path)
    for content in (None, "Name: python\n"):
        if content is not None:
            (tmp_path / "status").write_text(content)
        # The system counts in two ways that differ a little.
        assert (peak_memory() or 0) >= 0.9 * precise


def test_a_peak_grows_and_can_be_forgotten() -> None:
    forget_peak()
    before = peak_memory()
    assert before is not None
    block = np.ones(64 << 20, np.uint8)
    assert (peak_memory() or 0) > before
    del block
    high = peak_memory() or 0
    forget_peak()
    if process._PROCESS.exists():
        assert (peak_memory() or 0) < high
