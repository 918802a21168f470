"""The HTML report: what it says, and that nothing from the data becomes markup."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from builders import make_matrix
from esnera_hf._internal.checks import to_plain
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.projection import MergedScores, SourceScores
from esnera_hf.metrics import Comparison, Estimate, LabelScore, Scores
from esnera_hf.report.html import render_report
from esnera_hf.report.report import (
    CallFacts,
    Example,
    LeakageFacts,
    MergeDecision,
    MergeReport,
    NearPair,
    PseudoLabelFacts,
    StepFacts,
    SystemScores,
    TaggerScores,
    TrialFacts,
)
from esnera_hf.similarity.matrix import Agreement, PairEvidence, SimilarityMatrix
from esnera_hf.sources.source import Dropped, License, SourceSummary
from esnera_hf.tagging import LabelRef

Name = Callable[[str], str]

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


def plain(name: str) -> str:
    return name


def estimate(value: float | None, margin: float = 0.02) -> Estimate:
    return Estimate(*(None,) * 3) if value is None else Estimate(value, value - margin, value + margin)


def comparison(support: int, before: float | None, after: float | None) -> Comparison:
    change = None if before is None or after is None else after - before
    return Comparison(support, estimate(before), estimate(after), estimate(change))


def scores(by_source: dict[str, dict[str, Comparison]]) -> MergedScores:
    sources = {name: SourceScores(comparison(15, 0.9, 0.88), labels) for name, labels in by_source.items()}
    return MergedScores(sources, comparison(30, 0.8, 0.81))


def both_scores(t: Name) -> SystemScores:
    own = {
        t("a"): {t("PER"): comparison(11, 0.7, 0.5), t("LOC"): comparison(4, None, None)},
        t("b"): {t("person"): comparison(9, 0.6, 0.75), t("age"): comparison(6, 0.5, 0.51)},
    }
    unified = {
        t("a"): {t("PER"): comparison(11, 0.71, 0.72)},
        t("b"): {t("PER"): comparison(9, 0.61, 0.62)},
    }
    return SystemScores(scores(own), scores(unified), seconds=3.0)


def make_mapping(t: Name = plain) -> LabelMapping:
    """Two labels that merged, one that stayed, one that is left out."""
    per, loc = LabelRef(t("a"), t("PER")), LabelRef(t("a"), t("LOC"))
    person, age = LabelRef(t("b"), t("person")), LabelRef(t("b"), t("age"))
    pair = PairEvidence(0.625, Agreement(3, 4), Agreement(1, 8))
    back = PairEvidence(0.625, Agreement(1, 8), Agreement(3, 4))
    unknown = PairEvidence(0.25, Agreement(0, 0), Agreement(0, 0))
    return LabelMapping(
        (t("unified"), t("kept")),
        (
            MappedLabel(per, t("unified"), 1234, person, 0.6875, pair),
            MappedLabel(loc, t("kept"), 50, age, 0.25, unknown, locked=True),
            MappedLabel(person, t("unified"), 77, per, 0.3125, back),
            MappedLabel(age, None, 6),
        ),
        "greedy",
        0.4,
    )


def make_similarity(t: Name = plain) -> SimilarityMatrix:
    matrix = make_matrix(
        {"a:PER": 1234, "a:LOC": 50, "b:person": 77, "b:age": 6},
        {("a:PER", "b:person"): (3, 4), ("b:person", "a:PER"): (1, 8), ("a:LOC", "b:age"): (0, 5)},
        {("a:PER", "b:person"): 0.625, ("a:LOC", "b:age"): -0.001},
    )
    return replace(matrix, labels=tuple(LabelRef(t(source), t(label)) for source, label in matrix.labels))


def make_source_facts(t: Name, name: str, labels: tuple[str, str]) -> SourceSummary:
    first, second = map(t, labels)
    return SourceSummary(
        t(name),
        License(t("mit"), False, t("as is")),
        sentences={"train": 1000, "validation": 20, "test": 30},
        tokens={"train": 9000, "validation": 200, "test": 300},
        entities={"train": {first: 1234}, "validation": {first: 3}, "test": {first: 4, second: 5}},
        dropped={t("too long"): 7},
        repairs={t("inside without begin"): 8},
        notes=(t("cut by text"),),
    )


def make_tagger_facts(label: str) -> TaggerScores:
    def split(f1: float) -> Scores:
        score = LabelScore(f1, f1, f1, 9)
        return Scores(score, f1, {label: replace(score, f1=f1 + 0.001)})

    return TaggerScores(split(0.911), split(0.922), seconds=1.0)


def make_step(t: Name, tau: float | None) -> StepFacts:
    per, loc = LabelRef(t("a"), t("PER")), LabelRef(t("a"), t("LOC"))
    known = (LabelRef(t("b"), t("person")), 0.6875, 0.625, 3, 4)
    decisions = (
        MergeDecision((per, loc), *known, merged=tau is not None),
        MergeDecision((loc,), *known, merged=True, constrained=True),
        MergeDecision((loc,), None, None, None, 0, 0, merged=False),
    )
    merged = 0 if tau is None else 1
    unmerged = "broken" if tau is None else None
    return StepFacts((t("a"),), t("b"), merged, decisions, 0.4, tau, 1.5, unmerged)  # type: ignore[arg-type]


def make_trials(t: Name, chosen: bool) -> tuple[TrialFacts, ...]:
    pair = (LabelRef(t("a"), t("PER")), LabelRef(t("b"), t("person")))
    untried = TrialFacts(0, ((0.4, 0.3), (0.5, 0.2)), 2, 1.0625, (pair,))
    tried = replace(untried, holds=False, pseudo_labels=4321, scores=both_scores(t))
    return (
        tried,
        replace(tried, settings=((0.6, 0.1),), chosen=chosen, holds=chosen),
        replace(untried, merged=1),
    )


def make_call(t: Name) -> CallFacts:
    settings = {
        "evidence": {"training": {t("option"): t("value")}, "taggers": "joint"},
        "search": {"max_f1_drop": 0.02, "scoring": "unified"},
    }
    return CallFacts("align", (t("a"), t("b")), encoder=t("encoder"), method="greedy", settings=settings)


def make_report(t: Name = plain, tau: float | None = 0.3) -> MergeReport:
    """A report with something of everything; ``t`` turns each text into another one."""
    names = {"a": ("PER", "LOC"), "b": ("person", "age")}
    refs = {label: LabelRef(t(source), t(label)) for source, labels in names.items() for label in labels}
    return MergeReport(
        tuple(make_source_facts(t, name, labels) for name, labels in names.items()),
        call=make_call(t),
        taggers={t(name): make_tagger_facts(t(first)) for name, (first, _) in names.items()},
        steps=(make_step(t, tau),),
        trials=make_trials(t, tau is not None),
        near=(
            NearPair(
                *(refs["LOC"], refs["age"], 0.375, None, 0.5, Agreement(1, 1000), Agreement(0, 0)),
            ),
        ),
        pseudo_labels=PseudoLabelFacts(
            0.9, ((t("a"), t("kept"), t("b"), 2222),), {t("below the threshold"): 3333}
        ),
        systems={"merged": both_scores(t), t("other"): both_scores(t)},
        examples=tuple(
            Example(ref, t("before "), t(f"mention of {label}"), t(" after"), t("1"))
            for label, ref in refs.items()
        ),
        dropped={t("source"): (Dropped("train", t("where"), 0, 1, t("label"), t("mention"), t("reason")),)},
        leakage=(LeakageFacts((t("a"), t("train")), (t("b"), t("test")), True, 5, 4, ()),),
        seconds={t("training"): 12.0, "total": 200.0},
        versions={"python": t("3.11"), t("torch"): "2"},
    )


def render(t: Name = plain, tau: float | None = 0.3) -> Element:
    return parse(render_report(make_report(t, tau), make_mapping(t), make_similarity(t)))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_the_data_becomes_markup(text: str) -> None:
    def hostile(name: str) -> str:
        return f"{name}{text}"

    page = render(hostile)
    assert shape(page) == shape(render())
    seen = page.text
    visible = "".join(char if char.isprintable() else "\ufffd" for char in f"PER{text}")
    assert visible in seen
    assert f"mention of PER{visible[3:]}" in [mark.text for mark in page.all("mark")]
    assert all(char.isprintable() or char == "\n" for char in seen)
    json.loads(page.all("pre")[-1].text)


def test_texts_before_and_after_a_name_are_hostile_too() -> None:
    text = "".join(HOSTILE)
    assert shape(render(lambda name: f"{text}{name}{text}")) == shape(render())


def test_the_page_needs_and_allows_nothing_from_outside() -> None:
    page = render(lambda name: f"{name}https://example.org")
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


def test_all_sections_in_their_order() -> None:
    assert [heading.text for heading in render().all("h2")] == [
        "What became of the labels",
        "What stayed apart",
        "How labels were merged",
        "The search",
        "F1 before and after",
        "Similarities",
        "Sources",
        "How to run it again",
    ]


def test_every_label_stands_in_one_group() -> None:
    found = {
        group.all("h3")[0].all("bdi")[0].text: [cells(row) for row in group.all("tr", "member")]
        for group in render().all("div", "group")
    }
    assert found == {
        "unified": [
            ["a:PER", "1,234", "b:person", "0.69", "0.62", "0.75 (3 of 4)", "0.12 (1 of 8)"],
            ["b:person", "77", "a:PER", "0.31", "0.62", "0.12 (1 of 8)", "0.75 (3 of 4)"],
        ],
        "kept": [["a:LOC locked", "50", "b:age", "0.25", "0.25", "?, never predicted", "?, never predicted"]],
        "(left out)": [["b:age", "6", "", "", "", "", ""]],
    }


def test_labels_left_out_are_told_from_a_label_of_that_name() -> None:
    entries = (MappedLabel(LabelRef("a", "x"), "(left out)"), MappedLabel(LabelRef("a", "y"), None))
    page = parse(render_report(MergeReport(()), LabelMapping(("(left out)",), entries), None))
    assert [cells(row)[0] for group in page.all("div", "out") for row in group.all("tr", "member")] == ["a:y"]


def test_examples_show_the_mention_in_context() -> None:
    first = render().all("div", "group")[0].all("span", "example")[0]
    assert first.text == "before mention of PER after"
    assert [mark.text for mark in first.all("mark")] == ["mention of PER"]


def test_pairs_that_nearly_merged() -> None:
    assert table_after(render(), "What stayed apart")[1:] == [
        ["a:LOC", "b:age", "0.38", "?", "0.50", "0.00 (1 of 1,000)", "?, never predicted"],
        ["mention of LOC / mention of age"],
    ]


def test_the_path() -> None:
    assert table_after(render(), "How labels were merged")[1:] == [
        ["a:PER, a:LOC", "merged into", "b:person", "0.69", "0.62", "0.75 (3 of 4)"],
        ["a:LOC", "merged, as asked for, into", "b:person", "0.69", "0.62", "0.75 (3 of 4)"],
        ["a:LOC", "stays: nothing is known of it", "", "", "", ""],
    ]


def test_the_search() -> None:
    rows = table_after(render(), "The search")[1:]
    f1 = "0.800 → 0.8100.010 (-0.010 to 0.030)"
    where = "labelsa:PER → b:person"
    assert rows == [
        ["1", f"2 {where}", "1.06", "0.4, 0.3 and 1 more0.5, 0.2", "bound broken", f1, f1, "4,321"],
        ["2", f"2 {where}", "1.06", "0.6, 0.1", "chosenbound holds", f1, f1, "4,321"],
        ["3", "1 labela:PER → b:person", "1.06", "0.4, 0.3 and 1 more0.5, 0.2", "not tried", "", "", ""],
    ]
    assert [cells(row)[0] for row in render().all("tr", "trial") if "chosen" in str(row.attributes)] == ["2"]


def test_f1_before_and_after() -> None:
    page = render()
    titles = [s.text for s in page.all("summary") if "split" in s.text]
    assert len(titles) == 6
    assert titles[0].startswith("Test split, in each source's own labels")
    assert titles[-1].startswith("Validation split, in unified labels")
    assert table_after(page, "Test split, in each source's own labels")[1:] == [
        ["all (micro)", "15", "0.900 (0.880 to 0.920)", "0.880 (0.860 to 0.900)", "-0.020 (-0.040 to 0.000)"],
        ["PER ▼", "11", "0.700 (0.680 to 0.720)", "0.500 (0.480 to 0.520)", "-0.200 (-0.220 to -0.180)"],
        ["LOC", "4", "–", "–", "–"],
    ]
    colors = {
        cells(row)[0]: row.children[-1].attributes["class"]
        for row in page.all("tr")
        if len(row.children) == 5 and "n " in (row.children[-1].attributes.get("class") or "")
    }
    assert colors["PER ▼"] == "n bad"
    assert colors["person"] == "n good"
    assert colors["age"] == "n "


def test_sentences_are_counted_without_those_that_were_left_out() -> None:
    assert ["sentences", "train 1,995, validation 40, test 60"] in [
        [cell.text for cell in row.all("th") + row.all("td")] for row in render().all("tr")
    ]


def test_a_label_that_is_left_out_is_no_loss() -> None:
    mapping = make_mapping(plain)
    entries = tuple(
        replace(entry, unified=None) if entry.label == LabelRef("a", "PER") else entry
        for entry in mapping.entries
    )
    page = parse(render_report(make_report(plain, 0.3), replace(mapping, entries=entries), None))
    assert page.all("div", "box") == []


def test_large_losses_stand_at_the_top() -> None:
    (box,) = render().all("div", "box")
    assert [item.text for item in box.all("li")] == ["a: PER, -0.200 (-0.220 to -0.180) on 11 entities"]


def test_heatmaps() -> None:
    page = render()
    assert table_after(page, "a (rows), b (columns): semantic") == [
        ["", "person", "age"],
        ["PER", "0.62", "?"],
        ["LOC", "?", "0.00"],
    ]
    assert table_after(page, "a (rows), b (columns): empirical")[1:] == [
        ["PER", "0.75", "?"],
        ["LOC", "?", "0.00"],
    ]
    assert table_after(page, "b (rows), a (columns): empirical")[1:] == [
        ["person", "0.12", "?"],
        ["age", "?", "?"],
    ]
    styles = [e.attributes["style"] for e in walk(page) if "style" in e.attributes]
    assert styles == ["--v:0.62", "--v:0.00", "--v:0.75", "--v:0.00", "--v:0.12"]


def test_of_many_sources_some_pairs_are_shown_and_it_is_said() -> None:
    refs = [f"{number:02d}:x" for number in range(12)]
    mapping = LabelMapping(("x",), tuple(MappedLabel(LabelRef(*ref.split(":")), "x") for ref in refs))
    similarity = make_matrix(dict.fromkeys(refs, 1), {}, {("03:x", "11:x"): 1.0})
    text = render_report(MergeReport(()), mapping, similarity)
    assert text.count("(columns): semantic similarity") == 50
    assert "the most alike labels; 16 other pairs are left out" in text
    assert "other pairs" not in render_report(MergeReport(()), mapping, None)


def test_sources() -> None:
    page = render()
    assert table_after(page, "Sources")[1] == [
        *("a", "1,000, 20, 30", "0.911", "0.922", "mit: as is; text may not be shared"),
    ]
    assert table_after(page, "entities by label")[1:] == [
        ["LOC", "0", "0", "5", "?", "?"],
        ["PER", "1,234", "3", "4", "0.912", "0.923"],
    ]
    items = [item.text for item in page.all("li")]
    for told in ("dropped 7: too long", "repaired 8: inside without begin", "cut by text"):
        assert items.count(told) == 2
    assert (
        "a/train: 5 also in b/test (4 the same, the others nearly): left out of the merged dataset" in items
    )
    assert table_after(page, "Pseudo-labels")[1:] == [["a", "kept", "b", "2,222"]]
    assert "not added: 3,333, below the threshold" in page.text


def test_the_settings_are_json() -> None:
    text = HOSTILE[0] + "'\"\\\n\u202e"
    page = render(lambda name: name + text)
    (settings,) = (pre.text for pre in page.all("pre"))
    assert json.loads(settings) == to_plain(make_call(lambda name: name + text))


def test_what_is_not_there_is_not_shown() -> None:
    call = CallFacts("apply", ("a",), mapping="m.yaml")
    report = MergeReport((make_source_facts(plain, "a", ("PER", "LOC")),), call=call)
    page = parse(render_report(report, make_mapping(), None))
    assert [heading.text for heading in page.all("h2")] == [
        "What became of the labels",
        "Sources",
        "How to run it again",
    ]
    assert page.all("div", "box") == []
    empty = parse(render_report(MergeReport(()), LabelMapping((), ()), None))
    assert empty.all("h2") == empty.all("nav") == empty.all("pre") == []


def test_a_stage_at_which_nothing_held_the_bound_is_loud() -> None:
    assert "Nothing was merged" not in render().text
    box = " ".join(render(tau=None).all("div", "box")[0].text.split())
    assert (
        box
        == "Nothing was merged by similarity when a met b: every mapping that was tried broke the bound on F1."
    )


def test_a_step_at_which_nothing_could_be_merged() -> None:
    report = make_report(tau=None)
    for unmerged, told in (("apart", "no setting of λ and τ merged anything."), ("constrained", "")):
        step = replace(report.steps[0], unmerged=unmerged)  # type: ignore[arg-type]
        changed = replace(report, steps=(step,), trials=(), systems={})
        boxes = parse(render_report(changed, make_mapping(), None)).all("div", "box")
        assert [told in box.text for box in boxes] == [True] * bool(told)


def test_the_same_report_gives_the_same_page() -> None:
    one, two = (render_report(make_report(), make_mapping(), make_similarity()) for _ in range(2))
    assert one == two
    stored = MergeReport.from_dict(json.loads(json.dumps(make_report().to_dict())))
    assert render_report(stored, make_mapping(), make_similarity()) == one
