"""The page as text: what is in it, what cannot get into it, and that it stays as it is.

The whole page of a made-up run is kept in `golden/report.html`. After a change that is meant,
write it anew and look at the difference: GOODNET_RENEW=1 pytest tests/report/test_page.py
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import (
    LAYERS,
    changed,
    compare_run,
    network,
    prune_run,
    repair_run,
    scan_run,
    target,
    write,
)

from goodnet.report.facts import Run
from goodnet.report.page import render
from goodnet.report.read import read_run

GOLDEN = Path(__file__).parent / "golden" / "report.html"
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\u202egnp.exe",
    "\U0001f600\U0001f9ea",
    "\"'><svg onload=alert(3)>",
    "=cmd|' /C calc'!A0",
)


class Tags(HTMLParser):
    """Every tag with its attributes, and which were left open."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    home = tmp_path_factory.mktemp("runs")
    return {
        "prune": read_run(prune_run(home / "prune", sets=("glasses", "lipstick"))),
        "repair": read_run(repair_run(home / "repair")),
        "compare": read_run(compare_run(home / "compare")),
        "descending": read_run(prune_run(home / "descending", order="descending")),
        "ascending": read_run(prune_run(home / "ascending")),
        "scan": read_run(scan_run(home / "scan", notes=["few images"])),
    }


@pytest.fixture(scope="module")
def pages(runs: dict[str, Run]) -> dict[str, str]:
    """Each run by itself, and all in one page."""
    alone = {name: render([runs[name]]) for name in ("prune", "repair", "compare", "scan")}
    return alone | {"all": render(list(runs.values()))}


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile") / "run"
    return render([read_run(hostile(folder), name="<b>run</b>")])


def hostile(folder: Path) -> Path:
    return prune_run(folder, sets=HOSTILE, layer=HOSTILE[0], net=network(HOSTILE))


