from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from goodnet import process
from goodnet.process import peak_memory


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
    """In a small process of its own: that of the tests may give memory back meanwhile."""
    script = """
from goodnet.process import forget_peak, peak_memory
print(peak_memory())
block = bytearray(b"x") * (256 << 20)
print(peak_memory())
del block
forget_peak()
print(peak_memory())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    before, high, after = map(int, done.stdout.split())
    assert high > before + (200 << 20)
    if process._PROCESS.exists():
        assert after < high - (200 << 20)
