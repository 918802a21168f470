"""Label groups become a label mapping: they get names, their labels the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import LabelMapping, MappedLabel, MappingStage
from esnera_hf.errors import ConservationError
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix

_DIGITS = 4


def mapping_from_groups(
    groups: Sequence[LabelGroup],
    stages: Sequence[MappingStage],
    matrix: SimilarityMatrix,
    similarity: NDArray[np.float64],
    constraints: Constraints,
    joined: Mapping[LabelRef, LabelRef],
) -> LabelMapping:
    """Name label groups and attach the evidence.

    A group takes the name the user gave it, or else that of its head. Groups never
    share a name: the later one becomes ``label@source``. Similarities are rounded
    to four digits, as the mapping's file shows them. Entries come by unified label,
    those left out last. Parents are those that the user has locked.

    Args:
        groups: in the order of the unified labels.
        stages: how they were made; labels of sources that neither they nor the groups name are not mapped.
        matrix: the evidence.
        similarity: what is shown, shape (N, N), of the labels of the matrix.
        constraints: names and labels left out.
        joined: the label of another source that each label is shown with; for
            others that is the nearest.

    Raises:
        ConservationError: a label that is not to be left out is in no group.
    """
    names = _unique_names(groups, constraints)
    home = {member: group for group in groups for member in group.members}
    sources = {source for stage in stages for source in (*stage.sources, stage.target)}
    sources |= {member.source for member in home}
    known = [index for index, label in enumerate(matrix.labels) if label.source in sources]
    entries = []
    for index in known:
        label = matrix.labels[index]
        group = home.get(label)
        if group is None and label not in constraints.left_out:
            raise ConservationError(
                f"{label} is in no group, though nobody asked for its entities to be left out. Expected a group for "
                "every label of the sources."
            )
        wished = label in constraints.names or label in constraints.left_out
        entry = MappedLabel(
            label, None if group is None else names[group], "equal", int(matrix.support[index]), locked=wished
        )
        other = joined.get(label)
        if other is None or other.source == label.source:
            other = nearest_label(matrix, similarity[index], known)
        entries.append(entry if other is None else compared(entry, other, matrix, similarity))
    order = {name: index for index, name in enumerate(names.values())}
    entries.sort(key=lambda entry: order.get(entry.unified or "", len(order)))
    labels, parents = _locked_tree(names.values(), constraints)
    return LabelMapping(labels, tuple(entries), tuple(stages), parents=parents)


def compared(
    entry: MappedLabel, other: LabelRef, matrix: SimilarityMatrix, similarity: NDArray[np.float64]
) -> MappedLabel:
    """Return an entry that shows its label beside another one, with what is known of the pair.

    Args:
        entry: of a label of the matrix.
        other: the other label.
        matrix: the evidence.
        similarity: what is shown, shape (N, N), of the labels of the matrix.
    """
    pair = matrix.pair(entry.label, other)
    value = similarity[matrix.labels.index(entry.label), matrix.labels.index(other)]
    return replace(
        entry,
        compared_with=other,
        similarity=_rounded(float(value)),
        evidence=replace(pair, semantic=_rounded(pair.semantic)),
    )


def nearest_label(
    matrix: SimilarityMatrix, row: NDArray[np.float64], known: Sequence[int]
) -> LabelRef | None:
    """Return the most similar of some labels, the first of equals; ``None`` if no similarity is known.

    Args:
        matrix: holds the labels.
        row: shape (N,), the similarities of one label.
        known: the positions of the labels to choose from.
    """
    values = row.tolist()
    found = [(values[i], -i) for i in known if values[i] == values[i]]
    return matrix.labels[-max(found)[1]] if found else None


def _unique_names(groups: Sequence[LabelGroup], constraints: Constraints) -> dict[LabelGroup, str]:
    chosen = constraints.names
    given = {group: chosen[label] for group in groups for label in group.members if label in chosen}
    taken = {*given.values(), *constraints.bare}
    names: dict[LabelGroup, str] = {}
    for group in groups:
        name = given.get(group)
        if name is None:
            name = group.head.label
            while name in taken:
                name = f"{name}@{group.head.source}"
            taken.add(name)
        names[group] = name
    return names


def _locked_tree(names: Iterable[str], constraints: Constraints) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the unified labels with those above them that are locked, and the locked parents."""
    labels, parents = list(names), {}
    for name in labels:
        parent = constraints.parents.get(name)
        if parent is not None:
            parents[name] = parent
            if parent not in labels:
                labels.append(parent)
    return tuple(labels), parents


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, _DIGITS)
