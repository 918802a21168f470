"""How probable each relation of two labels is, from features with coefficients that corpora with known relations gave.

Two steps, each a logistic regression small enough to read (``relations.json``): are
the labels equal, and if not, is one a part of the other, do they overlap, or neither.
How many pairs are equal at all differs more between corpora than what equal pairs
look like, so the base rates are estimated anew on the pairs at hand: by expectation
maximisation of the prior shift (Saerens, Latinne and Decaestecker, 2002), held by
:data:`BASE_PAIRS` pairs at the base rates of the corpora that were fitted on. Labels
that are all but surely one are then measured together (:func:`with_partners`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf.similarity.features import Measurements, equality_features, relation_features
from esnera_hf.sources.shared_sentences import RELATIONS, relation_likelihoods

#: The same relations seen from the other label.
INVERSE = [0, 2, 1, 3, 4]
#: Three equal ones. Chosen on two corpora at a time with their group left out of the fit: of 50, 100, 200 and 400, the
#: likelihood of the truth is highest at 100 across languages, 50 in Chinese and 400 in English.
BASE_PAIRS = 200
_STEPS = 200
#: How much a label counts for one that it is probably equal to: so high a power of how probable that is, 0.43 at 0.9.
#: Lower ones let what is hardly equal have a say, and P(equal) falls.
_PARTNER_POWER = 8
#: Keeps logarithms finite: no probability is taken to be lower than this.
_LEAST = 1e-12
_COEFFICIENTS = "relations.json"


@lru_cache(maxsize=1)
def coefficients() -> Mapping[str, Any]:
    """Return the coefficients, as ``benchmarks/fit_relations.py`` writes them."""
    text = files("esnera_hf.similarity").joinpath(_COEFFICIENTS).read_text(encoding="utf-8")
    return dict(json.loads(text))


def coefficients_for(matrix: Measurements) -> Mapping[str, Any]:
    """Return the coefficients for what was measured: others for names and mention forms alone."""
    return dict(coefficients()["evidence" if matrix.predicted.any() else "surface"])


def relation_probabilities(
    matrix: Measurements, fitted: Mapping[str, Any] | None = None
) -> NDArray[np.float64]:
    """Return how probable each of :data:`RELATIONS` is of the row's label to the column's.

    Args:
        matrix: what is measured of N labels. Where two sources annotate the same sentences, these count beside it.
        fitted: coefficients; those of the package if not given, of which there are
            others for names and mention forms alone, where no head predicts anything.

    Returns:
        Shape (N, N, 5); NaN within a source. ``[i, j]`` and ``[j, i]`` say the same.
    """
    return with_partners(pair_probabilities(matrix, fitted), matrix.same_source)


def pair_probabilities(matrix: Measurements, fitted: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
    """Return the same by what is measured of the two labels alone, at the base rates of all pairs."""
    fitted = fitted or coefficients_for(matrix)
    probabilities = unshifted_probabilities(matrix, fitted)
    # A label that does not occur in them may be a kind that its source does not annotate in that text.
    settled = (matrix.shared > 0) & (matrix.shared.T > 0)
    if settled.any():
        # Sentences that both sources annotate are evidence of another kind: by Bayes' rule their likelihoods multiply.
        both = matrix.shared_same[settled]
        probabilities[settled] *= relation_likelihoods(
            both, matrix.shared[settled] - both, matrix.shared.T[settled] - both
        )
        probabilities[settled] /= probabilities[settled].sum(axis=-1, keepdims=True)
    return at_base_rates(probabilities, matrix.same_source, fitted)


def at_base_rates(
    probabilities: NDArray[np.float64], same_source: NDArray[np.bool_], fitted: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Return probabilities at the base rates of all pairs of labels of two sources, NaN within a source.

    Args:
        probabilities: at the base rates of the corpora that were fitted on, shape (N, N, 5).
        same_source: which labels are of one source, shape (N, N).
        fitted: coefficients, with those base rates.
    """
    first, second = np.nonzero(np.triu(~same_source))
    base = np.array([fitted["base_rates"][relation] for relation in RELATIONS])
    result = np.full(probabilities.shape, np.nan)
    result[first, second] = shifted(probabilities[first, second], base)
    result[second, first] = result[first, second][:, INVERSE]
    return result


