"""The HTML report: what it says, and that nothing from the data becomes markup."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from builders import make_matrix
from card_facts import Names, comparison, make_mapping, make_report, nothing_merged, scores
from esnera_hf._internal.checks import to_plain
from esnera_hf.alignment.greedy_path import MergeDecision
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.merged_tagger import SystemScores
from esnera_hf.report.call import CallFacts
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


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    content: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.content)

    @property
    def children(self) -> list[Element]:
        return [part for part in self.content if isinstance(part, Element)]

    def all(self, tag: str, name: str | None = None) -> list[Element]:
        """Find descendants by tag and class, in the order of the page."""
        found = []
        for child in self.children:
            classes = (child.attributes.get("class") or "").split()
            if child.tag == tag and (name is None or name in classes):
                found.append(child)
            found += child.all(tag, name)
        return found


class Tree(HTMLParser):
    """Reads a page into elements; an end tag that closes nothing is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs)
        self.stack[-1].content.append(element)
        if tag not in VOID:
            self.stack.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.stack[-1].content.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def parse(page: str) -> Element:
    tree = Tree()
    tree.feed(page)
    tree.close()
    assert len(tree.stack) == 1
    return tree.stack[0]


def shape(element: Element) -> list[tuple[str, dict[str, str | None]]]:
    """The tags and attributes of a page in their order, without its text."""
    return [item for child in element.children for item in ((child.tag, child.attributes), *shape(child))]


def cells(row: Element) -> list[str]:
    return [" ".join(cell.text.split()) for cell in row.children]


def table_after(page: Element, title: str) -> list[list[str]]:
    """The rows of the first table after a heading or summary that contains a text."""
    elements = [(e, e.tag) for e in walk(page)]
    start = next(
        i for i, (e, tag) in enumerate(elements) if tag in ("h2", "h3", "summary") and title in e.text
    )
    table = next(e for e, tag in elements[start:] if tag == "table")
    return [cells(row) for row in table.all("tr")]


def walk(element: Element) -> list[Element]:
    return [item for child in element.children for item in (child, *walk(child))]


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
    assert all(char.isprintable() or char == "\n" for char in page.text)
    visible = "".join(char if char.isprintable() else "\ufffd" for char in f"some text{text}")
    assert visible[:199] in page.text
    assert json.loads(page.all("pre")[-1].text) == to_plain(make_report(hostile).call)


def test_the_page_needs_and_allows_nothing_from_outside() -> None:
    page = page_of(Names(text="https://example.org"))
    assert not {"script", "link", "img", "iframe", "form", "base", "object"} & {e.tag for e in walk(page)}
    for element in walk(page):
        assert not any(name.startswith("on") or name == "src" for name in element.attributes)
        assert (element.attributes.get("href") or "#")[0] == "#"
        assert (element.attributes.get("id") or "1").isdigit()
    assert "default-src 'none'; style-src 'unsafe-inline'" in [
        meta.attributes.get("content") for meta in page.all("meta")
    ]
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    links = [link.attributes["href"] for link in page.all("nav")[0].all("a")]
    assert links == [f"#{heading.attributes['id']}" for heading in page.all("h2")]


def test_every_label_stands_in_one_group_with_its_mentions() -> None:
    groups = page_of().all("div", "group")
    found = {
        group.all("h3")[0].all("bdi")[0].text: [cells(row) for row in group.all("tr", "member")]
        for group in groups
    }
    assert found == {
        "city": [
            ["alpha:city", "3", "beta:place", "0.46", "0.12", "0.67 (2 of 3)", "1.00 (1 of 1)"],
            ["beta:place", "2", "alpha:city", "0.43", "0.12", "1.00 (1 of 1)", "0.67 (2 of 3)"],
        ],
        "per": [["beta:per", "1", "alpha:city", "-0.50", "-0.50", *["?, never predicted"] * 2]],
        "(left out)": [["beta:zone", "1", "", "", "", "", ""]],
    }
    first = groups[0].all("span", "example")[0]
    assert first.text == "secret leftoslo-secretsecret right"
    assert [mark.text for mark in first.all("mark")] == ["oslo-secret"]


