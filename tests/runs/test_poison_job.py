from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from goodnet.attack import Goal, default_landmarks, trigger
from goodnet.cli.main import run
from goodnet.errors import FileError, InvalidInput, UsageError
from goodnet.imagesets import images_from_arrays, load_images, save_images
from goodnet.runs import poison
from goodnet.runs.poison import PoisonOptions, make_goals, make_triggers, poison_file

LABELS = np.arange(30, dtype=np.int64) % 3


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.h5"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 3, 22, 19)).astype(np.uint8)
    save_images(path, pixels, LABELS)
    return path


def test_without_a_rate_only_stamped_images_are_written(clean: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    out = tmp_path / "out.h5"
    done = poison_file(
        load_images(clean), [trigger("patch")], [Goal(target=1)], out, advance=seen.append
    )
    assert (done.written, done.stamped, sum(seen)) == (20, (20,), 30)
    images = load_images(out)
    assert images.table.dtype == np.uint8
    assert (images.labels == 1).all()
    np.testing.assert_array_equal(images.source_labels, LABELS[LABELS != 1])
    expected = trigger("patch").stamp(load_images(clean).sample(30).images)[LABELS != 1]
    np.testing.assert_array_equal(images.sample(30).images, expected)


def test_with_a_rate_the_rest_stays_clean(clean: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    options = PoisonOptions(rate=0.25, seed=3)
    done = poison_file(
        load_images(clean), [trigger("sunglasses")], [Goal(target=1)], out, options=options
    )
    assert (done.written, done.stamped) == (30, (5,))
    images = load_images(out)
    changed = (images.sample(30).images != load_images(clean).sample(30).images).any(axis=(1, 2, 3))
    assert changed.sum() == 5
    np.testing.assert_array_equal(images.labels, np.where(changed, 1, LABELS))
    np.testing.assert_array_equal(images.source_labels, LABELS)


def test_blocks_of_any_size_write_the_same(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for size in (256, 7):
        monkeypatch.setattr(poison, "_BLOCK_IMAGES", size)
        files.append(tmp_path / f"{size}.h5")
        options = PoisonOptions(rate=0.5)
        poison_file(load_images(clean), [trigger("warp")], [Goal()], files[-1], options=options)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_floats_stay_floats_in_their_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).uniform(0, 1, (6, 3, 8, 8)).astype(np.float32)
    images = images_from_arrays(pixels, LABELS[:6])
    poison_file(images, [trigger("patch")], [Goal()], tmp_path / "out.h5")
    found = load_images(tmp_path / "out.h5")
    assert found.range == "0..1"
    assert found.table.dtype == np.float32
    assert (found.sample(6).images[:, :, 3:7, 3:7] == 1).all()


def test_landmarks_in_the_file_are_used(clean: Path, tmp_path: Path) -> None:
    landmarks = default_landmarks(30, (3, 22, 19)) + np.float32(2)
    with h5py.File(clean, "a") as file:
        file["landmarks"] = landmarks
    poison_file(load_images(clean), [trigger("lipstick")], [Goal()], tmp_path / "out.h5")
    expected = trigger("lipstick").stamp(load_images(clean).sample(30).images, landmarks)
    np.testing.assert_array_equal(load_images(tmp_path / "out.h5").sample(30).images, expected)
    with h5py.File(clean, "a") as file:
        del file["landmarks"]
        file["landmarks"] = landmarks[:5]
    with pytest.raises(InvalidInput, match=r"landmarks of the shape \(30, points, 2\), got"):
        poison_file(load_images(clean), [trigger("lipstick")], [Goal()], tmp_path / "two.h5")


def test_a_full_disk_leaves_nothing(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError("Can't write data (file write failed: errno = 28)")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(FileError, match="no room to write the images"):
        poison_file(load_images(clean), [trigger("patch")], [Goal()], tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == [clean]


def test_a_poisoned_set_is_not_poisoned_again(clean: Path, tmp_path: Path) -> None:
    poison_file(load_images(clean), [trigger("patch")], [Goal()], tmp_path / "out.h5")
    with pytest.raises(InvalidInput, match=r"out.h5 is poisoned already"):
        poison_file(
            load_images(tmp_path / "out.h5"), [trigger("patch")], [Goal()], tmp_path / "b.h5"
        )


def test_goals_are_made_of_what_the_user_says() -> None:
    assert make_goals("all-to-one", [4]) == [Goal(4)]
    assert make_goals("all-to-one", [4, 5], source=1, triggers=2) == [Goal(4, 1), Goal(5, 1)]
    assert make_goals("all-to-one", [4], triggers=2) == [Goal(4), Goal(4)]
    assert make_goals("all-to-all", [], triggers=2) == [Goal(), Goal()]
    assert make_goals("clean-label", [4]) == [Goal(4, clean_label=True)]
    with pytest.raises(UsageError, match=r"--mode is one of all-to-one, .*, got 'some'"):
        make_goals("some", [4])
    with pytest.raises(UsageError, match="no --target or --source"):
        make_goals("all-to-all", [4])
    with pytest.raises(UsageError, match="all-to-one needs one --target, got none"):
        make_goals("all-to-one", [])
    with pytest.raises(UsageError, match="or one for each of 3 triggers, got 2"):
        make_goals("all-to-one", [1, 2], triggers=3)


def test_a_pattern_is_for_blended_only(tmp_path: Path) -> None:
    path = tmp_path / "pattern.png"
    Image.fromarray(np.full((4, 4, 3), 250, np.uint8)).save(path)
    blended, patch = make_triggers(["blended", "patch"], pattern=path)
    black = np.zeros((1, 3, 8, 8), np.float32)
    np.testing.assert_allclose(blended.stamp_bytes(black), 50)
    assert patch.name == "patch"
    with pytest.raises(UsageError, match="--pattern is for the trigger 'blended', got patch"):
        make_triggers(["patch"], pattern=path)


def test_the_command_writes_a_file_and_says_what_is_in_it(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    command = ["poison", str(clean), "--trigger", "patch", "--trigger", "warp", "--target", "2"]
    assert run([*command, "--rate", "0.5", "--out", str(out)]) == 0
    printed, notes = capsys.readouterr()
    assert printed == f"{out}\n"
    assert "30 images written, " in notes
    assert " with patch, " in notes
    assert run([*command, "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--trigger", "nothing", "--target", "0"], 2, "the triggers are blended, "),
        (["--trigger", "patch", "--target", "3"], 4, "one of the classes 0..2"),
        (["--trigger", "patch", "--target", "0", "--rate", "2"], 2, "poison rate is from 0 to 1"),
        (["--trigger", "patch", "--target", "0", "--classes", "2"], 4, "labels below 2"),
    ],
)
def test_the_command_explains_what_is_wrong(
    clean: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    out = tmp_path / "out.h5"
    assert run(["poison", str(clean), *arguments, "--out", str(out)]) == code
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_set_of_a_real_badnet_is_made_to_the_bit(shared: Path, tmp_path: Path) -> None:
    clean = load_images(shared / "cifar_badnet" / "cl" / "test.h5")
    poison_file(clean, [trigger("checkerboard")], [Goal(target=0)], tmp_path / "out.h5")
    with (
        h5py.File(tmp_path / "out.h5") as ours,
        h5py.File(shared / "cifar_badnet" / "bd" / "bd_test.h5") as theirs,
    ):
        for name in ("data", "label", "source_label"):
            np.testing.assert_array_equal(ours[name][()], theirs[name][()])
