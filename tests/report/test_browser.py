"""The page in a real browser: used with mouse, keyboard and touch, read, printed, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_runs import compare_run, cure_run, network, prune_run, repair_run, scan_run

from goodnet.runs.report import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page

    Open = Callable[..., Any]

pytestmark = pytest.mark.slow

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
NAMES = ("prune", "repair", "cure", "compare", "scan", "several", "hostile")
EVIL = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\u202egnp.exe",
    "\U0001f600\U0001f9ea",
    "\"'><svg onload=alert(3)>",
    "=cmd|' /C calc'!A0",
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of each command, of several runs, and of a run that means harm."""
    home = tmp_path_factory.mktemp("reports")
    prune_run(home / "prune", sets=("glasses", "lipstick"))
    repair_run(home / "repair")
    compare_run(home / "compare")
    scan_run(home / "scan")
    cure_run(home / "made").rename(home / "cure")
    prune_run(home / "descending", order="descending")
    prune_run(home / "ascending")
    prune_run(home / "hostile", sets=EVIL, layer=EVIL[0], net=network(EVIL))
    found = {n: write_report([home / n]) for n in NAMES if n != "several"}
    together = [home / name for name in ("ascending", "descending", "repair", "scan")]
    return found | {"several": write_report(together, home / "several.html")}


@pytest.fixture
def open_page(browser: Browser, reports: dict[str, Path]) -> Open:
    """Opens a report; when the block ends, nothing may have gone wrong or left the page."""

    @contextmanager
    def open_page(name: str, **options: Any) -> Iterator[Page]:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        page = context.new_page()
        address = reports[name].as_uri()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: _refuse(dialog, wrong))
        page.on("request", lambda request: _note_other(request.url, address, wrong))
        page.goto(address)
        yield page
        context.close()
        assert wrong == []

    return open_page


def _refuse(dialog: Dialog, wrong: list[str]) -> None:
    wrong.append(dialog.message)
    dialog.dismiss()


def _note_other(url: str, address: str, wrong: list[str]) -> None:
    if not url.startswith((address, "data:image/png;base64,")):
        wrong.append(f"request: {url}")


def fact(page: Page, label: str, *, which: int = 0) -> str:
    """What stands beside a label in a readout."""
    readout = page.locator(".readout").nth(which)
    return readout.locator("dl > div", has_text=label).locator("dd").inner_text().strip()


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Allowed drop X")


def test_the_slider_shows_the_network_of_any_drop(open_page: Open) -> None:
    with open_page("prune") as page:
        assert fact(page, "Channels silenced") == "3 of 4"
        slider(page).focus()
        page.keyboard.press("Home")
        assert fact(page, "Channels silenced") == "0 of 4"
        assert fact(page, "Saved as") == "not saved"
        for _ in range(50):
            page.keyboard.press("ArrowRight")
        assert slider(page).get_attribute("aria-valuetext") == "5.0 points, 2 of 4"
        assert fact(page, "Saved as") == "model_drop_2.h5"
        page.keyboard.press("ArrowRight")
        assert slider(page).input_value() == "5.1"
        assert fact(page, "Channels silenced") == "3 of 4"
        page.keyboard.press("End")
        assert fact(page, "Channels silenced") == "4 of 4"
        assert fact(page, "Clean accuracy").startswith("30.0")


def test_dragging_on_the_picture_chooses_the_drop(open_page: Open) -> None:
    with open_page("prune") as page:
        chart = page.locator(".explorer .wide svg")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.97, middle, steps=5)
        page.mouse.up()
        assert fact(page, "Channels silenced") == "4 of 4"
        assert slider(page).input_value() == "65"
        assert page.locator(".explorer .wide .choice circle").count() == 3


def test_hovering_tells_of_the_step_and_leaves_the_choice(open_page: Open) -> None:
    with open_page("prune") as page:
        chart = page.locator(".explorer .wide svg")
        chart.hover()
        tip = page.locator(".tip")
        assert tip.is_visible()
        assert tip.inner_text().startswith("Step 2 of 4: channel 0")
        assert "Attack success: glasses 100.0\u00a0%" in tip.inner_text()
        assert fact(page, "Channels silenced") == "3 of 4"
        page.mouse.move(5, 5)
        assert tip.is_hidden()


def test_a_touch_chooses_on_a_phone(open_page: Open) -> None:
    with open_page("prune", viewport=PHONE, has_touch=True, is_mobile=True) as page:
        chart = page.locator(".explorer .narrow svg")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] * 0.95, box["y"] + box["height"] / 2)
        assert fact(page, "Channels silenced") == "4 of 4"


def test_two_orders_answer_to_one_slider(open_page: Open) -> None:
    with open_page("several") as page:
        assert page.locator(".explorer").count() == 1
        page.locator(".run summary").first.click()
        slider(page).focus()
        page.keyboard.press("Home")
        for which in (0, 1):
            assert fact(page, "Channels silenced", which=which) == "0 of 4"


