"""Scores of label pairs that need no training: names, meanings of names, and where mentions occur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from esnera_hf.modeling.mention_vectors import MentionEncoder
from esnera_hf.similarity.names import name_similarity
from esnera_hf.sources import overlap
from esnera_hf.sources.overlap import MentionOverlap
from esnera_hf.sources.source import AnnotatedSentence, NerSource
from esnera_hf.tagging import Entity
from quality.gold import GoldPair


def name_scores(pairs: Sequence[GoldPair]) -> np.ndarray:
    """Return the similarity of the names of each pair, shape (pairs,)."""
    return np.array([name_similarity(pair.first.label, pair.second.label) for pair in pairs])


def name_meanings(pairs: Sequence[GoldPair], encoder: str) -> np.ndarray:
    """Return the cosine between the centered embeddings of the names of each pair, shape (pairs,)."""
    labels = sorted({label.label for pair in pairs for label in (pair.first, pair.second)})
    sentences = [
        AnnotatedSentence(name, words, [Entity(0, len(words), name)], "names")
        for name in labels
        if (words := name.replace("_", " ").split() or [name])
    ]
    found: dict[str, np.ndarray] = {}
    for names, vectors in MentionEncoder(encoder).mention_vectors(sentences):
        found.update(zip(names, vectors.astype(np.float64), strict=True))
    mean = np.mean(list(found.values()), axis=0)
    unit = {name: (vector - mean) / np.linalg.norm(vector - mean) for name, vector in found.items()}
    missing = np.zeros_like(mean)
    return np.array(
        [unit.get(p.first.label, missing) @ unit.get(p.second.label, missing) for p in pairs],
        dtype=np.float64,
    )


def mention_overlap(pairs: Sequence[GoldPair], sources: Mapping[str, NerSource]) -> np.ndarray:
    """Return how much of the mentions of each pair are annotated alike, the smaller of both directions."""
    wanted = {(pair.first.source, pair.second.source) for pair in pairs}
    screenings: dict[tuple[str, str], MentionOverlap] = {
        (a, b): overlap.mention_overlap([sources[a], sources[b]])
        for a, b in combinations(sorted(sources), 2)
        if (a, b) in wanted
    }
    both = [screenings[p.first.source, p.second.source].matrix([p.first, p.second]) for p in pairs]
    return np.array([np.fmin(shares[0, 1], shares[1, 0]) for shares in both])
