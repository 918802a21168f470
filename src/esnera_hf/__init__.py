"""Find which labels of several NER datasets mean the same and merge them into one ``DatasetDict``.

Implements ESNERA (arXiv 2508.06877). ``align`` does all of it; the modules hold
the stages, in the order of the method: ``sources``, ``similarity``,
``alignment``, ``merging``, ``report``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import SchemaSettings
    from esnera_hf.alignment.mapping import LabelMapping
    from esnera_hf.alignment.mapping_diff import compare_mappings
    from esnera_hf.alignment.search import GreedySettings
    from esnera_hf.api import align, apply
    from esnera_hf.errors import EsneraError
    from esnera_hf.evaluation.evaluate_metric import StrictNer
    from esnera_hf.evaluation.merged_tagger import OutputSettings
    from esnera_hf.merging.export import export
    from esnera_hf.merging.label_levels import view
    from esnera_hf.modeling.arguments import TaggerTrainingArguments
    from esnera_hf.modeling.tagger import Tagger
    from esnera_hf.result import MergeResult
    from esnera_hf.settings import AlignSettings
    from esnera_hf.similarity.evidence import EvidenceSettings
    from esnera_hf.similarity.matrix import SimilarityMatrix
    from esnera_hf.sources.duplicates import find_duplicates
    from esnera_hf.sources.inspect import inspect
    from esnera_hf.sources.load import load_source
    from esnera_hf.sources.options import ReadingOptions
    from esnera_hf.sources.source import NerSource
    from esnera_hf.taggers.train import train_tagger
    from esnera_hf.tagging import Entity, LabelRef


__version__ = "0.1.0"

_HOMES = {
    "AlignSettings": "settings",
    "Entity": "tagging",
    "EsneraError": "errors",
    "EvidenceSettings": "similarity.evidence",
    "OutputSettings": "evaluation.merged_tagger",
    "LabelMapping": "alignment.mapping",
    "LabelRef": "tagging",
    "MergeResult": "result",
    "NerSource": "sources.source",
    "ReadingOptions": "sources.options",
    "SchemaSettings": "alignment.constraints",
    "GreedySettings": "alignment.search",
    "SimilarityMatrix": "similarity.matrix",
    "StrictNer": "evaluation.evaluate_metric",
    "Tagger": "modeling.tagger",
    "TaggerTrainingArguments": "modeling.arguments",
    "align": "api",
    "apply": "api",
    "compare_mappings": "alignment.mapping_diff",
    "export": "merging.export",
    "find_duplicates": "sources.duplicates",
    "inspect": "sources.inspect",
    "load_source": "sources.load",
    "train_tagger": "taggers.train",
    "view": "merging.label_levels",
}

__all__ = [
    "AlignSettings",
    "Entity",
    "EsneraError",
    "EvidenceSettings",
    "GreedySettings",
    "LabelMapping",
    "LabelRef",
    "MergeResult",
    "NerSource",
    "OutputSettings",
    "ReadingOptions",
    "SchemaSettings",
    "SimilarityMatrix",
    "StrictNer",
    "Tagger",
    "TaggerTrainingArguments",
    "align",
    "apply",
    "compare_mappings",
    "export",
    "find_duplicates",
    "inspect",
    "load_source",
    "train_tagger",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'esnera_hf' has no attribute {name!r}")
    return getattr(import_module(f"esnera_hf.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