def test_labels_left_out_are_told_from_a_label_of_that_name() -> None:
    entries = (
        MappedLabel(LabelRef("a", "x"), "(left out)"),
        MappedLabel(LabelRef("a", "y"), None),
        MappedLabel(LabelRef("b", "z"), "(left out)", locked=True),
    )
    page = parse(render_report(MergeReport(()), LabelMapping(("(left out)",), entries), None))
    assert [cells(row)[0] for group in page.all("div", "out") for row in group.all("tr", "member")] == ["a:y"]
    assert [span.text for span in page.all("span", "locked")] == ["locked"]


def test_what_was_decided() -> None:
    report = make_report(USUAL)
    (step,), (untried, tried) = report.steps, report.trials
    asked = replace(step.decisions[0], constrained=True)
    unknown = MergeDecision(asked.group * 2, None, None, None, 0, 0, merged=False)
    broken = replace(tried, chosen=False, settings=((0.6, 0.1), (0.5, 0.1)))
    broken = replace(broken, outcome=(tried.outcome[0], 4321))
    page = page_of(
        steps=(replace(step, decisions=(*step.decisions, asked, unknown)),), trials=(broken, tried, untried)
    )
    assert table_after(page, "What stayed apart")[1:] == [
        ["beta:per", "alpha:city", "0.30", "?", "0.00", "0.50 (1 of 2)", "?, never predicted"],
        ["/ oslo-secret, some text"],
    ]
    assert table_after(page, "How labels were merged")[1:] == [
        ["alpha:city", "merged into", "beta:place", "0.40", "0.10", "1.00 (1 of 1)"],
        ["alpha:city", "merged, as asked for, into", "beta:place", "0.40", "0.10", "1.00 (1 of 1)"],
        ["alpha:city, alpha:city", "stays: nothing is known of it", "", "", "", ""],
    ]
    where, f1 = "1 labelalpha:city → beta:place", ["0.500 → 0.6000.100 (0.000 to 0.200)"] * 2
    assert table_after(page, "The search")[1:] == [
        ["1", where, "0.40", "0.6, 0.1 and 1 more0.5, 0.1", "bound broken", *f1, "4,321"],
        ["2", where, "0.40", "0.4, 0.2", "chosenbound holds", *f1, "1,234"],
        ["3", where, "0.40", "0.4, 0.2", "not tried", "", "", ""],
    ]
    assert [cells(row)[0] for row in page.all("tr", "trial") if "chosen" in str(row.attributes)] == ["2"]


def test_f1_before_and_after() -> None:
    system = SystemScores(scores(USUAL), scores(USUAL))
    better = comparison(0.2, 0.9)
    native = replace(
        system.native,
        sources={**system.native.sources, "beta": better},
        by_label={**system.native.by_label, "beta": {"per": better}},
    )
    page = page_of(systems={"merged": replace(system, native=native), "naive": system})
    titles = [s.text for s in page.all("summary") if "split" in s.text]
    assert len(titles) == 6
    assert titles[0].startswith("Test split, in each source's own labels")
    assert titles[-1].startswith("Validation split, in unified labels")
    assert table_after(page, "Test split, in each source's own labels")[1:] == [
        ["all (micro)", "7", "0.600 (0.500 to 0.700)", "0.700 (0.600 to 0.800)", "0.100 (0.000 to 0.200)"],
        ["city ▼", "7", "0.600 (0.500 to 0.700)", "0.400 (0.300 to 0.500)", "-0.200 (-0.300 to -0.100)"],
    ]
    changes = [row.children[-1] for row in page.all("tr") if len(row.children) == 5]
    colors = [change.attributes["class"] for change in changes if change.text.endswith(")")]
    assert colors[:4] == ["n ", "n bad", "n good", "n good"]


