"""The demo: its score, and a whole run."""

from __future__ import annotations

import pytest

from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.cli.demo import compared, merged_pairs, part_pairs, run_demo
from esnera_hf.sources.synthetic import MEANING
from esnera_hf.tagging import LabelRef

ORG, FIRM, MONEY = LabelRef("newswire", "ORG"), LabelRef("finance", "firm"), LabelRef("finance", "MONEY")


def mapping_of(unified: dict[LabelRef, str], parents: dict[str, str] | None = None) -> LabelMapping:
    entries = tuple(MappedLabel(ref, name) for ref, name in unified.items())
    return LabelMapping(tuple(dict.fromkeys(unified.values())), entries, parents=parents or {})


@pytest.mark.parametrize(("name", "right"), [("firm", True), ("MONEY", False)])
def test_missed_and_wrong_pairs_are_counted_and_named(name: str, right: bool) -> None:
    meaning = {ORG: "organisation", FIRM: "organisation", MONEY: "money"}
    mapping = mapping_of({ORG: name, FIRM: "firm", MONEY: "MONEY"})
    assert merged_pairs(mapping, meaning) == ({(FIRM, ORG)}, {(FIRM, ORG) if right else (MONEY, ORG)})
    text = compared(mapping, meaning)
    assert f"1 in truth, 1 found, {int(right)} of them right" in text
    assert ("missed: finance:firm and newswire:ORG" in text) == (not right)
    assert ("wrong: finance:MONEY and newswire:ORG" in text) == (not right)


def test_parts_are_counted_and_named() -> None:
    work, book, game = LabelRef("news", "WORK"), LabelRef("shop", "book"), LabelRef("shop", "game")
    meaning, unified = {work: "work", book: "book", game: "game"}, {work: "WORK", book: "book", game: "game"}
    mapping = mapping_of(unified, {"book": "WORK"})
    assert merged_pairs(mapping, meaning) == (set(), set())
    assert part_pairs(mapping, meaning) == ({(book, work), (game, work)}, {(book, work)})
    text = compared(mapping, meaning)
    assert "shop:book  book (in WORK)  book (in work)" in text
    assert "missed: shop:game is a part of news:WORK" in text
    assert "2 in truth, 1 found, 1 of them right" in text
    assert "wrong: news:WORK was put below shop:book" in compared(
        mapping_of(unified, {"WORK": "book"}), meaning
    )


def test_a_whole_run_finds_the_truth() -> None:
    mapping = run_demo(seed=42).mapping
    for (true, found), expected in ((merged_pairs(mapping, MEANING), 8), (part_pairs(mapping, MEANING), 3)):
        assert found == true
        assert len(true) == expected
