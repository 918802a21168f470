"""What was merged and what stayed apart, with the evidence, as a report keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment import Constraints, LabelMapping, MappedLabel, MergeStep
from esnera_hf.labels import LabelRef
from esnera_hf.report.report import ALL_AT_ONCE
from esnera_hf.similarity import (
    EQUAL,
    Agreement,
    LabelRelations,
    SimilarityMatrix,
    deciding_similarity,
    relate,
)

#: Pairs of labels that stayed apart.
NEAR = 20


def merge_stages(
    path: Sequence[MergeStep],
    mapping: LabelMapping,
    matrix: SimilarityMatrix | None,
    constraints: Constraints | None = None,
) -> list[dict[str, Any]]:
    """Return the steps of a merge path with every decision; of merging by equivalence one, a decision a label."""
    if matrix is not None and mapping.method == "equivalence":
        return [_all_at_once(mapping, constraints or Constraints())]
    return [_stage(stage) for stage in path]


def _stage(stage: MergeStep) -> dict[str, Any]:
    return {
        "sources": list(stage.sources),
        "target": stage.target or "(given schema)",
        "sum_empirical": stage.sum_empirical,
        "lambda": stage.lam,
        "tau": stage.tau,
        "merged": stage.merged,
        "decisions": [
            {
                "group": [str(d.group.head), *(str(m) for m in d.group.members if m != d.group.head)],
                "candidate": None if d.candidate is None else str(d.candidate),
                "similarity": d.similarity,
                "semantic": d.semantic,
                "matched": d.matched,
                "predicted": d.predicted,
                "merged": d.merged,
                "wished": d.constrained,
            }
            for d in stage.decisions
        ],
    }


def _all_at_once(mapping: LabelMapping, constraints: Constraints) -> dict[str, Any]:
    used = {entry.unified for entry in mapping.entries if entry.unified is not None}
    placed = sum(entry.unified is not None for entry in mapping.entries)
    return {
        "sources": sorted(set(mapping.sources) - {constraints.target}),
        "target": constraints.target or ALL_AT_ONCE,
        "sum_empirical": None,
        "lambda": None,
        "tau": EQUAL,
        "merged": placed - len(used),
        "decisions": [_decision(entry, mapping, constraints) for entry in _each_pair_once(mapping)],
    }


def _each_pair_once(mapping: LabelMapping) -> Iterator[MappedLabel]:
    """Yield the entries; of two that show one pair and are one or part, that of the part, else the first."""
    compared = {entry.label: entry.compared_with for entry in mapping.entries}
    shown: set[tuple[LabelRef, LabelRef]] = set()
    for entry in mapping.entries:
        other = entry.compared_with
        if other is not None and compared.get(other) == entry.label:
            if _part_of(mapping, other, entry.label):
                continue
            if (other, entry.label) in shown and mapping.are_one(entry.label, other):
                continue
            shown.add((entry.label, other))
        yield entry


def _decision(entry: MappedLabel, mapping: LabelMapping, constraints: Constraints) -> dict[str, Any]:
    other, evidence = entry.compared_with, entry.evidence
    merged = other is not None and mapping.are_one(entry.label, other)
    return {
        "group": [str(entry.label)],
        "candidate": None if other is None else str(other),
        "similarity": entry.similarity,
        "semantic": None if evidence is None else evidence.semantic,
        "matched": 0 if evidence is None else evidence.forward.matched,
        "predicted": 0 if evidence is None else evidence.forward.predicted,
        "merged": merged,
        "wished": merged and other in constraints.class_of(entry.label),
        "part": other is not None and _part_of(mapping, entry.label, other),
        "holds": entry.unified in mapping.parents.values(),
    }


def near_pairs(matrix: SimilarityMatrix, mapping: LabelMapping) -> list[dict[str, Any]]:
    """Return the pairs of labels of different sources that stayed apart.

    First those of which one is now a part of the other, then the most alike, by
    the mean of what they would have been merged by in both directions. Under
    typed merging each comes with how its labels relate, and how much of the one
    the other covers, both ways.
    """
    similarity = deciding_similarity(matrix, mapping.lam)
    relations = relate(matrix) if mapping.method == "equivalence" else None
    pairs = []
    for i, j in combinations(range(len(matrix.labels)), 2):
        one, other = matrix.labels[i], matrix.labels[j]
        known = [value for value in (similarity[i, j], similarity[j, i]) if not np.isnan(value)]
        if one.source == other.source or mapping[one] == mapping[other] or not known:
            continue
        related = _part_of(mapping, one, other) or _part_of(mapping, other, one)
        pairs.append((not related, -float(np.mean(known)), i, j))
    pairs.sort()
    return [_pair(matrix, similarity, relations, i, j) for *_, i, j in pairs[:NEAR]]


def _part_of(mapping: LabelMapping, one: LabelRef, other: LabelRef) -> bool:
    part, whole = mapping[one], mapping[other]
    return part is not None and whole is not None and whole in mapping.ancestors(part)


def _pair(
    matrix: SimilarityMatrix,
    similarity: NDArray[np.float64],
    relations: LabelRelations | None,
    i: int,
    j: int,
) -> dict[str, Any]:
    one, other = matrix.labels[i], matrix.labels[j]
    evidence = matrix.pair(one, other)
    pair = {
        "one": str(one),
        "other": str(other),
        "forward_similarity": _number(similarity[i, j]),
        "backward_similarity": _number(similarity[j, i]),
        "semantic": _number(evidence.semantic),
        "forward": _agreement(evidence.forward),
        "backward": _agreement(evidence.backward),
    }
    if relations is not None:
        pair |= {
            "relation": relations.unequal(one, other),
            "forward_coverage": _number(relations.covered[i, j]),
            "backward_coverage": _number(relations.covered[j, i]),
        }
    return pair


def _agreement(agreement: Agreement) -> dict[str, int]:
    return {"matched": agreement.matched, "predicted": agreement.predicted}


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), 4)
