"""Sentences that are the same, or nearly, in two splits or sources."""

from esnera_hf.duplicates.duplicates import (
    NEAR,
    SHORTEST,
    Duplicate,
    DuplicatePairs,
    Duplicates,
    Part,
    Place,
    Texts,
    find_duplicates,
    find_pairs,
    jaccard,
    normalise,
)

__all__ = [
    "NEAR",
    "SHORTEST",
    "Duplicate",
    "DuplicatePairs",
    "Duplicates",
    "Part",
    "Place",
    "Texts",
    "find_duplicates",
    "find_pairs",
    "jaccard",
    "normalise",
]
