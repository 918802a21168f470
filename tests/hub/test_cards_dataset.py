"""The card of a merged dataset: its metadata load it, its text says what happened."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import DatasetDict, load_dataset

from builders import make_source, row
from card_facts import Names, check_golden, comparison, make_dataset_facts, nothing_merged, summary
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.hub.cards import dataset_card, named_as
from esnera_hf.merging.merge import MergedData, merge_sources
from esnera_hf.report.build import build_report
from esnera_hf.report.report import MergeReport
from esnera_hf.report.tables import large_losses
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.tagging import LabelRef
from markdown_reading import links

SPLITS = ("train", "validation", "test")


def bare_facts() -> dict[str, Any]:
    """A mapping that was applied to one source, with nothing known but that."""
    source = make_source("alone", {"train": [row("anna/B-PER left")]})
    mapping = LabelMapping(("PER",), (MappedLabel(LabelRef("alone", "PER"), "PER"),))
    report = MergeReport((source.summary,))
    return {
        "repo_id": "owner/alone",
        "report": report,
        "mapping": mapping,
        "configs": {"merged": merge_sources([source], mapping)},
    }


@pytest.mark.parametrize("label", ["city", "NO", "null", "a: b", "é#", "1e5", "- x", "公司名"])
def test_the_metadata_load_the_dataset(tmp_path: Path, label: str) -> None:
    facts = make_dataset_facts(Names(label=label))
    alone = DatasetDict(
        {s: rows.filter(lambda r: r["source"] == "beta") for s, rows in facts["configs"]["merged"].items()}
    )
    assert len(alone["test"]) == 0
    facts = facts | {"configs": {**facts["configs"], "beta": alone}}
    (tmp_path / "README.md").write_text(str(dataset_card(**facts)), encoding="utf-8")
    for name, splits in facts["configs"].items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for split, rows in splits.items():
            rows.to_parquet(tmp_path / "data" / name / f"{split}-00000-of-00001.parquet")
    for name, expected in (("merged", facts["configs"]["merged"]), ("beta", alone)):
        given = () if name == "merged" else (name,)
        loaded = load_dataset(str(tmp_path), *given, cache_dir=str(tmp_path / f"cache-{name}"))
        filled = {split: rows for split, rows in expected.items() if len(rows)}
        assert list(loaded) == list(filled)
        for split, rows in filled.items():
            assert loaded[split].features == rows.features
            assert loaded[split].to_list() == rows.to_list()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("full", lambda facts: facts),
        ("bare", lambda facts: bare_facts()),
        ("recipe", lambda facts: facts | {"text": False}),
        ("several", lambda facts: facts | {"configs": facts["configs"] | {"2014_news": facts["configs"]["merged"]}}),
    ],
)  # fmt: skip
def test_a_whole_card(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Metadata, sections, tables and limits, as ``tests/golden`` has them."""
    card = dataset_card(**change(make_dataset_facts()))
    sizes = r"(?m)^ *(num_bytes|dataset_size): .*\n"  # which differ from machine to machine
    check_golden(f"card-{name}.md", re.sub(sizes, "", str(card)))
    anchors = [
        "#" + title.lower().replace(" ", "-") for title in re.findall("^## (.+)$", card.text, re.MULTILINE)
    ]
    assert [link for link in links(card.text) if link.startswith("#")] == anchors
    assert "\n\n\n" not in card.text
    for block in re.findall("```python\n(.*?)```", card.text, re.DOTALL):
        compile(block, "card", "exec")


def test_a_recipe_holds_no_text() -> None:
    facts = make_dataset_facts()
    with_text = dataset_card(**facts)
    recipe = dataset_card(**facts | {"text": False})
    for word in ("oslo-secret", "lima-secret", '"tokens": ["met", "anna", "in", "lima-secret"]'):
        assert word in str(with_text)
        assert word not in str(recipe)
    assert "anna" not in str(recipe)
    for word in ("secret left", "secret right", "secret line", "dropped-secret"):
        assert word not in str(with_text)
    reading = (ReadingOptions(config="zh", characters=False), ReadingOptions())
    report = replace(facts["report"], call=replace(facts["report"].call, reading=reading))
    assert (
        '[esnera_hf.load_source("alpha=owner/alpha", options=esnera_hf.ReadingOptions(characters=False, '
        "config='zh')), \"beta=PATH\"]"
    ) in dataset_card(**facts | {"report": report, "text": False}).text


