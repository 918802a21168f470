"""Evidence in both directions, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix, with_relations
from esnera_hf.similarity.equivalence import (
    BALANCE,
    CONTAINS,
    EQUAL,
    MENTIONS,
    NAMESAKE,
    NEUTRAL,
    RELATED,
    WEIGHTS,
    agreed_share,
    exclusive_share,
    name_similarity,
)
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

Pair = tuple[str, str]
#: politics has persons and, apart from them, politicians; news has persons that are both.
SUPPORT = {"politics:person": 100, "politics:politician": 100, "news:PER": 200}


def politics() -> SimilarityMatrix:
    return make_matrix(
        SUPPORT,
        {
            # On news text: 80 entities are predicted as person, 72 of them are annotated PER.
            ("politics:person", "news:PER"): (72, 80),
            ("politics:politician", "news:PER"): (90, 100),
            # On politics text: 180 are predicted as PER, half of each kind.
            ("news:PER", "politics:person"): (85, 180),
            ("news:PER", "politics:politician"): (85, 180),
        },
        {("politics:person", "news:PER"): 0.5, ("politics:politician", "news:PER"): 0.4},
        {("politics:person", "news:PER"): 0.8, ("news:PER", "politics:person"): 0.3},
    )


def place(matrix: SimilarityMatrix, label: str) -> int:
    return matrix.labels.index(LabelRef(*label.split(":")))


def test_the_agreed_share_leaves_out_what_one_tagger_overlooks() -> None:
    matrix = politics()
    shares, careful = agreed_share(matrix, prior=0), agreed_share(matrix)
    person, politician, per = (place(matrix, label) for label in SUPPORT)
    # All persons annotated in news are PER; all gold persons found by the news tagger are called PER.
    assert shares[person, per] == pytest.approx(1.0)
    # Of the predicted PER annotated in politics half are persons (85 of 170); of the gold PER that the politics
    # tagger finds, 72 of 162 are called person.
    assert shares[per, person] == pytest.approx(np.sqrt(85 / 170 * 72 / 162))
    assert shares[per, politician] == pytest.approx(np.sqrt(85 / 170 * 90 / 162))
    assert np.isnan(shares[person, politician])
    # One entity that speaks against a pair before any was seen: few entities say little.
    assert careful[person, per] == pytest.approx(np.sqrt(72 / 73 * 85 / 86))


def test_a_rival_counts_as_far_as_it_belongs_to_the_label() -> None:
    matrix = politics()
    person, politician, per = (place(matrix, label) for label in SUPPORT)
    exclusive, agreed = exclusive_share(matrix), agreed_share(matrix)
    # For PER = person, politicians speak against it as much as they are PER themselves.
    rival = agreed[politician, per]
    predicted_as, found_as = 85 / (85 + 85 * rival + 1), 72 / (72 + 90 * rival + 1)
    assert exclusive[per, person] == pytest.approx(np.sqrt(predicted_as * found_as))
    # In news there is no other label.
    assert exclusive[person, per] == pytest.approx(agreed[person, per])


def test_the_equivalence_is_the_weighted_mean_of_the_smaller_directions() -> None:
    matrix = politics()
    person, per = place(matrix, "politics:person"), place(matrix, "news:PER")
    shares = exclusive_share(matrix)
    # Person is covered to 72 of 80 predicted and 85 of 100 annotated; PER to 85 of 180 and 72 of 200.
    balance = np.sqrt(85 / 182 * 72 / 202) / np.sqrt(72 / 82 * 85 / 102)
    share = min(shares[person, per], shares[per, person]) * balance**BALANCE
    # person and politician have a namesake, PER.
    assert name_similarity("person", "PER") >= NAMESAKE
    parts = (share, 0.3, name_similarity("person", "PER"))
    expected = sum(w * part for w, part in zip(WEIGHTS, parts, strict=True)) / sum(WEIGHTS)
    found = matrix.equivalence
    assert found[person, per] == found[per, person] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("semantic", "factor"), [(0.5, 1.0), (0.2, 1.0), (0.1, 0.5), (0.0, 0.0), (-0.4, 0.0)]
)
def test_mentions_of_different_kinds_are_not_one_whatever_the_taggers_say(
    semantic: float, factor: float
) -> None:
    counts = {("a:x", "b:y"): (99, 99), ("b:y", "a:x"): (99, 99)}
    matrix = make_matrix({"a:x": 99, "b:y": 99}, counts, {("a:x", "b:y"): semantic})
    # The share stands in for the overlap, half of it for the names, which tell nothing.
    share = 99 / 100 * factor
    expected = share * (WEIGHTS[0] + WEIGHTS[1] + NEUTRAL * WEIGHTS[2]) / sum(WEIGHTS)
    assert matrix.equivalence[0, 1] == pytest.approx(expected)


def test_names_speak_against_a_pair_only_where_one_has_a_namesake() -> None:
    counts = {("a:org", "b:firm"): (9, 9), ("b:firm", "a:org"): (9, 9)}
    alone = make_matrix({"a:org": 9, "b:firm": 9}, counts, {})
    beside = make_matrix({"a:org": 9, "b:firm": 9, "b:org": 9}, counts, {})
    without, with_namesake = (m.equivalence[place(m, "a:org"), place(m, "b:firm")] for m in (alone, beside))
    share, names = 9 / 10, name_similarity("org", "firm")
    assert names < NEUTRAL * share
    total, seen = sum(WEIGHTS), share * sum(WEIGHTS[:2])
    assert without == pytest.approx((seen + WEIGHTS[2] * NEUTRAL * share) / total)
    assert with_namesake == pytest.approx((seen + WEIGHTS[2] * names) / total)


def test_many_mentions_of_which_none_occurs_in_the_other_text_speak_against_a_pair() -> None:
    counts = {("a:money", "b:work"): (9, 9), ("b:work", "a:money"): (9, 9)}
    screened = {("a:per", "b:name"): 0.8, ("b:name", "a:per"): 0.8}
    # Sources whose text holds hardly any mention of the other's, or that were not screened, tell nothing by it.
    for overlap, persons, stands_in in (
        (screened, MENTIONS, NEUTRAL),
        (screened, 9, 1.0),
        ({}, MENTIONS, 1.0),
    ):
        support = {"a:money": MENTIONS, "a:per": persons, "b:work": MENTIONS, "b:name": persons}
        matrix = make_matrix(support, counts, {}, overlap)
        i, j = place(matrix, "a:money"), place(matrix, "b:work")
        seen = 9 / 10 * (WEIGHTS[0] + stands_in * WEIGHTS[1]) / sum(WEIGHTS[:2])
        expected = seen * (sum(WEIGHTS[:2]) + NEUTRAL * WEIGHTS[2]) / sum(WEIGHTS)
        assert matrix.equivalence[i, j] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("support", "counts", "overlap", "further"),
    [
        # Hardly any form is shared, as of two scripts.
        (
            {"a:PER": 100, "a:LOC": 200, "b:PER": 100, "b:LOC": 200},
            (90, 90),
            (0.01, 0.0),
            {("a:LOC", "b:LOC"): 0.0, ("b:LOC", "a:LOC"): 0.0},
        ),
        # All of a's mentions have forms in the text of b, and of those of b the rare ones alone.
        ({"a:PER": 100, "b:PER": 10, "b:LOC": 990}, (9, 9), (0.1, 0.1), {("b:LOC", "a:PER"): 0.0}),
    ],
)
def test_the_overlap_of_sources_that_share_hardly_any_form_says_nothing(
    support: dict[str, int], counts: tuple[int, int], overlap: tuple[float, float], further: dict[Pair, float]
) -> None:
    pairs = ("a:PER", "b:PER"), ("b:PER", "a:PER")
    predicted = {pairs[0]: (90, 90), pairs[1]: counts}
    screened = dict(zip(pairs, overlap, strict=True))
    unknown, known, both = (
        make_matrix(support, predicted, {}, cells) for cells in ({}, screened, screened | further)
    )
    np.testing.assert_array_equal(known.equivalence, unknown.equivalence)
    np.testing.assert_array_equal(known.coverage, unknown.coverage)
    i, j = place(both, "a:PER"), place(both, "b:PER")
    assert both.equivalence[i, j] < known.equivalence[i, j]


def test_what_is_unknown_is_judged_by_what_is_known() -> None:
    support = {"a:x": 10, "b:y": 10, "b:z": 10}
    matrix = make_matrix(support, {}, {("a:x", "b:y"): 0.6})
    found = matrix.equivalence
    # S_sem stands in for the share, and that for the overlap; the names tell nothing.
    assert found[0, 1] == pytest.approx(0.6 * (WEIGHTS[0] + WEIGHTS[1] + NEUTRAL * WEIGHTS[2]) / sum(WEIGHTS))
    assert np.isnan(found[0, 2])
    assert np.isnan(found[1, 2])


def test_coverage_sees_what_one_source_does_not_annotate() -> None:
    matrix = make_matrix(
        {"events:obj-per": 100, "news:PER": 200},
        # Whoever is called obj-per is a person; of the persons of news a fifth are found as one, nothing else is.
        {("events:obj-per", "news:PER"): (40, 42), ("news:PER", "events:obj-per"): (90, 400)},
        {},
    )
    covered = matrix.coverage
    inner = np.mean([40 / 44, 90 / 102, np.sqrt(40 / 42 * 90 / 92)])
    outer = np.mean([90 / 402, 40 / 202, np.sqrt(90 / 92 * 40 / 42)])
    assert covered[0, 1] == pytest.approx(inner)
    assert covered[1, 0] == pytest.approx(outer)


def test_mentions_of_another_kind_are_no_parts() -> None:
    counts = {("bio:Chemical", "news:PER"): (70, 90), ("news:PER", "bio:Chemical"): (90, 100)}
    support = {"bio:Chemical": 400, "news:PER": 100}
    pair = ("bio:Chemical", "news:PER")
    known, unknown, alike = (
        make_matrix(support, counts, semantic).coverage for semantic in ({pair: 0.1}, {}, {pair: RELATED})
    )
    np.testing.assert_allclose(alike, unknown)
    np.testing.assert_allclose(known, 0.25 * unknown)
    overlap = {pair: RELATED / 2, pair[::-1]: RELATED}
    found = make_matrix(support, counts, {pair: -0.5}, overlap).coverage
    expected = make_matrix(support, counts, {}, overlap).coverage
    np.testing.assert_allclose(found, expected * [[1, 0.5], [1, 1]])


@pytest.mark.parametrize(
    ("other_covered", "other_mutual", "further_covered", "expected"),
    [
        (CONTAINS, 0.5, 0.0, "subset"),
        (CONTAINS - 0.01, 0.5, 0.0, "overlap"),
        (CONTAINS, EQUAL, 0.0, "overlap"),
        (CONTAINS, 0.5, CONTAINS, "overlap"),
        (0.0, 0.5, CONTAINS, "superset"),
    ],
)
def test_what_covers_two_labels_of_a_source_is_more_than_either(
    other_covered: float, other_mutual: float, further_covered: float, expected: str
) -> None:
    matrix = make_matrix(dict.fromkeys(("a:artist", "a:other", "b:person", "b:further"), 10), {}, {})
    artist, other, person, further = range(4)
    covered, mutual = np.zeros((4, 4)), np.full((4, 4), 0.5)
    covered[artist, person], covered[person, artist] = 0.8, 0.7
    covered[other, person], covered[further, artist] = other_covered, further_covered
    mutual[other, person] = mutual[person, other] = other_mutual
    found = with_relations(matrix, mutual, covered)
    assert found.relation(matrix.labels[artist], matrix.labels[person]) == expected


@pytest.mark.parametrize(
    ("mutual", "one", "other", "expected"),
    [
        (EQUAL, 0.1, 0.1, "equal"),
        (0.5, CONTAINS, CONTAINS / 1.5, "subset"),
        (0.5, CONTAINS, CONTAINS / 1.4, "overlap"),
        (0.5, 0.2, 0.9, "superset"),
        (0.1, 0.3, 0.3, "overlap"),
        (0.1, 0.6, 0.1, "none"),
        (0.1, 0.0, 0.0, "none"),
    ],
)
def test_the_bounds_of_the_relations(mutual: float, one: float, other: float, expected: str) -> None:
    matrix = make_matrix({"a:x": 10, "b:y": 10}, {}, {})
    both = np.array([[np.nan, mutual], [mutual, np.nan]])
    covered = np.array([[np.nan, one], [other, np.nan]])
    a, b = matrix.labels
    assert with_relations(matrix, both, covered).relation(a, b) == expected


@given(st.data())
def test_both_directions_of_a_relation_agree(data: st.DataObject) -> None:
    labels = ["a:x", "a:y", "b:x", "b:z"]
    counts = {}
    for one in labels:
        predicted = data.draw(st.integers(0, 50))
        for other in labels:
            if one[0] != other[0]:
                counts[one, other] = (data.draw(st.integers(0, predicted)) // 2, predicted)
    # Mentions of the one source may occur in the other's text, and none the other way round.
    pairs = st.sampled_from([pair for pair in counts if data.draw(st.booleans())] or [("a:x", "b:x")])
    overlap = data.draw(st.dictionaries(pairs, st.floats(0, 1)))
    semantic = {pair: data.draw(st.floats(-1, 1)) for pair in counts if pair[0] < pair[1]}
    support = data.draw(st.sampled_from([20, 2 * MENTIONS]))
    matrix = make_matrix(dict.fromkeys(labels, support), counts, semantic, overlap)
    inverse = {"subset": "superset", "superset": "subset"}
    for one in matrix.labels:
        for other in matrix.labels:
            if one.source != other.source:
                relation = matrix.relation(one, other)
                assert matrix.relation(other, one) == inverse.get(relation, relation)
    np.testing.assert_array_equal(matrix.equivalence, matrix.equivalence.T)
    known = matrix.equivalence[~np.isnan(matrix.equivalence)]
    assert ((known >= 0) & (known <= 1)).all()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("company", "company", 1.0),
        ("Company", "COMPANY", 1.0),
        ("company_name", "companyName", 1.0),
        ("company_name", "company", 14 / 18),
        ("PER", "person", 6 / 9),
        ("PER.NAM", "PER.NOM", 10 / 12),
        ("人名", "person", 0.0),
        ("--", "_", 0.0),
        ("--", "x", 0.0),
        ("--", "--", 1.0),
    ],
)
def test_letters_and_words(first: str, second: str, expected: float) -> None:
    assert name_similarity(first, second) == pytest.approx(expected)


@given(st.text(max_size=30), st.text(max_size=30))
def test_it_is_symmetric_and_a_share(first: str, second: str) -> None:
    assert 0 <= name_similarity(first, second) == name_similarity(second, first) <= 1


def test_a_name_of_any_length_takes_no_time() -> None:
    assert name_similarity("x" * 100_000, "y" * 100_000) == 0.0
