"""Merging by equivalence: what is equal becomes one label, a subset a child of the label that contains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.clustering import partition_labels
from esnera_hf.alignment.constraints import Constraints, spread_apart
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import compared, label_groups, mapping_from_groups, nearest_label
from esnera_hf.alignment.parts import PartTree, with_parts
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.equivalence import CONTAINS, EQUAL, containment
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef


def merge_equivalent(matrix: SimilarityMatrix, constraints: Constraints | None = None) -> LabelMapping:
    """Return the mapping that merges what is equal and puts what is a subset below what contains it.

    All merges are made at once: the partition of the labels with the highest sum
    of equivalences over :data:`EQUAL` inside its groups, at most one label
    per source in each. A group that another one contains becomes its child, of
    several the one that covers it most, unless their labels, or those below and above
    them, cannot link. It is shown beside a label of its parent. Parents that are
    locked, and labels that are locked without one, stay as they are. What the user
    names as a part is below its whole; labels whose becoming one would stand against
    that are parted where it costs the least equivalence.

    Args:
        matrix: similarities between the labels of several sources.
        constraints: what the user asks for.
    """
    constraints = constraints or Constraints()
    partition = _partition(matrix, constraints)
    groups = label_groups(partition, matrix, constraints)
    closest = _closest(groups, matrix)
    mapping = mapping_from_groups(groups, matrix, matrix.equivalence, constraints, closest)
    mapping = with_parts(replace(mapping, method="equivalence"), constraints)
    names = mapping.unified_labels
    covered, contained = contained_groups(matrix, [mapping.members(name) for name in names])
    candidates = sorted(
        (
            (covered[child, parent], names[child], names[parent])
            for child, parent in np.argwhere(contained & ~contained.T)
        ),
        key=lambda candidate: (-candidate[0], candidate[1], candidate[2]),
    )
    for _, child, parent in candidates:
        free = child not in mapping.parents and child not in constraints.parents
        if free and _may_contain(mapping, parent, child, constraints):
            mapping = replace(mapping, parents={**mapping.parents, child: parent})
    return _beside_parents(mapping, matrix)


def _partition(matrix: SimilarityMatrix, constraints: Constraints) -> tuple[tuple[LabelRef, ...], ...]:
    """Return the best groups of labels that the parts named by the user allow."""
    while True:
        partition = partition_labels(matrix.labels, matrix.equivalence - EQUAL, constraints)
        contradiction = PartTree(partition, constraints).contradiction
        if contradiction is None:
            return partition
        message, pairs = contradiction
        free = [pair for pair in pairs if constraints.class_of(pair[0]) != constraints.class_of(pair[1])]
        if not free:
            raise ConfigurationError(message)
        values = np.nan_to_num(matrix.equivalence, nan=-1.0)
        weakest = min(free, key=lambda pair: (values[matrix.index[pair[0]], matrix.index[pair[1]]], pair))
        apart = constraints.cannot_link | spread_apart([frozenset(weakest)], constraints.classes)
        constraints = replace(constraints, cannot_link=apart)


def _may_contain(mapping: LabelMapping, whole: str, part: str, constraints: Constraints) -> bool:
    """Tell whether one label may be put below another: without a circle, and without what is to be unrelated."""
    above, below = (whole, *mapping.ancestors(whole)), (part, *mapping.descendants(part))
    pairs = product(_members(mapping, above), _members(mapping, below))
    return part not in above and constraints.unrelated.isdisjoint(map(frozenset, pairs))


def _members(mapping: LabelMapping, names: Sequence[str]) -> list[LabelRef]:
    return [member for name in names for member in mapping.members(name)]


def _closest(groups: Sequence[LabelGroup], matrix: SimilarityMatrix) -> dict[LabelRef, LabelRef]:
    """Return, for each label, the most similar one of another source in its group, if that is known."""
    closest = {}
    for group in groups:
        for label in group:
            others = [matrix.index[other] for other in group if other.source != label.source]
            nearest = nearest_label(matrix, matrix.equivalence[matrix.index[label]], others)
            if nearest is not None:
                closest[label] = nearest
    return closest


def _beside_parents(mapping: LabelMapping, matrix: SimilarityMatrix) -> LabelMapping:
    """Show each label that is a part, and one with no other, beside the label of its parent that covers it most."""
    entries = []
    for entry in mapping.entries:
        parent = mapping.parents.get(entry.unified or "")
        alone = entry.compared_with is None or not mapping.are_one(entry.label, entry.compared_with)
        if parent is not None and alone:
            row = matrix.coverage[matrix.index[entry.label]]
            others = [
                matrix.index[other] for other in mapping.members(parent) if other.source != entry.label.source
            ]
            whole = nearest_label(matrix, row, others)
            if whole is not None:
                entry = compared(entry, whole, matrix, matrix.equivalence)
        entries.append(entry)
    return replace(mapping, entries=tuple(entries))


def contained_groups(
    matrix: SimilarityMatrix, groups: Sequence[Sequence[LabelRef]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how much of the row's group the column's covers, and whether it contains it, shape (G, G) both.

    The mean over the pairs of their labels, those of the inner group weighing as
    many as they have mentions; 0 where nothing is known, and for a group itself.

    Args:
        matrix: the similarities of the labels.
        groups: of labels that are one, no label in two.
    """
    member = np.zeros((len(matrix.labels), len(groups)))
    for index, group in enumerate(groups):
        member[[matrix.index[label] for label in group], index] = 1.0
    weights = np.maximum(matrix.support, 1)[:, None] * np.isfinite(matrix.coverage)
    of_labels = np.nan_to_num(matrix.coverage) * weights
    covered = _ratio(member.T @ of_labels @ member, member.T @ weights @ member)
    np.fill_diagonal(covered, 0.0)

    of_source = np.array([[label.source == name for name in matrix.sources] for label in matrix.labels])
    covers = (_ratio(of_labels @ member, weights @ member) >= CONTAINS) & (member == 0)
    sources = (member.T @ of_source > 0).astype(np.int64)
    further = sources @ (of_source.T.astype(np.int64) @ covers) - member.T @ covers > 0
    return covered, containment(covered, further)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
