"""Any NER corpus in, one canonical form out."""

from __future__ import annotations

from esnera_hf.sources.catalogue import NAMED_SOURCES
from esnera_hf.sources.load import load_source, load_sources
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.source import AnnotatedSentence, License, NerSource, Provenance

__all__ = [
    "NAMED_SOURCES",
    "AnnotatedSentence",
    "License",
    "NerSource",
    "Provenance",
    "ReadingOptions",
    "load_source",
    "load_sources",
]
