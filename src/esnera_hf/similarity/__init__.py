"""How alike two labels are: what taggers predict, and where mentions lie in an encoder's space."""

from esnera_hf.similarity.empirical import CrossPredictions, SpanMatch, cross_predictions, matched_label
from esnera_hf.similarity.matrix import (
    Agreement,
    PairEvidence,
    SimilarityMatrix,
    check_lambda,
    merge_similarities,
)
from esnera_hf.similarity.semantic import (
    Centre,
    LabelSums,
    MentionVectors,
    semantic_similarity,
    sum_mentions,
)

__all__ = [
    "Agreement",
    "Centre",
    "CrossPredictions",
    "LabelSums",
    "MentionVectors",
    "PairEvidence",
    "SimilarityMatrix",
    "SpanMatch",
    "check_lambda",
    "cross_predictions",
    "matched_label",
    "merge_similarities",
    "semantic_similarity",
    "sum_mentions",
]
