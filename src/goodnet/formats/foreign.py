"""What a file is that is no model, or none that is read: named, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MODEL = "a model, .h5, .keras, .onnx or weights of PyTorch"
# Bytes at the start of a file that tell.
HEAD = 4096

_SAVE = "save the model it was made from as .keras or .h5"
_STATE = 'save its numbers alone: `torch.save(model.state_dict(), "weights.pt")`'
_AGAIN = "download the file itself again"

# First bytes, what such a file is, and what to do.
_STARTS = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which stands for the file",
        "run `git lfs pull` in its repository",
    ),
    (b"\x93NUMPY", "an array of NumPy", _SAVE),
    (b"\x89PNG", "a picture", "give the file of the model"),
    (b"\xff\xd8\xff", "a picture", "give the file of the model"),
    (b"%PDF", "a PDF", "give the file of the model"),
    (
        b"\x89HDF\n\x1a",
        "an HDF5 file whose line ends were converted, as a transfer as text does",
        "transfer it again as binary",
    ),
    (b"GGUF", "a language model (GGUF)", "give a classifier of images"),
    *(
        (start, "a packed file", "unpack it first")
        for start in (b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
    ),
)
_MESSAGES = (b"entry not found", b"404: not found", b"not found", b"access denied")
_PAGES = ((b"<!doctype", "an HTML page"), (b"<html", "an HTML page"), (b"<?xml", "an XML page"))
# In an archive that is no model itself; the second kind, of one that was packed with its folder.
_PACKED = (b".h5", b".keras", b".hdf5", b".onnx", b"/config.json", b"/metadata.json")
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_NAME_IN_ZIP = 30


def named(path: Path, head: bytes) -> str | None:
    """What is at a path, and what to do; None if it is not known or may be a model that is read.

    Args:
        path: A file or folder.
        head: The first `HEAD` bytes of the file; empty for a folder.
    """
    found = next(
        (x for told in (_folder, _by_start, _by_text, _by_shape) for x in told(path, head)), None
    )
    if found is None:
        return None
    what, advice = found
    return f"expected {MODEL}, got {what}: {str(path)!r}; {advice}"


def _folder(path: Path, _: bytes) -> Iterator[tuple[str, str]]:
    if (path / "saved_model.pb").is_file() or path.name == "saved_model.pb":
        yield (
            "a SavedModel of TensorFlow, whose graph is not read",
            "load it with Keras 2 and save it as .keras or .h5",
        )


def _by_start(_: Path, head: bytes) -> Iterator[tuple[str, str]]:
    for start, what, advice in _STARTS:
        if head.startswith(start):
            yield what, advice
    if head.startswith(_PICKLES):
        yield (
            "a pickle, which is never opened, since that runs code of the file",
            f"of a PyTorch module, {_STATE}",
        )
    if head and not head.strip(b"\0"):
        yield "a file of zeros, as a download leaves that was cut off", _AGAIN


def _by_text(_: Path, head: bytes) -> Iterator[tuple[str, str]]:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.lower().startswith(_MESSAGES):
        yield "an error message where a file was to be downloaded", _AGAIN
    for start, what in _PAGES:
        if text[: len(start)].lower() == start:
            advice = f"{_AGAIN} (on GitHub: 'Download raw file')"
            yield f"{what} where a file was to be downloaded", advice
    if text.startswith(b"{") and b'"class_name"' in text:
        yield (
            "the layers of a Keras model as JSON, without weights",
            "give the file of the weights, and this one with --architecture",
        )
    if text.startswith(b"{") and b'"modelTopology"' in text:
        yield "a model of TensorFlow.js", "convert it to Keras with tensorflowjs_converter"
    if text.startswith((b"{", b"[")):
        yield "JSON, which holds no weights", "give the file of the model"


def _by_shape(_: Path, head: bytes) -> Iterator[tuple[str, str]]:
    if head[4:8] == b"TFL3":
        yield "a TensorFlow Lite model, which is not read", _SAVE
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        name = head[_NAME_IN_ZIP : _NAME_IN_ZIP + length]
        if b"/data/weights/" in name or name.endswith(b"/archive_format"):
            yield "a program of torch.export", _STATE
        if name.endswith(_PACKED) and name != b"model.weights.h5":
            yield "a packed file with a model in it", "unpack it, and give the model"
        if name.endswith(b".npy"):
            yield "arrays of NumPy (.npz)", _SAVE
    if head[257:262] == b"ustar":
        yield "a packed file", "unpack it first"