def with_partners(probabilities: NDArray[np.float64], same_source: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return probabilities to which labels that are all but surely equal to either of the two contribute.

    What is measured of ``PER`` and ``politician`` says something of ``person`` and
    ``politician``, if ``PER`` and ``person`` are one: the logarithms of the probabilities are
    averaged over the pair and over those pairs in which a partner stands for one of the two,
    with weights of P(equal) to the power of :data:`_PARTNER_POWER`. A partner is of a third
    source, so of two sources nothing changes.

    Args:
        probabilities: shape (N, N, 5), NaN within a source.
        same_source: which labels are of one source, shape (N, N).
    """
    across = (~same_source).astype(np.float64)
    logs = np.log(np.maximum(np.nan_to_num(probabilities), _LEAST))
    # Any five that are the same would add nothing; those of no probability at all, many times, would leave none.
    logs[same_source] = 0.0
    partner = np.nan_to_num(probabilities[..., 0]) ** _PARTNER_POWER
    weights = 1.0 + across @ partner + partner @ across
    for_column, for_row = np.moveaxis(logs, -1, 0) @ partner, partner @ np.moveaxis(logs, -1, 0)
    mean = (logs + np.moveaxis(for_column + for_row, 0, -1)) / weights[..., None]
    result = np.exp(mean)
    result /= result.sum(axis=-1, keepdims=True)
    result[same_source] = np.nan
    return np.asarray(result)


def unshifted_probabilities(matrix: Measurements, fitted: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the probabilities at the base rates of the corpora that were fitted on, shape (N, N, 5)."""
    return from_both_sides(equality_features(matrix), relation_features(matrix), fitted)


def from_both_sides(
    equality: Mapping[str, NDArray[np.float64]],
    relation: Mapping[str, NDArray[np.float64]],
    fitted: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Return :func:`combined` of features of shape (N, N), the mean of both sides, shape (N, N, 5)."""
    result = combined(equality, relation, fitted)
    return np.asarray((result + result.transpose(1, 0, 2)[..., INVERSE]) / 2)


def combined(
    equality: Mapping[str, NDArray[np.float64]],
    relation: Mapping[str, NDArray[np.float64]],
    fitted: Mapping[str, Any],
) -> NDArray[np.float64]:
    """Return the probabilities of :data:`RELATIONS`, seen from one side, shape (…, 5).

    Args:
        equality: of :func:`equality_features`, each of shape (…).
        relation: of :func:`relation_features`, likewise.
        fitted: coefficients.
    """
    equal = 1.0 / (1.0 + np.exp(-_linear(equality, fitted["equal"])))[..., None]
    scores = np.stack([_linear(relation, fitted["unequal"][name]) for name in RELATIONS[1:]], axis=-1)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    unequal = scores / scores.sum(axis=-1, keepdims=True)
    return np.concatenate([equal, (1.0 - equal) * unequal], axis=-1)


def shifted(probabilities: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities at the base rates of these very pairs, shape (pairs, 5), estimated from them.

    Args:
        probabilities: at other base rates, shape (pairs, 5).
        base: those base rates, shape (5,). Parts are as frequent either way, as pairs have no order.
    """
    rates = base
    result = probabilities
    for _ in range(_STEPS):
        result = probabilities * (rates / base)
        result /= result.sum(axis=1, keepdims=True)
        rates = (result.sum(axis=0) + BASE_PAIRS * base) / (len(result) + BASE_PAIRS)
        rates = (rates + rates[INVERSE]) / 2
    return np.asarray(result)


def equality_threshold(probabilities: NDArray[np.float64], min_precision: float | None = None) -> float:
    """Return the probability above which labels are taken to be equal.

    Args:
        probabilities: of the pairs being equal, shape (pairs,).
        min_precision: the share of right ones to expect among those decided equal;
            where expected F1 is highest if not given.

    Returns:
        Half-way between the last pair decided equal and the next; 1 if there is none.
    """
    ordered = np.sort(probabilities[np.isfinite(probabilities)])[::-1]
    expected, count = np.cumsum(ordered), np.arange(1, len(ordered) + 1)
    if min_precision is not None:
        decided = int((expected >= min_precision * count).sum())
    else:
        # Of F1 = 2 · right / (decided + equal), with the expected numbers; to decide none is right where none is equal.
        f1 = np.concatenate([[np.prod(1 - ordered)], 2 * expected / (count + ordered.sum())])
        decided = int(f1.argmax())
    bounds = np.concatenate([[1.0], ordered, [0.0]])
    return float((bounds[decided] + bounds[decided + 1]) / 2) if decided else 1.0


def _linear(features: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]) -> NDArray[np.float64]:
    total = np.full(next(iter(features.values())).shape, weights["bias"])
    for name, values in features.items():
        total = total + weights[name] * values
    return total