def test_the_head_counts_what_is_in_the_dataset_and_names_large_losses() -> None:
    page = page_of()
    facts = {cells(row)[0]: cells(row)[1] for row in page.all("table", "facts")[0].all("tr")}
    assert facts == {
        "labels": "4 of 2 sources (alpha, beta) → 2 unified labels",
        "sentences": "train 2, validation 2, test 2",  # two of four stand in a later split
        "encoder": "some text",
        "seed": "42",
        "step 1": "alpha → beta: λ 0.4, τ 0.2; 1 merged",
        "λ and τ": "searched: 2 distinct mappings, 1 tried",
    }
    assert [item.text for box in page.all("div", "box") for item in box.all("li")] == [
        "alpha: city, -0.200 (-0.300 to -0.100) on 7 entities"
    ]


def test_similarities() -> None:
    page = page_of()
    assert table_after(page, "alpha (rows), beta (columns): semantic") == [
        ["", "per", "place"],
        ["city", "0.00", "0.12"],
    ]
    assert table_after(page, "alpha (rows), beta (columns): empirical")[1:] == [["city", "0.00", "0.67"]]
    assert table_after(page, "beta (rows), alpha (columns): empirical")[1:] == [
        ["per", "?"],
        ["place", "1.00"],
    ]
    assert [e.attributes["style"] for e in walk(page) if "style" in e.attributes] == [
        f"--v:{value}" for value in ("0.00", "0.12", "0.00", "0.67", "1.00")
    ]


def test_of_many_sources_some_pairs_are_shown_and_it_is_said() -> None:
    refs = [f"{number:02d}:x" for number in range(12)]
    mapping = LabelMapping(("x",), tuple(MappedLabel(LabelRef(*ref.split(":")), "x") for ref in refs))
    similarity = make_matrix(dict.fromkeys(refs, 1), {}, {("03:x", "11:x"): 1.0})
    text = render_report(MergeReport(()), mapping, similarity)
    assert text.count("(columns): semantic similarity") == 50
    assert "the most alike labels; 16 other pairs are left out" in text
    assert "03 (rows), 11" in parse(text).text.replace("\n", "")
    assert "other pairs" not in render_report(MergeReport(()), mapping, None)


def test_sources() -> None:
    page = page_of()
    assert table_after(page, "Sources")[1:] == [
        ["alpha", "2, 1, 1", "0.375", "0.375", "cc-by-4.0: some text"],
        ["beta", "2, 1, 1", "", "", "Private terms: no third parties; text may not be shared"],
    ]
    assert [item.text for item in page.all("li")][1:] == [
        *["dropped 4: some text", "repaired 1: a repair", "some text"] * 2,
        "alpha/train: 2 also in x/test (1 the same, the others nearly): left out of the merged dataset",
        "alpha/train: 5 also in y/test (5 the same, the others nearly): kept, the source's own",
    ]
    assert table_after(page, "Examples of what was dropped")[1:] == [
        ["alpha", "secret line", "city", "dropped-secret", "some text"]
    ]
    assert table_after(page, "Pseudo-labels")[1:] == [["a", "b", "c", "1"]]
    assert "not added: 3, some text" in page.text


def test_what_is_not_there_is_not_shown() -> None:
    sources = make_report(USUAL).sources[:1]
    report = MergeReport(sources, call=CallFacts("apply", ("alpha",), mapping="m.yaml"))
    page = parse(render_report(report, make_mapping(USUAL), None))
    assert [heading.text for heading in page.all("h2")] == [
        "What became of the labels",
        "Sources",
        "How to run it again",
    ]
    empty = parse(render_report(MergeReport(()), LabelMapping((), ()), None))
    assert empty.all("h2") == empty.all("nav") == empty.all("pre") == empty.all("div", "box") == []


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
    boxes = [" ".join(box.text.split()) for box in page.all("div", "box")]
    expected = [f"Nothing was merged by similarity when alpha met beta: {told}."] * loud
    assert [box for box in boxes if box.startswith("Nothing")] == expected
    assert f"alpha → beta (sum of S_emp 1.00; {'NOTHING MERGED: ' * loud}{told})" in str(report).split("\n")
