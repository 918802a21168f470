"""Find which labels of several NER datasets mean the same and merge them into one ``DatasetDict``.

Goes on from ESNERA (arXiv 2508.06877). ``align`` does all of it. The packages hold the steps, in the order of the
method: ``sources``, ``modeling``, ``taggers``, ``similarity``, ``alignment``, ``merging``, ``evaluation``,
``report``, ``hub``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esnera_hf.alignment.constraints import SchemaSettings as SchemaSettings
    from esnera_hf.alignment.mapping import LabelMapping as LabelMapping
    from esnera_hf.alignment.search import GreedySettings as GreedySettings
    from esnera_hf.api import align as align
    from esnera_hf.api import apply as apply
    from esnera_hf.errors import EsneraError as EsneraError
    from esnera_hf.evaluation.label_errors import find_label_errors as find_label_errors
    from esnera_hf.evaluation.merged_tagger import OutputSettings as OutputSettings
    from esnera_hf.hub.evidence import Evidence as Evidence
    from esnera_hf.modeling.tagger import Tagger as Tagger
    from esnera_hf.result import MergeResult as MergeResult
    from esnera_hf.settings import AlignSettings as AlignSettings
    from esnera_hf.similarity.evidence import EvidenceSettings as EvidenceSettings
    from esnera_hf.sources.duplicates import find_duplicates as find_duplicates
    from esnera_hf.sources.inspect import inspect as inspect
    from esnera_hf.sources.load import load_source as load_source
    from esnera_hf.sources.options import ReadingOptions as ReadingOptions
    from esnera_hf.sources.source import NerSource as NerSource
    from esnera_hf.taggers.settings import TaggerSettings as TaggerSettings
    from esnera_hf.taggers.train import train_tagger as train_tagger

__version__ = "0.1.0"

#: The module of each name, which is imported when the name is first used: torch and datasets take seconds.
_HOMES = {
    "AlignSettings": "settings",
    "EsneraError": "errors",
    "Evidence": "hub.evidence",
    "EvidenceSettings": "similarity.evidence",
    "GreedySettings": "alignment.search",
    "LabelMapping": "alignment.mapping",
    "MergeResult": "result",
    "NerSource": "sources.source",
    "OutputSettings": "evaluation.merged_tagger",
    "ReadingOptions": "sources.options",
    "SchemaSettings": "alignment.constraints",
    "Tagger": "modeling.tagger",
    "TaggerSettings": "taggers.settings",
    "align": "api",
    "apply": "api",
    "find_duplicates": "sources.duplicates",
    "find_label_errors": "evaluation.label_errors",
    "inspect": "sources.inspect",
    "load_source": "sources.load",
    "train_tagger": "taggers.train",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'esnera_hf' has no attribute {name!r}")
    return getattr(import_module(f"esnera_hf.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
