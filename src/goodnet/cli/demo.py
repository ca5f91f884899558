"""`goodnet demo`: the main job from nothing, with the commands a user would type."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from goodnet.cli import options as opt
from goodnet.cli.text import note, progress_bar

__all__ = ["demo"]


def demo(
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the images, networks and results.")
    ] = Path("goodnet-demo"),
    force: opt.Force = False,
) -> None:
    """Train a small BadNet on made-up images, then prune, guard, evaluate and show it."""
    from goodnet.cli.main import app
    from goodnet.jobs.demo import demo_files

    data = out / "data"
    files = demo_files(data)
    if force or not all(path.exists() for path in files.all()):
        _train(data, force=force)
    else:
        note(f"the BadNet in {data} is used again; --force makes a new one")
    run, sheet = out / "run", out / "poisoned.png"
    for command in (
        f"inspect {files.model}",
        f"prune {files.model} --clean {files.clean} --test {files.test} "
        f"--backdoor checkerboard={files.poisoned} --out {run} --force",
        f"evaluate {run}/goodnet_drop_10.keras --clean {files.test} --backdoor {files.poisoned}",
        f"show {files.poisoned} --model {files.model} --repaired {run}/model_drop_10.h5 "
        f"--clean {files.test} --out {sheet} --force",
    ):
        print(f"\n$ goodnet {command}", flush=True)
        app(shlex.split(command), standalone_mode=False)


def _train(data: Path, *, force: bool) -> None:
    from goodnet import files
    from goodnet.jobs.demo import WORK, make_demo

    data.parent.mkdir(parents=True, exist_ok=True)
    with files.run_folder(data, force=force) as folder, progress_bar(WORK, "training") as advance:
        make_demo(folder, progress=advance)
    note(f"a BadNet and its images are in {data}")
