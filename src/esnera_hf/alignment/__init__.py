"""From similarities to one label schema: the merge path, the search along it, and the mapping it gives."""

from esnera_hf.alignment.constraints import Constraints, SchemaSettings, build_constraints, load_locked
from esnera_hf.alignment.decided_anew import decided_anew
from esnera_hf.alignment.difference import (
    AffectedLabel,
    MappingDifference,
    MovedLabel,
    MovedParent,
    affected_entities,
    compare_mappings,
)
from esnera_hf.alignment.from_partition import ALL_AT_ONCE, mapping_from_partition
from esnera_hf.alignment.from_path import mapping_from_path
from esnera_hf.alignment.groups import LabelGroup
from esnera_hf.alignment.mapping import LabelMapping, MappedLabel, MappingStage, Relation
from esnera_hf.alignment.merge_path import check_tau, greedy_merge_path, next_stage
from esnera_hf.alignment.merge_stages import Decision, MergePath, MergeStage
from esnera_hf.alignment.partition import (
    LabelPartition,
    PartitionComponent,
    PartitionSettings,
    exact_partition,
    greedy_partition,
    partition_labels,
    symmetric_weights,
)
from esnera_hf.alignment.search import (
    Candidate,
    Scoring,
    SearchedPath,
    SearchSettings,
    Setting,
    Trial,
    search_merge_path,
    stage_candidates,
)
from esnera_hf.alignment.typed import typed_mapping
from esnera_hf.alignment.wishes import Into

__all__ = [
    "ALL_AT_ONCE",
    "AffectedLabel",
    "Candidate",
    "Constraints",
    "Decision",
    "Into",
    "LabelGroup",
    "LabelMapping",
    "LabelPartition",
    "MappedLabel",
    "MappingDifference",
    "MappingStage",
    "MergePath",
    "MergeStage",
    "MovedLabel",
    "MovedParent",
    "PartitionComponent",
    "PartitionSettings",
    "Relation",
    "SchemaSettings",
    "Scoring",
    "SearchSettings",
    "SearchedPath",
    "Setting",
    "Trial",
    "affected_entities",
    "build_constraints",
    "check_tau",
    "compare_mappings",
    "decided_anew",
    "exact_partition",
    "greedy_merge_path",
    "greedy_partition",
    "load_locked",
    "mapping_from_partition",
    "mapping_from_path",
    "next_stage",
    "partition_labels",
    "search_merge_path",
    "stage_candidates",
    "symmetric_weights",
    "typed_mapping",
]
