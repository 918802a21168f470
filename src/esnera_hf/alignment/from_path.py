"""A merge path becomes a label mapping: groups get names, entries their evidence."""

from __future__ import annotations

from esnera_hf.alignment.constraints import Constraints
from esnera_hf.alignment.from_groups import mapping_from_groups
from esnera_hf.alignment.mapping import LabelMapping, MappingStage
from esnera_hf.alignment.merge_stages import MergePath
from esnera_hf.labels import LabelRef
from esnera_hf.similarity import SimilarityMatrix


def mapping_from_path(
    path: MergePath, matrix: SimilarityMatrix, constraints: Constraints | None = None
) -> LabelMapping:
    """Name the label groups of a merge path and attach the evidence.

    A group takes the name the user gave it, or else that of its head, the label
    of the latest target in it. Groups never share a name: the later one becomes
    ``label@source``. Similarities are rounded to four digits, as the mapping's
    file shows them, and are those at the λ of the last stage that merged anything by
    them. Entries come by unified label, those left out last.

    Args:
        path: the stages and groups; labels of other sources are not mapped.
        matrix: the similarities they were made from.
        constraints: names and labels left out.
    """
    stages = tuple(
        MappingStage(s.sources, s.target, None if s.tau is None else s.lam, s.tau) for s in path.stages
    )
    return mapping_from_groups(
        path.groups, stages, matrix, matrix.merged(path.lam), constraints or Constraints(), _merged_into(path)
    )


def _merged_into(path: MergePath) -> dict[LabelRef, LabelRef]:
    """Return, for each label that was merged, the label it joined first."""
    joined: dict[LabelRef, LabelRef] = {}
    for stage in path.stages:
        for decision in stage.decisions:
            if decision.merged and decision.candidate is not None:
                for member in decision.group.members:
                    joined.setdefault(member, decision.candidate)
    return joined
