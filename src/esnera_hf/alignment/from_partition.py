"""A partition of labels becomes a label mapping: groups get names, entries their evidence."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.from_groups import mapping_from_groups, nearest_label
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import LabelMapping, MappingStage
from esnera_hf.alignment.partition import LabelPartition
from esnera_hf.errors import ConfigurationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix

#: The target of the one stage of a mapping that was not made along a path.
ALL_AT_ONCE = "(all at once)"


def mapping_from_partition(
    partition: LabelPartition,
    matrix: SimilarityMatrix,
    similarity: NDArray[np.float64],
    bound: float,
    constraints: Constraints | None = None,
) -> LabelMapping:
    """Name the groups of a partition and attach the evidence.

    A group takes the name the user gave it, or else that of its head: the label of
    the target if one is given, otherwise of the source with most mentions, so that
    the names of one source prevail; among labels of one source the one with most
    mentions. The names of a given schema come first, then the groups by the
    mentions of their heads. Equal counts are settled by name. The rest is as with
    :func:`mapping_from_path`; each label is shown with the most similar one of its
    group.

    Args:
        partition: of all labels of the matrix but those left out.
        matrix: the evidence.
        similarity: what it was made from, shape (N, N), of the labels of the matrix.
        bound: what a similarity had to exceed.
        constraints: names and labels left out, as the partition respects them.

    Raises:
        ConfigurationError: the partition and the matrix are of different labels.
    """
    constraints = constraints or Constraints()
    placed = {label for group in partition.groups for label in group}
    wrong = sorted(placed ^ (set(matrix.labels) - constraints.left_out))
    if wrong:
        raise ConfigurationError(
            f"{wrong[0]} is in the partition or in the similarities, not in both: expected a partition of the "
            "labels of the matrix that are not left out."
        )
    groups = label_groups(partition, matrix, constraints)
    target = constraints.target or ALL_AT_ONCE
    sources = tuple(sorted(set(matrix.sources) - {target}))
    stage = MappingStage(sources, target, None, bound)
    closest = _closest(groups, matrix, similarity)
    return mapping_from_groups(groups, (stage,), matrix, similarity, constraints, closest)


def label_groups(
    partition: LabelPartition, matrix: SimilarityMatrix, constraints: Constraints | None = None
) -> tuple[LabelGroup, ...]:
    """Return the groups of a partition with their heads, in the order of :func:`mapping_from_partition`."""
    constraints = constraints or Constraints()
    support = {label: int(count) for label, count in zip(matrix.labels, matrix.support, strict=True)}
    mentions = Counter[str]()
    for label, count in support.items():
        mentions[label.source] += count

    def precedence(label: LabelRef) -> tuple[bool, int, str, int, LabelRef]:
        other = label.source != constraints.target
        return other, -mentions[label.source], label.source, -support[label], label

    groups = []
    for members in partition.groups:
        head = min(members, key=precedence)
        groups.append(LabelGroup(head, (head, *sorted(set(members) - {head}))))

    def order(group: LabelGroup) -> tuple[int, bool, int, LabelRef]:
        names = {constraints.names[member] for member in group.members if member in constraints.names}
        given = [place for place, name in enumerate(constraints.schema) if name in names]
        return (
            min(given, default=len(constraints.schema)),
            group.head.source != constraints.target,
            -support[group.head],
            group.head,
        )

    return tuple(sorted(groups, key=order))


def _closest(
    groups: tuple[LabelGroup, ...], matrix: SimilarityMatrix, similarity: NDArray[np.float64]
) -> dict[LabelRef, LabelRef]:
    """Return, for each label, the most similar one of another source in its group, if that is known."""
    position = {label: index for index, label in enumerate(matrix.labels)}
    closest = {}
    for group in groups:
        for label in group.members:
            others = [position[other] for other in group.members if other.source != label.source]
            found = nearest_label(matrix, similarity[position[label]], others)
            if found is not None:
                closest[label] = found
    return closest
