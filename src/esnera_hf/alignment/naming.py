"""Label groups become a label mapping: they get names, their labels the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import NO_CONSTRAINTS, Constraints
from esnera_hf.alignment.greedy_path import MergeHistory
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.errors import ConservationError
from esnera_hf.similarity.explanation import explain_pairs, score_sentence
from esnera_hf.similarity.matrix import SimilarityMatrix
from esnera_hf.tagging import LabelRef

# As many as people read; the matrix has them all.
_DIGITS = 4


def mapping_from_groups(
    groups: Sequence[LabelGroup],
    matrix: SimilarityMatrix,
    similarity: NDArray[np.float64],
    constraints: Constraints,
    beside: Mapping[LabelRef, LabelRef],
) -> LabelMapping:
    """Name label groups and attach the evidence.

    A group takes the name the user gave it, or else that of its head. Groups never
    share a name: the later one becomes ``label@source``. Similarities are rounded
    to four digits, as the mapping's file shows them. Entries come by unified label,
    those left out last. Parents are those that the user has locked.

    Args:
        groups: in the order of the unified labels.
        similarity: what is shown, shape (N, N).
        beside: the label that each label is shown with; the nearest one where that
            is none, or of its own source.

    Raises:
        ConservationError: a label that is not to be left out is in no group.
    """
    names = _unique_names(groups, constraints)
    home = {member: names[group] for group in groups for member in group}
    entries = []
    for index, label in enumerate(matrix.labels):
        if label not in home and label not in constraints.left_out:
            raise ConservationError(
                f"{label} is in no group, though nobody asked for its entities to be left out. Expected a group for "
                "every label of the sources."
            )
        locked = label in constraints.names or label in constraints.left_out
        entry = MappedLabel(label, home.get(label), int(matrix.support[index]), locked=locked)
        other = beside.get(label)
        if other is None or other.source == label.source:
            other = nearest_label(matrix, similarity[index], range(len(matrix.labels)))
        entries.append(entry if other is None else compared(entry, other, matrix, similarity))
    order = {name: index for index, name in enumerate(names.values())}
    entries.sort(key=lambda entry: order.get(entry.unified or "", len(order)))
    parents: dict[str, str] = {}
    # What is above a locked label may have no label of its own, and may have a locked parent, too.
    unified = list(order)
    for name in unified:
        parent = constraints.parents.get(name)
        if parent is not None:
            parents[name] = parent
            if parent not in unified:
                unified.append(parent)
    return LabelMapping(tuple(unified), tuple(entries), parents=parents)


def mapping_from_history(
    history: MergeHistory, matrix: SimilarityMatrix, constraints: Constraints = NO_CONSTRAINTS
) -> LabelMapping:
    """Return the mapping that a greedy path leads to.

    The head of a group is the label of the latest target in it. Similarities are
    those at the λ of the last step that merged anything by them; each label is shown
    with the one it joined first. Labels of sources that the path has not reached are not
    mapped.
    """
    joined: dict[LabelRef, LabelRef] = {}
    for decision in (decision for step in history.steps for decision in step.decisions):
        if decision.merged and decision.candidate is not None:
            for member in decision.group:
                joined.setdefault(member, decision.candidate)
    matrix = matrix.restricted(history.sources)
    similarity = matrix.combined(history.lam)
    made = mapping_from_groups(history.groups, matrix, similarity, constraints, joined)
    return replace(made, method="greedy", lam=history.lam)


def compared(
    entry: MappedLabel, other: LabelRef, matrix: SimilarityMatrix, similarity: NDArray[np.float64]
) -> MappedLabel:
    """Return an entry that shows its label beside another one, with what is known of the pair."""
    semantic, forward, backward = matrix.pair(entry.label, other)
    value = similarity[matrix.index[entry.label], matrix.index[other]]
    return replace(
        entry,
        compared_with=other,
        similarity=_rounded(float(value)),
        semantic=_rounded(semantic),
        forward=forward,
        backward=backward,
    )


def with_reasons(
    mapping: LabelMapping, matrix: SimilarityMatrix, min_precision: float | None = None
) -> LabelMapping:
    """Return a mapping that says beside each label, in a sentence, what became of it and why."""
    threshold = matrix.threshold(min_precision)
    compared = [(entry.label, entry.compared_with) for entry in mapping.entries]
    pairs = [(one, other) for one, other in compared if other is not None]
    by_pair = {(evidence.one, evidence.other): evidence for evidence in explain_pairs(matrix, pairs)}

    def why(entry: MappedLabel) -> str:
        other = entry.compared_with
        if other is None:
            return ""
        if mapping.lam is not None:
            return score_sentence(entry.similarity, entry.semantic, entry.forward, mapping.lam)
        evidence = by_pair.get((entry.label, other)) or by_pair[other, entry.label]
        return evidence.sentence(mapping.decision(evidence.one, evidence.other), threshold)

    return replace(mapping, entries=tuple(replace(entry, why=why(entry)) for entry in mapping.entries))


def nearest_label(
    matrix: SimilarityMatrix, row: NDArray[np.float64], indices: Sequence[int]
) -> LabelRef | None:
    """Return the most similar of some labels, the first of equals; ``None`` if no similarity is known. row: (N,)"""
    values = row.tolist()
    ranked = [(values[i], -i) for i in indices if values[i] == values[i]]
    return matrix.labels[-max(ranked)[1]] if ranked else None


def label_groups(
    partition: Sequence[Sequence[LabelRef]], matrix: SimilarityMatrix, constraints: Constraints
) -> tuple[LabelGroup, ...]:
    """Return groups of labels that became one all at once, with their heads and in order.

    The head is the label of the target if one is given, otherwise of the source
    with most mentions, so that the names of one source prevail; among labels of one
    source the one with most mentions. The names of a given schema come first, then
    the groups by the mentions of their heads. Equal counts are settled by name.
    """
    support = dict(zip(matrix.labels, matrix.support.tolist(), strict=True))
    mentions = Counter[str]()
    for label, count in support.items():
        mentions[label.source] += count

    def precedence(label: LabelRef) -> tuple[bool, int, str, int, LabelRef]:
        other = label.source != constraints.target
        return other, -mentions[label.source], label.source, -support[label], label

    def order(group: LabelGroup) -> tuple[int, bool, int, LabelRef]:
        names = {constraints.names.get(member) for member in group}
        place = (index for index, name in enumerate(constraints.schema) if name in names)
        other = group[0].source != constraints.target
        return min(place, default=len(constraints.schema)), other, -support[group[0]], group[0]

    groups = []
    for members in partition:
        head = min(members, key=precedence)
        groups.append((head, *sorted(set(members) - {head})))
    return tuple(sorted(groups, key=order))


def _unique_names(groups: Sequence[LabelGroup], constraints: Constraints) -> dict[LabelGroup, str]:
    chosen = constraints.names
    named = {group: chosen[label] for group in groups for label in group if label in chosen}
    taken = {*named.values(), *constraints.bare}
    names: dict[LabelGroup, str] = {}
    for group in groups:
        name = named.get(group)
        if name is None:
            name = group[0].label
            while name in taken:
                name = f"{name}@{group[0].source}"
            taken.add(name)
        names[group] = name
    return names


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, _DIGITS)