def test_a_card_of_three_corpora_can_be_read_at_once() -> None:
    """At most 900 words, numbers and marks among them, though each has many labels: the page holds the evidence."""
    kinds = [f"kind{number}" for number in range(8)]
    sources = [
        make_source(
            name, {s: [row(f"word{n}/B-{name}{kind} met") for n, kind in enumerate(kinds)] for s in SPLITS}
        )
        for name in ("alpha", "beta", "gamma")
    ]
    entries = [
        MappedLabel(
            LabelRef(source.name, f"{source.name}{kind}"),
            kind if number < 2 else f"{source.name}{kind}",
            *(30, LabelRef("beta" if source.name == "alpha" else "alpha", f"alpha{kind}"), 0.9),
            why="90 % of predictions agree and the names match; the weak point: few mentions",
        )
        for source in sources
        for number, kind in enumerate(kinds)
    ]
    unified = tuple(dict.fromkeys(entry.unified for entry in entries if entry.unified))
    mapping = LabelMapping(
        unified, tuple(entries), "equivalence", parents=dict.fromkeys(unified[3:], unified[0])
    )
    merged = MergedData(merge_sources(sources, mapping))
    report = build_report(sources, mapping, merged)
    card = dataset_card("owner/three", report, mapping, {"merged": merged.dataset})
    assert 400 < len(re.findall(r"[^\s|]*\w[^\s|]*", card.text)) <= 900
    assert "![24 labels from alpha, beta, gamma flow into" in card.text
    for section in ("What is in it", "Load it", "Labels", "Licenses", "Columns", "Limits", "Citation"):
        assert f"## {section}\n" in card.text
    # Evidence stands beside what was merged, and nowhere else.
    labels = card.text[card.text.index("## Labels\n") : card.text.index("## Licenses\n")]
    assert labels.count("(P(equal) 0.90)") == 4


@pytest.mark.parametrize(
    ("name", "hub_id", "expected"),
    [
        ("cluener", "", "cluener"),
        ("wikigold", "", "wikigold=PATH"),
        ("mine", "a/b", "mine=a/b"),
        ("weibo", "me/my-weibo", "weibo=me/my-weibo"),
        ("weibo", "hltcoe/weibo_ner", "weibo"),
        ("mine", "", "mine=PATH"),
    ],
)
def test_how_a_source_is_given(name: str, hub_id: str, expected: str) -> None:
    assert named_as(summary(name, Names(), hub_id)) == expected


@pytest.mark.parametrize(("hub_id", "says"), [("", True), ("owner/beta", False)])
def test_a_path_is_explained_where_one_is_to_be_given(hub_id: str, says: bool) -> None:
    facts = make_dataset_facts() | {"text": False}
    alpha, beta = facts["report"].sources
    beta = replace(beta, provenance=replace(beta.provenance, hub_id=hub_id))
    card = dataset_card(**facts | {"report": replace(facts["report"], sources=(alpha, beta))}).text
    assert ("`PATH` is a file or folder of yours." in card) == says
    assert "\n\n\n" not in card


def by_meaning(facts: dict[str, Any]) -> dict[str, Any]:
    """Let nothing but meaning have merged the labels."""
    entries, never = facts["mapping"].entries, Agreement(0, 0)
    alike = [replace(e, forward=never, backward=never) if e.unified == "city" else e for e in entries]
    return {"mapping": replace(facts["mapping"], entries=tuple(alike))}


def step_without_merge(why: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda facts: {"report": nothing_merged(facts["report"], why)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (by_meaning, "on the other source: alpha:city, beta:place."),
        (lambda facts: {"report": replace(facts["report"], steps=())}, "A label mapping that was given decided"),
        (step_without_merge("broken"), "| alpha | beta | every mapping that was tried broke the bound on F1 | |"),
        (step_without_merge("apart"), "| alpha | beta | no setting of λ and τ merged anything | |"),
        (step_without_merge("constrained"), "| alpha | beta | only what was asked for was merged | |"),
        (lambda facts: {"report": replace(facts["report"], systems={})}, "read it as optimistic"),
    ],
)  # fmt: skip
def test_what_happened_is_said(change: Callable[[dict[str, Any]], dict[str, Any]], told: str) -> None:
    facts = make_dataset_facts()
    assert told in dataset_card(**facts | change(facts)).text.replace("|  |", "| |")


def test_the_paper_is_cited_as_the_citation_file_does() -> None:
    paper = yaml.safe_load(Path(__file__).parents[2].joinpath("CITATION.cff").read_text(encoding="utf-8"))
    paper = paper["preferred-citation"]
    authors = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
    body = dataset_card(**bare_facts()).text
    for expected in (paper["title"], authors, paper["year"], paper["url"]):
        assert f"{{{expected}}}" in body


def test_a_label_that_is_left_out_is_no_loss() -> None:
    row = comparison(0.9, 0.4)
    table = ("", "test", MergedScores(row, {"a": row}, {"a": {"x": row, "y": row}}))
    mapping = LabelMapping(
        ("X",), (MappedLabel(LabelRef("a", "x"), "X"), MappedLabel(LabelRef("a", "y"), None))
    )
    assert [label for _, label, _ in large_losses(table, mapping)] == ["x"]
    assert [label for _, label, _ in large_losses(table, None)] == ["x", "y"]
