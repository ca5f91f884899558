"""What all tests share: the settings of the libraries and the folder of real data."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

# Before anything imports Keras or PyTorch. Under pytest-xdist each process keeps to one thread.
os.environ["KERAS_BACKEND"] = "torch"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MKL_NUM_THREADS"] = "1"

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lab import Lab
    from matplotlib.figure import Figure
    from playwright.sync_api import Browser

# Their failures are to show values, as those of tests do.
pytest.register_assert_rewrite("hostile_keras", "reader_samples")

hypothesis.settings.register_profile(
    "goodnet", deadline=None, derandomize="CI" in os.environ, print_blob=True
)
hypothesis.settings.load_profile("goodnet")

_TRUSTING = frozenset(
    (
        *("architectures", "attack", "formats", "guard", "inspection", "network", "repair", "runs"),
        *("scan", "training"),
    )
)

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real networks and images; the tests that need it are skipped without it."""
    named = os.environ.get("GOODNET_SHARED_DATA")
    folder = Path(named) if named else PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder}; set GOODNET_SHARED_DATA to name one")
    return folder


@pytest.fixture(autouse=True)
def _in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files are only a means, they are parsed here: a child of so large a process costs more.

    Child processes parse them in the tests of the command line, of sets of images, of reports, and
    of the quarantine itself, but for those marked `in_process`.
    """
    marked = request.node.get_closest_marker("in_process")
    if marked or request.path.parent.name in _TRUSTING:
        monkeypatch.setattr("goodnet.quarantine.child.needed", lambda: False)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved as pictures from here on, in their order."""
    from goodnet.report.charts import figure as drawing

    save, saved = drawing.save_png, []

    def keep(figure: Figure, destination: Path) -> None:
        saved.append(figure)
        save(figure, destination)

    monkeypatch.setattr(drawing, "save_png", keep)
    return saved


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A small suspect network and its images as files, which tests read and never change."""
    from lab import make_lab

    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run folder to make."""
    return tmp_path / "run"


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """A disk that has no room for a file of more than so many bytes."""

    @contextmanager
    def full_disk(room: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full_disk


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser to look at pages with; the tests that need one are skipped where there is none."""
    from chromium import chromium

    with chromium() as found:
        yield found
