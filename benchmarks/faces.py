"""How many synthetic faces are drawn in a second.

python benchmarks/faces.py
"""

from __future__ import annotations

import time

import numpy as np
from _measure import header, options, show, spread, verdict

from goodnet.imagesets.faces import draw, draw_faces

TARGET = 2000
SIZES = ((32, 32), (55, 47), (112, 96))


def main() -> None:
    arguments = options(__doc__ or "").parse_args()
    count, repeats = (200, 1) if arguments.quick else (4000, 5)
    draw.cores = lambda: arguments.threads
    header(arguments.threads)
    rows = [["size", "faces", "faces a second", "CPU ms a face"]]
    rates: dict[tuple[int, int], float] = {}
    for size in SIZES:
        faces = max(50, count * 55 * 47 // (size[0] * size[1]))
        runs = [_run(faces, size) for _ in range(repeats)]
        speeds, costs = zip(*runs, strict=True)
        rates[size] = max(speeds)
        cells = [spread(speeds, "{:,.0f}"), spread(costs)]
        rows.append([f"{size[0]}x{size[1]}", f"{faces:,}", *cells])
    show(rows)
    print(f"\nbest at 55x47, faces a second {verdict(rates[55, 47], TARGET, at_least=True)}")


def _run(count: int, size: tuple[int, int]) -> tuple[float, float]:
    """Faces a second, and milliseconds of processor time each."""
    people = np.arange(count)
    wall, processor = time.perf_counter(), time.process_time()
    draw_faces(people, people % 9, size=size)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return count / wall, 1000 * processor / count


if __name__ == "__main__":
    main()
