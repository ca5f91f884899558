"""The picture of a report in the README: `python docs/picture.py RUN/report.html docs/report.png`.

Needs playwright and a Chromium (`make setup` installs both).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

__all__ = ["main"]

# CSS pixels: the verdict, the numbers and the curve of a pruning.
_WIDTH, _HEIGHT = 1100, 1400
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: list[str] | None = None) -> None:
    """Open a page in a browser without a window and keep what its first screen shows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="a report.html")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--height", type=int, default=_HEIGHT, help="CSS pixels from the top")
    given = parser.parse_args(arguments)
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        size = {"width": _WIDTH, "height": given.height}
        page = browser.new_page(viewport=size, color_scheme="light")  # type: ignore[arg-type]
        page.goto(given.page.resolve().as_uri())
        page.screenshot(path=given.picture)
        browser.close()


if __name__ == "__main__":
    main()