def test_a_table_sorts_both_ways_and_says_so(open_page: Open) -> None:
    with open_page("compare") as page:
        table = page.locator("table[data-sortable]").first
        head = table.locator("th", has_text="B\u2032 ASR")
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "ascending"
        assert rows(table) == ["erase", "fine-tune", "prune-10", "none", "unlearn"]
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert rows(table) == ["none", "prune-10", "fine-tune", "erase", "unlearn"]
        table.locator("th", has_text="Repair").get_by_role("button").click()
        assert head.get_attribute("aria-sort") is None
        assert rows(table) == ["erase", "fine-tune", "none", "prune-10", "unlearn"]


def rows(table: Locator) -> list[str]:
    return [text.split("\n")[0] for text in table.locator("tbody th").all_inner_texts()]


def test_the_folds_open(open_page: Open) -> None:
    with open_page("prune") as page:
        folds = page.locator("details")
        assert folds.count() >= 4
        for fold in folds.all():
            fold.locator("summary").click()
            assert fold.get_attribute("open") is not None
        assert page.get_by_text("Clopper and Pearson (1934)").is_visible()
        assert page.get_by_text("goodnet prune bad.h5 --clean valid.h5").is_visible()


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_serious(open_page: Open, name: str) -> None:
    """In light on a desktop, in dark on a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    with open_page(name) as page:
        for fold in page.locator("details").all():
            fold.evaluate("fold => fold.open = true")
        for viewport, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            found = axe.Axe().run(page).response["violations"]
            assert [
                (one["id"], node["html"][:200], node["failureSummary"][:200])
                for one in found
                if one["impact"] in ("serious", "critical")
                for node in one["nodes"]
            ] == [], (viewport, scheme)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wider_than_a_phone(open_page: Open, name: str) -> None:
    with open_page(name, viewport=PHONE) as page:
        page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_without_scripts_all_but_the_handles_is_there(open_page: Open) -> None:
    with open_page("prune", java_script_enabled=False) as page:
        assert page.locator(".sentence").is_visible()
        assert "does not remove this backdoor" in page.locator(".sentence").inner_text()
        assert page.locator(".chart .wide svg").count() == 3
        assert page.locator("table").first.locator("td").count() > 0
        assert fact(page, "Channels silenced") == "3 of 4"
        assert page.locator(".controls").is_hidden()
        assert page.locator("th button").count() == 0


def test_it_prints_with_its_folds_open(open_page: Open) -> None:
    with open_page("prune") as page:
        page.evaluate("addEventListener('beforeprint', () => document.title = folds())")
        page.evaluate("folds = () => document.querySelectorAll('details[open]').length.toString()")
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert page.title() == "4"
        assert page.evaluate("folds()") == "0"
        page.emulate_media(media="print")
        assert page.locator(".controls").is_hidden()
        assert page.locator(".wide").first.is_visible()


def test_dark_is_dark(open_page: Open) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    with open_page("prune", color_scheme="dark") as page:
        assert page.evaluate(colour) == "rgb(20, 24, 28)"
    with open_page("prune", color_scheme="light") as page:
        assert page.evaluate(colour) == "rgb(255, 255, 255)"


def test_hostile_names_show_as_text_and_do_nothing(open_page: Open) -> None:
    with open_page("hostile") as page:
        text = page.locator("body").inner_text()
        for name in (EVIL[0], EVIL[1], EVIL[3], EVIL[4], EVIL[5], "\\u202egnp.exe"):
            assert name in text
        assert page.locator("img").count() == 18 + 3
        page.locator(".explorer .wide svg").hover()
        assert EVIL[0] in page.locator(".tip").inner_text()


def test_a_scan_shows_its_trigger_and_the_scores_fold_out(open_page: Open) -> None:
    with open_page("scan") as page:
        assert page.get_by_role("img", name="the trigger for label 0").is_visible()
        assert page.get_by_role("img", name="the same with the trigger").count() == 3
        assert page.locator(".chart .wide svg").is_visible()
        page.get_by_text("All scores as a table").click()
        assert page.get_by_role("rowheader", name="0 stands out").is_visible()


def test_the_skip_link_leads_to_the_content(open_page: Open) -> None:
    with open_page("prune") as page:
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the content"
        page.keyboard.press("Enter")
        page.wait_for_url("**#content")


def test_several_runs_open_with_one_table_and_a_link_unfolds_a_run(open_page: Open) -> None:
    with open_page("several", java_script_enabled=False) as page:
        assert page.evaluate("document.documentElement.scrollHeight") < 2500
        first = page.locator("main table").first
        assert first.locator("caption").inner_text() == "Every run"
        names = ["ascending", "descending", "repair", "scan"]
        assert rows(first) == names
        folds = page.locator("details.run")
        assert [fold.get_attribute("open") for fold in folds.all()] == [None] * 4
        first.get_by_role("link", name="repair").click()
        assert [fold.get_attribute("open") for fold in folds.all()] == [None, None, "", None]
        assert page.locator("#run3-verdict").is_visible()


def test_several_runs_print_unfolded(open_page: Open) -> None:
    with open_page("several") as page:
        page.evaluate("addEventListener('beforeprint', () => document.title = folds())")
        page.evaluate("folds = () => document.querySelectorAll('.run[open]').length.toString()")
        page.pdf(format="A4")
        assert page.title() == "4"
        assert page.evaluate("folds()") == "0"
