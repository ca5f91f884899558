"""An environment of its own with TensorFlow, and the Keras loop running in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any

__all__ = ["KerasLoop", "Steps"]

_HERE = Path(__file__).resolve().parent
_ENVIRONMENT = _HERE / ".peer"
_REQUIREMENTS = _HERE / "requirements-peer.txt"


@dataclass(frozen=True)
class Steps:
    """What the loop measured at some steps: seconds, and images answered as labelled."""

    seconds: list[float]
    clean: list[int]
    poisoned: list[int]


class KerasLoop:
    """The literal loop in a process that stays alive between measurements."""

    def __init__(self, model: Path, clean: Path, poisoned: Path, *arguments: str) -> None:
        command = [str(_python()), str(_HERE / "_keras_loop.py"), str(model), str(clean)]
        self._log = TemporaryFile("w+")  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [*command, str(poisoned), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            text=True,
        )
        versions = self._hear()
        self.versions = ", ".join(f"{name} {number}" for name, number in versions.items())

    def run(self, channels: Sequence[int], steps: Sequence[int]) -> Steps:
        """Time some steps, counted from 1; everything before them is done off the clock."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"channels": channels, "steps": steps}) + "\n")
        self._process.stdin.flush()
        return Steps(**self._hear())

    def __enter__(self) -> KerasLoop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise SystemExit(f"{self._log.read()}the Keras loop ended before it was done")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _python() -> Path:
    """The interpreter of the peer's environment, which is made when first needed."""
    python = _ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted, ready = _REQUIREMENTS.read_text(), _ENVIRONMENT / ".ready"
    if ready.is_file() and ready.read_text() == wanted:
        return python
    print(f"installing the peer into {_ENVIRONMENT}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True)
    (_ENVIRONMENT / ".gitignore").write_text("*\n")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(_REQUIREMENTS)], check=True)
    ready.write_text(wanted)
    return python
