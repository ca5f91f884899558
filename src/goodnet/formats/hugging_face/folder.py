"""The folder of a model: its configuration and its weights, perhaps in several files.

Names in it are looked up in it alone: a link may lead to another file of the folder, or to where
the cache of the Hugging Face Hub keeps the files of a snapshot, and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from goodnet.errors import FileError, GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.formats import budgets
from goodnet.formats.hugging_face.config import WHAT
from goodnet.formats.hugging_face.processor import fed_size
from goodnet.formats.keras.configuration import parse_json
from goodnet.formats.safe_file import open_regular
from goodnet.formats.stored import Stored
from goodnet.quarantine import allow_for, quarantined

CONFIG, _PROCESSOR = "config.json", "preprocessor_config.json"
# A configuration that names the classes of ImageNet-22k has 1.5 MB.
CONFIG_BYTES = 4 * budgets.MIB
_INDEX = ".index.json"
# Of a file of weights, its arrays and notes.
Reader = Callable[[BinaryIO], tuple[dict[str, Stored], tuple[str, ...]]]
# As the library looks for them, the first that is there.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_COUNTER = "num_batches_tracked"
# What other frameworks would load.
_OTHERS = (".h5", ".msgpack", ".onnx", ".ckpt", ".pt", ".pth", ".bin", ".safetensors", ".tflite")
_MOST_FILES, _MOST_SHARDS, _SHOWN = 100_000, 1024, 3


@dataclass(frozen=True, eq=False)
class Held:
    """What a folder holds.

    Attributes:
        config: What `config.json` says.
        arrays: By key.
        sha256: Of `config.json` and the files of the weights that were read, one behind another.
        notes: What was left unread.
        size: Height and width of the images that it is fed, if that is said.
    """

    config: Mapping[str, Any]
    arrays: Mapping[str, Stored]
    sha256: str
    notes: tuple[str, ...]
    size: tuple[int, int] | None = None


def holds(path: Path) -> bool:
    """Whether a folder is of such a model."""
    names = (CONFIG, *WEIGHTS, *(f"{name}{_INDEX}" for name in WEIGHTS))
    there = {name for name in names if os.path.lexists(path / name)}
    return bool(there - {CONFIG}) or (CONFIG in there and not (path / "metadata.json").exists())


def read_folder(path: Path, readers: Mapping[str, Reader]) -> Held:
    """The configuration and the arrays of a folder; nothing in it is run.

    Args:
        path: The folder.
        readers: Of each of `WEIGHTS`.

    Raises:
        UnsafeInput: If a name leads out of the folder, or the weights ask for code to be run.
        InvalidInput: If something is missing or damaged, or two files hold other weights.
        OverBudget: If a file declares more than the budgets allow.
        FileError: If a file cannot be read.
    """
    folder = _Folder(path, readers)
    with folder.open(CONFIG, limit=CONFIG_BYTES) as file:
        config = parse_json(folder.feed(file), what=WHAT)
    found = [name for each in WEIGHTS for name in (each, f"{each}{_INDEX}") if folder.has(name)]
    if not found:
        raise InvalidInput(
            f"expected {' or '.join(WEIGHTS)} in the folder {str(path)!r}, got "
            f"{', '.join(folder.names[:8])}"
        )
    arrays, notes = folder.weights(found[0])
    others = _Folder(path, readers)  # whose files are not in the hash
    for name in found[1:]:
        _check_same(found[0], arrays, name, others.weights(name)[0])
    used = {*found, *folder.opened, *others.opened}
    notes = (*notes, *_also(found), *_left(name for name in folder.names if name not in used))
    size = fed_size(folder.processor(), config)
    return Held(config, arrays, folder.digest.hexdigest(), notes, size)


def homes(folder: Path) -> tuple[Path, ...]:
    """Where the files of a folder may lie: in it, or where the Hub's cache keeps those of it."""
    home = folder.resolve()
    cached = home.parent.name == "snapshots"
    return (home, home.parent.parent / "blobs") if cached else (home,)


def read_config_file(path: Path) -> dict[str, Any]:
    """What a configuration in a file of its own says.

    Raises:
        GoodnetError: As `safe_file.open_regular`, or if it is no JSON.
    """
    return quarantined(_read_config_file, path, subject=f"the configuration {str(path)!r}")


def _read_config_file(path: Path) -> dict[str, Any]:
    with open_regular(path, what=CONFIG, limit=CONFIG_BYTES) as file:
        return parse_json(file.read(), what=WHAT)


