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
from huggingface_hub import DatasetCard

from builders import make_source, row
from card_facts import Names, comparison, make_dataset_facts, nothing_merged, summary
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.evaluation.projection import MergedScores
from esnera_hf.hub.cards import dataset_card, named_as
from esnera_hf.merging.merge import merge_sources
from esnera_hf.report.report import MergeReport
from esnera_hf.report.tables import large_losses
from esnera_hf.similarity.matrix import Agreement
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.tagging import LabelRef
from markdown_reading import links, table, tables


def sections(card: DatasetCard) -> list[str]:
    return [line.removeprefix("## ") for line in card.text.split("\n") if line.startswith("## ")]


def bare_facts() -> dict[str, Any]:
    """A mapping that was applied to one source, with nothing known but that."""
    source = make_source("alone", {"train": [row("anna/B-PER left")]})
    mapping = LabelMapping(("PER",), (MappedLabel(LabelRef("alone", "PER"), "PER"),))
    report = MergeReport((source.summary,))
    return {
        "repo_id": "owner/alone",
        "report": report,
        "mapping": mapping,
        "similarity": None,
        "configs": {"merged": merge_sources([source], mapping)},
    }


def test_the_metadata() -> None:
    metadata = dataset_card(**make_dataset_facts()).data.to_dict()
    assert {
        key: value for key, value in metadata.items() if key not in ("configs", "dataset_info", "tags")
    } == {
        "pretty_name": "alpha + beta: named entities in one label schema",
        "license": "other",
        "license_name": "terms-of-the-sources",
        "language": ["en"],
        "multilinguality": ["monolingual"],
        "annotations_creators": ["found", "machine-generated"],
        "size_categories": ["n<1K"],
        "source_datasets": ["extended|owner/alpha", "original"],
        "task_categories": ["token-classification"],
        "task_ids": ["named-entity-recognition"],
    }
    assert {"esnera", "named-entity-recognition", "label-alignment", "pseudo-labels"} <= set(metadata["tags"])
    assert metadata["configs"] == [
        {
            "config_name": "merged",
            "data_files": [
                {"split": split, "path": f"data/merged/{split}-*.parquet"}
                for split in ("train", "validation", "test")
            ],
            "default": True,
        }
    ]


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


def test_scores_say_on_which_split_they_are() -> None:
    facts = make_dataset_facts()
    body = dataset_card(**facts).text
    assert "on the **test** split" in body
    rows = next(rows for rows in tables(body) if rows[0][:3] == ["source", "entities", "before"])
    before, after, change = "0.600 (0.500 to 0.700)", "0.700 (0.600 to 0.800)", "0.100 (0.000 to 0.200)"
    assert rows[1] == ["alpha", "7", before, after, change]
    assert [row[0] for row in rows[1:]] == ["alpha", "beta", "all, pooled"]
    assert table(body, "tagger")[2][0].startswith("naive union")
    tried = dataset_card(**facts | {"report": replace(facts["report"], systems={})}).text
    assert "on the **validation** split" in tried
    assert "read it as optimistic" in tried
    none = dataset_card(**facts | {"report": replace(facts["report"], systems={}, trials=())}).text
    assert "F1 before and after" not in none


def test_the_limits_are_concrete() -> None:
    body = dataset_card(**make_dataset_facts()).text
    limits = body.split("## Limits")[1].split("\n## ")[0]
    for expected in (
        "1 entities, 25.0 % of those in train",
        "alpha: per\n",
        "- alpha: city, -0.200 (-0.300 to -0.100) on 7 entities",
        "alpha:city with beta:place (S 0.43)",
        "5 sentences of train or validation stand in a later split of their own source",
        "The terms known of beta do not",
        "Of 2 pairs of labels of different sources, the empirical similarity of 1 is unknown",
        "`report.html`",
    ):
        assert expected in limits
    assert "beta: place" not in limits  # not annotated on that split


def test_a_recipe_holds_no_text() -> None:
    facts = make_dataset_facts()
    with_text = dataset_card(**facts)
    recipe = dataset_card(**facts | {"text": False})
    for word in ("oslo-secret", "lima-secret", "dropped-secret"):
        assert word in str(with_text)
        assert word not in str(recipe)
    for word in ("secret left", "secret right", "secret line", "anna"):
        assert word not in str(with_text)
    metadata = recipe.data.to_dict()
    assert [config["config_name"] for config in metadata["configs"]] == ["recipe"]
    assert "dataset_info" not in metadata
    assert "**This repository holds no text.**" in recipe.text
    assert 'esnera_hf.apply("owner/merged", ["alpha=owner/alpha", "beta=PATH"])' in recipe.text
    reading = (ReadingOptions(config="zh", characters=False), ReadingOptions())
    report = replace(facts["report"], call=replace(facts["report"].call, reading=reading))
    assert (
        '[esnera_hf.load_source("alpha=owner/alpha", options=esnera_hf.ReadingOptions(characters=False, '
        "config='zh')), \"beta=PATH\"]"
    ) in dataset_card(**facts | {"report": report, "text": False}).text
    assert "Columns" not in sections(recipe)
    assert "load_dataset" not in recipe.text


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


def test_sections_without_content_vanish() -> None:
    full, bare = dataset_card(**make_dataset_facts()), dataset_card(**bare_facts())
    everything = [
        *("Load it", "Labels", "Evidence", "What stayed apart", "F1 before and after"),
        *("Statistics", "Pseudo-labels", "What was left out", "Columns", "Limits", "How it was made"),
        *("Licenses", "Citation"),
    ]
    assert sections(full) == everything
    gone = {
        *("What stayed apart", "F1 before and after", "Pseudo-labels", "What was left out"),
        "How it was made",
    }
    assert sections(bare) == [title for title in everything if title not in gone]
    for card in (full, bare):
        anchors = ["#" + title.lower().replace(" ", "-") for title in sections(card)]
        assert [link for link in links(card.text) if link.startswith("#")] == anchors
    assert "Nothing was measured" in bare.text
    assert "\n\n\n" not in full.text + bare.text


def test_other_configurations_are_named() -> None:
    facts = make_dataset_facts()
    names = ("beta", "class", "2014_news", "dataset")
    body = dataset_card(
        **facts | {"configs": facts["configs"] | dict.fromkeys(names, facts["configs"]["merged"])}
    ).text
    assert (
        'by_source = {name: load_dataset("owner/merged", name) for name in ["beta", "class", "2014_news"'
        in body
    )
    for block in re.findall("```python\n(.*?)```", body, re.DOTALL):
        compile(block, "card", "exec")
    assert "Configurations:" in body


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
        (lambda facts: {}, "**Made from a sample: at most 100 sentences per split of each source.**\n\n| split"),
    ],
)  # fmt: skip
def test_what_happened_is_said(change: Callable[[dict[str, Any]], dict[str, Any]], told: str) -> None:
    facts = make_dataset_facts()
    assert told in dataset_card(**facts | change(facts)).text.replace("|  |", "| |")


def test_no_sample_is_said_of_whole_sources() -> None:
    assert "Made from a sample" not in dataset_card(**bare_facts()).text


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
