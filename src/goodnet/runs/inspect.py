"""What is in a model file: told from the file alone, without building or running it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goodnet.errors import InvalidInput
from goodnet.formats import read_spec, silence
from goodnet.formats.channels import Graph
from goodnet.formats.spec import Layer, NetworkSpec
from goodnet.formats.state_dict import Weights, weights_in
from goodnet.guard.form import reject_class_of
from goodnet.inspection import Finding, Subject, findings_in
from goodnet.inspection.refusals import UNKNOWN

# Axes of an image, which may have no channels of its own.
_PICTURES = (2, 3)


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: As in the file.
        op: What it does.
        shape: Of its value for one image, channels first; None = any size.
        parameters: Stored numbers.
        prunable: Whether `goodnet prune --layer` takes it.
        silent_channels: Channels whose weights are all zero; None for a layer without channels.
    """

    name: str
    op: str
    shape: tuple[int | None, ...]
    parameters: int
    prunable: bool
    silent_channels: list[int] | None


@dataclass(frozen=True)
class Inspection:
    """What a model file holds.

    Attributes:
        path: The file.
        format: As `SourceFile.format` has it.
        version: Of the program that wrote it.
        sha256: Of the file.
        name: The model's own.
        classes: Outputs; for a GoodNet the last one is class N.
        goodnet: Whether it is a GoodNet.
        parameters: Stored numbers in all.
        default_layer: What `goodnet prune` takes by itself; None if there is no such layer.
        layers: In running order; of weights whose architecture is not known, the arrays.
        notes: What was passed over in the file, that the network takes no images, and the findings
            that are no more than notes.
        findings: What is odd about the network, see `goodnet.inspection`.
    """

    path: str
    format: str
    version: str
    sha256: str
    name: str
    classes: int | None
    goodnet: bool
    parameters: int
    default_layer: str | None
    layers: tuple[LayerRow, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def red_flags(self) -> tuple[str, ...]:
        """What is worth a second look."""
        return tuple(each.message for each in self.findings if each.level != "note")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {**asdict(self), "red_flags": list(self.red_flags)}


def inspect_file(path: Path, *, architecture: Path | None = None) -> Inspection:
    """Look into a model file without running any of it.

    Raises:
        GoodnetError: If the file cannot be read or is refused.
    """
    try:
        spec = read_spec(path, architecture=architecture)
    except InvalidInput as error:
        weights = weights_in(path) if architecture is None else None
        if weights is None:
            raise
        return _of_arrays(path, weights, str(error))
    subject = Subject(Graph(spec))
    shapes, prunable = subject.graph.shapes, set(silence.prunable_layers(spec))
    rows = tuple(
        LayerRow(
            name=layer.name,
            op=layer.op,
            shape=shapes[layer.name],
            parameters=sum(int(a.size) for a in spec.parameters(layer.name).values()),
            prunable=layer.name in prunable,
            silent_channels=_silent(subject, layer),
        )
        for layer in spec.layers
    )
    source, findings = spec.file, findings_in(subject)
    minor = (each.message for each in findings if each.level == "note")
    return Inspection(
        path=str(path),
        format=source.format if source else "",
        version=source.version if source else "",
        sha256=source.sha256 if source else "",
        name=spec.name,
        classes=shapes[spec.output][-1],
        goodnet=reject_class_of(spec) is not None,
        parameters=spec.count_parameters(),
        default_layer=_default_layer(spec),
        layers=rows,
        notes=(*(source.notes if source else ()), *_input_notes(spec), *minor),
        findings=findings,
    )


def _of_arrays(path: Path, weights: Weights, problem: str) -> Inspection:
    """The arrays of a file whose architecture is not known."""
    sizes = {key: math.prod(shape) for key, shape in weights.shapes.items()}
    rows = (
        LayerRow(key, "array", shape, sizes[key], prunable=False, silent_channels=None)
        for key, shape in weights.shapes.items()
    )
    return Inspection(
        path=str(path),
        format=weights.format,
        version="",
        sha256=weights.sha256,
        name="unknown",
        classes=None,
        goodnet=False,
        parameters=sum(sizes.values()),
        default_layer=None,
        layers=tuple(rows),
        notes=(*weights.notes, problem),
        findings=(UNKNOWN.finding(problem),),
    )


def _input_notes(spec: NetworkSpec) -> Iterator[str]:
    """What keeps a network from being run on images, or what they have to tell it."""
    shape, usual = spec.input_shape, spec.usually_sized.input_shape[1:]
    if len(shape) not in _PICTURES:
        shown = " x ".join("any" if size is None else str(size) for size in shape)
        yield f"takes values of shape {shown}, no images: only inspect and guard work on it"
    elif None in shape:
        without = "" if None in usual else f", without them {usual[0]} x {usual[1]}"
        yield f"takes images of any size: the clean images that are given tell it which{without}"


def _silent(subject: Subject, layer: Layer) -> list[int] | None:
    silent = subject.silent[layer.name]
    has_weights = layer.op in ("conv2d", "dense", "batch_norm") and silent.size
    return np.flatnonzero(silent).tolist() if has_weights else None


def _default_layer(spec: NetworkSpec) -> str | None:
    try:
        return silence.default_layer(spec)
    except InvalidInput:
        return None
