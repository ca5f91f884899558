"""Does `goodnet inspect` name something odd about networks that have nothing odd?

The real BadNets beside the project, whose architectures are ordinary and whose backdoors are in
their weights, and every network of `keras.applications` with random weights. Warnings about any of
them are false; dead channels are no more than notes, and occur. Needs Keras, on its torch backend.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from _measure import header, options, seconds, show, verdict
from _real import suspects
from keras_applications import IMAGES, QUICK, made, names, saved, spread

from goodnet.formats import read_spec
from goodnet.formats.channels import Graph
from goodnet.inspection import Finding, Subject, findings_in

HEAD = ["network", "layers", "warnings", "notes", "seconds"]


def main() -> None:
    parser = options("What inspect finds odd about ordinary networks.")
    parser.add_argument("--only", nargs="*", help="names of networks of keras.applications")
    args = parser.parse_args()
    header(args.threads)
    rows = [row(each.name, each.model) for each in suspects()]
    for name in args.only or (QUICK if args.quick else names()):
        model, size = made(name)
        images = np.random.default_rng(1).uniform(0, 255, (IMAGES, size, size, 3))
        spread(model, images.astype(np.float32))
        with closing(saved(model)) as files:
            rows.append(row(name, next(files)))
        print(*rows[-1], flush=True)
    print()
    show([HEAD, *rows])
    print(f"\nfalse warnings {verdict(sum(int(each[2]) for each in rows), 0)}")


def row(name: str, path: Path) -> list[str]:
    """What is found in a file, counted, and how long that took once it was read."""
    spec = read_spec(path)
    found: list[Finding] = []
    time = seconds(lambda: found.extend(findings_in(Subject(Graph(spec)))))
    for each in found:
        print(f"  {name}: {each.level}: {each.message}")
    notes = sum(each.level == "note" for each in found)
    return [name, str(len(spec.layers)), str(len(found) - notes), str(notes), f"{time:.2f}"]


if __name__ == "__main__":
    main()
