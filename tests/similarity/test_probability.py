"""Probabilities of relations: oracles by enumeration and by simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_matrix
from esnera_hf.similarity.features import equality_features, relation_features
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.probability import (
    INVERSE,
    RELATIONS,
    coefficients,
    equality_threshold,
    relation_probabilities,
    shifted,
    unshifted_probabilities,
    with_partners,
)
from esnera_hf.sources.shared_sentences import relation_likelihoods

probabilities = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8)


@st.composite
def matrices(draw: st.DrawFn) -> SimilarityMatrix:
    """Draw what may be measured of four labels of two sources and one of a third."""
    labels = ["a:x", "a:y", "b:x", "b:z", "c:w"]
    counts = {}
    for one in labels:
        predicted = draw(st.integers(0, 50))
        for other in labels:
            if one[0] != other[0]:
                counts[one, other] = (draw(st.integers(0, predicted)) // 2, predicted)
    # Mentions of the one source may occur in the other's text, and none the other way round.
    pairs = st.sampled_from([pair for pair in counts if draw(st.booleans())] or [("a:x", "b:x")])
    overlap = draw(st.dictionaries(pairs, st.floats(0, 1)))
    semantic = {pair: draw(st.floats(-1, 1)) for pair in counts if pair[0] < pair[1]}
    return make_matrix(dict.fromkeys(labels, draw(st.sampled_from([0, 20, 100]))), counts, semantic, overlap)


@given(matrices())
def test_both_directions_say_the_same_and_each_pair_sums_to_one(matrix: SimilarityMatrix) -> None:
    found = matrix.probabilities
    across = ~matrix.same_source
    np.testing.assert_allclose(found[across].sum(axis=-1), 1.0)
    np.testing.assert_allclose(found[across], found.transpose(1, 0, 2)[..., INVERSE][across])
    assert np.isnan(found[~across]).all()


@given(matrices(), st.permutations(range(3)))
def test_the_order_of_the_sources_plays_no_part(matrix: SimilarityMatrix, order: list[int]) -> None:
    sources = [matrix.sources[k] for k in order]
    places = [index for source in sources for index in matrix.indices(source)]
    square = np.ix_(places, places)
    moved = SimilarityMatrix(
        tuple(matrix.labels[k] for k in places),
        matrix.support[places],
        *(getattr(matrix, name)[square] for name in ("matched", "predicted", "semantic", "overlap")),
    )
    np.testing.assert_allclose(moved.probabilities, matrix.probabilities[square], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("evidence", ["evidence", "surface"])
def test_every_coefficient_has_its_feature(evidence: str) -> None:
    matrix = make_matrix({"a:x": 10, "b:y": 10}, {("a:x", "b:y"): (5, 9)}, {("a:x", "b:y"): 0.5})
    fitted = coefficients()[evidence]
    assert set(fitted["equal"]) == {"bias", *equality_features(matrix)}
    assert set(fitted["unequal"]) == set(RELATIONS[1:])
    for weights in fitted["unequal"].values():
        assert set(weights) == {"bias", *relation_features(matrix)}
    assert sum(fitted["base_rates"].values()) == pytest.approx(1.0, abs=1e-3)


def test_more_agreement_is_more_probably_equal() -> None:
    def equal(share: int, form: float, vectors: float) -> float:
        pairs = ("a:x", "b:x"), ("b:x", "a:x")
        rest = {("a:y", "b:y"): (90, 100), ("b:y", "a:y"): (90, 100)}
        counts = {**dict.fromkeys(pairs, (share, 100)), **rest}
        overlap = {**dict.fromkeys(pairs, form), ("a:y", "b:y"): 0.9, ("b:y", "a:y"): 0.9}
        support = dict.fromkeys(("a:x", "a:y", "b:x", "b:y"), 100)
        matrix = make_matrix(support, counts, {pairs[0]: vectors}, overlap)
        return float(relation_probabilities(matrix)[0, 2, 0])

    assert equal(5, 0.05, 0.1) < equal(50, 0.05, 0.1) < equal(50, 0.8, 0.1) < equal(50, 0.8, 0.9)


def test_names_and_forms_alone_have_coefficients_of_their_own() -> None:
    """Those fitted beside heads would take what no head says for the average of what heads say."""
    labels = dict.fromkeys(("a:PER", "a:work", "b:person", "b:money"), 200)
    forms = {("a:PER", "b:person"): 0.8, ("b:person", "a:PER"): 0.8, ("a:work", "b:money"): 0.0}
    bare = make_matrix(labels, {}, {}, {**forms, ("b:money", "a:work"): 0.0})
    found = relation_probabilities(bare)
    assert found[0, 2, 0] > 0.5 > 0.05 > found[1, 3, 0]
    np.testing.assert_array_equal(found, relation_probabilities(bare, coefficients()["surface"]))


def test_sentences_count_where_both_sources_annotate_the_labels_in_them() -> None:
    plain = make_matrix(dict.fromkeys(("a:x", "a:u", "b:y", "b:v"), 50), {}, {})
    shared, same = np.zeros((2, 4, 4), dtype=np.int64)
    # b's source may not annotate v in that text at all.
    shared[0, 2:] = shared[2, :2] = shared[1, 2:] = 20
    same[0, 2] = same[2, 0] = 19
    found = replace(plain, shared=shared, shared_same=same).probabilities
    before = unshifted_probabilities(plain, coefficients()["surface"])
    likelihood = relation_likelihoods(*(np.array([count]) for count in (19, 1, 1)))[0]
    equal, none = (before[0, 2] * likelihood)[[0, 4]]
    # The base rates are estimated of all pairs, so odds are compared with a pair nobody shares.
    shift = found[1, 3, 0] / found[1, 3, 4] * before[1, 3, 4] / before[1, 3, 0]
    assert found[0, 2, 0] / found[0, 2, 4] == pytest.approx(equal / none * shift)
    assert found[0, 3, 0] / found[0, 3, 4] == pytest.approx(before[0, 3, 0] / before[0, 3, 4] * shift)


def test_the_base_rates_of_the_pairs_at_hand_are_found() -> None:
    generator = np.random.default_rng(0)
    base = np.array([0.02, 0.01, 0.01, 0.01, 0.95])
    rates = np.array([0.3, 0.1, 0.1, 0.1, 0.4])
    kinds = generator.choice(5, 3000, p=rates)
    # What is observed of a pair: its kind and noise, whose density is known.
    seen = np.eye(5)[kinds] + generator.normal(0, 0.35, (3000, 5))
    density = np.exp(-((seen[:, None, :] - np.eye(5)) ** 2).sum(axis=-1) / (2 * 0.35**2))
    posterior = density * base / (density * base).sum(axis=1, keepdims=True)
    found = shifted(posterior, base)
    truth = density * rates / (density * rates).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.mean(axis=0), rates, atol=0.03)
    assert np.abs(found - truth).mean() < 0.01 < np.abs(posterior - truth).mean()


def test_few_pairs_hardly_shift_the_base_rates() -> None:
    base = np.array([0.02, 0.01, 0.01, 0.01, 0.95])
    posterior = np.array([[0.5, 0.1, 0.1, 0.1, 0.2]])
    assert shifted(posterior, base)[0, 0] == pytest.approx(0.5, abs=0.15)
    assert shifted(np.zeros((0, 5)), base).shape == (0, 5)


def expected_f1(values: list[float], decided: int) -> float:
    if not decided:
        return math.prod(1 - value for value in values)
    right = sum(sorted(values, reverse=True)[:decided])
    return 2 * right / (decided + sum(values))


@given(probabilities)
def test_no_other_threshold_has_a_higher_expected_f1(values: list[float]) -> None:
    threshold = equality_threshold(np.array(values))
    decided = sum(value > threshold for value in values)
    best = max(expected_f1(values, number) for number in range(len(values) + 1))
    # Equal values fall on one side.
    if len(set(values)) == len(values):
        assert expected_f1(values, decided) == pytest.approx(best)


@given(probabilities, st.floats(0.05, 1.0))
def test_what_is_decided_is_as_precise_as_asked_for(values: list[float], precision: float) -> None:
    threshold = equality_threshold(np.array(values), precision)
    decided = [value for value in values if value > threshold]
    if decided:
        assert sum(decided) / len(decided) >= precision - 1e-9
    assert all(value <= threshold for value in values if value < min([*decided, 1.0]))


def test_nothing_is_decided_where_nothing_is_so_probable() -> None:
    assert equality_threshold(np.array([0.5, 0.6]), 0.95) == 1.0
    # The best of pairs that are all unlikely is no match either.
    assert equality_threshold(np.array([0.1, 0.05])) == 1.0
    assert equality_threshold(np.array([])) == 1.0


def drawn_probabilities(sources: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of labels of these sources, each seen from both sides, and which labels share a source."""
    rng, owner = np.random.default_rng(seed), np.array(sources)
    values = rng.dirichlet(np.full(5, 0.4), (len(owner), len(owner)))
    values = (values + values.transpose(1, 0, 2)[..., INVERSE]) / 2
    same = owner[:, None] == owner[None, :]
    values[same] = np.nan
    return values, same


