"""Run folders that somebody else made, what lies beside a network, and the system around."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from _hostile_case import ANY, SECRET, Case, Done
from _hostile_good import layer, sequential, small_layers, write_small
from PIL import Image

__all__ = ["cases"]

_RUNS = "run folders: results.json"
_FILES = "run folders: other files"
_BESIDE = "files beside a network"
_FORCE = "folders that --force replaces"
_SYSTEM = "the environment"
_SIGNALS = "signals"

_REPORT = "report RUN --force"
_PREDICT = "predict M/model.h5 ../good/one.png"
_PRUNE = "prune ../good/model.h5 --clean ../good/clean.h5 --scale 1/255 --out R"

_Change = Callable[[Path], object]


def cases() -> Iterator[Case]:
    for name, change in _RESULTS.items():
        yield Case(_RUNS, name, _REPORT, partial(_run, change=partial(_results, put=change)), ANY)
    for key, item in (("x", "[]"), ("notes", '""'), ("drops", '{"drop":0}'), ("channels", "0")):
        many = partial(_run, change=partial(_many_items, key=key, item=item))
        yield Case(_RUNS, f"60 MiB of {key}: {item}", _REPORT, many)
    yield from _files()
    for name, change in _RESULTS.items():
        make = partial(_beside, put=partial(_results, put=change))
        yield Case(_BESIDE, f"results.json is {name}", _PREDICT, make, ANY, check=_followed)
    for name in _ELSEWHERE:
        make = partial(_old, put=_RESULTS[name])
        yield Case(_FORCE, f"results.json is {name}", f"{_PRUNE} --force", make, check=_replaced)
        make = partial(_beside, put=partial(_config, put=_RESULTS[name]))
        title = f"preprocessor_config.json is {name}"
        yield Case(_BESIDE, title, _PREDICT, make, ANY, check=_followed)
    yield from _system()
    yield from _signals()


# -- results.json --------------------------------------------------------------------------------


def _text(path: Path, *, text: str) -> None:
    path.write_text(text)


def _sparse(path: Path, *, size: int = 20 << 30) -> None:
    path.touch()
    os.truncate(path, size)


_START = '{"schema":1,"command":"prune","scale":"raw","x":'
_RESULTS: dict[str, _Change] = {
    "a pipe": os.mkfifo,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to a secret": lambda path: path.symlink_to("../../secret.txt"),
    "a link to other results": lambda path: path.symlink_to("../../good/RUN/results.json"),
    "a folder": lambda path: path.mkdir(),
    "empty": lambda path: path.touch(),
    "200,000 deep": partial(_text, text=_START + "[" * 200_000 + "]" * 200_000 + "}"),
    "40 MiB of lists": partial(_text, text=_START + "[" + "[]," * 14_000_000 + "1]}"),
    "20 GB, sparse": _sparse,
    "of the wrong types": partial(
        _text, text='{"schema":1,"command":["prune"],"drops":{"a":[]},"channels":"x"}'
    ),
    "of NaN": partial(_text, text='{"schema":1,"command":"prune","drops":[{"drop":NaN}]}'),
    "of schema 99": partial(_text, text='{"schema":99,"command":"prune"}'),
}
# What is tried in other places, too.
_ELSEWHERE = ("a pipe", "a link to /dev/zero", "a link to other results", "40 MiB of lists")


def _run(folder: Path, *, change: _Change) -> None:
    shutil.copytree(folder.parent / "good" / "RUN", folder / "RUN")
    change(folder / "RUN")


def _results(folder: Path, *, put: _Change) -> None:
    (folder / "results.json").unlink(missing_ok=True)
    put(folder / "results.json")


def _config(folder: Path, *, put: _Change) -> None:
    put(folder / "preprocessor_config.json")


def _changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads((folder / "results.json").read_text())
    change(found)
    (folder / "results.json").write_text(json.dumps(found))


def _many_items(folder: Path, *, key: str, item: str) -> None:
    _changed(folder, lambda found: found.update({key: "@@"}))
    count = (60 << 20) // (len(item) + 1)
    text = (folder / "results.json").read_text()
    many = "[" + ",".join([item] * count) + "]"
    (folder / "results.json").write_text(text.replace('"@@"', many))


def _beside(folder: Path, *, put: _Change) -> None:
    (folder / "M").mkdir()
    write_small(folder / "M" / "model.h5")
    put(folder / "M")


def _followed(done: Done, _: Path) -> str:
    """What predict says of where it has the scale from."""
    return "a link was followed" if "good/RUN" in done.out + done.err else ""


def _old(folder: Path, *, put: _Change) -> None:
    """A folder that is no run of ours must stay."""
    (folder / "R").mkdir()
    (folder / "R" / "mine.txt").write_text("mine")
    put(folder / "R" / "results.json")


def _replaced(_: Done, folder: Path) -> str:
    return "" if (folder / "R" / "mine.txt").exists() else "a folder of somebody was replaced"


# -- other files of a run ------------------------------------------------------------------------


def _files() -> Iterator[Case]:
    changes: dict[str, _Change] = {
        "curve.csv is a link": partial(_in_place, name="curve.csv", put=_out_of_it),
        "curve.csv is a pipe": partial(_in_place, name="curve.csv", put=os.mkfifo),
        "curve.csv is 20 GB, sparse": partial(_in_place, name="curve.csv", put=_sparse),
        "run.json is a pipe": partial(_in_place, name="run.json", put=os.mkfifo),
        "a name that is not UTF-8": lambda at: Path(os.fsdecode(bytes(at) + b"/\xff.h5")).touch(),
        "a network of 20 GB, sparse": lambda at: _sparse(at / "model_drop_9.h5"),
        "2,000 files of 4 MB, sparse": _many_files,
        "an empty iCCP chunk in every picture": _empty_chunk,
        "96 pictures of 4096 x 4096": _large_pictures,
        "pictures outside": _pictures_outside,
        "marks that change a terminal": partial(_named, name="x\x1b[31m\u202ey"),
        "script in a name": partial(_named, name="</script><script>evil()</script>"),
    }
    for name, change in changes.items():
        yield Case(_FILES, name, _REPORT, partial(_run, change=change), ANY, check=_shown)
    for name in ("marks that change a terminal", "a name that is not UTF-8"):
        make = partial(_run, change=changes[name])
        yield Case(_FILES, f"{name}, --export", "report RUN --export E", make, ANY, check=_shown)


def _in_place(folder: Path, *, name: str, put: _Change) -> None:
    (folder / name).unlink()
    put(folder / name)


def _out_of_it(path: Path) -> None:
    path.symlink_to("../../secret.txt")


def _many_files(folder: Path) -> None:
    for number in range(2000):
        _sparse(folder / f"{number}.bin", size=4 << 20)


def _empty_chunk(folder: Path) -> None:
    chunk = struct.pack(">I", 0) + b"iCCP" + struct.pack(">I", zlib.crc32(b"iCCP"))
    for path in (folder / "pictures").rglob("*.png"):
        raw = path.read_bytes()
        end = raw.rfind(b"IEND") - 4
        path.write_bytes(raw[:end] + chunk + raw[end:])


def _listed(found: dict[str, Any], files: list[str]) -> None:
    item = {"set": "clean", "index": 0, "label": 0, "answers": {}}
    found["pictures"] = {"drop": 10.0, "items": [{**item, "file": file} for file in files]}


def _large_pictures(folder: Path) -> None:
    (folder / "pictures").mkdir(exist_ok=True)
    Image.new("L", (4096, 4096)).save(folder / "pictures" / "0.png")
    files = [f"pictures/{number}.png" for number in range(96)]
    for file in files[1:]:
        shutil.copyfile(folder / files[0], folder / file)
    _changed(folder, partial(_listed, files=files))


def _pictures_outside(folder: Path) -> None:
    shutil.copyfile(folder.parent.parent / "good" / "one.png", folder.parent / "one.png")
    names = ["../one.png", "/etc/hostname", "../../secret.txt", "pictures/../../one.png"]
    _changed(folder, partial(_listed, files=names))


def _named(folder: Path, *, name: str) -> None:
    """A poisoned set and a note of that name, also in the table, as a report wants it."""
    rate = {"count": 1, "total": 2}

    def change(found: dict[str, Any]) -> None:
        found["notes"] = [name]
        found["baseline"]["backdoor"] = {name: rate}
        for drop in found["drops"]:
            drop["repaired"]["backdoor"] = drop["goodnet"]["backdoor"] = {name: rate}

    _changed(folder, change)
    head, *rows = (folder / "curve.csv").read_text().splitlines()
    lines = [f"{head},{name}", *(f"{row},0.5" for row in rows)]
    (folder / "curve.csv").write_text("\n".join(lines) + "\n")


_SPILLED = {"\x1b": "ESC", "\u202e": "U+202E", "<script>evil()": "a script", SECRET: "a secret"}


def _shown(_: Done, folder: Path) -> str:
    """What a page or a table must not hold as it is."""
    made = [folder / "RUN" / "report.html", *(folder / "E").glob("*.[ct][se][vx]")]
    texts = [path.read_text("utf-8") for path in made if path.exists()]
    found = [name for mark, name in _SPILLED.items() if any(mark in text for text in texts)]
    return f"{' and '.join(found)} in what was written" if found else ""


# -- the system ----------------------------------------------------------------------------------


def _system() -> Iterator[Case]:
    commands = ("inspect ../good/model.h5", "show ../good/clean.h5")
    for name in ("HDF5_DRIVER", "HDF5_VOL_CONNECTOR", "HDF5_PLUGIN_PATH"):
        for command in commands:
            told = {name: "nonesuch"}
            yield Case(_SYSTEM, f"{name}, {command.split()[0]}", command, None, ANY, told)
    encodings = ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"})
    for told in encodings:
        name = f"{next(iter(told))}, a layer in Japanese"
        yield Case(_SYSTEM, name, "inspect x.h5", _japanese, ANY, told)


def _japanese(folder: Path) -> None:
    layers = small_layers()
    layers.insert(1, layer("Dropout", "\u65e5\u672c\u8a9e", rate=0.5))
    write_small(folder / "x.h5", json.dumps(sequential(layers), ensure_ascii=False))


def _signals() -> Iterator[Case]:
    once, end = signal.SIGINT, signal.SIGTERM
    sent: dict[str, tuple[tuple[float, int], ...]] = {
        f"SIGINT after {at} s": ((at, once),) for at in (0.1, 0.5, 1.5)
    }
    sent |= {"SIGINT twice": ((1.5, once), (1.55, once)), "SIGTERM": ((1.5, end),)}
    for name, stops in sent.items():
        codes = _stopped(stops[0][1], stops[0][0])
        yield Case(_SIGNALS, name, _PRUNE, None, codes, stops=stops, check=_left)


def _stopped(number: int, at: float) -> tuple[int, ...]:
    """Done before it came, said to be interrupted, or, before Python can say so, ended by it."""
    return (0, 130, 128 + number, *((-number,) if at < 1 else ()))


def _left(done: Done, folder: Path) -> str:
    """Nothing half-made stays."""
    hidden = [path.name for path in folder.glob(".goodnet-*")]
    half = [] if done.code == 0 else [path.name for path in folder.glob("R*")]
    return f"{', '.join(hidden + half)} stays" if hidden or half else ""
