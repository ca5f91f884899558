from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goodnet.attack.trigger_file import read_trigger, write_trigger
from goodnet.errors import FileError, InvalidInput, OverBudget, UsageError

MASK = np.linspace(0, 1, 30).reshape(6, 5)
PATTERN = np.random.default_rng(0).integers(0, 256, (3, 6, 5), dtype=np.uint8)
IMAGES = np.random.default_rng(1).integers(0, 256, (4, 3, 6, 5)).astype(np.float32)


def written(path: Path, **arrays: Any) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def test_what_is_written_stamps_as_it_says(tmp_path: Path) -> None:
    write_trigger(tmp_path / "t.npz", MASK, PATTERN)
    found = read_trigger(tmp_path / "t.npz")
    assert (found.name, found.least, found.needs_landmarks) == ("t.npz", (6, 5), False)
    wanted = (1 - MASK) * IMAGES + MASK * PATTERN
    np.testing.assert_allclose(found.stamp_bytes(IMAGES), wanted, atol=1e-3)
    unit = found.stamp(IMAGES / np.float32(255))
    np.testing.assert_allclose(unit, wanted / 255, atol=1e-5)


def test_a_perturbation_is_added_and_clipped(tmp_path: Path) -> None:
    added = np.random.default_rng(2).uniform(-255, 255, (3, 6, 5))
    write_trigger(tmp_path / "t.npz", added=added)
    found = read_trigger(tmp_path / "t.npz")
    wanted = (IMAGES + added).clip(0, 255)
    np.testing.assert_allclose(found.stamp_bytes(IMAGES), wanted, atol=1e-3)
    with pytest.raises(InvalidInput, match="is for images of 3x6x5"):
        found.stamp(np.zeros((2, 3, 8, 8), np.float32))


def test_half_a_trigger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"expected a mask and a pattern, or added, .* got mask"):
        write_trigger(tmp_path / "t.npz", MASK)


def test_pixels_outside_the_mask_stay_to_the_last_bit(tmp_path: Path) -> None:
    write_trigger(tmp_path / "t.npz", np.eye(6, 5), PATTERN)
    stamped = read_trigger(tmp_path / "t.npz").stamp_bytes(IMAGES)
    outside = np.eye(6, 5) == 0
    assert np.array_equal(stamped[..., outside], IMAGES[..., outside])
    assert np.array_equal(stamped[..., ~outside], np.broadcast_to(PATTERN[:, ~outside], (4, 3, 5)))


def test_an_existing_file_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    write_trigger(path, MASK, PATTERN)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        write_trigger(path, 0 * MASK, PATTERN)
    assert path.read_bytes() == before
    write_trigger(path, 0 * MASK, PATTERN, force=True)
    assert np.array_equal(read_trigger(path).stamp_bytes(IMAGES), IMAGES)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 6, 5), (3, 6, 6)])
def test_images_of_another_size_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_trigger(tmp_path / "t.npz", MASK, PATTERN)
    images = np.zeros((2, *shape), np.float32)
    shown = "x".join(map(str, shape))
    with pytest.raises(InvalidInput, match=f"is for images of 3x6x5 .* got images of {shown}"):
        read_trigger(tmp_path / "t.npz").stamp(images)


def test_smaller_images_are_refused_before_any_is_stamped(tmp_path: Path) -> None:
    write_trigger(tmp_path / "t.npz", MASK, PATTERN)
    with pytest.raises(InvalidInput, match="needs at least 5x6 pixels, got 4x4"):
        read_trigger(tmp_path / "t.npz").check((1, 3, 4, 4))


WRONG = [
    ({"mask": MASK}, "arrays mask and pattern, or added, got mask"),
    ({}, "got no arrays"),
    ({"mask": MASK[0], "pattern": PATTERN}, r"mask .* shape \(height, width\), got \(5,\)"),
    ({"mask": MASK, "pattern": PATTERN[0]}, r"pattern .* \(channels, height, width\)"),
    ({"mask": MASK[:0], "pattern": PATTERN}, r"mask .* got \(0, 5\)"),
    ({"mask": MASK[:, :4], "pattern": PATTERN}, "a mask of 6x4 and a pattern of 6x5"),
    ({"mask": MASK + np.nan, "pattern": PATTERN}, "mask .* from 0 to 1 everywhere, got nan"),
    ({"mask": MASK * 2, "pattern": PATTERN}, "mask .* got 0 to 2"),
    ({"mask": MASK, "pattern": PATTERN - 1.0}, "pattern .* from 0 to 255 everywhere, got -1"),
    ({"mask": MASK, "pattern": PATTERN * 1e300}, "pattern .* got 0 to inf"),
    ({"added": PATTERN * 2.0}, "added .* from -255 to 255 everywhere, got"),
    ({"added": MASK}, r"added .* \(channels, height, width\), got \(6, 5\)"),
    ({"mask": MASK.astype(complex), "pattern": PATTERN}, "integers or floats"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG)
def test_files_that_hold_no_trigger_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    path = written(tmp_path / "t.npz", **arrays)
    with pytest.raises(InvalidInput, match=message):
        read_trigger(path)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "harm"),)

    mask = np.array([[Harm()]], dtype=object)
    path = written(tmp_path / "t.npz", mask=mask, pattern=PATTERN)
    with pytest.raises(InvalidInput, match="got the type object"):
        read_trigger(path)
    assert not (tmp_path / "harm").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(b"no archive")
    with pytest.raises(InvalidInput, match="ends early or is damaged"):
        read_trigger(tmp_path / "t.npz")
    with pytest.raises(FileError, match="there is no trigger file"):
        read_trigger(tmp_path / "none.npz")


def test_what_is_no_trigger_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"mask .* got 0 to 3"):
        write_trigger(tmp_path / "t.npz", 3 * MASK, PATTERN)
    with pytest.raises(InvalidInput, match="expected numbers as the mask"):
        write_trigger(tmp_path / "t.npz", "all", PATTERN)
    assert not list(tmp_path.iterdir())


def test_a_trigger_larger_than_any_image_is_refused_before_it_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", added=np.zeros((3, 2500, 2500), np.float32))
    with pytest.raises(OverBudget, match=r"the added of a trigger may take at most 64\.0 MiB"):
        read_trigger(tmp_path / "t.npz")
