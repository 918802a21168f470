"""Any NER corpus in, one canonical form out."""

from esnera_hf.sources.load import load_source
from esnera_hf.sources.named import NAMED_SOURCES, HubCopy, NamedSource
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.sentence import Dropped
from esnera_hf.sources.several import SourceLike, check_names, check_sentences, load_all, load_each, load_one
from esnera_hf.sources.source import AnnotatedSentence, Licence, NerSource, Provenance, SourceSummary

__all__ = [
    "NAMED_SOURCES",
    "AnnotatedSentence",
    "Dropped",
    "HubCopy",
    "Licence",
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
