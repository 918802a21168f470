"""S, its parts, and the matrices as data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.matrix import Agreement, SimilarityMatrix, merge_similarities
from esnera_hf.tagging import LabelRef

NAN = math.nan
X, Y, Z = LabelRef("a", "x"), LabelRef("b", "y"), LabelRef("b", "z")


@pytest.fixture
def matrix() -> SimilarityMatrix:
    return SimilarityMatrix(
        labels=(X, Y, Z),
        support=np.array([10, 20, 30]),
        matched=np.array([[0, 7, 0], [2, 0, 0], [0, 0, 0]]),
        predicted=np.array([[0, 10, 10], [8, 0, 0], [0, 0, 0]]),
        semantic=np.array([[NAN, 0.5, NAN], [0.5, NAN, NAN], [NAN, NAN, NAN]]),
    )


def test_empirical_is_the_share_of_what_was_predicted(matrix: SimilarityMatrix) -> None:
    np.testing.assert_array_equal(matrix.empirical, [[NAN, 0.7, 0.0], [0.25, NAN, NAN], [NAN, NAN, NAN]])


def test_merged(matrix: SimilarityMatrix) -> None:
    expected = [[NAN, 0.6 * 0.5 + 0.4 * 0.7, 0.0], [0.6 * 0.5 + 0.4 * 0.25, NAN, NAN], [NAN, NAN, NAN]]
    np.testing.assert_allclose(matrix.combined(0.4), expected, rtol=1e-15)
    np.testing.assert_array_equal(matrix.merge_score(0.4), matrix.combined(0.4))
    np.testing.assert_array_equal(matrix.merge_score(None), matrix.equivalence)


def test_the_evidence_of_a_pair_reads_both_ways(matrix: SimilarityMatrix) -> None:
    assert matrix.pair(X, Y) == (0.5, Agreement(7, 10), Agreement(2, 8))
    assert matrix.pair(Y, X) == (0.5, Agreement(2, 8), Agreement(7, 10))
    assert matrix.pair(X, Z) == (None, Agreement(0, 10), Agreement(0, 0))


@pytest.mark.parametrize(("matched", "predicted", "ratio"), [(0, 0, None), (0, 4, 0.0), (3, 4, 0.75)])
def test_an_agreement_over_nothing_is_unknown(matched: int, predicted: int, ratio: float | None) -> None:
    assert Agreement(matched, predicted).ratio == ratio


def test_the_matrices_survive_json(matrix: SimilarityMatrix) -> None:
    data = json.loads(json.dumps(matrix.to_dict(), allow_nan=False))
    loaded = SimilarityMatrix.from_dict(data)
    assert loaded.labels == matrix.labels
    for name in ("support", "matched", "predicted", "semantic"):
        found, expected = getattr(loaded, name), getattr(matrix, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


@pytest.mark.parametrize("name", ["recall", "reliability"])
@pytest.mark.parametrize("share", [-0.5, 1.5])
def test_a_share_in_a_file_lies_between_0_and_1(matrix: SimilarityMatrix, name: str, share: float) -> None:
    data = matrix.to_dict()
    data[name][0] = share
    with pytest.raises(ConfigurationError, match=rf"^{name}: expected numbers from 0 to 1\."):
        SimilarityMatrix.from_dict(data)


def test_no_labels_survive_json() -> None:
    zero = np.zeros((0, 0), dtype=np.int64)
    empty = SimilarityMatrix((), zero.ravel(), zero, zero, zero.astype(float))
    loaded = SimilarityMatrix.from_dict(json.loads(json.dumps(empty.to_dict())))
    assert loaded.matched.shape == loaded.equivalence.shape == (0, 0)
    assert len(loaded.to_pandas()) == 0


def test_what_a_notebook_shows(matrix: SimilarityMatrix) -> None:
    frame = matrix.to_pandas()
    assert frame[["first", "second", "relation"]].values.tolist() == [
        ["a:x", "b:y", matrix.relation(X, Y)],
        ["a:x", "b:z", matrix.relation(X, Z)],
    ]
    first = frame.iloc[0]
    assert (first.semantic, first.forward, first.backward) == (0.5, 0.7, 0.25)
    assert (first.equivalence, first.first_covered) == (matrix.equivalence[0, 1], matrix.coverage[0, 1])
    assert repr(matrix) == "SimilarityMatrix(3 labels of a, b)"
    hostile = replace(matrix, labels=(LabelRef("<script>", "x"), Y, Z))
    assert "&lt;script&gt;:x" in hostile._repr_html_()
    assert "<script>" not in hostile._repr_html_()


@pytest.mark.parametrize("name", ["support", "matched", "predicted", "semantic"])
def test_a_wrong_shape_is_refused(matrix: SimilarityMatrix, name: str) -> None:
    changed: Any = {name: getattr(matrix, name)[:2]}
    with pytest.raises(ValueError, match=rf"{name} has shape \(2,"):
        replace(matrix, **changed)


def test_more_matched_than_predicted_is_refused(matrix: SimilarityMatrix) -> None:
    with pytest.raises(ValueError, match="expected no more entities than are predicted"):
        replace(matrix, matched=matrix.predicted + 1)


SHARE = st.floats(-1, 1)


@given(semantic=SHARE, empirical=st.floats(0, 1), lam=st.floats(0, 1))
def test_s_is_the_weighted_mean(semantic: float, empirical: float, lam: float) -> None:
    (found,) = merge_similarities(np.array([semantic]), np.array([empirical]), lam)
    assert found == pytest.approx((1 - lam) * semantic + lam * empirical, abs=1e-12)


@given(value=SHARE, lam=st.floats(0, 1))
def test_unknown_is_not_zero(value: float, lam: float) -> None:
    nan, known = np.array([NAN]), np.array([value])
    assert merge_similarities(known, nan, lam).tolist() == [value]
    assert merge_similarities(nan, known, lam).tolist() == [value]
    assert np.isnan(merge_similarities(nan, nan, lam)).all()


@pytest.mark.parametrize("lam", [-0.01, 1.01, NAN, math.inf])
def test_lambda_out_of_range_is_refused(lam: float, matrix: SimilarityMatrix) -> None:
    with pytest.raises(ConfigurationError, match="expected a number from 0"):
        matrix.combined(lam)