@dataclass(eq=False)
class _Folder:
    """A folder that is being read.

    Attributes:
        path: Where it is.
        readers: Of each of `WEIGHTS`.
        names: Of what is in it, sorted.
        digest: Of the files that were read.
        opened: Their names.
    """

    path: Path
    readers: Mapping[str, Reader]
    names: Sequence[str] = ()
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    opened: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            with os.scandir(self.path) as entries:
                names = [entry.name for entry, _ in zip(entries, range(_MOST_FILES), strict=False)]
        except OSError as error:
            raise FileError(
                f"the folder {str(self.path)!r} cannot be read: {error.strerror}"
            ) from error
        self.names = sorted(names)

    def has(self, name: str) -> bool:
        return name in self.names

    def open(self, name: str, *, limit: int) -> BinaryIO:
        """A file of the folder.

        Raises:
            UnsafeInput: If the name, or the link of that name, leads out of it.
        """
        target = (self.path / name).resolve()
        if not _is_name(name) or target.parent not in homes(self.path):
            raise UnsafeInput(
                f"{name!r} in the folder {str(self.path)!r} leads out of it, to {str(target)!r}: "
                "files elsewhere are not read"
            )
        self.opened.add(name)
        return open_regular(target, what=f"file {name!r} of the folder", limit=limit)

    def processor(self) -> Mapping[str, Any]:
        """What the configuration of the image processor says; nothing if there is none."""
        if not self.has(_PROCESSOR):
            return {}
        with self.open(_PROCESSOR, limit=CONFIG_BYTES) as file:
            try:
                return parse_json(file.read(), what=_PROCESSOR)
            except (InvalidInput, OverBudget):
                return {}  # it is of something else

    def feed(self, file: BinaryIO) -> bytes:
        """The whole of a file, which goes into the hash."""
        data = file.read()
        self.digest.update(data)
        return data

    def weights(self, name: str) -> tuple[dict[str, Stored], tuple[str, ...]]:
        """The arrays of a file of weights, or of those that an index names."""
        if not name.endswith(_INDEX):
            return self._arrays(name, self.readers[name])
        wanted = self._index(name)
        found: dict[str, Stored] = {}
        notes: list[str] = []
        for shard in sorted(set(wanted.values())):
            if _is_name(shard) and not self.has(shard):
                raise InvalidInput(
                    f"the file {shard!r}, which {name} names, is missing; download the whole again"
                )
            arrays, more = self._arrays(shard, self.readers[name.removesuffix(_INDEX)])
            if any(wanted.get(key) != shard for key in arrays):
                odd = next(key for key in arrays if wanted.get(key) != shard)
                raise InvalidInput(f"{shard!r} holds the array {odd!r}, which {name} does not say")
            found |= arrays
            notes += more
            budgets.check(
                sum(len(each.data) for each in found.values()), budgets.MODEL_BYTES, "all shards"
            )
        missing = [key for key in wanted if key not in found]
        if missing:
            raise InvalidInput(f"no file holds the array {missing[0]!r}, which {name} names")
        return found, tuple(notes)

    def _arrays(self, name: str, read: Reader) -> tuple[dict[str, Stored], tuple[str, ...]]:
        with self.open(name, limit=budgets.MODEL_BYTES) as file:
            while block := file.read(budgets.MIB):
                self.digest.update(block)
            allow_for(sum(self.path.joinpath(each).stat().st_size for each in self.opened))
            file.seek(0)
            try:
                return read(file)
            except GoodnetError as error:
                raise type(error)(f"{name}: {error}") from error

    def _index(self, name: str) -> Mapping[str, str]:
        """In which file each array is."""
        with self.open(name, limit=budgets.JSON_BYTES) as file:
            held = parse_json(self.feed(file), what=f"index {name}")
        found = held.get("weight_map")
        if not isinstance(found, dict) or not found or not all(map(_is_text, found.values())):
            raise InvalidInput(f"expected the index {name} to name a file for each array")
        if len(found) > budgets.MAX_ARRAYS or len(set(found.values())) > _MOST_SHARDS:
            raise OverBudget(
                f"an index may name {budgets.MAX_ARRAYS:,} arrays in {_MOST_SHARDS:,} files"
            )
        return found


def _is_name(name: str) -> bool:
    """Whether it can only be that of something in a folder."""
    return os.sep not in name and name not in (".", "..")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _check_same(
    first: str, arrays: Mapping[str, Stored], second: str, others: Mapping[str, Stored]
) -> None:
    """Refuse two files of weights that are not the same network.

    Raises:
        InvalidInput: If they hold other numbers.
    """
    keys = [key for key in {**arrays, **others} if not key.endswith(_COUNTER)]
    differ = [key for key in keys if not _same(arrays.get(key), others.get(key))]
    if differ:
        shown = ", ".join([*map(repr, differ[:_SHOWN]), *["..."] * (len(differ) > _SHOWN)])
        raise InvalidInput(
            f"{first} and {second} are not the same network: {len(differ)} of {len(keys)} arrays "
            f"differ ({shown}), so what runs depends on who loads it; give the file that you mean"
        )


def _same(one: Stored | None, other: Stored | None) -> bool:
    if one is None or other is None:
        return False
    return (one.type, one.shape, one.data) == (other.type, other.shape, other.data)


def _also(found: Sequence[str]) -> Iterator[str]:
    if found[1:]:
        others = " and ".join(found[1:])
        yield f"read from {found[0]}; the same numbers are in {others} beside it"


def _left(names: Iterator[str]) -> Iterator[str]:
    """What in the folder was not looked at."""
    every = list(names)
    for what, ends in (("code", (".py",)), ("weights", _OTHERS)):
        left = [name for name in every if name.endswith(ends)]
        if left:
            shown = ", ".join([*left[:_SHOWN], *["..."] * (len(left) > _SHOWN)])
            done = "run or read" if what == "code" else "read"
            yield f"{what} in the folder, not {done}: {shown}"
