"""The HTML report: what it says, and that nothing from the data becomes markup."""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

import numpy as np
import pytest
from datasets import DatasetDict

from builders import make_matrix
from card_facts import Names, check_golden, comparison, make_mapping, make_report, nothing_merged, scores
from esnera_hf._internal.checks import to_plain
from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import MergeDecision
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import with_reasons
from esnera_hf.evaluation.merged_tagger import SystemScores
from esnera_hf.merging.merge import MergedData
from esnera_hf.report.build import all_at_once, build_report, with_pairs
from esnera_hf.report.call import CallFacts
from esnera_hf.report.evidence import SumBar, probability_bar, verdict
from esnera_hf.report.html import render_report
from esnera_hf.report.report import MergeReport
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "</style><style>*{display:none}",
    "</bdi></pre></details><h1>",
    "&lt;b&gt;&#0;",
    "0.5;background:url(//evil)",
    "items",
    "\u202eabc\u2066",
    "a\x00b\x1b[31m",
    "a\nb\rc\u2028d",
    "\ud800",
)


class Reader(HTMLParser):
    """Reads a page into elements; an end tag that closes nothing is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.builder, self.open = TreeBuilder(), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.builder.start(tag, dict(attrs))  # type: ignore[arg-type]
        self.builder.end(tag) if tag in VOID else self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.builder.data(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Element:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader.builder.close()


def text_of(element: Element) -> str:
    return "".join(element.itertext())


def find(page: Element, tag: str, name: str = "") -> list[Element]:
    """Return the elements of a tag and class, in the order of the page."""
    return [e for e in page.iter(tag) if not name or name in e.get("class", "").split()]


def shape(page: Element) -> list[tuple[str, dict[str, str]]]:
    return [(element.tag, element.attrib) for element in page.iter()]


def outline(page: Element) -> str:
    """Return a line per heading, row and paragraph, with what is colored or shaded in brackets."""
    lines = []
    for element in (e for e in page.iter() if e.tag in ("h1", "h2", "h3", "summary", "p", "li", "tr")):
        parts = list(element) if element.tag == "tr" else [element]
        marks = [" ".join(filter(None, (part.get("class", ""), part.get("style", "")))) for part in parts]
        texts = [" ".join(text_of(part).split()) for part in parts]
        line = " | ".join(
            f"{text} [{mark}]" if mark not in ("", "n") else text
            for text, mark in zip(texts, marks, strict=True)
        )
        row = element.get("class", "") if element.tag == "tr" else ""
        lines.append(f"{element.tag} {row}".strip() + f": {line}".rstrip())
    return "\n".join(lines) + "\n"


USUAL = Names()


def make_similarity(names: Names) -> SimilarityMatrix:
    matrix = make_matrix(
        {"a:city": 3, "b:per": 1, "b:place": 2},
        {("a:city", "b:place"): (2, 3), ("b:place", "a:city"): (1, 1), ("a:city", "b:per"): (0, 3)},
        {("a:city", "b:place"): 0.125, ("a:city", "b:per"): -0.001},
    )
    labels = ((names.first, names.label), (names.second, "per"), (names.second, "place"))
    return replace(matrix, labels=tuple(LabelRef(*label) for label in labels))


def rendered(names: Names = USUAL, **changes: object) -> str:
    report = replace(make_report(names), **changes)  # type: ignore[arg-type]
    return render_report(report, make_mapping(names), make_similarity(names))


def page_of(names: Names = USUAL, **changes: object) -> Element:
    return parse(rendered(names, **changes))


@pytest.mark.parametrize("text", [*HOSTILE, "".join(HOSTILE)], ids=lambda text: ascii(text[:20]))
def test_nothing_from_the_data_becomes_markup(text: str) -> None:
    hostile = Names(f"alpha{text}", f"beta{text}", f"city{text}", f"some text{text}")
    page = page_of(hostile)
    assert shape(page) == shape(page_of())
    assert all(char.isprintable() or char == "\n" for char in text_of(page))
    visible = "".join(char if char.isprintable() else "\ufffd" for char in f"some text{text}")
    assert visible[:199] in text_of(page)
    assert json.loads(text_of(find(page, "pre")[-1])) == to_plain(make_report(hostile).call)


def test_the_page_needs_and_allows_nothing_from_outside() -> None:
    text = rendered(Names(text="https://example.org"))
    page = parse(text)
    assert not {"link", "img", "iframe", "form", "base", "object"} & {e.tag for e in page.iter()}
    for element in page.iter():
        assert not any(name.startswith("on") or name in ("src", "style") for name in element.attrib)
        assert (element.attrib.get("href") or "#")[0] == "#"
    (style,), (data, script) = find(page, "style"), find(page, "script")
    assert data.attrib["type"] == "application/json"
    digests = [b64encode(sha256(text_of(part).encode()).digest()).decode() for part in (style, script)]
    (policy,) = (meta.attrib["content"] for meta in find(page, "meta") if "http-equiv" in meta.attrib)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    for forbidden in (
        "url(",
        "@import",
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert forbidden not in text_of(style) + text_of(script)
    links = [link.attrib["href"] for link in find(find(page, "nav")[0], "a")]
    assert links == [f"#{heading.attrib['id']}" for heading in find(page, "h2")]


def test_only_a_served_page_may_call_back() -> None:
    report, mapping = make_report(USUAL), make_mapping(USUAL)
    served, opened = (render_report(report, mapping, None, served=served) for served in (True, False))
    assert "; connect-src &#39;self&#39;" in served
    assert "connect-src" not in opened


def test_the_bars_of_a_pair_give_its_probability_again() -> None:
    labels = {"a:PER": 90, "a:WORK": 50, "b:name": 80, "b:book": 5}
    counts = {("a:PER", "b:name"): (70, 80), ("b:name", "a:PER"): (60, 90), ("b:book", "a:WORK"): (4, 5)}
    matrix = make_matrix(labels, counts, {("a:PER", "b:name"): 0.8})
    mapping = with_reasons(merge_equivalent(matrix), matrix)
    report = with_pairs(build_report((), mapping, MergedData(DatasetDict()), matrix=matrix), mapping, matrix)
    assert report.pairs
    for pair in report.pairs:
        added = SumBar(pair)
        assert 1 / (1 + math.exp(-added.total)) == pytest.approx(pair.equal, abs=2e-3)
        assert sum(high - low for _, low, high in added.segments) == pytest.approx(
            sum(abs(value) for _, _, value in added.rows)
        )
        assert probability_bar(pair)[-1][2] == pytest.approx(1, abs=1e-3)
    # What is shown can be added up with pencil and paper.
    page = parse(render_report(report, mapping, matrix))
    legends = [text_of(note) for note in find(page, "p", "note") if "to begin with" in text_of(note)]
    sums = [
        re.search(r"Together ([+-][0-9.]+).*= ([0-9.]+)\.", text_of(note)) for note in find(page, "p", "note")
    ]
    shown = [(float(found[1]), float(found[2])) for found in sums if found]
    assert len(legends) == len(shown) > 2
    for legend, (total, probability) in zip(legends, shown, strict=True):
        parts = [float(number) for number in re.findall(r"[+-][0-9]+\.[0-9]+", legend)]
        assert sum(parts) == pytest.approx(total, abs=0.04)
        assert 1 / (1 + math.exp(-total)) == pytest.approx(probability, abs=0.01)


def test_the_page_tells_all_of_the_report() -> None:
    """Groups, decisions, the search, F1, similarities, sources: as ``tests/golden/page.txt`` has them."""
    report, system = make_report(USUAL), SystemScores(scores(USUAL), scores(USUAL))
    (step,), (untried, tried) = report.steps, report.trials
    asked = replace(step.decisions[0], constrained=True)
    unknown = MergeDecision(asked.group * 2, None, None, None, 0, 0, merged=False)
    broken = replace(tried, chosen=False, settings=((0.6, 0.1), (0.5, 0.1)), outcome=(tried.outcome[0], 4321))
    better = comparison(0.2, 0.9)
    native = replace(
        system.native,
        sources={**system.native.sources, "beta": better},
        by_label={**system.native.by_label, "beta": {"per": better}},
    )
    page = page_of(
        steps=(replace(step, decisions=(*step.decisions, asked, unknown)),),
        trials=(broken, tried, untried),
        systems={"merged": replace(system, native=native), "naive": system},
    )
    check_golden("page.txt", outline(page))
    assert [text_of(mark) for mark in find(page, "mark")] == ["oslo-secret", "some text", "lima-secret"]


def test_by_equivalence_page_and_console_show_one_probability_a_pair_and_that_of_a_part() -> None:
    labels = {"a:PER": 9, "a:WORK": 9, "b:name": 9, "b:book": 9}
    matrix = make_matrix(labels, {("b:book", "a:WORK"): (9, 9)}, {})
    # In the order equal, subset, superset, overlap, none.
    probabilities = np.where(matrix.same_source[..., None], np.nan, np.array([0, 0, 0, 0, 1.0]))
    probabilities[0, 2] = probabilities[2, 0] = [0.9, 0, 0, 0, 0.1]
    probabilities[3, 1], probabilities[1, 3] = [0, 0.7, 0, 0, 0.3], [0, 0, 0.7, 0, 0.3]
    matrix.__dict__["probabilities"] = probabilities
    mapping = with_reasons(merge_equivalent(matrix), matrix)
    merged, history = MergedData(DatasetDict()), all_at_once(mapping, matrix)
    shown = build_report((), mapping, merged, matrix=matrix, history=history)
    for kind, asked in (
        ("frozen", "entities that the light head of"),
        ("taggers", "entities that a tagger of"),
        ("surface", "No tagger was"),
    ):
        call = CallFacts("align", settings={"evidence": {"kind": kind}})
        report = replace(shown, call=call)
        page = parse(text := render_report(report, mapping, matrix))
        assert asked in text_of(page).replace("\n", " ")
        assert [">P(equal)<" in text, ">S<" in text, "S, forward" in text] == [True, False, False]
        assert "A part of a:WORK. P(part) 0.70" in text_of(page)
        rows = [[text_of(cell) for cell in row] for row in find(page, "tr")]
        assert ["a:WORK", "b:book", "0.00", "its whole 0.70"] in [row[:4] for row in rows]
        assert ["b:book", "is a part of", "a:WORK", "0.70 (part)"] in [row[:4] for row in rows]
    lines = str(report).split("\n")
    assert lines[0] == "a + b → each other, all at once (merged above P(equal) = 0.45)"
    why = "P(part) 0.70, P(equal) 0.00: 9 of 9 predictions of the part are the whole there"
    assert f"  b:book  is a part of a:WORK  {why}" in lines


def test_labels_left_out_are_told_from_a_label_of_that_name() -> None:
    entries = (
        MappedLabel(LabelRef("a", "x"), "(left out)"),
        MappedLabel(LabelRef("a", "y"), None),
        MappedLabel(LabelRef("b", "z"), "(left out)", locked=True),
    )
    page = parse(render_report(MergeReport(()), LabelMapping(("(left out)",), entries), None))
    out = [row for group in find(page, "section", "out") for row in find(group, "div", "member")]
    assert [text_of(next(row.iter("bdi"))) for row in out] == ["a:y"]
    assert [text_of(span) for span in find(page, "span", "locked")] == ["locked"]


def test_of_many_sources_some_pairs_are_shown_and_it_is_said() -> None:
    refs = [f"{number:02d}:x" for number in range(12)]
    mapping = LabelMapping(("x",), tuple(MappedLabel(LabelRef(*ref.split(":")), "x") for ref in refs))
    similarity = make_matrix(dict.fromkeys(refs, 1), {}, {("03:x", "11:x"): 1.0})
    text = render_report(MergeReport(()), mapping, similarity)
    assert text.count("(columns): semantic similarity") == 50
    assert "the most alike labels; 16 other pairs are left out" in text
    assert "03 (rows), 11" in text_of(parse(text)).replace("\n", "")
    assert "other pairs" not in render_report(MergeReport(()), mapping, None)


def test_what_is_not_there_is_not_shown() -> None:
    sources = make_report(USUAL).sources[:1]
    report = MergeReport(sources, call=CallFacts("apply", ("alpha",), mapping="m.yaml"))
    page = parse(render_report(report, make_mapping(USUAL), None))
    assert [text_of(heading) for heading in find(page, "h2")] == [
        "What became of the labels",
        "Sources",
        "How to run it again",
    ]
    empty = parse(render_report(MergeReport(()), LabelMapping((), ()), None))
    assert find(empty, "h2") == find(empty, "nav") == find(empty, "pre") == find(empty, "div", "box") == []


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("broken", "every mapping that was tried broke the bound on F1"),
        ("apart", "no setting of λ and τ merged anything"),
        ("constrained", "only what was asked for was merged"),
    ],
)
def test_a_step_that_merged_nothing_says_why_and_is_loud(why: str, told: str) -> None:
    report, loud = nothing_merged(make_report(USUAL), why), why != "constrained"
    page = parse(render_report(report, make_mapping(USUAL), None))
    boxes = [" ".join(text_of(box).split()) for box in find(page, "div", "box")]
    expected = [f"Nothing was merged by similarity when alpha met beta: {told}."] * loud
    assert [box for box in boxes if box.startswith("Nothing")] == expected
    assert f"alpha → beta (sum of S_emp 1.00; {'NOTHING MERGED: ' * loud}{told})" in str(report).split("\n")


def test_the_verdict_tells_parts_of_labels_from_labels_under_a_proposed_name() -> None:
    names = {"a:book": "book", "a:novel": "novel", "b:film": "film", "b:day": "day"}
    entries = tuple(MappedLabel(LabelRef(*ref.split(":")), unified) for ref, unified in names.items())
    parents = {"book": "WORK+", "film": "WORK+", "novel": "book"}
    mapping = LabelMapping(("WORK+", *names.values()), entries, "equivalence", parents=parents)
    counts = verdict(MergeReport(()), mapping)
    assert (counts["unified"], counts["part"], counts["umbrella"], counts["alone"]) == (4, 1, 2, 1)
    assert "into 4 unified labels, 1 of them a part of another" in render_report(
        MergeReport(()), mapping, None
    )
