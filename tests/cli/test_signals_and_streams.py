"""The command as a process: signals, the environment, and where its output goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import begun, heed_signals
from lab import Lab

from goodnet.imagesets import save_images

STOPS = [
    *([stop] for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)),
    [signal.SIGINT] * 3,
    [signal.SIGINT, signal.SIGTERM],
]


@pytest.mark.parametrize("stops", STOPS, ids=lambda stops: " ".join(x.name for x in stops))
def test_an_interruption_leaves_nothing_behind(
    lab: Lab, tmp_path: Path, out: Path, stops: list[signal.Signals]
) -> None:
    many = tmp_path / "many.h5"
    images = np.random.default_rng(0).uniform(-1, 1, (200_000, 3, 8, 8)).astype(np.float16)
    save_images(many, images, np.arange(200_000) % 5)
    process = begun("prune", lab.model, "--clean", many, "--scale", "raw", "--out", out)
    assert process.stderr is not None
    process.stderr.readline()
    started = [path for path in tmp_path.iterdir() if path.name.startswith(".goodnet")]
    for stop in stops:
        process.send_signal(stop)
    printed, notes = process.communicate()
    assert process.returncode == 130
    assert printed == ""
    assert "interrupted" in notes.splitlines()[-1]
    assert "Traceback" not in notes
    assert len(started) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["many.h5"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_before_anything_has_begun_the_end_is_one_sentence(stop: signal.Signals) -> None:
    code = f"import goodnet.__main__, os; os.kill(os.getpid(), {int(stop)})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=heed_signals
    )
    assert found.returncode == 130
    assert found.stderr == "goodnet: interrupted; nothing was left half written\n"


@pytest.mark.parametrize("variable", ["HDF5_DRIVER", "HDF5_VOL_CONNECTOR"])
def test_the_environment_brings_no_code_into_the_library_of_hdf5(lab: Lab, variable: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(lab.model)],
        env={**os.environ, variable: "nonesuch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_a_reader_that_leaves_early_is_no_error(lab: Lab) -> None:
    command = f"{sys.executable} -m goodnet inspect {lab.model} | true"
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_spelled_out(
    lab: Lab, encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "\u65e5\u672c.h5").symlink_to(lab.model)
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(tmp_path / "\u65e5\u672c.h5")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert b"\\u65e5\\u672c.h5" in found.stdout


@pytest.mark.parametrize(("stdout", "code"), [("/dev/full", 6), ("&-", 0)])
def test_an_output_that_cannot_be_written_is_one_sentence(lab: Lab, stdout: str, code: int) -> None:
    if stdout == "/dev/full" and not Path(stdout).exists():
        pytest.skip("this system has no device that is always full")
    command = f"{sys.executable} -m goodnet inspect {lab.model} >{stdout}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert found.returncode == code, found.stderr
    told = "goodnet: cannot write to the standard output: No space left on device\n"
    assert found.stderr == (told if code else "")
