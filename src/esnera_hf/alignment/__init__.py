"""From similarities to one label schema: the merge path and the mapping it gives."""

from esnera_hf.alignment.mapping import LabelMapping, MappedLabel, Relation, mapping_from_path
from esnera_hf.alignment.merge_path import (
    Decision,
    LabelGroup,
    MergePath,
    MergeStage,
    check_tau,
    greedy_merge_path,
)

__all__ = [
    "Decision",
    "LabelGroup",
    "LabelMapping",
    "MappedLabel",
    "MergePath",
    "MergeStage",
    "Relation",
    "check_tau",
    "greedy_merge_path",
    "mapping_from_path",
]
