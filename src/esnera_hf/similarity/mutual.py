"""Evidence seen from both sides: how much two labels cover each other, and how sure it is that they mean the same.

The method's S_emp(Ls, Lt) looks one way: ``politician`` goes to ``person`` with a
high share, and nothing says that ``person`` holds more. Here each kind of
evidence is read in both directions, and equality needs both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.names import name_similarities

#: Entities that speak against a pair before any was seen, so that few entities say little.
PRIOR = 1.0
#: Weights of the mutual share, of the overlap of mentions, and of the names; docs/quality.md has the measurements.
WEIGHTS = (1.0, 0.5, 0.4)


def agreed_share(matrix: SimilarityMatrix, prior: float = PRIOR) -> NDArray[np.float64]:
    """Return how often the row's label is the column's where both taggers see an entity, in [0, 1], shape (N, N).

    The geometric mean of two shares: of the entities predicted as i on the text
    of j's source that are annotated there at all, those annotated as j; and of
    the gold mentions of i that the tagger of j's source finds, those it calls j.
    What a tagger overlooks, in a domain that is strange to it, plays no part.

    Args:
        matrix: the similarities.
        prior: entities that speak against a pair before any was seen.

    Returns:
        One of the shares where the other is unknown; NaN where both are.
    """
    owners = np.array([label.source for label in matrix.labels])
    same = (owners[:, None] == owners[None, :]).astype(np.int64)
    annotated = matrix.matched @ same
    found = same @ matrix.matched
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted_as = np.where(annotated > 0, matrix.matched / (annotated + prior), np.nan)
        found_as = np.where(found > 0, matrix.matched / (found + prior), np.nan).T
    both = np.sqrt(predicted_as * found_as)
    one: NDArray[np.float64] = np.where(np.isnan(predicted_as), found_as, predicted_as)
    return np.where(np.isnan(both), one, both)


def mutual_similarity(matrix: SimilarityMatrix) -> NDArray[np.float64]:
    """Return how sure it is that two labels mean the same, in [0, 1], shape (N, N), symmetric.

    The mean, weighted by :data:`WEIGHTS`, of the smaller of both directions of
    :func:`agreed_share`, of the smaller of both directions of the overlap of
    mentions, and of the similarity of the names. Where a direction is unknown the
    other one judges; where no overlap is known the share stands in for it, and
    where no share is known, S_sem.

    Args:
        matrix: the similarities.

    Returns:
        NaN within a source and where nothing but the names is known.
    """
    agreed = agreed_share(matrix)
    share = np.fmin(agreed, agreed.T)
    share = np.where(np.isnan(share), np.clip(matrix.semantic, 0.0, 1.0), share)
    overlap = np.fmin(matrix.overlap, matrix.overlap.T)
    share, overlap = np.where(np.isnan(share), overlap, share), np.where(np.isnan(overlap), share, overlap)
    parts = np.stack([share, overlap, name_similarities(matrix.labels)])
    mutual: NDArray[np.float64] = np.tensordot(np.array(WEIGHTS) / sum(WEIGHTS), parts, axes=1)
    owners = np.array([label.source for label in matrix.labels])
    mutual[owners[:, None] == owners[None, :]] = np.nan
    return mutual


def coverage(matrix: SimilarityMatrix) -> NDArray[np.float64]:
    """Return how much of the row's label the column's covers, in [0, 1], shape (N, N).

    The mean of what is known of four shares: of the entities predicted as the
    row's label on the column's text, those annotated as the column's (S_emp); of
    the row's gold mentions, those that the column's tagger predicts as the
    column's; :func:`agreed_share`; and the overlap of mentions. The first two see
    what one source annotates and the other does not.

    Args:
        matrix: the similarities.

    Returns:
        NaN within a source and where nothing is known.
    """
    prior = 2 * PRIOR
    read = matrix.predicted.sum(axis=1) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        empirical = np.where(matrix.predicted > 0, matrix.matched / (matrix.predicted + prior), np.nan)
    support = matrix.support[:, None]
    found = np.where((support > 0) & read[None, :], matrix.matched.T / (support + prior), np.nan)
    parts = np.stack([empirical, found, agreed_share(matrix, prior), matrix.overlap])
    known = np.isfinite(parts)
    total = np.where(known, parts, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known.any(axis=0), total / known.sum(axis=0), np.nan)
    owners = np.array([label.source for label in matrix.labels])
    mean[owners[:, None] == owners[None, :]] = np.nan
    return mean
