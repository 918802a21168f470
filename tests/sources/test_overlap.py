"""Mention overlap against brute force, and as it is printed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Row, make_source, row
from corpora import annotated
from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.overlap import mention_overlap
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import tags_from_entities


def corpus(name: str, *texts: str) -> NerSource:
    return make_source(name, {"train": [row(text) for text in texts]})


def pair(one: str, other: str) -> list[NerSource]:
    return [corpus("a", one), corpus("b", other)]


PLAIN = ("york/B-loc", "anna/B-per smith/I-per", "the/B-loc city/I-loc")
LONGER = ("york/B-loc", "new/B-org york/I-org times/I-org")


@pytest.mark.parametrize(
    ("own", "label", "text", "expected"),
    [
        (PLAIN, "loc", "york/B-GPE york/B-GPE york", (1, {"GPE": 2}, 0, 0, 1)),
        (PLAIN, "loc", "new/B-ORG york/I-ORG times/I-ORG", (0, {}, 1, 0, 0)),
        (PLAIN, "loc", "the/B-GPE city", (1, {}, 0, 1, 0)),
        (PLAIN, "per", "anna/B-PERSON smith", (1, {}, 0, 1, 0)),
        (PLAIN, "per", "anna smith/B-PERSON jones/I-PERSON", (1, {}, 0, 1, 0)),
        (PLAIN, "per", "anna smith met york/B-PERSON", (1, {}, 0, 0, 1)),
        (PLAIN, "per", "anna/B-PERSON", (0, {}, 0, 0, 0)),
        # Inside a longer form of its own source it is no evidence, unless it is annotated there.
        (LONGER, "loc", "new york times york/B-GPE", (1, {"GPE": 1}, 1, 0, 0)),
        (LONGER, "org", "new york times york/B-GPE", (1, {}, 0, 0, 1)),
        (LONGER, "loc", "new york/B-GPE times", (1, {"GPE": 1}, 0, 0, 0)),
    ],
)
def test_the_kind_of_an_occurrence(own: tuple[str, ...], label: str, text: str, expected: object) -> None:
    overlaps = mention_overlap([corpus("a", *own), corpus("b", text)]).overlaps
    (o,) = (o for o in overlaps if str(o.label) == f"a:{label}")
    assert (o.occurring, o.annotated, o.nested, o.crossed, o.free) == expected


def test_scripts_without_spaces() -> None:
    a = make_source("a", {"train": [(list("在北京"), ["O", "B-地", "I-地"])]}, language="zh")
    tags = ["B-GPE", "I-GPE", "O", "B-ORG", "I-ORG", "I-ORG", "I-ORG", "O", "O"]
    b = make_source("b", {"train": [(list("北京的北京大学北京"), tags)]}, language="zh")
    o = mention_overlap([a, b]).overlaps[0]
    assert (o.annotated, o.nested, o.crossed, o.free) == ({"GPE": 1}, 1, 0, 1)
    assert (o.examples, o.share) == ({"GPE": ("北京",)}, {"GPE": 0.5})


def rows() -> st.SearchStrategy[list[Row]]:
    sentences = st.lists(annotated(st.sampled_from("abc"), "PQ"), min_size=1, max_size=5)
    return sentences.map(
        lambda some: [(words, tags_from_entities(len(words), spans)) for words, spans in some]
    )


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
    annotated = {name: total[name] for name in "PQ" if total[name]}
    shares = {name: [mine[form][name] / count for form, count in judged.items()] for name in annotated}
    share = {name: sum(of_forms) / len(judged) for name, of_forms in shares.items()}
    forms_of_label = sum(label in labels for labels in labels_of.values())
    return (forms_of_label, len(judged), annotated, total["nested"], total["crossed"], total["free"], share)


@given(st.lists(rows(), min_size=2, max_size=3))
def test_the_counts_are_those_of_brute_force(corpora: list[list[Row]]) -> None:
    sources = [make_source(name, {"train": own}) for name, own in zip("abc", corpora, strict=False)]
    overlaps = mention_overlap(sources).overlaps
    assert [(o.label, o.other) for o in overlaps] == [
        (ref, other.name) for source, other in permutations(sources, 2) for ref in source.label_refs
    ]
    by_name = {source.name: source for source in sources}
    for o in overlaps:
        counts = (o.forms, o.occurring, o.annotated, o.nested, o.crossed, o.free)
        *expected, share = brute_force(by_name[o.label.source], by_name[o.other], o.label.label)
        assert counts == tuple(expected)
        assert o.share == pytest.approx(share)
        assert all(set(texts) for texts in o.examples.values())
        assert o.examples.keys() == o.annotated.keys()


BACK = {"b:Q a:P": 0.5, "b:R a:P": 0.5}


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [
        # Scaled by the forms they rest on.
        ("x/B-P y/B-P", "x/B-Q y/B-R y z/B-Q", {"a:P b:Q": 1 / 3, "a:P b:R": 1 / 6, **BACK}),
        # Unknown is not zero: no mention of P occurs in b, that of N does.
        ("x/B-P y/B-N", "z/B-Q y/B-M", {"a:N b:M": 1 / 2, "b:M a:N": 1 / 2, "a:N b:Q": 0, "b:M a:P": 0}),
    ],
)
def test_the_matrix(one: str, other: str, shares: dict[str, float]) -> None:
    sources = pair(one, other)
    labels = [ref for source in sources for ref in source.label_refs]
    measured = zip(product(labels, labels), mention_overlap(sources).matrix(labels).flat, strict=True)
    assert {f"{x} {y}": share for (x, y), share in measured if not math.isnan(share)} == shares


MEANING = (
    "same name, different meaning? a:Place and b:place: 0% and 0% of their mentions agree; e.g. delta, DELTA"
)


@pytest.mark.parametrize(
    ("one", "other", "words", "conflicts"),
    [
        ("Place firm", "word place", 5, (MEANING,)),
        ("place firm", "Place org", 5, ()),
        ("Place firm", "word place", 4, ()),  # too few mentions to judge
    ],
)
def test_labels_of_one_name(one: str, other: str, words: int, conflicts: tuple[str, ...]) -> None:
    sources = []
    for name, labels in (("a", one), ("b", other)):
        first, second = labels.split()
        texts = "delta echo kilo lima mike".split()[:words]
        sources.append(corpus(name, *(f"{text}/B-{first} and {text.upper()}/B-{second}" for text in texts)))
    overlap = mention_overlap(sources)
    assert overlap.conflicts == conflicts
    assert all(conflict in str(overlap) for conflict in conflicts)


def test_what_is_printed() -> None:
    sources = pair("york/B-loc york/B-loc oslo/B-loc rome/B-loc", "york/B-GPE new/B-ORG york/I-ORG in oslo")
    overlap = mention_overlap(sources)
    assert str(overlap).split("\n") == [
        "b:GPE  in a: loc 100%; 1 of 1 mentions occur",
        "a:loc  in b: GPE 50%; 2 of 3 mentions occur",
        "without a mention in the text of another source: b:ORG",
    ]
    assert overlap.details().split("\n") == [
        "a:loc  in b: 2 of 3 mentions occur, 3 times; GPE 50% (york); not annotated 1 time (oslo); "
        "1 inside longer ones",
        "b:GPE  in a: 1 of 1 mentions occur, 2 times; loc 100% (york)",
        "b:ORG  in a: 0 of 1 mentions occur, 0 times",
    ]


def test_many_labels_fit_a_screen() -> None:
    words = [f"w{number}" for number in range(100)]
    text = " ".join(f"{word}/B-{word.upper()}" for word in words)
    lines = str(mention_overlap([corpus("a", text), corpus("b", text)])).split("\n")
    assert len(lines) <= 40
    assert "… and 176 more, less alike" in lines


def test_only_the_chosen_splits_count() -> None:
    a = make_source("a", {"train": [row("x/B-P")], "test": [row("y/B-P")]})
    b = make_source("b", {"train": [row("y/B-Q")], "test": [row("x/B-Q")]})
    assert [o.occurring for o in mention_overlap([a, b]).overlaps] == [0, 0]
    assert [o.occurring for o in mention_overlap([a, b], splits=("train", "test")).overlaps] == [2, 2]


def test_two_sources_of_two_names_and_examples_that_can_be_printed() -> None:
    for names in ("a", "aa", ""):
        with pytest.raises(ConfigurationError, match="two or more of different names"):
            mention_overlap([corpus(name) for name in names])
    tokens = ["\x1b[2J", "x" * 50]
    sources = [make_source(name, {"train": [(tokens, ["B-P", "I-P"])]}) for name in "ab"]
    assert mention_overlap(sources).overlaps[0].examples == {"P": ("\ufffd[2J " + "x" * 34 + "…",)}
