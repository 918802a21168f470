"""Typed merging: what is equal becomes one label, a subset becomes a child of the label that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.from_groups import compared, nearest_label
from esnera_hf.alignment.from_partition import mapping_from_partition
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.partition import partition_labels
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import EQUAL, LabelRelations, holds


def typed_mapping(relations: LabelRelations, constraints: Constraints | None = None) -> LabelMapping:
    """Return the mapping that merges what is equal and puts what is a subset below what holds it.

    All merges are made at once: the partition of the labels with the highest sum
    of mutual similarities over :data:`EQUAL` inside its groups, at most one label
    of a source in each. A group that another one holds becomes its child, of
    several the one that covers it most. It is shown beside a label of that.

    Args:
        relations: of all pairs of labels.
        constraints: what the user wishes.
    """
    matrix = relations.matrix
    partition = partition_labels(matrix.labels, relations.mutual - EQUAL, constraints)
    mapping = mapping_from_partition(partition, matrix, relations.mutual, EQUAL, constraints)
    members = {name: mapping.members(name) for name in mapping.unified_labels}
    covered = {
        (child, parent): group_coverage(relations, members[child], members[parent])
        for child in members
        for parent in members
        if child != parent
    }
    parents: dict[str, str] = {}
    candidates = sorted(
        (
            (share, child, parent)
            for (child, parent), share in covered.items()
            if holds(other=share, back=covered[parent, child])
        ),
        key=lambda found: (-found[0], found[1], found[2]),
    )
    for _, child, parent in candidates:
        if child not in parents and not _holds(parents, child, parent):
            parents[child] = parent
    return _beside_parents(replace(mapping, parents=parents), relations)


def _beside_parents(mapping: LabelMapping, relations: LabelRelations) -> LabelMapping:
    """Show each label that is a part, and one with no other, beside the label of its parent that covers it most."""
    matrix = relations.matrix
    position = {label: index for index, label in enumerate(matrix.labels)}
    entries = []
    for entry in mapping.entries:
        parent = mapping.parents.get(entry.unified or "")
        alone = entry.compared_with is None or not mapping.are_one(entry.label, entry.compared_with)
        shown = entry
        if parent is not None and alone:
            row = relations.covered[position[entry.label]]
            others = [
                position[other] for other in mapping.members(parent) if other.source != entry.label.source
            ]
            holder = nearest_label(matrix, row, others)
            if holder is not None:
                shown = compared(entry, holder, matrix, relations.mutual)
        entries.append(shown)
    return replace(mapping, entries=tuple(entries))


def group_coverage(relations: LabelRelations, inner: Sequence[LabelRef], outer: Sequence[LabelRef]) -> float:
    """Return how much of one group another covers, in [0, 1]; 0 where nothing is known.

    The mean over the pairs of their labels, those of the inner group weighing as
    many as they have mentions.
    """
    position = {label: index for index, label in enumerate(relations.matrix.labels)}
    rows, columns = ([position[label] for label in group] for group in (inner, outer))
    values = relations.covered[np.ix_(rows, columns)]
    weights = np.maximum(relations.matrix.support[rows], 1)[:, None] * np.isfinite(values)
    if not weights.any():
        return 0.0
    return float((np.nan_to_num(values) * weights).sum() / weights.sum())


def _holds(parents: dict[str, str], label: str, other: str) -> bool:
    """Tell whether a label is the other one or above it."""
    while other in parents and other != label:
        other = parents[other]
    return other == label
