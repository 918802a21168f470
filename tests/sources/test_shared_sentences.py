"""Sentences that sources share: their annotation side by side, and what the counts say of two labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Row, make_source, row
from esnera_hf.sources.duplicates import find_pairs
from esnera_hf.sources.leakage import find_leaks
from esnera_hf.sources.levelled_texts import normalize
from esnera_hf.sources.shared_sentences import (
    RELATIONS,
    SharedSentences,
    compare_shared,
    relation_likelihoods,
)
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef, entities_from_tags, tags_from_entities

LONG = "the quick brown fox jumps over the lazy dog near the old river bank"


def compared(*sources: NerSource) -> SharedSentences:
    return compare_shared(sources, find_pairs(sources))


def cell(shared: SharedSentences, one: str, other: str) -> tuple[int, int, int, int]:
    """Return mentions, those with the same boundaries, with others, and compared, of a pair of labels."""
    i, j = (shared.labels.index(LabelRef(*text.split(":"))) for text in (one, other))
    matrices = shared.mentions, shared.same, shared.overlapping, shared.compared
    return tuple(int(matrix[i, j]) for matrix in matrices)  # type: ignore[return-value]


SENTENCES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "ab", "A", "-"]), st.sampled_from(["O", "B-x", "I-x", "B-y"])),
        min_size=1,
        max_size=4,
    ),
    max_size=6,
)


def iob2(tagged: Sequence[tuple[str, str]]) -> Row:
    """Return words and tags, the tags in the form that sources have."""
    tokens, tags = zip(*tagged, strict=True)
    return tokens, tags_from_entities(len(tags), entities_from_tags(tags)[0])


def brute_force(sources: Sequence[NerSource]) -> tuple[Counter, Counter, Counter]:  # type: ignore[type-arg]
    """Count mentions, those of the same and those of other boundaries in the first sentences of each common text."""
    texts: dict[str, dict[str, list[tuple[int, int, str]]]] = {}
    for source in sources:
        for split in source.dataset:
            for sentence in source.sentences(split):
                parts = [normalize(token) for token in sentence.tokens]
                spans = [
                    (len("".join(parts[: e.start])), len("".join(parts[: e.end])), e.label)
                    for e in sentence.entities
                ]
                texts.setdefault("".join(parts), {}).setdefault(source.name, spans)
    mentions, same, overlapping = Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for text, by_source in texts.items():
        for one, other in permutations(by_source, 2) if text else ():
            for start, end, label in by_source[one]:
                if start == end:
                    continue
                mentions[f"{one}:{label}", other] += 1
                shares = [
                    (len(set(range(start, end)) & set(range(a, b))), -n, a, b, there)
                    for n, (a, b, there) in enumerate(by_source[other])
                ]
                size, _, a, b, there = max(shares, default=(0, 0, 0, 0, ""))
                if size:
                    counts = same if (a, b) == (start, end) else overlapping
                    counts[f"{one}:{label}", f"{other}:{there}"] += 1
    return mentions, same, overlapping


@given(st.tuples(*[st.tuples(SENTENCES, SENTENCES)] * 3))
def test_spans_side_by_side_as_counted_by_brute_force(
    corpora: tuple[tuple[list[list[tuple[str, str]]], ...], ...],
) -> None:
    """Whatever the tokens, the splits and how often a text is repeated."""
    sources = [
        make_source(name, {"train": map(iob2, train), "test": map(iob2, test)})
        for name, (train, test) in zip("abc", corpora, strict=True)
    ]
    shared = compared(*sources)
    mentions, same, overlapping = brute_force(sources)
    for one, other in permutations(shared.labels, 2):
        if one.source != other.source:
            pair = str(one), str(other)
            expected = mentions[str(one), other.source], same[pair], overlapping[pair]
            assert cell(shared, *pair)[:3] == expected
    assert (shared.same == shared.same.T).all()
    assert (shared.compared >= shared.same).all()
    assert dict(shared.sentences) == {
        (one.name, other.name): len(common(one, other))
        for one, other in combinations(sources, 2)
        if common(one, other)
    }


def common(one: NerSource, other: NerSource) -> set[str]:
    texts = [
        {"".join(map(normalize, s.tokens)) for split in source.dataset for s in source.sentences(split)}
        for source in (one, other)
    ]
    return (texts[0] & texts[1]) - {""}


WORDS = LONG.replace("the ", "").split()


@given(
    st.integers(0, len(WORDS) - 1),
    st.lists(st.sampled_from(["O", "B-x", "I-x"]), min_size=len(WORDS), max_size=len(WORDS)),
    st.lists(st.sampled_from(["O", "B-y", "I-y"]), min_size=len(WORDS), max_size=len(WORDS)),
)
def test_mentions_of_nearly_the_same_sentences_count_where_they_stand_in_both(
    changed: int, tags: list[str], others: list[str]
) -> None:
    other_words = [word if n != changed else "7" for n, word in enumerate(WORDS)]
    a = make_source("a", {"train": [iob2(list(zip(WORDS, tags, strict=True)))]})
    b = make_source("b", {"test": [iob2(list(zip(other_words, others, strict=True)))]})
    shared = compared(a, b)
    if not shared.sentences:
        return  # the changed word was a long one
    ones, theirs = (
        [(e.start, e.end) for e in next(s.sentences(p)).entities] for s, p in ((a, "train"), (b, "test"))
    )
    standing = [span for span in ones if not span[0] <= changed < span[1]]
    standing_there = [span for span in theirs if not span[0] <= changed < span[1]]
    same = len(set(standing) & set(theirs))
    if ones and theirs:
        mentions, equal, overlapping, _ = cell(shared, "a:x", "b:y")
        crossed = [s for s in standing if s not in theirs and any(s[0] < e and b < s[1] for b, e in theirs)]
        assert (mentions, equal, overlapping) == (len(standing), same, len(crossed))
        assert cell(shared, "b:y", "a:x")[:2] == (len(standing_there), same)


def test_what_is_left_out_of_training_counts_and_what_is_not_annotated_says_nothing() -> None:
    a = make_source(
        "a", {"train": [row("anna/B-per of/O china/B-loc bank/O"), row("lima/B-loc wins"), row("oslo/B-loc")]}
    )
    b = make_source(
        "b",
        {
            "train": [row("nothing/B-money here")],
            "test": [row("Anna/B-NAME of/O china/B-ORG bank/I-ORG"), row("lima/B-GPE wins"), row("oslo")],
        },
    )
    found = find_pairs([a, b])
    assert len(find_leaks([a, b], found)) == 3
    shared = compare_shared([a, b], found)
    assert dict(shared.sentences) == {("a", "b"): 3}
    assert repr(shared) == "SharedSentences(a and b 3)"
    assert cell(shared, "a:loc", "b:GPE") == (3, 1, 0, 2)  # inside the bank there was no room for it
    assert cell(shared, "a:loc", "b:ORG") == (3, 0, 1, 2)
    assert cell(shared, "a:per", "b:NAME") == (1, 1, 0, 1)
    china, oslo = (shared.examples[LabelRef("a", "loc"), "b", there] for there in ("ORG", None))
    assert (china, oslo) == (("china",), ("oslo",))
    assert cell(shared, "a:loc", "b:money") == (3, 0, 0, 2)


@pytest.mark.parametrize(
    ("both", "first", "second", "relation"),
    [
        (900, 40, 50, "equal"),
        (15_934, 0, 0, "equal"),
        (50, 2, 900, "subset"),
        (50, 900, 2, "superset"),
        (300, 400, 500, "overlap"),
        (2, 600, 600, "none"),
        (0, 3, 900, "none"),
    ],
)
def test_the_likeliest_relation(both: int, first: int, second: int, relation: str) -> None:
    (shares,) = relation_likelihoods(*(np.array([n]) for n in (both, first, second)))
    assert RELATIONS[int(shares.argmax())] == relation
    assert shares.max() > 0.7


def test_a_few_counts_say_little_and_the_likelihood_is_that_of_the_shares_integrated_out() -> None:
    (shares,) = relation_likelihoods(np.array([1]), np.array([0]), np.array([0]))
    assert shares.max() < 0.5
    # Riemann sum over the shares of the three, of counts times densities.
    counts = np.array([3, 1, 2])
    grid = (np.arange(400) + 0.5) / 400
    x, y = np.meshgrid(grid, grid, indexing="ij")
    z = 1 - x - y
    x, y, z = (part[z > 1e-9] for part in (x, y, z))
    weight = x ** counts[0] * y ** counts[1] * z ** counts[2]
    densities = {
        "equal": 20 * x**3,
        "subset": 2 * z * 4 * (x / (x + y)) ** 3 / (x + y),
        "superset": 2 * y * 4 * (x / (x + z)) ** 3 / (x + z),
        "overlap": 120 * x * y * z,
        "none": sum(19 * (own / (x + own)) ** 18 / (x + own) for own in (y, z)) / 2,
    }
    expected = np.array([(weight * densities[name]).sum() for name in RELATIONS])
    (shares,) = relation_likelihoods(*(np.array([count]) for count in counts))
    assert shares == pytest.approx(expected / expected.sum(), abs=0.01)
