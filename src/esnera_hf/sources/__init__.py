"""Any NER corpus in, one canonical form out."""

from __future__ import annotations

from esnera_hf.sources.catalogue import NAMED_SOURCES, HubCopy, NamedSource
from esnera_hf.sources.load import (
    SourceLike,
    check_names,
    check_sentences,
    load_all,
    load_each,
    load_one,
    load_source,
)
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import (
    AnnotatedSentence,
    Dropped,
    License,
    NerSource,
    Provenance,
    SourceSummary,
)

__all__ = [
    "NAMED_SOURCES",
    "AnnotatedSentence",
    "Dropped",
    "HubCopy",
    "License",
    "NamedSource",
    "NerSource",
    "Provenance",
    "ReadingOptions",
    "SourceLike",
    "SourceSummary",
    "check_names",
    "check_sentences",
    "load_all",
    "load_each",
    "load_one",
    "load_source",
]
