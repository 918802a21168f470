"""A merge path becomes a label mapping: groups get names, entries their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import DEFAULT_LAMBDA, LabelMapping, MappedLabel, MappingStage
from esnera_hf.alignment.merge_path import MergePath
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix

_DIGITS = 4


def mapping_from_path(
    path: MergePath, matrix: SimilarityMatrix, constraints: Constraints | None = None
) -> LabelMapping:
    """Name the label groups of a merge path and attach the evidence.

    A group takes the name the user gave it, or else that of its head, the label
    of the latest target in it. Groups never share a name: the later one becomes
    ``label@source``. Similarities are rounded to four digits, as the mapping's
    file shows them, and are those at the λ of the last stage. Entries come by
    unified label, those left out last.

    Args:
        path: the stages and groups; labels of other sources are not mapped.
        matrix: the similarities they were made from.
        constraints: names and labels left out.
    """
    constraints = constraints or Constraints()
    names = _unique_names(path.groups, constraints.names)
    merged_into = _merged_into(path)
    home = {member: group for group in path.groups for member in group.members}
    lam = path.stages[-1].lam if path.stages else DEFAULT_LAMBDA
    similarity = matrix.merged(lam)
    sources = set(path.sources)
    known = [index for index, label in enumerate(matrix.labels) if label.source in sources]
    entries = []
    for index in known:
        label = matrix.labels[index]
        group = home.get(label)
        wished = label in constraints.names or label in constraints.left_out
        entry = MappedLabel(
            label, None if group is None else names[group], "equal", int(matrix.support[index]), locked=wished
        )
        other = merged_into.get(label)
        if other is None or other.source == label.source:
            other = _nearest(matrix, similarity[index], known)
        if other is not None:
            pair = matrix.pair(label, other)
            entry = replace(
                entry,
                compared_with=other,
                similarity=_rounded(float(similarity[index, matrix.labels.index(other)])),
                evidence=replace(pair, semantic=_rounded(pair.semantic)),
            )
        entries.append(entry)
    order = {name: index for index, name in enumerate(names.values())}
    entries.sort(key=lambda entry: order.get(entry.unified or "", len(order)))
    stages = tuple(
        MappingStage(s.sources, s.target, None if s.tau is None else s.lam, s.tau) for s in path.stages
    )
    return LabelMapping(tuple(names.values()), tuple(entries), stages)


def _merged_into(path: MergePath) -> dict[LabelRef, LabelRef]:
    """Return, for each label that was merged, the label it joined first."""
    joined: dict[LabelRef, LabelRef] = {}
    for stage in path.stages:
        for decision in stage.decisions:
            if decision.merged and decision.candidate is not None:
                for member in decision.group.members:
                    joined.setdefault(member, decision.candidate)
    return joined


def _nearest(matrix: SimilarityMatrix, row: NDArray[np.float64], known: Sequence[int]) -> LabelRef | None:
    """Return the most similar of some labels, the first of equals."""
    values = row.tolist()
    found = [(values[i], -i) for i in known if values[i] == values[i]]
    return matrix.labels[-max(found)[1]] if found else None


def _unique_names(groups: Sequence[LabelGroup], chosen: Mapping[LabelRef, str]) -> dict[LabelGroup, str]:
    given = {group: chosen[label] for group in groups for label in group.members if label in chosen}
    taken = set(given.values())
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


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(value, _DIGITS)