@pytest.mark.parametrize("seed", range(5))
def test_partners_have_their_say_in_a_weighted_mean_of_logarithms(seed: int) -> None:
    values, same = drawn_probabilities([0, 0, 1, 1, 1, 2, 3, 3], seed)
    result = with_partners(values, same)
    for i, j in np.argwhere(~same):
        terms = [(1.0, values[i, j])]
        for k in range(len(same)):
            if not same[j, k] and not same[i, k]:
                terms.append((values[j, k, 0] ** 8, values[i, k]))
            if not same[i, k] and not same[k, j]:
                terms.append((values[i, k, 0] ** 8, values[k, j]))
        total = sum(weight for weight, _ in terms)
        mean = np.exp(sum(weight * np.log(np.maximum(row, 1e-12)) for weight, row in terms) / total)
        np.testing.assert_allclose(result[i, j], mean / mean.sum(), rtol=1e-9)
    assert np.isnan(result[same]).all()
    np.testing.assert_allclose(result[~same], result.transpose(1, 0, 2)[..., INVERSE][~same])


def test_of_two_sources_no_third_has_a_say() -> None:
    values, same = drawn_probabilities([0, 0, 0, 1, 1], 1)
    np.testing.assert_allclose(with_partners(values, same)[~same], values[~same])