def test_the_page_is_as_it_was(pages: dict[str, str]) -> None:
    page = scrubbed(pages["prune"])
    if os.environ.get("GOODNET_RENEW"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(page, encoding="utf-8", newline="\n")
    assert page == GOLDEN.read_text(encoding="utf-8")


def scrubbed(page: str) -> str:
    """Without what other modules have tests for, and what libraries may draw otherwise."""
    page = re.sub(r"(<style>).*?(</style>)", r"\1\2", page, flags=re.S)
    page = re.sub(r"(<script>).*?(</script>)", r"\1\2", page, flags=re.S)
    page = re.sub(r"sha256-[\w+/=]+", "sha256-", page)
    page = re.sub(r"data:image/png;base64,[\w+/=]+", "data:image/png;base64,", page)
    page = re.sub(
        r'(<svg xmlns[^>]*viewBox=")[^"]*("[^>]*>).*?(</svg>)', r"\1\2\3", page, flags=re.S
    )
    page = re.sub(r' data-(plot|x|y)="[^"]*"', "", page)
    return re.sub(r"<code>[0-9a-f]{64}</code>", "<code></code>", page)


@pytest.mark.parametrize("name", ["prune", "repair", "compare", "scan", "all"])
def test_every_tag_is_closed_and_no_id_is_used_twice(pages: dict[str, str], name: str) -> None:
    tags = Tags(pages[name])
    assert (tags.open, tags.wrong) == ([], [])
    ids = [attributes["id"] for _, attributes in tags.all if "id" in attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["prune", "repair", "compare", "scan", "all"])
def test_every_link_within_the_page_leads_somewhere(pages: dict[str, str], name: str) -> None:
    tags = Tags(pages[name]).all
    ids = {attributes.get("id") for _, attributes in tags}
    targets = {str(a["href"])[1:] for _, a in tags if str(a.get("href", "")).startswith("#")}
    assert targets <= ids


def test_the_policy_allows_the_one_style_and_the_one_script(pages: dict[str, str]) -> None:
    page = pages["prune"]
    (policy,) = [a["content"] for _, a in Tags(page).all if "http-equiv" in a]
    assert policy is not None
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for rule in ("default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"):
        assert rule in policy


def test_nothing_is_loaded_and_nothing_is_styled_or_run_in_place(hostile_page: str) -> None:
    for tag, attributes in Tags(hostile_page).all:
        assert not {"style", "srcset", "action"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert tag not in ("link", "iframe", "object", "base", "form")
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:image/png;base64,")
        if "href" in attributes:
            assert str(attributes["href"]).startswith(("#", "./"))


def test_hostile_names_are_only_text(hostile_page: str) -> None:
    assert "<script>alert" not in hostile_page
    assert "onerror=alert(2)>" not in hostile_page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile_page
    assert "&lt;b&gt;run&lt;/b&gt;" in hostile_page
    assert "\u202e" not in hostile_page
    assert "\\u202egnp.exe" in hostile_page
    assert "\U0001f600\U0001f9ea" in hostile_page
    scripts = [attributes for tag, attributes in Tags(hostile_page).all if tag == "script"]
    assert scripts == [{"type": "application/json"}, {}]


def test_two_orders_of_one_layer_share_a_picture(runs: dict[str, Run]) -> None:
    page = render([runs["descending"], runs["ascending"]])
    assert page.count("data-curve>") == 1
    assert '<a href="#run1-curve">one picture with the other run</a>' in page
    assert page.count('class="readout"') == 2
    assert "descending/model_drop_10.h5" in page


def test_other_networks_have_a_picture_each(runs: dict[str, Run]) -> None:
    other = tuple(replace(fact, sha256="cd" * 32) for fact in runs["ascending"].inputs)
    page = render([runs["descending"], replace(runs["ascending"], inputs=other)])
    assert page.count("data-curve>") == 2


def test_a_scan_shows_its_triggers_and_scores(pages: dict[str, str]) -> None:
    page = pages["scan"]
    assert '<section class="verdict effect-backdoored"' in page
    assert "This network carries a backdoor:" in page
    assert ">Label 0</h3>" in page
    assert page.count("<img ") == 7
    for text in ("painted, 0.44 x 1", "added, 4 x 3", "triggers/label_0.npz", "few images"):
        assert text in page
    assert page.count("<svg xmlns") == 2
    assert "the highest scores of 400 networks without a backdoor" in page
    assert "alpha" in page
    assert "The verdict of a scan" in page
    assert "Allowed drop X" not in page
    for part in ("Recovered triggers", "The verdict of a scan"):
        assert part not in pages["prune"]


@pytest.mark.parametrize("verdict", ["no_finding", "suspicious", "inconclusive"])
def test_every_verdict_of_a_scan_makes_a_page(tmp_path: Path, verdict: str) -> None:
    folder = scan_run(tmp_path / "run", verdict=verdict, targets=[], scores=(0.0, 0.0))
    page = render([read_run(folder)])
    assert f"effect-{verdict}" in page
    assert ">Recovered triggers<" not in page
    assert ">Scores<" not in page
    assert (Tags(page).open, Tags(page).wrong) == ([], [])


def test_scans_stand_among_other_runs(pages: dict[str, str]) -> None:
    page = pages["all"]
    assert page.count("<caption>Every run</caption>") == 1
    assert page.index("<caption>Every run</caption>") < page.index('<details class="run">')
    assert page.count('<details class="run">') == 6
    assert "Allowed drop X" in page
    assert "The verdict of a scan" in page


def test_scans_alone_stand_side_by_side(runs: dict[str, Run]) -> None:
    page = render([runs["scan"], replace(runs["scan"], name="other")])
    assert "<caption>Every run</caption>" in page
    assert "Worst attack success" not in page
    assert "Allowed drop X" not in page
    assert (Tags(page).open, Tags(page).wrong) == ([], [])


def test_names_in_a_scan_are_only_text(tmp_path: Path) -> None:
    evil = HOSTILE[0]
    found = target(0, 7.1) | {"families": [*HOSTILE], "direction": {"layer": evil, "own": 1}}
    found["trigger"]["family"] = HOSTILE[1]
    folder = scan_run(tmp_path / "run", targets=[found], notes=[evil])
    page = render([read_run(changed(folder, null=evil, options={evil: evil}, method=evil))])
    assert "<script>alert" not in page
    assert "onerror=alert(2)>" not in page
    assert "\u202e" not in page
    assert (Tags(page).open, Tags(page).wrong) == ([], [])


def test_a_run_with_nothing_but_results_still_makes_a_page(runs: dict[str, Run]) -> None:
    bare = Run("bare", "prune", "prune", None, None, (), None)
    page = render([bare])
    assert "No network was made" in page
    assert (Tags(page).open, Tags(page).wrong) == ([], [])


def test_without_a_way_to_the_folder_files_have_no_links(runs: dict[str, Run]) -> None:
    assert 'href="./' not in render([runs["prune"]], folders=[None])
    bare = replace(runs["prune"], curve=None, pictures=(), trials=(), shown=None)
    assert 'href="./a/b/results.json"' in render([bare], folders=["a/b/"])


def test_branches_and_the_pruned_layer_are_in_the_page(pages: dict[str, str]) -> None:
    for name in LAYERS:
        assert f'<th scope="row">{name}' in pages["prune"]
    assert '<tr class="pruned">' in pages["prune"]


def test_nothing_hidden_is_in_the_page(tmp_path: Path) -> None:
    hidden = "x\x1b[31m\u202ey\u2068"
    folder = prune_run(tmp_path / "run", sets=(hidden,), layer=hidden)
    changed(folder, notes=[hidden], options={hidden: hidden})
    record = json.loads((folder / "run.json").read_text())
    write(folder / "run.json", record | {"finished": hidden, "command_line": hidden})
    page = render([read_run(folder, name=hidden)])
    assert r'datetime="x\x1b[31m\u202ey\u2068"' in page
    assert not {char for char in page if unicodedata.category(char) in ("Cc", "Cf")} - {"\n"}


def test_a_file_whose_name_is_no_text_has_a_link(tmp_path: Path) -> None:
    folder = prune_run(tmp_path / "run")
    (folder / "bad\udcff.h5").write_bytes(b"x")
    page = render([read_run(folder)])
    assert '<a href="./bad%FF.h5">bad\\udcff.h5</a>' in page
    page.encode()
