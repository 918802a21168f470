"""Mention overlap against brute force, and as it is printed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Row, make_source, row
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.overlap import LabelOverlap, mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import Entity, tags_from_entities


def overlap(sources: Sequence[NerSource], label: str, other: str) -> LabelOverlap:
    (found,) = (o for o in mention_overlap(sources).overlaps if str(o.label) == label and o.other == other)
    return found


def counts(o: LabelOverlap) -> tuple[int, dict[str, int], int, int, int]:
    return o.occurring, o.annotated, o.nested, o.crossed, o.free


class TestKinds:
    A = make_source(
        "a", {"train": [row("york/B-loc"), row("anna/B-per smith/I-per"), row("the/B-loc city/I-loc")]}
    )

    @pytest.mark.parametrize(
        ("text", "label", "expected"),
        [
            ("york/B-GPE york/B-GPE york", "a:loc", (1, {"GPE": 2}, 0, 0, 1)),
            ("new/B-ORG york/I-ORG times/I-ORG", "a:loc", (0, {}, 1, 0, 0)),
            ("the/B-GPE city", "a:loc", (1, {}, 0, 1, 0)),
            ("anna/B-PERSON smith", "a:per", (1, {}, 0, 1, 0)),
            ("anna smith/B-PERSON jones/I-PERSON", "a:per", (1, {}, 0, 1, 0)),
            ("anna smith met york/B-PERSON", "a:per", (1, {}, 0, 0, 1)),
            ("anna/B-PERSON", "a:per", (0, {}, 0, 0, 0)),
        ],
    )
    def test_an_occurrence_is_one_of_four_things(self, text: str, label: str, expected: object) -> None:
        assert counts(overlap([self.A, make_source("b", {"train": [row(text)]})], label, "b")) == expected

    def test_a_form_inside_a_longer_form_of_its_own_source_is_no_evidence(self) -> None:
        a = make_source("a", {"train": [row("york/B-loc"), row("new/B-org york/I-org times/I-org")]})
        b = make_source("b", {"train": [row("new york times x/B-X"), row("york/B-GPE")]})
        assert counts(overlap([a, b], "a:loc", "b")) == (1, {"GPE": 1}, 1, 0, 0)
        assert overlap([a, b], "a:loc", "b").share == {"GPE": 1.0}
        assert counts(overlap([a, b], "a:org", "b")) == (1, {}, 0, 0, 1)

    def test_an_annotation_counts_even_inside_a_longer_form(self) -> None:
        a = make_source("a", {"train": [row("york/B-loc"), row("new/B-org york/I-org times/I-org")]})
        b = make_source("b", {"train": [row("new york/B-GPE times")]})
        assert counts(overlap([a, b], "a:loc", "b")) == (1, {"GPE": 1}, 0, 0, 0)

    def test_scripts_without_spaces(self) -> None:
        a = make_source("a", {"train": [(list("在北京"), ["O", "B-地", "I-地"])]}, language="zh")
        tags = ["B-GPE", "I-GPE", "O", "B-ORG", "I-ORG", "I-ORG", "I-ORG", "O", "O"]
        b = make_source("b", {"train": [(list("北京的北京大学北京"), tags)]}, language="zh")
        found = overlap([a, b], "a:地", "b")
        assert counts(found) == (1, {"GPE": 1}, 1, 0, 1)
        assert found.examples == {"GPE": ("北京",)}
        assert found.share == {"GPE": 0.5}


@st.composite
def corpora(draw: st.DrawFn) -> list[Row]:
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        tokens = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=7))
        entities, start = [], 0
        while start < len(tokens):
            length = draw(st.integers(0, min(3, len(tokens) - start)))
            if length:
                entities.append(Entity(start, start + length, draw(st.sampled_from("PQ"))))
            start += length or 1
        rows.append((tokens, tags_from_entities(len(tokens), entities)))
    return rows


def brute_force(source: NerSource, other: NerSource, label: str) -> tuple[object, ...]:
    """Compare every span of every sentence with every mention."""
    labels_of = defaultdict(set)
    for sentence in source.sentences("train"):
        for e in sentence.entities:
            labels_of[tuple(sentence.tokens[e.start : e.end])].add(e.label)
    kinds: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for sentence in other.sentences("train"):
        n = len(sentence.tokens)
        spans = [(i, j) for i in range(n) for j in range(i + 1, n + 1)]
        forms = [(i, j) for i, j in spans if tuple(sentence.tokens[i:j]) in labels_of]
        gold = {(e.start, e.end): e.label for e in sentence.entities}
        for i, j in forms:
            longer = [(k, m) for k, m in (*forms, *gold) if k <= i and j <= m and (k, m) != (i, j)]
            touched = any(k < j and i < m for k, m in gold)
            kind = gold.get((i, j)) or ("nested" if longer else "crossed" if touched else "free")
            kinds[tuple(sentence.tokens[i:j])][kind] += 1
    mine = {form: found for form, found in kinds.items() if label in labels_of[form]}
    total = sum(mine.values(), Counter())
    judged = {form: found.total() - found["nested"] for form, found in mine.items()}
    judged = {form: count for form, count in judged.items() if count}
    share = {
        name: sum(mine[form][name] / count for form, count in judged.items()) / len(judged)
        for name in "PQ"
        if total[name]
    }
    forms_of_label = sum(label in labels for labels in labels_of.values())
    annotated = {name: total[name] for name in "PQ" if total[name]}
    return (forms_of_label, len(judged), annotated, total["nested"], total["crossed"], total["free"], share)


@given(st.lists(corpora(), min_size=2, max_size=3))
def test_the_counts_are_those_of_brute_force(rows: list[list[Row]]) -> None:
    sources = [make_source(name, {"train": r}) for name, r in zip("abc", rows, strict=False)]
    overlap = mention_overlap(sources)
    assert [(o.label, o.other) for o in overlap.overlaps] == [
        (ref, other.name) for source, other in permutations(sources, 2) for ref in source.label_refs
    ]
    by_name = {source.name: source for source in sources}
    for o in overlap.overlaps:
        found = (o.forms, o.occurring, o.annotated, o.nested, o.crossed, o.free)
        *expected, share = brute_force(by_name[o.label.source], by_name[o.other], o.label.label)
        assert found == tuple(expected)
        assert o.share == pytest.approx(share)
        assert all(set(texts) for texts in o.examples.values())
        assert o.examples.keys() == o.annotated.keys()


class TestMatrix:
    def matrix(self, one: str, other: str) -> dict[tuple[str, str], float]:
        sources = [make_source("a", {"train": [row(one)]}), make_source("b", {"train": [row(other)]})]
        labels = [ref for source in sources for ref in source.label_refs]
        found = mention_overlap(sources).matrix(labels)
        pairs = {
            (str(x), str(y)): float(found[i, j]) for i, x in enumerate(labels) for j, y in enumerate(labels)
        }
        assert all(math.isnan(pairs[x, y]) for x, y in pairs if x[0] == y[0])
        return {pair: share for pair, share in pairs.items() if pair[0][0] != pair[1][0]}

    def test_shares_are_scaled_by_the_forms_they_rest_on(self) -> None:
        assert self.matrix("x/B-P y/B-P", "x/B-Q y/B-R y z/B-Q") == {
            ("a:P", "b:Q"): 0.5 * 2 / 3,
            ("a:P", "b:R"): 0.25 * 2 / 3,
            ("b:Q", "a:P"): 1 / 2,
            ("b:R", "a:P"): 1 / 2,
        }

    def test_unknown_is_not_zero(self) -> None:
        found = self.matrix("x/B-P y/B-N", "z/B-Q y/B-M")
        assert math.isnan(found["a:P", "b:Q"])
        assert found["a:N", "b:Q"] == 0


class TestConflicts:
    WORDS = "delta echo kilo lima mike"

    def source(self, name: str, label: str, other: str) -> NerSource:
        rows = [row(f"{word}/B-{label} and {word.upper()}/B-{other}") for word in self.WORDS.split()]
        return make_source(name, {"train": rows})

    def test_one_name_with_two_meanings(self) -> None:
        overlap = mention_overlap([self.source("a", "Place", "firm"), self.source("b", "word", "place")])
        (conflict,) = overlap.conflicts
        assert conflict == (
            "same name, different meaning? a:Place and b:place: 0% and 0% of their mentions agree; e.g. delta, DELTA"
        )
        assert conflict in str(overlap)

    def test_one_name_with_one_meaning(self) -> None:
        assert (
            mention_overlap([self.source("a", "place", "firm"), self.source("b", "Place", "org")]).conflicts
            == ()
        )

    def test_too_few_mentions_are_no_conflict(self) -> None:
        a = make_source("a", {"train": [row("x/B-place y/B-Q")]})
        b = make_source("b", {"train": [row("x/B-Q y/B-place")]})
        assert mention_overlap([a, b]).conflicts == ()


def test_what_is_printed() -> None:
    a = make_source("a", {"train": [row("york/B-loc york/B-loc oslo/B-loc rome/B-loc")]})
    b = make_source("b", {"train": [row("york/B-GPE new/B-ORG york/I-ORG in oslo")]})
    lines = str(mention_overlap([a, b])).split("\n")
    assert lines[0] == (
        "a:loc  in b: 2 of 3 mentions occur, 3 times; GPE 50% (york); not annotated 1 times (oslo); "
        "1 inside longer ones"
    )
    assert lines[1] == "b:GPE  in a: 1 of 1 mentions occur, 2 times; loc 100% (york)"
    assert lines[2] == "b:ORG  in a: 0 of 1 mentions occur, 0 times"


def test_only_the_chosen_splits_count() -> None:
    a = make_source("a", {"train": [row("x/B-P")], "test": [row("y/B-P")]})
    b = make_source("b", {"train": [row("y/B-Q")], "test": [row("x/B-Q")]})
    assert [o.occurring for o in mention_overlap([a, b]).overlaps] == [0, 0]
    assert [o.occurring for o in mention_overlap([a, b], splits=("train", "test")).overlaps] == [2, 2]


@pytest.mark.parametrize("names", ["a", "aa", ""])
def test_two_sources_of_two_names(names: str) -> None:
    with pytest.raises(ConfigurationError, match="two or more of different names"):
        mention_overlap([make_source(name, {}) for name in names])


def test_examples_are_written_as_people_write() -> None:
    a = make_source("a", {"train": [row("new/B-loc york/I-loc")]})
    (found, _) = mention_overlap([a, make_source("b", {"train": [row("new/B-GPE york/I-GPE")]})]).overlaps
    assert found.examples == {"GPE": ("new york",)}


def test_examples_can_be_printed() -> None:
    tokens = ["\x1b[2J", "x" * 50]
    sources = [make_source(name, {"train": [(tokens, ["B-P", "I-P"])]}) for name in "ab"]
    assert mention_overlap(sources).overlaps[0].examples == {"P": ("\ufffd[2J " + "x" * 34 + "…",)}
