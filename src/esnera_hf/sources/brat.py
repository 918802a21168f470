"""brat standoff: a ``.txt`` with the text and an ``.ann`` with its annotation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from esnera_hf.errors import SourceError
from esnera_hf.sources.offsets import CharacterSpans, to_tokens, written_without_spaces
from esnera_hf.sources.records import DISCONTINUOUS
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import read_lines
from esnera_hf.tagging import Entity

_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?", re.DOTALL)


def read_brat(files: list[Path]) -> Iterator[RawSentence]:
    """Yield the lines of brat documents that hold text, each a sentence.

    Only entity lines (``T``) are read. A discontinuous span becomes one from its
    first to its last character, and is counted.

    Args:
        files: the ``.ann`` files; each has its ``.txt`` beside it.

    Raises:
        SourceError: a text is missing, or an annotation cannot be right.
    """
    documents = [_read_document(file) for file in sorted(files)]
    characters = written_without_spaces(text for text, _ in documents)
    for file, (text, entities) in zip(sorted(files), documents, strict=True):
        for record in _lines(file, text, entities):
            sentence = to_tokens(record, characters=characters)
            if sentence is not None:
                yield sentence


def _read_document(file: Path) -> tuple[str, list[tuple[Entity, bool]]]:
    text_file = file.with_suffix(".txt")
    if not text_file.exists():
        raise SourceError(f"{file}: no {text_file.name} beside it. brat keeps the text there.")
    text = text_file.read_bytes().decode("utf-8", errors="replace")
    entities = []
    if file.stat().st_size:
        for line in read_lines(file):
            if line.text.startswith("T"):
                entities.append(_read_entity(line.text, text, f"{file}, line {line.number}"))
    return text, entities


def _read_entity(line: str, text: str, place: str) -> tuple[Entity, bool]:
    match = _ENTITY.fullmatch(line)
    if match is None:
        raise SourceError(f"{place}: expected 'T1<TAB>LABEL START END<TAB>mention', found {line[:60]!r}.")
    label, offsets, mention = match.groups()
    parts = [tuple(map(int, part.split())) for part in offsets.split(";")]
    start, end = parts[0][0], parts[-1][1]
    if not 0 <= start < end <= len(text):
        raise SourceError(f"{place}: [{start}, {end}) lies outside the text of {len(text)} characters.")
    if len(parts) == 1 and mention is not None and text[start:end].split() != mention.split():
        raise SourceError(f"{place}: offsets hold {text[start:end]!r}, expected {mention!r}.")
    return Entity(start, end, label), len(parts) > 1


def _lines(file: Path, text: str, entities: list[tuple[Entity, bool]]) -> Iterator[CharacterSpans]:
    pieces = [(m.start(), m.end()) for m in re.finditer(r"[^\n]*\n?", text) if m.group()]
    for number, (start, end) in enumerate(_joined(pieces, entities), 1):
        inside = [(span, broken) for span, broken in entities if start <= span.start < end]
        spans = [Entity(span.start - start, span.end - start, span.label) for span, _ in inside]
        repairs = [DISCONTINUOUS] * sum(broken for _, broken in inside)
        yield CharacterSpans(text[start:end], spans, f"{file.stem}.txt, line {number}", repairs)


def _joined(pieces: list[tuple[int, int]], entities: list[tuple[Entity, bool]]) -> Iterator[tuple[int, int]]:
    """Join lines that an annotation runs across."""
    spans = [span for span, _ in entities]
    start = 0
    for _, end in pieces:
        if any(span.start < end < span.end for span in spans):
            continue
        yield start, end
        start = end
