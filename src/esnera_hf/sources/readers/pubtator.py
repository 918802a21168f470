"""PubTator: title and abstract of each document in one line each, then its annotations, a line each.

https://www.ncbi.nlm.nih.gov/CBBresearch/Lu/Demo/PubTator/tutorial/index.html#Format
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from esnera_hf._internal.text import shown
from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.readers.records import Record, RecordReader
from esnera_hf.sources.readers.text import read_lines

_TEXT_LINE = re.compile(r"([^|\s]{1,100})\|([ta])\|(.*)", re.DOTALL)
#: Of MedMentions, whose concepts may be of several types of UMLS: ``T116,T123``.
_TYPES = re.compile(r"(?:T\d{3}|UnknownType)(?:,(?:T\d{3}|UnknownType))+")
_OFFSET = re.compile(r"\d{1,18}")


def is_pubtator_file(lines: list[str]) -> bool:
    """Tell a file of PubTator from its first lines that are not blank."""
    title = _TEXT_LINE.fullmatch(lines[0]) if lines else None
    if title is None or title.group(2) != "t":
        return False
    return (
        len(lines) < 2 or lines[1].startswith(f"{title.group(1)}\t") or bool(_TEXT_LINE.fullmatch(lines[1]))
    )


def pubtator_reader(path: Path, options: ReadingOptions) -> RecordReader:
    """Return a reader of a file of PubTator; titles and abstracts are sentences, relations are passed over."""
    return RecordReader(partial(_records, path), path, options)


def _records(path: Path) -> Iterator[Record]:
    texts: dict[str, tuple[str, str, bool]] = {}
    spans: list[dict[str, Any]] = []
    document = ""
    for number, line, damaged in read_lines(path):
        where = f"{path}, line {number}"
        passage = _TEXT_LINE.fullmatch(line)
        if not line.strip() or (passage and (passage.group(1) != document or passage.group(2) in texts)):
            yield from _document(texts, spans)
            texts, spans = {}, []
        if passage:
            document, kind, text = passage.groups()
            if spans:
                raise SourceError(f"{where}: expected the text of {document} before its annotations.")
            texts[kind] = (text, where, damaged)
        elif line.strip():
            spans += _span(line.split("\t"), document if texts else "", where)
    yield from _document(texts, spans)


def _span(cells: list[str], document: str, where: str) -> list[dict[str, Any]]:
    # Of a relation, the second cell is its type: ``123 <TAB> CID <TAB> D1 <TAB> D2``.
    is_relation = len(cells) >= 4 and not _OFFSET.fullmatch(cells[1]) and not _OFFSET.fullmatch(cells[2])
    if cells[0] == document and document and is_relation:
        return []
    numbers = all(map(_OFFSET.fullmatch, cells[1:3]))
    if cells[0] != document or not document or len(cells) < 5 or not numbers or not cells[4].strip():
        raise SourceError(
            f"{where}: expected a document's text 'ID|t|…' and 'ID|a|…' and then, with that ID, 'ID<TAB>START<TAB>"
            f"END<TAB>mention<TAB>TYPE', found {shown(chr(9).join(cells)[:60])}."
        )
    labels = cells[4].split(",") if _TYPES.fullmatch(cells[4]) else [cells[4]]
    return [{"start": int(cells[1]), "end": int(cells[2]), "text": cells[3], "labels": labels}]


def _document(texts: dict[str, tuple[str, str, bool]], spans: list[dict[str, Any]]) -> Iterator[Record]:
    """Yield title and abstract, or both as one text where a mention or the way of counting runs across."""
    passages = list(texts.values())
    if not passages:
        return
    # Offsets go on from the title, one for the line end, in whatever unit they count.
    size = len(passages[0][0]) + 1
    across = any(span["start"] < size <= span["end"] for span in spans)
    if len(passages) == 1 or across or not passages[0][0].isascii():
        text = "\n".join(text for text, _, _ in passages)
        yield {"text": text, "spans": spans}, passages[0][1], any(damaged for _, _, damaged in passages)
        return
    (title, abstract) = passages
    within = [span for span in spans if span["end"] < size]
    behind = [
        {**span, "start": span["start"] - size, "end": span["end"] - size}
        for span in spans
        if span["end"] >= size
    ]
    yield {"text": title[0], "spans": within}, title[1], title[2]
    yield {"text": abstract[0], "spans": behind}, abstract[1], abstract[2]
