"""The same or nearly the same sentence in two splits or two sources, and texts annotated in conflict.

Candidates come from MinHash signatures of character 4-grams (Broder 1997) in
bands; every candidate pair is then compared exactly. Ten bands of four rows
find a pair of similarity 0.8 with a probability of 0.995, one of 0.9 with a
probability of 0.99998.

Sentences are read from Arrow in batches; of each stay a digest of its text and
one hash a band, about 100 bytes. The texts and annotations of candidates are
read again.
"""

from esnera_hf.duplicates.duplicates import Duplicate, Duplicates, PartCounts, find_duplicates
from esnera_hf.duplicates.near import NEAR, SHORTEST, jaccard
from esnera_hf.duplicates.pairs import DuplicatePairs, find_pairs
from esnera_hf.duplicates.texts import Part, Place, Texts, normalise

__all__ = [
    "NEAR",
    "SHORTEST",
    "Duplicate",
    "DuplicatePairs",
    "Duplicates",
    "Part",
    "PartCounts",
    "Place",
    "Texts",
    "find_duplicates",
    "find_pairs",
    "jaccard",
    "normalise",
]
