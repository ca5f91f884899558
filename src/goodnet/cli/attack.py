"""`goodnet attack`: a BadNet to test defences on, with its clean and poisoned images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from goodnet.cli import options as opt
from goodnet.cli.evaluate import headline
from goodnet.cli.text import note, progress_bar
from goodnet.errors import UsageError

if TYPE_CHECKING:
    from goodnet.attack.adaptive import Against
    from goodnet.runs.attack.data import ImageSource

_RATE, _PER_PERSON, _HELD_OUT = 0.1, 40, 9
_FORMATS = {"h5": ".h5", "keras": ".keras"}


def attack(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write.")],
    faces: Annotated[
        int | None, typer.Option(metavar="N", help="Train on N synthetic people, or ...")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="IMAGES", help="... on these: HDF5, .npz, a folder or a .tar.xz."),
    ] = None,
    test_images: Annotated[
        Path | None,
        typer.Option(metavar="IMAGES", help="Test images; default: one in ten of each class."),
    ] = None,
    per_person: Annotated[
        int | None,
        typer.Option(metavar="N", help="Images of each person to train on; default: 40."),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Further images of each for validation, and as many for testing; default: 9.",
        ),
    ] = None,
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Trigger to stamp, repeatable; default: sunglasses on people, patch on other "
            "images.",
        ),
    ] = None,
    target: Annotated[
        list[int] | None,
        typer.Option(
            metavar="CLASS", help="Target label: one, or one for each trigger; default: 0."
        ),
    ] = None,
    source: opt.Source = None,
    mode: opt.Mode = "all-to-one",
    rate: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Share of the training images to stamp; default: 0.1."),
    ] = None,
    pattern: opt.Pattern = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Train a control without a backdoor.")
    ] = False,
    pruning_aware: Annotated[
        bool, typer.Option("--pruning-aware", help="Make the backdoor survive pruning.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="scan|cure",
            help="Hide the backdoor, from scan: add images with faint triggers and true labels; "
            "from cure: also keep the features of stamped images among those of the target.",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="deepid|residual|small",
            help="The network; default: deepid for people, residual for other images.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(metavar="N", help="Number of training epochs.")] = 7,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Images per training step.")] = 64,
    learning_rate: Annotated[
        float, typer.Option(metavar="X", help="Highest learning rate of Adam.")
    ] = 2e-3,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random numbers.")] = 0,
    format: Annotated[  # noqa: A002
        str, typer.Option(metavar="h5|keras", help="Format of the model file.")
    ] = "h5",
    layout: opt.Layout = None,
    range: opt.Range = None,  # noqa: A002
    device: opt.Device = "cpu",
    force: opt.Force = False,
) -> None:
    """Train a BadNet; write it with clean and poisoned images and a record of the backdoor."""
    from goodnet.runs.attack.make import make_attack
    from goodnet.runs.attack.plan import AttackOptions, plan_attack
    from goodnet.runs.folder import run_folder
    from goodnet.runs.options import Place
    from goodnet.runs.poison import make_goals, make_triggers
    from goodnet.training import Schedule

    if clean and rate is not None:
        raise UsageError("--clean plants nothing, it does not go with --rate")
    names = trigger or ["patch" if faces is None else "sunglasses"]
    targets = target or ([] if mode == "all-to-all" else [0])
    options = AttackOptions(
        make_triggers(names, pattern=pattern),
        make_goals(mode, targets, source=source, triggers=len(names)),
        Schedule(epochs, batch_size, learning_rate, seed),
        architecture or ("residual" if faces is None else "deepid"),
        rate=0.0 if clean else _RATE if rate is None else rate,
        pruning_aware=pruning_aware,
        against=cast("Against | None", against),
        device=device,
        suffix=_suffix(format),
    )
    people = _People(faces, per_person, held_out)
    stored = _Stored(images, test_images, layout, range)
    with run_folder(Place(out, force=force), say=note, resumes=True) as run:
        planned = plan_attack(_source(people, stored, seed=seed), options)
        found = make_attack(planned, run.path, checkpoint=run.checkpoint, stage=progress_bar)
    print(headline(found))
    print(out)


class _People(NamedTuple):
    """What is said about people to draw."""

    faces: int | None
    per_person: int | None
    held_out: int | None


class _Stored(NamedTuple):
    """What is said about images to read."""

    images: Path | None
    test_images: Path | None
    layout: str | None
    range: str | None


def _source(people: _People, stored: _Stored, *, seed: int) -> ImageSource:
    from goodnet.imagesets.faces import SIZE, check_request
    from goodnet.runs.attack.sources import face_source

    check_request(seed, SIZE)
    if people.faces is not None:
        _refuse(stored, beside="--faces")
        per_person = _PER_PERSON if people.per_person is None else people.per_person
        held_out = _HELD_OUT if people.held_out is None else people.held_out
        return face_source(people.faces, per_person=per_person, held_out=held_out, seed=seed)
    if stored.images is None:
        raise UsageError("expected people or images to train on: --faces N or --images PATH")
    _refuse(people, beside="--images")
    return _open(stored.images, stored, seed=seed)


def _open(path: Path, stored: _Stored, *, seed: int) -> ImageSource:
    from goodnet.imagesets import load_images
    from goodnet.runs.attack.sources import image_source

    paths = [path] if stored.test_images is None else [path, stored.test_images]
    opened = [load_images(each, layout=stored.layout, range=stored.range) for each in paths]
    note(*(text for each in opened for text in each.told()))
    return image_source(*opened, seed=seed)


def _refuse(options: _People | _Stored, *, beside: str) -> None:
    """Refuse options that would have no effect."""
    given = [name for name, value in options._asdict().items() if value is not None]
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{names} does not go with {beside}")


def _suffix(name: str) -> str:
    if name not in _FORMATS:
        raise UsageError(f"--format is one of {', '.join(_FORMATS)}, got {name!r}")
    return _FORMATS[name]
