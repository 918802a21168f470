"""spaCy's DocBin (``.spacy``), read by spaCy itself: https://spacy.io/api/docbin."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, column_name
from esnera_hf.sources.readers.label_studio import SENTENCE_ID
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

SUFFIX = ".spacy"
MISSING = "tokens whose annotation is missing, read as outside every entity"
#: Bytes; more is a mistake or a bomb. spaCy holds all of it in memory.
_LARGEST = 4 << 30
#: What spaCy raises of a file that is none of its own, or damaged.
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, AssertionError)


class DocBinFile:
    """A DocBin, read from its beginning each time it is called.

    Sentences are those that the documents mark, else whole documents. Entities are ``doc.ents``;
    ``tag_column`` names a group of ``doc.spans`` instead.
    """

    def __init__(self, path: Path, options: ReadingOptions) -> None:
        self.path = path
        self._group = column_name(options, "tag_column", f"the groups of spans in {path.name}", "sc")

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: spaCy is not installed, cannot read the file, or only groups of spans are annotated.
        """
        docs = self._docs()
        groups = sorted({name for doc in docs for name, spans in doc.spans.items() if len(spans)})
        if self._group is None and groups and not any(doc.ents for doc in docs):
            raise SourceError(
                f"{self.path}: doc.ents are empty, and these groups of doc.spans are not: "
                f"{', '.join(map(shown, groups))}. Name the one that holds the entities: tag_column=."
            )
        if self._group is not None and self._group not in groups:
            raise SourceError(
                f"{self.path}: no group of doc.spans is called {self._group!r}: expected one of "
                f"{', '.join(groups) or 'none'}."
            )
        for number, doc in enumerate(docs):
            yield from self._sentences(doc, f"{self.path.name}, document {number}")

    def _sentences(self, doc: Any, where: str) -> Iterator[RawSentence]:
        if self._group is not None:
            spans = [Entity(span.start, span.end, span.label_) for span in doc.spans.get(self._group, ())]
            annotated = complete = True
        else:
            spans = [Entity(span.start, span.end, span.label_) for span in doc.ents]
            # A sentence of our export in which nothing is known to be annotated is not one that nobody annotated.
            annotated = doc.has_annotation("ENT_IOB") or SENTENCE_ID in doc.user_data
            complete = doc.has_annotation("ENT_IOB", require_complete=True)
        inside = {token for span in spans for token in range(span.start + 1, span.end)}
        marked = doc.has_annotation("SENT_START")
        starts = [token.i for token in doc if marked and token.is_sent_start and token.i not in inside]
        edges = [0, *(start for start in starts if start), len(doc)]
        for first, last in pairwise(edges):
            # Tokens of nothing but white space keep spaCy's text whole, and are no words.
            visible = [token for token in range(first, last) if doc[token].text.strip()]
            places = {token: place for place, token in enumerate(visible)}
            entities = []
            for span in (span for span in spans if first <= span.start < last):
                if own := [places[token] for token in range(span.start, span.end) if token in places]:
                    entities.append(Entity(own[0], own[-1] + 1, span.label))
            if visible:
                tokens = [doc[token].text for token in visible]
                repairs = [MISSING] * (annotated and not complete)
                yield RawSentence(tokens, entities if annotated else None, where, repairs)

    def _docs(self) -> list[Any]:
        try:
            from spacy.tokens import DocBin
            from spacy.vocab import Vocab
        except ImportError:
            raise SourceError(
                f"{self.path}: spaCy reads its own format, and is not installed. Run pip install 'esnera-hf[spacy]'."
            ) from None
        content = self.path.read_bytes()
        unpacker, size = zlib.decompressobj(), 0
        try:
            pending = content
            while pending and size <= _LARGEST:
                size += len(unpacker.decompress(pending, 1 << 20))
                pending = unpacker.unconsumed_tail
            if size > _LARGEST:
                raise SourceError(f"{self.path}: would unpack to more than {_LARGEST >> 30} GiB. Part it.")
            return list(DocBin().from_bytes(content).get_docs(Vocab()))
        except (zlib.error, *_DAMAGE) as error:
            raise SourceError(
                f"{self.path}: spaCy cannot read it as a DocBin: {shown(str(error))}. Write it anew with "
                "DocBin().to_disk()."
            ) from error
