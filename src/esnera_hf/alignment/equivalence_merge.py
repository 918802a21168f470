"""Merging by equivalence: what is equal becomes one label, a subset a child of the label that contains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.clustering import partition_labels
from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints, spread_apart
from esnera_hf.alignment.groups import LabelGroup, membership
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.naming import compared, label_groups, mapping_from_groups, nearest_label
from esnera_hf.alignment.parts import PartTree, with_parts
from esnera_hf.errors import ConfigurationError
from esnera_hf.similarity.features import never_found
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.similarity.names import meaning_similarity, name_similarity
from esnera_hf.sources.shared_sentences import RELATIONS
from esnera_hf.tagging import LabelRef

#: Names that are written alike at least so far speak for two labels: PERSON and PER, not PERSON and LOC.
_ALIKE = 0.5


def merge_equivalent(
    matrix: SimilarityMatrix, constraints: Constraints = NO_CONSTRAINTS, min_precision: float | None = None
) -> LabelMapping:
    """Return the mapping that merges what is equal and puts what is a subset below what contains it.

    All merges are made at once: the partition of the labels with the highest sum
    of probabilities over the threshold inside its groups, at most one label
    per source in each. A group that most probably is a part of another one becomes
    its child, of several of the most probable, unless their labels, or those below
    and above them, cannot link. It is shown beside a label of its parent. Parents that are
    locked, and labels that are locked without one, stay as they are. What the user
    names as a part is below its whole; labels whose becoming one would stand against
    that are parted where it costs the least equivalence.

    Args:
        min_precision: the share of right merges to expect; where expected F1 is highest if not given.
    """
    partition = _partition(matrix, constraints, matrix.threshold(min_precision))
    groups = label_groups(partition, matrix, constraints)
    closest = _closest(groups, matrix)
    mapping = mapping_from_groups(groups, matrix, matrix.equivalence, constraints, closest)
    mapping = with_parts(replace(mapping, method="equivalence"), constraints)
    names = mapping.unified_labels
    subset, contained = contained_groups(matrix, [mapping.members(name) for name in names])
    candidates = sorted(
        ((subset[child, parent], names[child], names[parent]) for child, parent in np.argwhere(contained)),
        key=lambda candidate: (-candidate[0], candidate[1], candidate[2]),
    )
    for _, child, parent in candidates:
        free = child not in mapping.parents and child not in constraints.parents
        if free and _may_contain(mapping, parent, child, constraints):
            mapping = replace(mapping, parents={**mapping.parents, child: parent})
    return _beside_parents(mapping, matrix)


def _partition(
    matrix: SimilarityMatrix, constraints: Constraints, threshold: float
) -> tuple[tuple[LabelRef, ...], ...]:
    """Return the best groups of labels that the parts named by the user allow."""
    weights = matrix.equivalence - threshold
    # Vectors lie close for many labels: where heads looked and found nothing either way, and neither forms nor names
    # speak for it, they do not make two labels one.
    for row, column in np.argwhere((weights > 0) & never_found(matrix)):
        names = matrix.labels[row].label, matrix.labels[column].label
        if not meaning_similarity(*names) and name_similarity(*names) < _ALIKE:
            weights[row, column] = -threshold
    while True:
        partition = partition_labels(matrix.labels, weights, constraints)
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
    """Show each label that is a part, and one with no other, beside the label that it most probably is a part of."""
    entries = []
    for entry in mapping.entries:
        parent = mapping.parents.get(entry.unified or "")
        alone = entry.compared_with is None or not mapping.are_one(entry.label, entry.compared_with)
        if parent is not None and alone:
            row = matrix.probabilities[matrix.index[entry.label], :, RELATIONS.index("subset")]
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
    """Return how probable it is that the row's group is a part of the column's, and where it is most probable.

    Both of shape (G, G). The mean over the pairs of their labels, more mentions
    weighing more, knowing that they are not equal; 0 where nothing is known. No
    label is in two groups.
    """
    member = membership(matrix, groups)
    mentions = np.maximum(matrix.support, 1)
    weights = np.sqrt(mentions[:, None] * mentions) * ~matrix.same_source
    total = member.T @ weights @ member
    unequal = np.nan_to_num(matrix.probabilities[..., 1:])
    unequal = unequal / np.maximum(unequal.sum(axis=-1, keepdims=True), 1e-9)
    means = [
        np.divide(
            member.T @ (weights * unequal[..., k]) @ member, total, out=np.zeros_like(total), where=total > 0
        )
        for k in range(len(RELATIONS) - 1)
    ]
    np.fill_diagonal(means[0], 0.0)
    best = np.argmax(means, axis=0) == 0
    return means[0], best & (means[0] > 0)
