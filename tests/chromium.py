"""The system's Chromium without a window, or Playwright's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserType

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        found = _launch(driver.chromium)
        yield found
        found.close()


def _launch(driver: BrowserType) -> Browser:
    from playwright.sync_api import Error

    path = next(filter(None, map(shutil.which, _NAMES)), None)
    try:
        return driver.launch(executable_path=path, args=list(_QUIET))
    except Error as error:
        reason = str(error).strip().splitlines()[0]
        pytest.skip(f"no Chromium to test the page in; `.ci/browser` installs one ({reason})")
