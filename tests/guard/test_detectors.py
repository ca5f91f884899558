"""Input detectors: closed forms, what they find, and the rate of false alarms that they hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lab import Lab
from PIL import Image
from planted import as_images, planted
from scipy.stats import rankdata
from torch import Tensor, nn

from goodnet.cli.main import run
from goodnet.errors import InvalidInput, UsageError
from goodnet.formats.torch import wrap
from goodnet.guard.confidence import Confidence, log_odds
from goodnet.guard.detector import Fitted, Scores
from goodnet.guard.methods import detectors
from goodnet.guard.strip import Strip, entropy
from goodnet.imagesets import ImageSet, images_from_arrays
from goodnet.runs.screen import Screen, make_detector, screen
from goodnet.training import Examples


def images_of(examples: Examples, count: int, *, after: int = 0) -> ImageSet:
    rows = slice(after, after + count)
    return as_images(Examples(examples.images[rows], examples.labels[rows]))


def auroc(suspicious: Scores, clean: Scores) -> float:
    ranks = rankdata(np.concatenate([suspicious, clean]))
    above = ranks[: len(suspicious)].sum() - len(suspicious) * (len(suspicious) + 1) / 2
    return float(above / (len(suspicious) * len(clean)))


@pytest.fixture(scope="module", params=list(detectors()))
def fitted(request: pytest.FixtureRequest) -> Fitted:
    case = planted(batch_size=32)
    return detectors()[request.param]().fit(case.network, images_of(case.clean, 120))


def test_the_odds_and_the_entropy_of_even_and_certain_answers() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [1000.0, 0.0, 0.0]])
    assert log_odds(logits).tolist() == pytest.approx([-math.log(2), 1000 - math.log(2)])
    assert entropy(logits).tolist() == pytest.approx([math.log(3), 0.0])


def test_stamped_images_are_more_suspicious_than_clean_ones(fitted: Fitted) -> None:
    case = planted(batch_size=32)
    clean = fitted.score(images_of(case.clean, 100, after=120))
    stamped = fitted.score(images_of(case.stamped, 100))
    assert clean.dtype == np.float32
    assert clean.shape == stamped.shape == (100,)
    assert auroc(stamped, clean) > 0.8


def test_scores_do_not_depend_on_the_batch(fitted: Fitted) -> None:
    images = images_of(planted(batch_size=32).stamped, 11)
    whole = fitted.score(images)
    for size in (1, 3, 8):
        parts = [fitted.score_block(block) for block in images.blocks(size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-4, atol=1e-4)


def test_the_threshold_holds_a_rate_that_the_images_allow(fitted: Fitted) -> None:
    count = len(fitted.readings)
    limit, held = fitted.threshold(0.1)
    assert held <= 0.1
    assert (fitted.readings > limit).mean() <= held
    assert fitted.threshold(1e-6) == (fitted.readings.max(), 1 / (count + 1))
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="a rate of false alarms between 0 and 1"):
            fitted.threshold(rate)


def test_what_is_kept_is_not_read_again() -> None:
    case = planted(batch_size=32)
    images = images_of(case.clean, 60)
    found = Strip(overlays=4).fit(case.network, images)
    assert (len(found.reference), len(found.readings)) == (30, 30)
    assert len(Confidence().fit(case.network, images).readings) == 60


class Spoilt(nn.Module):
    """Gives no number for images that begin with a bright pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(192, 3)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.last(images.flatten(1))
        return torch.where(images[:, 0, 0, :1] > 0.6, torch.nan, found)


@pytest.mark.parametrize("name", detectors())
def test_an_image_without_a_number_is_the_most_suspicious(name: str) -> None:
    network = wrap(Spoilt(), (3, 8, 8))
    pixels = np.full((20, 3, 8, 8), 0.5, np.float32)
    clean = images_from_arrays(pixels.copy(), np.zeros(20), range="0..1")
    pixels[3, 0, 0, 0] = 1
    given = images_from_arrays(pixels, np.zeros(20), range="0..1")
    scores = detectors()[name]().fit(network, clean).score(given)
    assert np.flatnonzero(np.isposinf(scores)).tolist() == [3]
    with pytest.raises(InvalidInput, match=r"1 of [12]0 clean images of images have no finite"):
        detectors()[name]().fit(network, given)


