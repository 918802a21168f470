"""Corpora cut in two, with one half's labels renamed, coarsened, dropped and permuted: the truth is known.

Renaming, coarsening and dropping need no further training: counts of merged
labels are sums of counts, those of dropped ones are left out. (A tagger trained
on the coarser labels would be a little different; ``--retrain`` of the
benchmark measures by how much.)
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.semantic import semantic_similarity
from esnera_hf.sources.overlap import MentionOverlap
from esnera_hf.taggers.predictions import LabelCentroids
from esnera_hf.tagging import LabelRef
from quality.corpora import PooledSentence
from quality.gold import Relation


@dataclass(frozen=True)
class Half:
    """One half of a corpus under another schema.

    Attributes:
        source: its name.
        labels: name of each new label and the labels of the corpus it stands for.
    """

    source: str
    labels: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class KnownCase:
    """Two halves of a corpus whose labels relate in a known way."""

    first: Half
    second: Half

    def relation(self, one: str, other: str) -> Relation:
        """Return how a label of the first half relates to one of the second."""
        a, b = self.first.labels[one], self.second.labels[other]
        if a == b:
            return "equal"
        if a < b:
            return "subset"
        if a > b:
            return "superset"
        return "overlap" if a & b else "none"


def known_case(corpus: str, labels: Sequence[str], seed: int) -> KnownCase:
    """Draw a case: each half drops and coarsens some labels, and the second gives its labels new names.

    A fifth of the new names are those of other labels of the corpus, which is
    what misleads whoever trusts names.

    Args:
        corpus: its name; the halves are called ``corpus.a`` and ``corpus.b``.
        labels: of the corpus.
        seed: of the draw.
    """
    generator = random.Random(f"{corpus}\n{seed}")
    first = _schema(generator, labels, share=0.15)
    second = _schema(generator, labels, share=0.35)
    renamed: dict[str, frozenset[str]] = {}
    names = list(second)
    shuffled = names.copy()
    generator.shuffle(shuffled)
    for index, (name, other) in enumerate(zip(names, shuffled, strict=True)):
        stolen = generator.random() < 0.2 and other not in renamed
        renamed[other if stolen else f"label {index}"] = second[name]
    return KnownCase(Half(f"{corpus}.a", first), Half(f"{corpus}.b", renamed))


def relabelled(sentences: Sequence[PooledSentence], half: Half) -> list[PooledSentence]:
    """Return sentences under the labels of a half; what it drops is gone."""
    new = {old: name for name, labels in half.labels.items() for old in labels}
    return [
        PooledSentence(
            row.tokens, tuple((start, end, new[old]) for start, end, old in row.spans if old in new)
        )
        for row in sentences
    ]


def _schema(generator: random.Random, labels: Sequence[str], share: float) -> dict[str, frozenset[str]]:
    """Return labels of which some were dropped and some were put together; at least one stays."""
    kept = [label for label in labels if len(labels) < 3 or generator.random() > 0.1] or list(labels)
    generator.shuffle(kept)
    groups: list[list[str]] = []
    for label in kept:
        if groups and generator.random() < share:
            generator.choice(groups).append(label)
        else:
            groups.append([label])
    return {"+".join(sorted(group)): frozenset(group) for group in groups}


@dataclass(frozen=True)
class HalvesEvidence:
    """What is measured on the halves, with the labels that the corpora have.

    Attributes:
        matrix: similarities of all labels of the halves.
        sums: mention vectors, by half and label.
        screening: overlap of the mentions of all sentences of the halves.
    """

    matrix: SimilarityMatrix
    sums: Mapping[str, LabelCentroids]
    screening: MentionOverlap


def unified(case: KnownCase, evidence: HalvesEvidence) -> SimilarityMatrix:
    """Return the similarities under the schemas of a case."""
    matrix = evidence.matrix
    halves = (case.first, case.second)
    labels = tuple(LabelRef(half.source, name) for half in halves for name in half.labels)
    position = {label: index for index, label in enumerate(matrix.labels)}
    members = [
        [
            position[ref]
            for old in sorted(half.labels[name])
            if (ref := LabelRef(half.source, old)) in position
        ]
        for half in halves
        for name in half.labels
    ]
    assign = np.zeros((len(labels), len(matrix.labels)), dtype=np.int64)
    for row, indices in enumerate(members):
        assign[row, indices] = 1
    columns = [indices[0] if indices else 0 for indices in members]
    new_sums = {half.source: _grouped(evidence.sums[half.source], half) for half in halves}
    return SimilarityMatrix(
        labels,
        assign @ matrix.support,
        assign @ matrix.matched @ assign.T,
        (assign @ matrix.predicted)[:, columns],
        semantic_similarity(new_sums, labels),
        _overlap(halves, evidence.screening),
    )


def _overlap(halves: Sequence[Half], screening: MentionOverlap) -> NDArray[np.float64]:
    """Return the overlap of mentions under the halves' labels: the mean over the forms of all that each stands for."""
    known = {(overlap.label, overlap.other): overlap for overlap in screening.overlaps}
    places = [(half, name) for half in halves for name in half.labels]
    shares = np.full((len(places), len(places)), np.nan)
    for row, (half, name) in enumerate(places):
        for column, (other, other_name) in enumerate(places):
            parts = [
                overlap
                for label in sorted(half.labels[name])
                if (overlap := known.get((LabelRef(half.source, label), other.source))) and overlap.occurring
            ]
            if half != other and parts:
                found = sum(part.occurring for part in parts)
                shared = (
                    part.occurring * part.share.get(label, 0.0)
                    for part in parts
                    for label in other.labels[other_name]
                )
                shares[row, column] = sum(shared) / (found + 1)
    return shares


def _grouped(sums: LabelCentroids, half: Half) -> LabelCentroids:
    total, count = {}, {}
    for name, labels in half.labels.items():
        known = [label for label in sorted(labels) if label in sums.total]
        if known:
            total[name] = np.sum([sums.total[label] for label in known], axis=0)
            count[name] = sum(sums.count[label] for label in known)
    return LabelCentroids(total, count)
