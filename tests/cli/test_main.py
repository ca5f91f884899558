"""The command line as a user meets it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import h5py
import numpy as np
import pytest
from lab import Lab
from typer.main import get_command

from goodnet.cli.main import app, run
from goodnet.formats import read_spec
from goodnet.formats.format import save_spec
from goodnet.formats.spec import Activation, Layer, NetworkSpec
from goodnet.imagesets import load_images, save_images
from goodnet.repair import repairs

SIGMOID = Activation("sigmoid")


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def fails(capsys: pytest.CaptureFixture[str], code: int, arguments: list[object]) -> str:
    """Run a command that must end with one line on stderr and this exit code."""
    assert run([str(argument) for argument in arguments]) == code
    out, err = said(capsys)
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("goodnet: ")
    assert "Traceback" not in err
    return last


def test_prune_writes_a_run_folder_and_prints_a_table(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--test", lab.test, "--out", out]
    command += ["--backdoor", f"toy={lab.poisoned}", "--drop", "5", "--drop", "20,99"]
    assert run([str(part) for part in command]) == 0
    printed, notes = said(capsys)
    assert "G detection rate" in printed
    assert "not reached" in printed
    assert "valid.h5: 150 images 3x8x8" in notes
    names = {path.name for path in out.iterdir()}
    expected = {"results.json", "run.json", "report.html", "pictures", "curve.csv"}
    expected |= {f"{name}.{kind}" for name in ("curve", "comparison") for kind in ("png", "svg")}
    expected |= {f"{kind}_drop_{drop}" for drop in (5, 20) for kind in ("model", "goodnet")}
    assert {name.replace(".h5", "").replace(".keras", "") for name in names} == expected


def test_evaluate_prints_the_lines_of_the_lab(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(lab.model), "--clean", str(lab.test)]) == 0
    lines = said(capsys)[0].splitlines()
    assert lines[0] == "Clean Classification accuracy: 90.0"
    both = [str(lab.poisoned), f"again={lab.poisoned}"]
    assert run(["evaluate", str(lab.model), "--clean", str(lab.test), "--backdoor", *both]) == 0
    lines = said(capsys)[0].splitlines()
    assert lines[1].startswith("Attack Success Rate: ")
    assert [line.rpartition("  ")[2] for line in lines[1:3]] == ["(bd)", "(again)"]


def test_evaluate_gives_json(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", lab.model, "--clean", lab.test, "--backdoor", lab.poisoned, "--json"]
    assert run([str(part) for part in command]) == 0
    (found,) = json.loads(said(capsys)[0])
    assert found["clean"]["correct"]["count"] == 135
    assert found["backdoor"]["bd"]["robust"]["total"] == 60


@pytest.mark.parametrize("words", [[], ["repair"]])
def test_without_a_command_the_help_is_shown_as_it_is(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[0].startswith("Usage: ")
    assert any(line.startswith("  cure ") for line in shown)


def test_guard_then_predict_then_evaluate(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--out", out, "--drop", "5", "--no-report"]
    assert run([str(part) for part in command]) == 0
    good, repaired = tmp_path / "good.keras", out / "model_drop_5.h5"
    assert run(["guard", str(lab.model), str(repaired), "--out", str(good)]) == 0
    assert "class 5 means backdoored" in said(capsys)[1]
    assert run(["predict", str(good), str(lab.test), "--scale", "raw"]) == 0
    from_file = said(capsys)[0].split()
    command = ["predict", lab.model, lab.test, "--scale", "raw", "--repaired", repaired]
    assert run([str(part) for part in command]) == 0
    assert said(capsys)[0].split() == from_file
    assert len(from_file) == 150
    assert "5" in from_file
    assert run(["evaluate", str(good), "--clean", str(lab.test)]) == 0
    assert f"{100 * from_file.count('5') / 150:.2f}" in said(capsys)[0]


def test_predict_takes_the_scale_from_the_run_folder(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", lab.model, "--clean", lab.valid, "--out", out, "--drop", "30"]
    assert run([str(part) for part in [*command, "--no-report"]]) == 0
    said(capsys)
    assert run(["predict", str(out / "goodnet_drop_30.keras"), str(lab.test)]) == 0
    printed, notes = said(capsys)
    assert "results.json" in notes
    assert len(printed.split()) == 150


def test_predict_refuses_to_guess_the_scale(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    save_images(tmp_path / "x.h5", pixels, np.zeros(20))
    line = fails(capsys, 2, ["predict", lab.model, tmp_path / "x.h5"])
    assert "the answer depends on what the network takes (--scale raw: " in line
    assert "pass --scale raw or --scale 1/255, or --clean" in line


def test_the_scale_is_that_of_the_clean_images_whatever_others_are_stored_as(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = load_images(lab.test).sample(150)
    save_images(tmp_path / "bytes.h5", np.rint(255 * block.images).astype(np.uint8), block.labels)
    answers = []
    for images in (lab.test, tmp_path / "bytes.h5"):
        assert run(["predict", str(lab.model), str(images), "--clean", str(lab.valid)]) == 0
        answers.append(np.array(said(capsys)[0].split()))
    assert (answers[0] == answers[1]).mean() > 0.95


def test_inspect_shows_the_file_and_runs_nothing(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(lab.model)]) == 0
    printed = said(capsys)[0]
    assert "classes:           5" in printed
    assert run(["inspect", str(lab.model), "--json"]) == 0
    found = json.loads(said(capsys)[0])
    assert found["default_layer"] == "pool_1"
    assert found["layers"][1]["shape"] == [6, 8, 8]


@pytest.mark.parametrize(
    ("shape", "note"),
    [((20,), "takes values of shape 20, no images"), ((2, None, None), "takes images of any size")],
)
def test_inspect_says_what_a_network_takes(
    shape: tuple[int | None, ...], note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = [Layer("image", "input", (), {"shape": shape})]
    if len(shape) > 1:
        layers.append(Layer("pool", "global_avg_pool2d", ("image",), {"keepdims": False}))
    layers.append(Layer("answer", "activation", (layers[-1].name,), {"activation": SIGMOID}))
    save_spec(NetworkSpec(tuple(layers), {}, "answer"), tmp_path / "net.h5")
    assert run(["inspect", str(tmp_path / "net.h5")]) == 0
    assert note in said(capsys)[0]


def test_show_draws_a_sheet(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    command = ["show", lab.test, "--model", lab.model, "--scale", "raw", "--out", sheet]
    assert run([str(part) for part in command]) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert said(capsys)[0] == f"{sheet}\n"
    assert "use --force" in fails(capsys, 2, command)


MODEL_ERRORS = {
    "missing": (6, "there is no model file"),
    "directory": (4, "expected"),
    "empty": (4, "empty"),
    "text": (4, "expected a model, .h5"),
}


@pytest.mark.parametrize("case", MODEL_ERRORS)
@pytest.mark.parametrize("command", ["inspect", "prune", "evaluate", "predict"])
def test_a_bad_model_is_one_sentence(
    lab: Lab, tmp_path: Path, case: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.h5"
    if case == "directory":
        model.mkdir()
    elif case != "missing":
        model.write_text("" if case == "empty" else "these are words, not weights")
    extra: dict[str, list[object]] = {
        "inspect": [],
        "prune": ["--clean", lab.valid, "--out", tmp_path / "run"],
        "evaluate": ["--clean", lab.valid],
        "predict": [lab.test],
    }
    code, words = MODEL_ERRORS[case]
    assert words in fails(capsys, code, [command, model, *extra[command]])
    assert not (tmp_path / "run").exists()


def test_usage_errors_are_one_line(lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--out", out]
    for drop, words in (("0", "above 0 and below 100"), ("100", "above 0"), ("two", "'two'")):
        assert words in fails(capsys, 2, [*base, "--drop", drop])
    assert "nan" in fails(capsys, 2, [*base, "--drop", "nan"])
    assert "ascending or descending" in fails(capsys, 2, [*base, "--order", "up"])
    assert "--scale" in fails(capsys, 2, [*base, "--scale", "much"])
    for device in ("abacus", "meta", "x" * 5000):
        line = fails(capsys, 2, [*base, "--device", device])
        assert "cannot compute on the device" in line
        assert len(line) < 1000
    assert "No such option" in fails(capsys, 2, [*base, "--frobnicate"])
    assert "--clean" in fails(capsys, 2, ["prune", lab.model, "--out", out])
    assert "expected one model" in fails(capsys, 2, [*base, "another.h5"])
    assert "two backdoor sets" in fails(
        capsys, 2, [*base, "--backdoor", lab.poisoned, "--backdoor", lab.poisoned]
    )


def test_a_layer_that_is_not_there_lists_those_that_are(
    lab: Lab, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--out", out]
    line = fails(capsys, 4, [*base, "--layer", "pool_9"])
    assert "'pool_9'" in line
    assert "conv_1, pool_1, conv_2" in line
    assert "has the channels 0..5, got 17" in fails(capsys, 4, [*base, "--channels", "0,17"])
    assert "listed twice" in fails(capsys, 4, [*base, "--channels", "0,1,0"])


CHANNELS = {
    "words": "one,two",
    "a word in a list": '["one"]',
    "nothing in a list": "[null]",
    "a fraction": "[1.5]",
    "a truth": "[true]",
    "below 0": "-1",
    "too large": "9" * 60,
    "far too large": "9" * 5000,
    "far too large in a list": f"[{'9' * 5000}]",
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("in_file", [False, True], ids=["given", "in a file"])
@pytest.mark.parametrize("case", CHANNELS)
def test_channels_that_are_none_are_one_line(
    case: str, in_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = CHANNELS[case]
    if in_file:
        (tmp_path / "channels").write_text(given)
        given = str(tmp_path / "channels")
    line = fails(capsys, 2, ["prune", "m", "--clean", "c", "--out", "o", "--channels", given])
    assert "expected --channels as numbers with commas between, or a file of them, got " in line
    assert len(line) < 200


def test_a_file_that_holds_no_text_holds_no_channels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "bytes", tmp_path / "pipe", tmp_path):
        command = ["prune", "m", "--clean", "c", "--out", "o", "--channels", path]
        assert "expected --channels as numbers" in fails(capsys, 2, command)


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "LONG"],
        ["inspect", "MODEL", "--architecture", "LONG"],
        ["evaluate", "MODEL", "--clean", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--classes", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--backdoor", "LONG"],
        ["evaluate", "MODEL", "--clean", "IMAGES", "--preprocess", "LONG.json"],
        ["predict", "MODEL", "LONG", "--scale", "raw"],
        ["prune", "MODEL", "--clean", "IMAGES", "--out", "LONG"],
        ["compare", "MODEL", "--clean", "IMAGES", "--test", "IMAGES", "x=IMAGES", "--out", "LONG"],
        ["report", "LONG"],
    ],
    ids=" ".join,
)
def test_a_path_that_is_too_long_is_one_short_sentence(
    lab: Lab, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    known: dict[str, object] = {"MODEL": lab.model, "IMAGES": lab.valid, "LONG": "a" * 5000}
    known |= {"LONG.json": f"{known['LONG']}.json", "x=IMAGES": f"x={lab.poisoned}"}
    line = fails(capsys, 6, [known.get(word, word) for word in command])
    assert "too long" in line
    assert len(line) < 1000


def test_an_empty_argument_is_no_folder(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert "after 'inspect', got an empty text" in fails(capsys, 2, ["inspect", ""])
    line = fails(capsys, 2, ["evaluate", lab.model, "--clean", ""])
    assert "expected a value after '--clean', got an empty text" in line
    line = fails(capsys, 2, ["evaluate", lab.model, "--clean="])
    assert "expected a value after '--clean=', got an empty text" in line


def test_data_errors_are_one_line(
    lab: Lab, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (30, 3, 8, 8)).astype(np.float32)
    labels = np.arange(30.0) % 5

    def refused(code: int = 4, **datasets: np.ndarray) -> str:
        path = tmp_path / "bad.h5"
        with h5py.File(path, "w") as file:
            for name, array in datasets.items():
                file[name] = array
        return fails(capsys, code, ["prune", lab.model, "--clean", path, "--out", out])

    assert "'people' (30,), 'pixels'" in refused(pixels=images, people=labels)
    assert "30" in refused(data=images, label=labels[:20])
    assert "0..4" in refused(data=images, label=labels + 10)
    assert "1.5" in refused(data=images, label=labels + 0.5 + 1)
    assert "3x8x8" in refused(data=np.tile(images, (1, 1, 2, 2)), label=labels)
    spoilt = images.copy()
    spoilt[7, 1, 2, 3] = np.nan
    assert "image 7" in refused(data=spoilt, label=labels)
    assert "at least one image" in refused(data=images[:0], label=labels[:0])
    assert "too few images" in refused(data=images[:1], label=labels[:1])
    assert "does not recognise these images" in refused(data=images, label=labels)


def test_the_output_folder_is_never_trampled(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: list[object] = ["prune", lab.model, "--clean", lab.valid, "--drop", "30"]
    base += ["--no-report", "--out"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert "exists already" in fails(capsys, 2, [*base, mine])
    assert "remove this one yourself" in fails(capsys, 2, [*base, mine, "--force"])
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert "got a file" in fails(capsys, 2, [*base, mine / "thesis.txt"])
    assert "no such folder" in fails(capsys, 6, [*base, tmp_path / "a" / "b"])
    run_folder = tmp_path / "run"
    assert run([str(part) for part in [*base, run_folder]]) == 0
    said(capsys)
    assert "exists already" in fails(capsys, 2, [*base, run_folder])
    assert run([str(part) for part in [*base, run_folder, "--force"]]) == 0


def test_a_full_disk_leaves_nothing_behind(
    lab: Lab,
    out: Path,
    full_disk: Callable[[int], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with full_disk(20_000):
        command = ["prune", lab.model, "--clean", lab.valid, "--drop", "30", "--out", out]
        assert "no room to write" in fails(capsys, 6, command)
    assert list(out.parent.iterdir()) == []


STOPS = [
    *([stop] for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)),
    [signal.SIGINT] * 3,
    [signal.SIGINT, signal.SIGTERM],
]


@pytest.mark.parametrize("stops", STOPS, ids=lambda stops: " ".join(x.name for x in stops))
def test_an_interruption_leaves_nothing_behind(
    lab: Lab, tmp_path: Path, out: Path, stops: list[signal.Signals]
) -> None:
    many = tmp_path / "many.h5"
    images = np.random.default_rng(0).uniform(-1, 1, (200_000, 3, 8, 8)).astype(np.float16)
    save_images(many, images, np.arange(200_000) % 5)
    command = ["prune", lab.model, "--clean", many, "--scale", "raw", "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "goodnet", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.readline()
    started = [path for path in tmp_path.iterdir() if path.name.startswith(".goodnet")]
    for stop in stops:
        process.send_signal(stop)
    printed, notes = process.communicate()
    assert process.returncode == 130
    assert printed == ""
    assert "interrupted" in notes.splitlines()[-1]
    assert "Traceback" not in notes
    assert len(started) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["many.h5"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_before_anything_has_begun_the_end_is_one_sentence(stop: signal.Signals) -> None:
    code = f"import goodnet.__main__, os; os.kill(os.getpid(), {int(stop)})"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 130
    assert found.stderr == "goodnet: interrupted; nothing was left half written\n"


@pytest.mark.parametrize("variable", ["HDF5_DRIVER", "HDF5_VOL_CONNECTOR"])
def test_the_environment_brings_no_code_into_the_library_of_hdf5(lab: Lab, variable: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(lab.model)],
        env={**os.environ, variable: "nonesuch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_a_reader_that_leaves_early_is_no_error(lab: Lab) -> None:
    command = f"{sys.executable} -m goodnet inspect {lab.model} | true"
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""


COMMANDS = list(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    usage = next(line for line in said(capsys)[0].splitlines() if "Usage: " in line)
    assert command in usage
    assert not {"[]", "[]...", "{"} & set(usage.split())


def test_help_and_inspect_load_no_torch(lab: Lab) -> None:
    methods = [["repair", name, "--help"] for name in repairs()]
    lines = [["--help"], *([name, "--help"] for name in COMMANDS), *methods, ["inspect", lab.model]]
    code = (
        "import sys; from goodnet.cli.main import run\n"
        f"for line in {[[str(word) for word in line] for line in lines]!r}:\n"
        "    assert run(line) == 0, line\n"
        "    heavy = {'torch', 'keras', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "    assert not heavy, (line, heavy)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr


def test_control_characters_of_a_file_reach_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = fails(capsys, 6, ["inspect", tmp_path / "a\x1b[31m\nb.h5"])
    assert "\x1b" not in line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_spelled_out(
    lab: Lab, encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "\u65e5\u672c.h5").symlink_to(lab.model)
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(tmp_path / "\u65e5\u672c.h5")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert b"\\u65e5\\u672c.h5" in found.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert said(capsys)[0].startswith("goodnet 0.")


def test_a_pipe_is_refused_and_not_waited_for(lab: Lab, tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.h5"
    os.mkfifo(fifo)
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", str(fifo)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 4
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(("stdout", "code"), [("/dev/full", 6), ("&-", 0)])
def test_an_output_that_cannot_be_written_is_one_sentence(lab: Lab, stdout: str, code: int) -> None:
    if stdout == "/dev/full" and not Path(stdout).exists():
        pytest.skip("this system has no device that is always full")
    command = f"{sys.executable} -m goodnet inspect {lab.model} >{stdout}"
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert found.returncode == code, found.stderr
    told = "goodnet: cannot write to the standard output: No space left on device\n"
    assert found.stderr == (told if code else "")


@pytest.fixture
def overflowing(lab: Lab, tmp_path: Path) -> Path:
    """The network of the lab with weights that are finite and answers that are not."""
    spec, path = read_spec(lab.model), tmp_path / "overflowing.h5"
    huge = {key: np.full_like(array, 3e38) for key, array in spec.arrays.items()}
    save_spec(spec.with_arrays(huge), path)
    return path


@pytest.mark.parametrize("scale", [[], ["--scale", "1/255"]])
def test_a_network_that_answers_nan_is_not_judged(
    lab: Lab, overflowing: Path, out: Path, scale: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[object] = [overflowing, "--clean", lab.valid, *scale]
    said_so = r"NaN or infinity on \d+ of \d+ images"
    for command in (["evaluate", *given], ["prune", *given, "--out", out]):
        assert re.search(said_so, fails(capsys, 4, command))
    assert not out.exists()
    if scale:
        assert re.search(said_so, fails(capsys, 4, ["predict", overflowing, lab.test, *scale]))
    for name in ("cure", "scan"):
        assert run([str(part) for part in (name, *given, "--out", out)]) == 8
        printed = "".join(said(capsys))
        assert "inconclusive" in printed
        assert re.search(f"{said_so}|not finite numbers", printed)


def test_weights_with_which_answers_overflow_are_a_red_flag(
    overflowing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(overflowing)]) == 0
    assert "as large as 3e+38, with which answers may be infinite or NaN" in said(capsys)[0]


def test_memory_that_runs_out_within_pytorch_is_one_sentence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("alloc_cpu.cpp:127: DefaultCPUAllocator: can't allocate memory\n#0")

    monkeypatch.setattr("goodnet.runs.inspect.layer_shapes", full)
    assert "goodnet: out of memory; close" in fails(capsys, 5, ["inspect", lab.model])
