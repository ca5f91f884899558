"""The most memory `goodnet prune` ever holds, on 10,000 and on 100,000 images.

Each measurement is the whole command in a process of its own, on a clean set and a poisoned set
of that many images of the lab's size.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from _faces import write_faces
from _lab import Lab, find_lab
from _measure import header, options, show, verdict

__all__ = ["main"]

# The peak in MiB, and the peak on the most images over that on the fewest.
PEAK, GROWTH = 1024.0, 1.1
_SETS = ("clean", "poisoned")


def main(arguments: list[str] | None = None) -> None:
    given = _parse(arguments)
    header(given.threads)
    rows = [["pixels", "images a set", "MiB a file", "seconds", "peak MiB", ""]]
    with TemporaryDirectory(dir=given.folder) as folder:
        lab = find_lab(Path(folder), given.model)
        for dtype in given.pixels:
            rows += _rows(lab, Path(folder), dtype, given)
    show(rows)


def _rows(lab: Lab, folder: Path, dtype: str, given: Namespace) -> list[list[str]]:
    rows, peaks = [], []
    for count in sorted(given.images):
        files = _write(lab, folder, dtype, count)
        start = perf_counter()
        peaks.append(_prune(lab.model, files, folder / "run", threads=given.threads))
        took, size = perf_counter() - start, files[0].stat().st_size / 2**20
        found = [f"{size:.0f}", f"{took:.0f}", f"{peaks[-1]:.0f}", verdict(peaks[-1], PEAK)]
        rows.append([dtype, f"{count:,}", *found])
    growth = peaks[-1] / peaks[0]
    rows.append([f"{dtype}: last / first", "", "", "", f"{growth:.2f}", verdict(growth, GROWTH)])
    return rows


def _write(lab: Lab, folder: Path, dtype: str, count: int) -> list[Path]:
    paths = [folder / f"{name}.h5" for name in _SETS]
    for seed, (path, faces) in enumerate(zip(paths, (lab.clean, lab.poisoned), strict=True)):
        write_faces(path, faces, count, seed=seed, dtype=dtype)
    return paths


def _prune(model: Path, files: Sequence[Path], out: Path, *, threads: int) -> float:
    """The peak of one `goodnet prune`, in MiB."""
    clean, poisoned = files
    sets = ["--clean", str(clean), "--backdoor", f"poisoned={poisoned}"]
    command = [sys.executable, str(Path(__file__).with_name("_peak.py")), "prune", str(model)]
    done = subprocess.run(
        [*command, *sets, "--out", str(out), "--force"],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        text=True,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.splitlines()[-1]) / 2**20


def _parse(arguments: list[str] | None) -> Namespace:
    parser = options(__doc__ or "")
    parser.add_argument(
        "--model", type=Path, help="a DeepID in Keras's format; the lab's if at hand, else drawn"
    )
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--folder", type=Path, help="for the images, some 7 GB; default: as usual")
    parser.add_argument("--pixels", nargs="+", default=["uint8", "float32"], metavar="TYPE")
    given = parser.parse_args(arguments)
    if given.quick:
        given.images, given.pixels = [64, 256], ["uint8"]
    return given


if __name__ == "__main__":
    main(sys.argv[1:])