def test_an_image_without_a_number_has_no_class() -> None:
    clean = images_from_arrays(np.full((20, 3, 8, 8), 0.5, np.float32), np.zeros(20), range="0..1")
    fitted = Confidence().fit(wrap(Spoilt(), (3, 8, 8)), clean)
    pixels = np.full((2, 3, 8, 8), 0.5, np.float32)
    pixels[1, 0, 0, 0] = 1
    given = images_from_arrays(pixels, np.zeros(2), range="0..1")
    first, second = screen(Screen(fitted, (given,), 0.0, 0.1, ()))
    assert first.answer in range(3)
    assert (second.answer, second.score, second.suspicious) == (None, None, True)


def test_too_few_images_are_refused() -> None:
    case = planted(batch_size=32)
    one = images_of(case.clean, 1)
    assert len(Confidence().fit(case.network, one).readings) == 1
    with pytest.raises(InvalidInput, match="strip needs 2 clean images or more, got 1"):
        Strip().fit(case.network, one)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("magic", [], r"the detectors are confidence, strip.*, got 'magic'"),
        ("strip", ["size=3"], r"--detector strip has the options .*overlays.*, got 'size=3'"),
        ("strip", ["overlays=two"], "expected a whole number for the option overlays, got 'two'"),
        ("strip", ["overlays=0"], "strip needs overlays of at least 1, got 0"),
        ("strip", ["weight=1"], "strip needs weight between 0 and 1, got 1"),
    ],
)
def test_a_detector_that_cannot_be_made_is_one_sentence(
    name: str, options: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_detector(name, options)


def test_the_command_lists_the_most_suspicious_first(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["screen", str(lab.poisoned), "--model", str(lab.model), "--clean", str(lab.valid)]
    given += ["--scale", "raw", "--set", "seed=1"]
    code = run([*given, "--false-alarms", "50%", "--count", "5"])
    shown = capsys.readouterr()
    scores = [float(line.split()[3]) for line in shown.out.splitlines()[2:]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert code == 1
    assert "of 60 images lie above" in shown.err


def test_the_command_streams_a_line_for_each_image(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["screen", str(lab.test), "--model", str(lab.model), "--clean", str(lab.valid)]
    given += ["--scale", "raw", "--detector", "strip", "--set", "overlays=3", "--json"]
    code = run(given)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["index"] for line in lines] == list(range(150))
    assert set(lines[0]) == {"file", "index", "answer", "score", "suspicious"}
    assert code == int(any(line["suspicious"] for line in lines))


@pytest.mark.parametrize(
    ("option", "code", "message"),
    [
        (["--false-alarms", "0"], 2, "expected --false-alarms between 0 and 1, got 0"),
        (["--false-alarms", "few"], 2, "expected a share such as 1% for --false-alarms"),
        (["--detector", "magic"], 2, "the detectors are"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    lab: Lab, capsys: pytest.CaptureFixture[str], option: list[str], code: int, message: str
) -> None:
    given = ["screen", str(lab.test), "--model", str(lab.model), "--clean", str(lab.valid)]
    assert run([*given, *option]) == code
    assert message in capsys.readouterr().err


def test_images_of_another_size_are_refused(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "large.npz", data=np.full((2, 3, 9, 9), 128, np.uint8))
    given = ["screen", str(tmp_path / "large.npz"), "--model", str(lab.model)]
    assert run([*given, "--clean", str(lab.valid), "--scale", "raw"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_of_pictures_is_screened_and_few_clean_images_are_said(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in range(3):
        picture = Image.fromarray(np.full((8, 8, 3), 60 * value + 20, np.uint8))
        picture.save(tmp_path / f"{value}.png")
    given = ["--model", str(lab.model), "--clean", str(lab.valid), "--scale", "raw", "--json"]
    assert run(["screen", str(tmp_path), *given, "--false-alarms", "0.1%"]) in (0, 1)
    shown = capsys.readouterr()
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert [line["file"] for line in lines] == [str(tmp_path / f"{x}.png") for x in range(3)]
    assert "150 clean images cannot hold a rate of false alarms below 1 in 151" in shown.err


def test_several_picture_files_are_told_apart(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{name}.png" for name in ("a", "b")]
    for value, path in enumerate(files):
        Image.fromarray(np.full((8, 8, 3), 90 * value + 20, np.uint8)).save(path)
    given = ["--model", str(lab.model), "--clean", str(lab.valid), "--scale", "raw", "--json"]
    assert run(["screen", *map(str, files), *given]) in (0, 1)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["file"], line["index"]) for line in lines] == [(str(path), 0) for path in files]
