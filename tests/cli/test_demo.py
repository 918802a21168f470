"""The demo: its score, and a whole run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.demo import DemoOutcome, run_demo
from esnera_hf.tagging import LabelRef

ORG, FIRM, MONEY = LabelRef("newswire", "ORG"), LabelRef("finance", "firm"), LabelRef("finance", "MONEY")


def outcome(
    unified: dict[LabelRef, str], meaning: dict[LabelRef, str], parents: dict[str, str] | None = None
) -> DemoOutcome:
    labels = tuple(dict.fromkeys(unified.values()))
    entries = tuple(MappedLabel(ref, name) for ref, name in unified.items())
    mapping = LabelMapping(labels, entries, parents=parents or {})
    return DemoOutcome(SimpleNamespace(mapping=mapping, report="report"), meaning)


@pytest.mark.parametrize(("name", "right"), [("firm", True), ("MONEY", False)])
def test_missed_and_wrong_pairs_are_counted_and_named(name: str, right: bool) -> None:
    meaning = {ORG: "organisation", FIRM: "organisation", MONEY: "money"}
    made = outcome({ORG: name, FIRM: "firm", MONEY: "MONEY"}, meaning)
    assert made.merged_pairs == ({(FIRM, ORG)}, {(FIRM, ORG) if right else (MONEY, ORG)})
    text = str(made)
    assert f"1 in truth, 1 found, {int(right)} of them right" in text
    assert ("missed: finance:firm and newswire:ORG" in text) == (not right)
    assert ("wrong: finance:MONEY and newswire:ORG" in text) == (not right)


def test_parts_are_counted_and_named() -> None:
    work, book, game = LabelRef("news", "WORK"), LabelRef("shop", "book"), LabelRef("shop", "game")
    meaning, unified = {work: "work", book: "book", game: "game"}, {work: "WORK", book: "book", game: "game"}
    made = outcome(unified, meaning, {"book": "WORK"})
    assert made.merged_pairs == (set(), set())
    assert made.part_pairs == ({(book, work), (game, work)}, {(book, work)})
    text = str(made)
    assert "shop:book  book (in WORK)  book (in work)" in text
    assert "missed: shop:game is a part of news:WORK" in text
    assert "2 in truth, 1 found, 1 of them right" in text
    assert "wrong: news:WORK was put below shop:book" in str(outcome(unified, meaning, {"WORK": "book"}))


def test_a_whole_run_finds_the_truth() -> None:
    made = run_demo(seed=42)
    for (true, merged), expected in ((made.merged_pairs, 8), (made.part_pairs, 3)):
        assert merged == true
        assert len(true) == expected
