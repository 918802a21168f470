"""From similarities to one label schema: labels merged by equivalence or along the greedy path, and their mapping."""

from __future__ import annotations

from esnera_hf.alignment.constraints import (
    Constraints,
    SchemaSettings,
    TargetSchema,
    build_constraints,
    load_locked,
)
from esnera_hf.alignment.equivalence_merge import typed_mapping
from esnera_hf.alignment.greedy_path import (
    MergeHistory,
    MergeStep,
    Trial,
    greedy_merge_path,
)
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_diff import affected_entities, compare_mappings, decided_anew
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.alignment.naming import mapping_from_history
from esnera_hf.alignment.search import GreedySettings, Scoring, search_merge_path

__all__ = [
    "Constraints",
    "GreedySettings",
    "LabelMapping",
    "MappedLabel",
    "MergeHistory",
    "MergeStep",
    "SchemaSettings",
    "Scoring",
    "TargetSchema",
    "Trial",
    "affected_entities",
    "build_constraints",
    "compare_mappings",
    "decided_anew",
    "greedy_merge_path",
    "load_locked",
    "mapping_from_history",
    "search_merge_path",
    "typed_mapping",
]
