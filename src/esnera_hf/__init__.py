"""Find which labels of several NER datasets mean the same and merge them into one ``DatasetDict``.

Implements ESNERA (arXiv 2508.06877). ``align`` does all of it; the modules hold
the stages, in the order of the method: ``sources``, ``similarity``,
``alignment``, ``merging``, ``report``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esnera_hf.alignment import LabelMapping, SchemaSettings, SearchSettings, compare_mappings
    from esnera_hf.api import align, apply
    from esnera_hf.duplicates import find_duplicates
    from esnera_hf.errors import EsneraError
    from esnera_hf.evidence import EvidenceSettings
    from esnera_hf.exporting import export
    from esnera_hf.final import FinalSettings
    from esnera_hf.inspection import inspect
    from esnera_hf.labels import LabelRef
    from esnera_hf.levels import view
    from esnera_hf.modeling import Tagger, TaggerTrainingArguments
    from esnera_hf.result import MergeResult
    from esnera_hf.screening import screen
    from esnera_hf.settings import AlignSettings
    from esnera_hf.similarity import SimilarityMatrix
    from esnera_hf.single import train_tagger
    from esnera_hf.sources import NerSource, ReadingOptions, load_source
    from esnera_hf.strict_ner import StrictNer
    from esnera_hf.tagging import Entity

__version__ = "0.1.0"

_HOMES = {
    "AlignSettings": "settings",
    "Entity": "tagging",
    "EsneraError": "errors",
    "EvidenceSettings": "evidence",
    "FinalSettings": "final",
    "LabelMapping": "alignment",
    "LabelRef": "labels",
    "MergeResult": "result",
    "NerSource": "sources",
    "ReadingOptions": "sources",
    "SchemaSettings": "alignment",
    "SearchSettings": "alignment",
    "SimilarityMatrix": "similarity",
    "StrictNer": "strict_ner",
    "Tagger": "modeling",
    "TaggerTrainingArguments": "modeling",
    "align": "api",
    "apply": "api",
    "compare_mappings": "alignment",
    "export": "exporting",
    "find_duplicates": "duplicates",
    "inspect": "inspection",
    "load_source": "sources",
    "screen": "screening",
    "train_tagger": "single",
    "view": "levels",
}

__all__ = [
    "AlignSettings",
    "Entity",
    "EsneraError",
    "EvidenceSettings",
    "FinalSettings",
    "LabelMapping",
    "LabelRef",
    "MergeResult",
    "NerSource",
    "ReadingOptions",
    "SchemaSettings",
    "SearchSettings",
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
    "screen",
    "train_tagger",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'esnera_hf' has no attribute {name!r}")
    return getattr(import_module(f"esnera_hf.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
