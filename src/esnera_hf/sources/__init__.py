"""Any NER corpus in, one canonical form out."""

from esnera_hf.sources.load import ReadingOptions, check_names, load_source
from esnera_hf.sources.named import NAMED_SOURCES, NamedSource
from esnera_hf.sources.sentence import Dropped
from esnera_hf.sources.source import AnnotatedSentence, Licence, NerSource, SourceSummary

__all__ = [
    "NAMED_SOURCES",
    "AnnotatedSentence",
    "Dropped",
    "Licence",
    "NamedSource",
    "NerSource",
    "ReadingOptions",
    "SourceSummary",
    "check_names",
    "load_source",
]
