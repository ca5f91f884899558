"""Options that several commands share, and how their text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodnet.errors import UsageError

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A Keras .h5 or .keras file, ONNX, weights of PyTorch (.safetensors, .pt, .pth), or a "
        "Hugging Face folder.",
        show_default=False,
    ),
]
More = Annotated[list[Path] | None, typer.Argument(metavar="", hidden=True, show_default=False)]
Clean = Annotated[
    Path,
    typer.Option(metavar="IMAGES", help="Clean labelled images: HDF5, .npz or a folder."),
]
CleanIfAny = Annotated[
    Path | None,
    typer.Option(
        metavar="IMAGES",
        help="Clean labelled images: HDF5, .npz or a folder; the result is less certain without "
        "them.",
    ),
]
Test = Annotated[Path | None, typer.Option(metavar="IMAGES", help="Clean labelled test images.")]
Backdoor = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]IMAGES...",
        help="Poisoned images, labelled with the attacker's target; used to measure only.",
    ),
]
Repaired = Annotated[
    Path | None,
    typer.Option(metavar="MODEL", help="The repaired copy B', which with B makes the GoodNet G."),
]
Architecture = Annotated[
    Path | None,
    typer.Option(
        metavar="NAME|FILE",
        help="For a file with weights only. Of PyTorch: resnet18, vit_b_16, ..., or a config.json "
        "of Hugging Face; default: detected. Of Keras: a model JSON, or another model file.",
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        metavar="raw|1/255|NUMBER", help="Factor for the stored pixels; default: detected."
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="x/127.5-1|imagenet|resize|FILE|...",
        help="What the network takes for a pixel x from 0 to 255, as a formula, imagenet or caffe, "
        "perhaps followed by ,mean=...,std=...,order=BGR; and for images of another size resize, "
        "resize=N or center-crop. Or a preprocessor_config.json, also found beside the model. "
        "Default: detected.",
    ),
]
Source = Annotated[
    int | None, typer.Option(metavar="CLASS", help="Stamp only images of this class.")
]
Mode = Annotated[
    str,
    typer.Option(metavar="all-to-one|all-to-all|clean-label", help="Labels of the stamped images."),
]
Pattern = Annotated[
    Path | None,
    typer.Option(metavar="IMAGE", help="The picture to blend, for the trigger blended."),
]
Layout = Annotated[
    str | None,
    typer.Option(
        metavar="NCHW|NHWC",
        help="Order of the axes of the images, also NCWH or NWHC; default: detected.",
    ),
]
Range = Annotated[
    str | None,
    typer.Option(
        metavar="0..255|0..1|-1..1|-0.5..0.5",
        help="Range of the stored pixels; default: detected.",
    ),
]
Classes = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Names of the network's classes in their order, one a line, or the JSON index of "
        "ImageNet; folders of these names are these classes.",
    ),
]
_ORDER = {
    "metavar": "natural|text|numbers|from-1",
    "help": "Order in which folders or labels are the classes, from-1 for numbers that count from "
    "1; default: their numbers, else natural.",
}
ClassOrder = Annotated[str | None, typer.Option("--class-order", "--order", **_ORDER)]
# For a command that has another --order.
OnlyClassOrder = Annotated[str | None, typer.Option("--class-order", **_ORDER)]
Device = Annotated[str, typer.Option(metavar="NAME", help="PyTorch device: cpu, cuda, cuda:1.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="The run folder to write.")]
Report = Annotated[
    bool,
    typer.Option("--report/--no-report", help="Also write report.html."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing output.")]


def named_files(items: list[str] | None, more: list[Path] | None = None) -> dict[str, Path]:
    """Read `NAME=FILE` or `FILE` (named by its stem).

    Raises:
        UsageError: If two sets have the same name, or files follow without the option.
    """
    if more and not items:
        raise UsageError(f"expected one model, got another argument: {str(more[0])!r}")
    found: dict[str, Path] = {}
    for item in [*(items or []), *(str(path) for path in more or [])]:
        name, separator, path = item.partition("=")
        if not separator or not name or "/" in name or Path(item).exists():
            name, path = Path(item).stem, item
        # Bytes that are no text in this system's encoding could not be written to any file.
        name = name.encode(errors="surrogateescape").decode(errors="replace")
        if name == "clean":
            raise UsageError(
                "a backdoor set cannot be called 'clean', like the test set; name it NAME=FILE"
            )
        if name in found:
            raise UsageError(
                f"two backdoor sets are called {name!r}; name them apart with NAME=FILE"
            )
        found[name] = Path(path)
    return found


def numbers(texts: list[str], *, what: str) -> list[float]:
    """Read numbers given one by one or separated by commas.

    Raises:
        UsageError: If one is not a number.
    """
    return [number_of(part, what=what) for item in texts for part in item.split(",")]


def share(text: str, *, what: str) -> float:
    """Read "1%" or "0.01".

    Raises:
        UsageError: If it is neither.
    """
    number = number_of(text.removesuffix("%"), what=what)
    return number / 100 if text.endswith("%") else number


def number_of(text: str, *, what: str) -> float:
    """Read a number.

    Raises:
        UsageError: If it is none.
    """
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"expected {what}, got {text!r}") from error
