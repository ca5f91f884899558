"""ONNX files, read and written without onnx: the graph as data, and its operations as layers.

A network with the layers of its file is written as a copy in which only some numbers differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from goodnet.errors import InvalidInput, UsageError
from goodnet.formats import budgets
from goodnet.formats.format import Format, in_child
from goodnet.formats.safe_file import open_regular
from goodnet.formats.spec import Array, NetworkSpec, Origin, SourceFile
from goodnet.ops.layouts import to_file

if TYPE_CHECKING:
    from goodnet.formats.onnx.model import Tensor

_QUANTISED = "quantised numbers are read as floats"


def _content(path: Path) -> bytes:
    with open_regular(path, what="model file", limit=budgets.MODEL_BYTES) as file:
        return file.read()


def _read(path: Path, architecture: Path | None) -> NetworkSpec:
    from goodnet.formats.onnx.graph import described
    from goodnet.formats.onnx.model import parse
    from goodnet.formats.onnx.patterns import recognised

    if architecture is not None:
        raise UsageError("--architecture is for Keras files that hold weights only")
    content = _content(path)
    graph = parse(memoryview(content))
    spec, origins = described(recognised(graph, path.parent), path.parent)
    quantised = any(node.kind in ("QuantizeLinear", "DequantizeLinear") for node in graph.nodes)
    source = SourceFile(
        path=path,
        format="onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        version=graph.producer,
        notes=(_QUANTISED,) if quantised else (),
        origins=origins,
    )
    return replace(spec, source=source)


def _patch(source: SourceFile, changed: Mapping[str, Array]) -> bytes:
    from goodnet.formats.onnx.graph import described
    from goodnet.formats.onnx.model import inlined, parse
    from goodnet.formats.onnx.patterns import recognised

    content = _content(source.path)
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InvalidInput(f"the file has changed since it was read: {str(source.path)!r}")
    whole = memoryview(content)
    if any(tensor.external for tensor in parse(whole).initializers.values()):
        whole = memoryview(inlined(whole, source.path.parent))
    graph, copy = parse(whole), bytearray(whole)
    before, _ = described(recognised(graph, Path()), Path())
    written: dict[str, bytes] = {}
    for key, array in changed.items():
        origin = source.origins[key]
        if not origin.path:
            if not np.array_equal(array, before.arrays[key]):
                raise InvalidInput(
                    f"the array {key!r} is computed from others in the file, so that no copy "
                    "can be made in which it differs"
                )
            continue
        content = _put(graph.initializers[origin.path], origin, array, copy)
        if written.setdefault(origin.path, content) != content:
            raise InvalidInput(
                f"several layers share the array {origin.path!r}, so that no copy can be made in "
                "which it differs for one of them"
            )
    return bytes(copy)


def _put(tensor: Tensor, origin: Origin, array: Array, copy: bytearray) -> bytes:
    """Write an array over the old one, where it differs; its bytes."""
    old = tensor.array(Path())
    new = to_file(array, origin.layout, old.shape).astype(old.dtype).reshape(old.shape).tobytes()
    if old.tobytes() != new:
        if tensor.place is None:
            raise InvalidInput(
                f"the array {origin.path!r} is stored number by number, so that no copy can be "
                "made in which it differs; save the model with raw data, as exporters do"
            )
        copy[tensor.place.start : tensor.place.end] = new
    return new


def _write(spec: NetworkSpec, path: Path, force: bool) -> None:
    from goodnet.formats.onnx.write import write

    write(spec, path, force)


FORMAT = Format("onnx", ".onnx", _write, b"\x08", in_child(_read), _patch)
