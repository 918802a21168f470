"""The demo: its corpora, its score, and a whole run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.demo import DemoOutcome, run_demo
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.load import load_source
from esnera_hf.sources.synthetic import PARTS, SIZES, generate_corpora
from esnera_hf.tagging import LabelRef

NEWS_ORG, FIRM, MONEY = LabelRef("newswire", "ORG"), LabelRef("finance", "firm"), LabelRef("finance", "MONEY")


def outcome(unified: dict[LabelRef, str], meaning: dict[LabelRef, str]) -> DemoOutcome:
    labels = tuple(dict.fromkeys(unified.values()))
    mapping = LabelMapping(labels, tuple(MappedLabel(ref, name) for ref, name in unified.items()))
    return DemoOutcome(SimpleNamespace(mapping=mapping, report="report"), meaning)


def test_corpora_are_decided_by_the_seed() -> None:
    first, again, other = generate_corpora(1), generate_corpora(1), generate_corpora(2)
    for a, b, c in zip(first, again, other, strict=True):
        assert a.dataset["train"].to_dict() == b.dataset["train"].to_dict()
        assert a.dataset["train"].to_dict() != c.dataset["train"].to_dict()


def test_every_label_has_mentions_and_a_meaning() -> None:
    for corpus in generate_corpora(42):
        source = load_source(corpus.dataset, name=corpus.name)
        assert set(source.label_refs) == set(corpus.meaning)
        assert {split: len(rows) for split, rows in source.dataset.items()} == SIZES
        assert min(source.summary.entities["train"].values()) >= 50
        assert not source.dropped


def test_the_corpora_hold_equal_fine_lone_and_look_alike_labels() -> None:
    meaning = {ref: kind for corpus in generate_corpora(42) for ref, kind in corpus.meaning.items()}
    kinds = Counter(meaning.values())
    assert kinds["person"] == kinds["organisation"] == 3
    assert kinds["work"] == 1
    assert {ref.label for ref, kind in meaning.items() if PARTS.get(kind) == "work"} == {
        "book",
        "movie",
        "game",
    }
    assert kinds["money"] == 1
    titles = [kind for ref, kind in meaning.items() if ref.label == "title"]
    assert len(titles) == 2
    assert len(set(titles)) == 2


def test_mentions_of_a_corpus_are_partly_its_own() -> None:
    people = []
    for corpus in generate_corpora(42):
        source = load_source(corpus.dataset, name=corpus.name)
        label = next(ref.label for ref, kind in corpus.meaning.items() if kind == "person")
        people.append(
            {
                tuple(sentence.tokens[e.start : e.end])
                for sentence in source.sentences("train")
                for e in sentence.entities
                if e.label == label
            }
        )
    shared = people[0] & people[1]
    assert shared
    assert people[0] - people[1]
    assert people[1] - people[0]


def test_the_score_counts_missed_and_wrong_pairs() -> None:
    meaning = {NEWS_ORG: "organisation", FIRM: "organisation", MONEY: "money"}
    right = outcome({NEWS_ORG: "firm", FIRM: "firm", MONEY: "MONEY"}, meaning)
    assert right.found_pairs == right.true_pairs == {(FIRM, NEWS_ORG)}
    wrong = outcome({NEWS_ORG: "MONEY", FIRM: "firm", MONEY: "MONEY"}, meaning)
    assert wrong.found_pairs == {(MONEY, NEWS_ORG)}


@pytest.mark.parametrize(("name", "line"), [("firm", "1 of them right"), ("MONEY", "0 of them right")])
def test_the_outcome_names_what_is_wrong(name: str, line: str) -> None:
    meaning = {NEWS_ORG: "organisation", FIRM: "organisation", MONEY: "money"}
    text = str(outcome({NEWS_ORG: name, FIRM: "firm", MONEY: "MONEY"}, meaning))
    assert line in text
    assert ("missed: finance:firm and newswire:ORG" in text) == (name == "MONEY")
    assert ("wrong: finance:MONEY and newswire:ORG" in text) == (name == "MONEY")


def test_the_outcome_names_parts() -> None:
    work, book, game = LabelRef("news", "WORK"), LabelRef("shop", "book"), LabelRef("shop", "game")
    meaning = {work: "work", book: "book", game: "game"}
    found = outcome({work: "WORK", book: "book", game: "game"}, meaning)
    mapping = replace(found.result.mapping, parents={"book": "WORK"})
    found = DemoOutcome(SimpleNamespace(mapping=mapping, report="report"), meaning)
    assert found.found_pairs == found.true_pairs == set()
    assert found.found_parts == {(book, work)}
    assert found.true_parts == {(book, work), (game, work)}
    text = str(found)
    assert "shop:book  book (in WORK)  book (in work)" in text
    assert "missed: shop:game is a part of news:WORK" in text
    assert "2 in truth, 1 found, 1 of them right" in text
    upside_down = replace(mapping, parents={"WORK": "book"})
    text = str(DemoOutcome(SimpleNamespace(mapping=upside_down, report="report"), meaning))
    assert "wrong: news:WORK was put below shop:book" in text


def test_a_whole_run_finds_the_truth() -> None:
    found = run_demo(seed=42)
    assert found.found_pairs == found.true_pairs
    assert len(found.true_pairs) == 8
    assert found.found_parts == found.true_parts
    assert len(found.true_parts) == 3


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_a_seed_that_no_generator_takes_is_refused(seed: int) -> None:
    with pytest.raises(ConfigurationError, match="expected a whole number from 0 to"):
        run_demo(seed)