def test_what_is_part_of_a_partner_is_more_probably_a_part() -> None:
    """Person and PER are one, politician is a part of PER: so it is one of person, which its own evidence hides."""
    person, per, politician = range(3)
    values = np.full((3, 3, 5), np.nan)
    for row, column, relation in (
        (person, per, [0.98, 0.005, 0.005, 0.005, 0.005]),
        (politician, per, [0.01, 0.95, 0.01, 0.01, 0.02]),
        (politician, person, [0.02, 0.3, 0.03, 0.15, 0.5]),
    ):
        values[row, column] = relation
        values[column, row] = np.array(relation)[INVERSE]
    same = np.eye(3, dtype=bool)
    result = with_partners(values, same)
    assert result[politician, person].argmax() == RELATIONS.index("subset")
    values[person, per, 0] = values[per, person, 0] = 0.3
    assert with_partners(values, same)[politician, person].argmax() == RELATIONS.index("none")


def test_many_labels_that_are_nearly_one_leave_probabilities() -> None:
    """No mean of logarithms gets so low that nothing is left of it."""
    same = np.kron(np.eye(2), np.ones((30, 30))) > 0
    values = np.broadcast_to([0.999, *[0.00025] * 4], (60, 60, 5)).copy()
    values[same] = np.nan
    np.testing.assert_allclose(with_partners(values, same)[~same], values[~same])
