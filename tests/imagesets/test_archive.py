from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodnet.errors import GoodnetError, InvalidInput, OverBudget, UnsafeInput
from goodnet.imagesets import archive, load_images


def picture(value: int, size: tuple[int, int] = (5, 4)) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def pack(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo, form: int = 1) -> Path:
    with tarfile.open(path, "w:xz", format=form) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in extra:
            tar.addfile(entry)
    return path


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


FILES = {
    "set/dog/b.png": picture(3),
    "set/cat/1.png": picture(1),
    "set/dog/a.png": picture(2),
}


def test_an_archive_is_read_as_its_folder_would_be(tmp_path: Path) -> None:
    folder = special("set/", tarfile.DIRTYPE)
    images = load_images(pack(tmp_path / "x.tar.xz", FILES, folder))
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 1, 1]
    assert (255 * images.sample(3).images)[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert (255 * images.take([2, 0]).images)[:, 0, 0, 0].tolist() == [3, 1]
    expected = "x.tar.xz: 3 images 3x5x4, labels 0..1, pixels 0..255 (uint8), layout NHWC"
    assert images.describe() == expected
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.xz"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_usual_kind_of_tar_is_read(tmp_path: Path, form: int) -> None:
    assert len(load_images(pack(tmp_path / "x", FILES, form=form))) == 3


def test_one_of_several_sets_is_named_in_the_path(tmp_path: Path) -> None:
    files = {**FILES, "./other/2/x.png": picture(7)}
    path = pack(tmp_path / "x.tar.xz", files)
    assert load_images(path / "other").labels.tolist() == [2]
    assert len(load_images(path / "set")) == 3
    with pytest.raises(InvalidInput, match=r"several sets of images, .*: 'other', 'set'"):
        load_images(path)
    with pytest.raises(InvalidInput, match="has sets of images in 'other', 'set', not in 'third'"):
        load_images(path / "third")


def test_only_archives_have_folders_in_them(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(picture(1))
    assert len(load_images(tmp_path / "x.png")) == 1
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InvalidInput, match=r"only a .tar.xz archive has folders in it"):
        load_images(tmp_path / "x.h5" / "set")


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    extra = (
        special("set/cat/link.png", tarfile.SYMTYPE, "/etc/passwd"),
        special("set/cat/hard.png", tarfile.LNKTYPE, "set/cat/1.png"),
        special("set/cat/pipe.png", tarfile.FIFOTYPE),
    )
    files = {**FILES, "set/cat/.hidden.png": picture(9), "loose.txt": b"hello"}
    images = load_images(pack(tmp_path / "x.tar.xz", files, *extra))
    assert len(images) == 3
    assert images.skipped == "1 files, 1 hidden, 3 links or devices"


@pytest.mark.parametrize("name", ["../x/a.png", "/etc/a/a.png", "a/../../b/a.png", "a\\b/c.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "x.tar.xz", {name: picture(1)})
    with pytest.raises(UnsafeInput, match="not a plain path"):
        load_images(path)


def test_unusual_entries_are_refused(tmp_path: Path) -> None:
    long = {"set/" + "d" * 120 + "/a.png": picture(1)}
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with pytest.raises(InvalidInput, match="names over 100 letters or sparse files"):
            load_images(pack(tmp_path / "x", long, form=form))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for _ in range(2):
            entry = tarfile.TarInfo("set/cat/a.png")
            entry.size = len(picture(1))
            tar.addfile(entry, io.BytesIO(picture(1)))
    with pytest.raises(InvalidInput, match=r"the same name, 'set/cat/a.png'"):
        load_images(path)


def test_an_archive_without_images_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="one folder of images per class, got no images"):
        load_images(pack(tmp_path / "x.tar.xz", {"loose.txt": b"hello"}))


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.tar.xz"
    with lzma.open(path, "w") as file:
        entry = tarfile.TarInfo("set/cat/a.png")
        entry.size = 2**40
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(OverBudget, match=r"may have 64 MiB, 'set/cat/a.png' has more"):
        load_images(path)
    monkeypatch.setattr(archive, "MAX_HELD", 1500)
    with pytest.raises(OverBudget, match="an archive may hold 1,500 bytes"):
        load_images(pack(tmp_path / "x.tar.xz", FILES))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_part_of_an_archive_is_refused(tmp_path: Path, share: float) -> None:
    noise = {"set/cat/a.png": np.random.default_rng(0).bytes(5000)}
    content = pack(tmp_path / "x.tar.xz", noise).read_bytes()
    (tmp_path / "part").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InvalidInput, match="damaged"):
        load_images(tmp_path / "part")


@pytest.mark.in_process
def test_changed_headers_never_end_in_another_error(tmp_path: Path) -> None:
    content = bytearray(lzma.decompress(pack(tmp_path / "x.tar.xz", FILES).read_bytes()))
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        changed = content.copy()
        changed[random.integers(512)] = int(random.integers(256))
        # the sum of the header, so that it is not refused for that
        total = 256 + sum(changed[:148]) + sum(changed[156:512])
        changed[148:156] = b"%06o\0 " % total
        (tmp_path / "changed").write_bytes(lzma.compress(changed))
        try:
            load_images(tmp_path / "changed").sample(3)
        except GoodnetError:
            refused += 1
    assert 0 < refused < 200


def test_xz_without_a_tar_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(lzma.compress(b"no archive" * 200))
    with pytest.raises(InvalidInput, match="expected a tar archive, it is damaged"):
        load_images(tmp_path / "x")


def test_cifar_10_is_read_from_its_archive(shared: Path) -> None:
    images = load_images(shared / "cifar10-jpeg.tar.xz" / "cifar10" / "test")
    assert (len(images), images.shape) == (10_000, (3, 32, 32))
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert images.class_names is not None
    assert (images.class_names[0], images.class_names[9]) == ("airplane", "truck")
    assert 255 * images.sample(20).images.std() > 30
