"""One language's corpora, the evidence about their labels, and what each way of aligning says of each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from esnera_hf.alignment.equivalence_merge import merge_equivalent
from esnera_hf.alignment.greedy_path import greedy_merge_path
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.umbrellas import add_umbrellas
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.sources.source import NerSource
from esnera_hf.tagging import LabelRef
from quality.baselines import mention_overlap, name_meanings, name_scores
from quality.corpora import PooledSentence, as_source, sampled
from quality.gold import GoldPair, Relation, closed, read_gold
from quality.options import measured, samples

#: The paper's setting.
LAMBDA, TAU = 0.4, 0.4
LAMBDAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
TAUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class System:
    """A way of aligning: scores of pairs, and its decisions where it makes any of its own.

    Attributes:
        name: of the way.
        scores: shape (pairs,), NaN where it says nothing.
        merged: its own decisions, bool, shape (pairs,); ``None`` for a score that
            needs a threshold.
        relations: the relation it sees in each pair; ``None`` where it sees none but equality.
    """

    name: str
    scores: np.ndarray
    merged: np.ndarray | None = None
    relations: Sequence[Relation] | None = None


@dataclass(frozen=True)
class Case:
    """The judged pairs of one language (or of several together) and the systems.

    Attributes:
        language: of each pair.
        pairs: the pairs.
        systems: by name.
        merged_labels: pairs of labels of all corpora that typed merging makes one.
        roots: the outermost label of each label of all corpora, umbrellas included.
        surface: what the paper's greedy path merges, bool, shape (pairs,), by λ and τ.
    """

    language: tuple[str, ...]
    pairs: tuple[GoldPair, ...]
    systems: Mapping[str, System]
    merged_labels: frozenset[frozenset[LabelRef]]
    roots: Mapping[LabelRef, str]
    surface: Mapping[tuple[float, float], np.ndarray]


def gather_case(
    language: str, corpora: Mapping[str, Sequence[PooledSentence]], gold: Path, options: Any
) -> Case | None:
    """Measure the corpora of one language and let every system judge the pairs that the gold lists.

    Args:
        language: its code.
        corpora: the pooled sentences of its corpora.
        gold: the gold file.
        options: those of :func:`quality.options.add_training_options`.

    Returns:
        ``None`` if the gold lists no pair of these corpora.
    """
    whole = {name: as_source(name, sampled(rows, len(rows), options.seed)) for name, rows in corpora.items()}
    labels = [ref for source in whole.values() for ref in source.label_refs]
    support = {ref: pooled_mentions(whole[ref.source], ref.label) for ref in labels}
    pairs = closed(read_gold(gold, labels, support))
    if not pairs:
        return None
    wanted = {label.source for pair in pairs for label in (pair.first, pair.second)}
    sources = [
        as_source(name, sampled(corpora[name], samples(options, len(corpora[name])), options.seed))
        for name in sorted(wanted)
    ]
    matrix, _ = measured(sources, options.encoder, options, [whole[name] for name in sorted(wanted)])
    systems = judge(pairs, matrix, whole, options.encoder)
    mapping = merge_equivalent(matrix)
    tree = add_umbrellas(mapping, matrix)
    return Case(
        (language,) * len(pairs),
        tuple(pairs),
        {system.name: system for system in systems},
        frozenset(merged_labels(mapping)),
        {label: f"{language}:{tree.root(tree[label] or '')}" for label in matrix.labels},
        {(lam, tau): paper_merges(pairs, matrix, lam, tau) for lam in LAMBDAS for tau in TAUS},
    )


def pooled_mentions(source: NerSource, label: str) -> int:
    """Return how often a label occurs in all splits together."""
    return sum(counts.get(label, 0) for counts in source.summary.entities.values())


def merged_labels(mapping: LabelMapping) -> set[frozenset[LabelRef]]:
    """Return all pairs of labels that a mapping makes one."""
    return {
        frozenset(pair) for name in mapping.unified_labels for pair in combinations(mapping.members(name), 2)
    }


def judge(
    pairs: Sequence[GoldPair], matrix: SimilarityMatrix, whole: Mapping[str, NerSource], encoder: str
) -> list[System]:
    """Let every system judge pairs of labels."""
    position = {label: index for index, label in enumerate(matrix.labels)}
    rows = np.array([position.get(pair.first, -1) for pair in pairs])
    columns = np.array([position.get(pair.second, -1) for pair in pairs])
    absent = (rows < 0) | (columns < 0)

    def of(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.where(absent, np.nan, values[rows, columns])
        return found

    names, overlap = name_scores(pairs), mention_overlap(pairs, whole)
    empirical = matrix.empirical
    equal = merged_labels(merge_equivalent(matrix))
    merged = np.array([frozenset((pair.first, pair.second)) in equal for pair in pairs])
    seen: list[Relation] = []
    for pair, one, missing in zip(pairs, merged, absent, strict=True):
        relation = "none" if missing else matrix.relation(pair.first, pair.second, unequal=True)
        seen.append("equal" if one else relation)
    return [
        System("names, as strings", names),
        System("names, embedded", name_meanings(pairs, encoder)),
        System("mention overlap, both directions", overlap),
        System("names and mention overlap", names + np.nan_to_num(overlap)),
        System("semantic", of(matrix.semantic)),
        System("empirical, one way (larger)", of(np.fmax(empirical, empirical.T))),
        System("empirical, both ways (smaller)", of(np.fmin(empirical, empirical.T))),
        System(
            f"paper: λ {LAMBDA}, τ {TAU}, greedy",
            of(np.fmax(matrix.combined(LAMBDA), matrix.combined(LAMBDA).T)),
            paper_merges(pairs, matrix),
        ),
        System(
            "esnera_hf",
            of(matrix.equivalence),
            merged,
            seen,
        ),
    ]


def paper_merges(
    pairs: Sequence[GoldPair], matrix: SimilarityMatrix, lam: float = LAMBDA, tau: float = TAU
) -> np.ndarray:
    """Return which pairs the greedy path merges, each pair of corpora by itself."""
    merged: set[frozenset[LabelRef]] = set()
    for corpora in {(pair.first.source, pair.second.source) for pair in pairs}:
        path = greedy_merge_path(matrix.restricted(corpora), lam, tau)
        for group in path.groups:
            merged.update(frozenset(two) for two in combinations(group, 2))
    return np.array([frozenset((pair.first, pair.second)) in merged for pair in pairs])
