"""The page in a real browser: what is changed on it is what is downloaded, applied and seen.

Skipped where there is no Playwright (``pip install playwright``) or no Chromium.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from datasets import DatasetDict

from builders import make_matrix, with_relations
from esnera_hf import MergeResult
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.alignment.questions import find_questions
from esnera_hf.cli.main import main
from esnera_hf.cli.review import EDITED, ReviewedFolder, ReviewServer
from esnera_hf.merging.merge import MergedData
from esnera_hf.report.build import all_at_once, build_report, with_pairs
from esnera_hf.report.files import write_report
from esnera_hf.report.html import render_report
from esnera_hf.report.report import MergeReport
from esnera_hf.tagging import LabelRef

pytestmark = pytest.mark.browser
DATA_DIR = os.environ.get("ESNERA_DATA_DIR", "")
#: Corpora of which somebody new has copies, by the names they are given.
FIRST_HOUR = {"wnut17": "wnut17", "wikigold": "wikigold", "politics": "crossner/ner_data/politics"}
CHROMIUM = os.environ.get("ESNERA_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</script><script>document.title='owned'</script>",
    "' onmouseover='document.title=1",
    "__proto__",
    "constructor",
    "a\x00b\x1b[31m\u202eabc\u2066",
    "NO",
    "- x: {y}",
    "\\u0041 \\",
    "人名 #1: 'x'",
    "\U0001f600 null",
    "1e5",
    " padded ",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium: install it, or name it in ESNERA_CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class OpenPage:
    """A page opened from disk, and what went wrong on it."""

    def __init__(self, browser: Any, folder: Path, html: str, **options: Any) -> None:
        file = folder / "report.html"
        file.write_text(html, encoding="utf-8", errors="replace")
        self.problems: list[str] = []
        self.page = browser.new_page(**({"viewport": {"width": 1400, "height": 1000}} | options))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.on("request", lambda request: self.requested(request.url))
        self.folder = folder
        self.page.goto(file.as_uri())

    def requested(self, url: str) -> None:
        if not url.startswith(("file:", "blob:")):
            self.problems.append(f"requested {url}")

    def download(self) -> LabelMapping:
        with self.page.expect_download() as given:
            self.page.click("#save")
        assert given.value.suggested_filename == "mapping.yaml"
        given.value.save_as(self.folder / "mapping.yaml")
        return LabelMapping.load(self.folder / "mapping.yaml")

    def answer(self, one: str, other: str, choice: str) -> None:
        title = self.page.locator(
            "article.question", has=self.page.get_by_text(f"{one} and {other}", exact=True)
        )
        title.locator(f"input[value={choice}]").click()

    def said(self) -> str:
        return str(self.page.inner_text("#status"))

    def choose(self, menu: str, option: str) -> None:
        select = self.page.get_by_label(menu, exact=True)
        select.focus()
        select.select_option(label=option)


def works() -> tuple[MergeReport, LabelMapping]:
    """Persons that are one, works of which books are a part, a place that is unsure, a date that stands alone."""
    labels = {"a:PER": 90, "a:WORK": 60, "a:LOC": 40, "b:name": 80, "b:book": 30, "b:place": 20, "b:day": 10}
    matrix = make_matrix(labels, {("a:PER", "b:name"): (70, 80)}, {("a:PER", "b:name"): 0.8})
    equal, subset = np.zeros((7, 7)), np.zeros((7, 7))
    equal[0, 3] = equal[3, 0] = 0.97
    equal[2, 5] = equal[5, 2] = 0.3
    subset[4, 1] = 0.85
    matrix = with_relations(matrix, equal, subset)
    mapping = with_reasons(merge_equivalent(matrix), matrix)
    merged, history = MergedData(DatasetDict()), all_at_once(mapping, matrix)
    report = build_report((), mapping, merged, matrix=matrix, history=history)
    report = replace(report, questions=find_questions(matrix, mapping))
    return with_pairs(report, mapping, matrix), mapping


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[OpenPage]:
    report, mapping = works()
    page = OpenPage(browser, tmp_path, render_report(report, mapping, None))
    yield page
    assert page.problems == []
    page.page.close()


def test_what_is_not_changed_is_downloaded_as_it_was(opened: OpenPage) -> None:
    _, mapping = works()
    downloaded = opened.download()
    assert downloaded.fingerprint == mapping.fingerprint
    by_label = {entry.label: entry for entry in downloaded.entries}
    assert [by_label[entry.label] for entry in mapping.entries] == list(mapping.entries)
    assert (downloaded.method, downloaded.lam) == (mapping.method, mapping.lam)
    assert downloaded == LabelMapping.from_yaml(downloaded.to_yaml())


@pytest.mark.parametrize(
    ("choice", "places"),
    [
        ("one", ("LOC", "LOC", None)),
        ("part", ("LOC", "place", ("LOC", "place"))),
        ("whole", ("LOC", "place", ("place", "LOC"))),
        ("apart", ("LOC", "place", None)),
    ],
)
def test_an_answer_changes_the_mapping_and_locks_it(
    opened: OpenPage, choice: str, places: tuple[str, str, tuple[str, str] | None]
) -> None:
    opened.answer("a:LOC", "b:place", choice)
    mapping = opened.download()
    assert (mapping["a:LOC"], mapping["b:place"]) == places[:2]
    related = {name: parent for name, parent in mapping.parents.items() if "place" in (name, parent)}
    assert related == ({} if places[2] is None else dict([places[2]]))
    assert {str(entry.label) for entry in mapping.entries if entry.locked} == {"a:LOC", "b:place"}


def test_labels_are_split_moved_left_out_renamed_put_below_and_brought_back(opened: OpenPage) -> None:
    page, untouched = opened.page, opened.download()
    opened.choose("b:name goes to", "a label of its own")
    assert opened.said() == "b:name is a label of its own"
    page.locator("details.fold summary", has_text="stay alone").click()
    opened.choose("b:day goes to", "left out")
    assert page.locator(".group.out").inner_text().startswith("(left out)")
    page.get_by_label("name of PER", exact=True).fill("PERSON")
    page.get_by_label("name of PER", exact=True).press("Enter")
    opened.choose("LOC is a part of", "PERSON")
    opened.choose("a:WORK goes to", "name")
    page.get_by_label("keep b:book so when aligned again", exact=True).check()
    mapping = opened.download()
    assert {str(entry.label): entry.unified for entry in mapping.entries} == {
        **{"a:PER": "PERSON", "a:LOC": "LOC", "b:name": "name", "b:place": "place"},
        **{"a:WORK": "name", "b:book": "book", "b:day": None},
    }
    assert mapping.parents["LOC"] == "PERSON"
    assert "WORK" not in mapping.unified_labels
    locked = {str(entry.label) for entry in mapping.entries if entry.locked}
    assert locked == {"b:name", "b:day", "a:PER", "a:LOC", "a:WORK", "b:book"}
    assert page.inner_text("#changes") == "6 changes"
    while page.locator("#undo").is_enabled():
        page.click("#undo")
    assert opened.download().fingerprint == untouched.fingerprint


def test_a_name_that_is_there_joins_and_a_bad_one_is_refused(opened: OpenPage) -> None:
    field = opened.page.get_by_label("name of PER", exact=True)
    field.fill("O")
    field.press("Enter")
    assert "not O" in opened.said()
    opened.page.get_by_label("name of book", exact=True).fill("PER")
    opened.page.get_by_label("name of book", exact=True).press("Enter")
    assert opened.download()["b:book"] == "PER"


def test_numbers_and_picture_follow_and_the_grain_cuts_as_the_package_does(opened: OpenPage) -> None:
    page, (_, mapping) = opened.page, works()
    assert (
        page.inner_text(".verdict")
        == "7 labels → 6: 1 merged · 1 part of another · 3 alone · pairs to check: 1"
    )
    drawn = page.locator("#flow rect").count()
    opened.answer("a:LOC", "b:place", "one")
    assert (
        page.inner_text(".verdict")
        == "7 labels → 5: 2 merged · 1 part of another · 1 alone · pairs to check: 0"
    )
    assert page.locator("#flow rect").count() == drawn - 2
    page.locator("#grain").fill("4")
    cut = mapping.cut(labels=5)  # one fewer label than in the untouched mapping
    assert f"4 labels; {sum(step[2] for step in cut.steps)} mentions" in page.inner_text("#grain-said")
    assert "book" not in page.locator("#flow").inner_text().split("\n")[-1]


def test_names_and_labels_are_text_whatever_they_hold(browser: Any, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        entries = (
            MappedLabel(LabelRef(f"a{text}", text), text, 5, LabelRef("b", "x"), 0.5, why=f"P(equal) {text}"),
            MappedLabel(LabelRef("b", "x"), "x", 4),
            MappedLabel(LabelRef("b", text), text, 3, definition=text),
        )
        mapping = LabelMapping((text, "x"), entries, "equivalence", parents={"x": text})
        folder = tmp_path / str(number)
        folder.mkdir()
        opened = OpenPage(browser, folder, render_report(MergeReport(()), mapping, None))
        shape = opened.page.evaluate(
            "[...document.querySelectorAll('script, img, iframe, [onerror], [onmouseover]')].length"
        )
        opened.page.locator("[data-row='2'] input[type=checkbox]").check()
        downloaded = opened.download()
        assert downloaded.fingerprint == mapping.fingerprint, text
        assert downloaded.definitions == mapping.definitions
        assert [entry.locked for entry in downloaded.entries if entry.label == LabelRef("b", text)] == [True]
        assert {entry.why for entry in downloaded.entries} == {f"P(equal) {text}", ""}
        assert (shape, opened.problems) == (2, []), text
        assert opened.page.title().startswith("Label alignment of")
        opened.page.close()


def test_keyboard_alone_reaches_and_answers(opened: OpenPage) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "radio":
            break
    page.keyboard.press("ArrowLeft")
    assert opened.said()
    assert page.inner_text("#changes") == "1 change"


@pytest.mark.parametrize("width", [420, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_all_controls_have_names(
    browser: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    report, mapping = works()
    opened = OpenPage(
        *(browser, tmp_path, render_report(report, mapping, None)),
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
    )
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = opened.page.evaluate(
        "[...document.querySelectorAll('input, select, button')].filter(e => !(e.ariaLabel || e.labels?.length || "
        "e.textContent.trim())).length"
    )
    assert nameless == 0
    assert opened.problems == []
    opened.page.close()


def test_without_scripts_the_page_still_tells(browser: Any, tmp_path: Path) -> None:
    report, mapping = works()
    opened = OpenPage(browser, tmp_path, render_report(report, mapping, None), java_script_enabled=False)
    assert "1 merged" in opened.page.inner_text(".verdict")
    assert opened.page.locator("#bar").is_hidden()
    assert "PER" in opened.page.locator("#merged").inner_text()
    opened.page.close()


def test_printed_it_shows_what_is_folded_and_no_controls(opened: OpenPage) -> None:
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#bar").is_hidden()
    assert opened.page.locator("fieldset").first.is_hidden()
    assert opened.page.pdf().startswith(b"%PDF")


def test_served_the_page_saves_into_the_folder_and_goes_on_from_there(browser: Any, tmp_path: Path) -> None:
    report, mapping = works()
    write_report(tmp_path, report, mapping, None)
    with ReviewServer(ReviewedFolder(tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.address)
        assert page.url == f"{server.origin}/"
        select = page.get_by_label("b:name goes to", exact=True)
        select.focus()
        select.select_option(label="left out")
        page.click("#save")
        page.get_by_text("saved to", exact=False).first.wait_for()
        assert LabelMapping.load(tmp_path / EDITED)["b:name"] is None
        page.reload()
        assert "b:name" in page.locator(".group.out").inner_text()
        stranger = browser.new_page()
        assert stranger.goto(server.origin).status == 403
        stranger.close()
        context.close()
        server.shutdown()
    assert LabelMapping.load(tmp_path / "mapping.yaml") == mapping


def test_the_space_shows_a_published_page_in_a_frame_that_reaches_nothing(
    browser: Any, tmp_path: Path
) -> None:
    report, mapping = works()
    space = Path(__file__).parents[2] / "hub_scripts" / "spaces" / "label_alignment" / "index.html"
    html, asked = render_report(report, mapping, None), []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        body = html if "/me/ner/" in route.request.url else ""
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(status=200 if body else 404, body=body, headers=headers, content_type="text/plain")

    page = browser.new_page()
    page.route("https://huggingface.co/**", answer)
    page.goto(f"{space.as_uri()}?repo=me/ner")
    frame = page.frame_locator("iframe")
    frame.get_by_label("b:name goes to", exact=True).wait_for(state="attached")
    assert "1 merged" in frame.locator(".verdict").inner_text()
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts allow-downloads"
    with page.expect_download() as given:
        frame.locator("#save").click()
    given.value.save_as(tmp_path / "mapping.yaml")
    assert LabelMapping.load(tmp_path / "mapping.yaml").fingerprint == mapping.fingerprint
    for repo, told in (("me/none", "has no page to show"), ("../x", "Expected"), ("<b>/x", "Expected")):
        page.goto(f"{space.as_uri()}?repo={repo}")
        page.get_by_text(told).wait_for()
    assert asked == [
        f"https://huggingface.co/datasets/me/{name}/resolve/main/report.html" for name in ("ner", "none")
    ]
    page.close()


@pytest.mark.real
@pytest.mark.skipif(not DATA_DIR, reason="ESNERA_DATA_DIR does not name a folder of corpora")
def test_the_first_hour(browser: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three corpora are screened, aligned, changed by hand on the page, applied and exported, as the README says."""
    began, merged, edited = time.monotonic(), tmp_path / "merged", tmp_path / "edited"
    sources = [f"{name}={Path(DATA_DIR) / place}" for name, place in FIRST_HOUR.items()]
    assert main(["screen", *sources]) == 0
    assert "to check, what matters most first" in capsys.readouterr().out
    assert main(["align", *sources, "--quick", "--output", str(merged)]) == 0
    assert f"apply {merged / 'mapping.yaml'}" in capsys.readouterr().out.splitlines()[-1]
    before = LabelMapping.load(merged / "mapping.yaml")
    label = next(entry.label for entry in before.entries if entry.label.source == "politics")
    with ReviewServer(ReviewedFolder(merged)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(server.address)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        page.locator("article.question input[value=one]").first.click()
        select = page.get_by_label(f"{label} goes to", exact=True)
        select.focus()  # which fills it
        select.select_option(label="left out")
        page.click("#save")
        page.get_by_text("saved to", exact=False).first.wait_for()
        page.close()
        server.shutdown()
    after = LabelMapping.load(merged / EDITED)
    assert after[label] is None
    assert after.fingerprint != before.fingerprint
    assert main(["apply", str(merged / EDITED), *sources, "--output", str(edited)]) == 0
    assert main(["export", str(edited), "--format", "conll", "--output", str(tmp_path / "conll")]) == 0
    result = MergeResult.load(edited)
    assert result.mapping.fingerprint == after.fingerprint
    assert sum(map(len, result.dataset.values())) > 5000
    assert (tmp_path / "conll" / "train.conll").stat().st_size > 100_000
    # Of the quarter of an hour that somebody new to it has, most is for looking.
    assert time.monotonic() - began < 15 * 60
