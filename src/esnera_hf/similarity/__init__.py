"""How alike two labels are: what taggers predict, and where mentions lie in an encoder's space."""

from __future__ import annotations

from esnera_hf.similarity.empirical import (
    CrossPredictions,
    SpanMatch,
    cross_predictions,
    matched_label,
)
from esnera_hf.similarity.equivalence import (
    EQUAL,
    HOLDS,
    LabelRelations,
    Relation,
    agreed_share,
    coverage,
    equivalence,
    exclusive_share,
    holding,
    merge_score,
    name_similarity,
    relate,
)
from esnera_hf.similarity.matrix import (
    Agreement,
    PairEvidence,
    SimilarityMatrix,
    check_lambda,
    merge_similarities,
)
from esnera_hf.similarity.semantic import (
    Center,
    LabelCentroids,
    add_sums,
    semantic_similarity,
    sum_vectors,
)

__all__ = [
    "EQUAL",
    "HOLDS",
    "Agreement",
    "Center",
    "CrossPredictions",
    "LabelCentroids",
    "LabelRelations",
    "PairEvidence",
    "Relation",
    "SimilarityMatrix",
    "SpanMatch",
    "add_sums",
    "agreed_share",
    "check_lambda",
    "coverage",
    "cross_predictions",
    "equivalence",
    "exclusive_share",
    "holding",
    "matched_label",
    "merge_score",
    "merge_similarities",
    "name_similarity",
    "relate",
    "semantic_similarity",
    "sum_vectors",
]
