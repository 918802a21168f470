"""brat standoff: a ``.txt`` with the text and an ``.ann`` with its annotation."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.readers.offsets import to_tokens, written_without_spaces
from esnera_hf.sources.readers.spans import DISCONTINUOUS
from esnera_hf.sources.readers.text import UNDECODABLE, read_lines
from esnera_hf.sources.source import RawSentence
from esnera_hf.tagging import Entity

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
#: Offsets of at most 18 digits: Python refuses to convert thousands, and no text is that long.
_ENTITY = re.compile(r"T\S*\t(\S+) (\d{1,18} \d{1,18}(?:;\d{1,18} \d{1,18})*)(?:\t(.*))?", re.DOTALL)


def read_brat(files: list[Path]) -> Iterator[RawSentence]:
    """Yield the lines of brat documents that hold text, each a sentence; beside each ``.ann`` lies its ``.txt``.

    Only entity lines (``T``) are read. A discontinuous span becomes one from its
    first to its last character, and is counted.

    Raises:
        SourceError: a text is missing, or an annotation cannot be right.
    """
    documents = [(file.with_suffix(".txt").name, *_read_document(file)) for file in sorted(files)]
    characters = written_without_spaces(text for _, text, _, _ in documents)
    for name, text, entities, damaged in documents:
        for record in _lines(name, text, entities):
            sentence = to_tokens(record, characters=characters)
            if sentence.tokens:
                sentence.repairs.extend([UNDECODABLE] * (damaged and "\ufffd" in record.text))
                yield sentence


def _read_document(file: Path) -> tuple[str, list[Entity], bool]:
    """Return the text of a document, its entities by their start, and whether bytes of it were not UTF-8."""
    text_file = file.with_suffix(".txt")
    if not text_file.exists():
        raise SourceError(f"{file}: no {text_file.name} beside it, where brat keeps the text. Put it there.")
    raw = text_file.read_bytes()
    text = raw.decode("utf-8", errors="replace")
    entities = []
    if file.stat().st_size:
        for number, line, _ in read_lines(file):
            if line.startswith("T"):
                entities.append(_read_entity(line, text, f"{file}, line {number}"))
    return text, sorted(entities, key=lambda entity: entity.start), text.encode() != raw


def _read_entity(line: str, text: str, place: str) -> Entity:
    match = _ENTITY.fullmatch(line)
    if match is None:
        raise SourceError(f"{place}: expected 'T1<TAB>LABEL START END<TAB>mention', found {line[:60]!r}.")
    label, offsets, mention = match.groups()
    parts = [tuple(map(int, part.split())) for part in offsets.split(";")]
    start, end = parts[0][0], parts[-1][1]
    if not 0 <= start < end <= len(text):
        raise SourceError(
            f"{place}: [{start}, {end}) lies outside the text of {len(text)} characters. Mend the offsets."
        )
    if len(parts) == 1 and mention is not None and text[start:end].split() != mention.split():
        raise SourceError(f"{place}: offsets hold {shown(text[start:end])}, expected {shown(mention)}.")
    return Entity(start, end, label, discontinuous=len(parts) > 1)


def _lines(name: str, text: str, entities: list[Entity]) -> Iterator[RawSentence]:
    for number, start, end in _joined(text, entities):
        # The entities of all lines, walked once for each, would take the square of a document's length.
        first, last = (bisect_left(entities, place, key=lambda e: e.start) for place in (start, end))
        inside = entities[first:last]
        line = text[start:end].rstrip("\r\n")
        if inside or line.strip():
            spans = [replace(span, start=span.start - start, end=span.end - start) for span in inside]
            repairs = [DISCONTINUOUS] * sum(span.discontinuous for span in inside)
            yield RawSentence([], spans, f"{name}, line {number}", repairs, line)


def _joined(text: str, entities: list[Entity]) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each line, those joined that an annotation runs across."""
    start, first = 0, 1
    seen = reach = 0
    for number, line in enumerate(_LINE.finditer(text), 1):
        end = line.end()
        while seen < len(entities) and entities[seen].start < end:
            reach = max(reach, entities[seen].end)
            seen += 1
        if reach > end:
            continue
        yield first, start, end
        start, first = end, number + 1
