"""BioC, the exchange format of biomedical corpora, as XML and as JSON.

http://bioc.sourceforge.net; https://www.ncbi.nlm.nih.gov/research/bionlp/APIs/BioC-PubMed/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, column_name
from esnera_hf.sources.readers.records import Record, RecordReader
from esnera_hf.sources.readers.text import check_characters, open_file, read_lines

_CHUNK = 1 << 16
#: BioC nests seven deep; more is an attack on what walks the tree.
_DEEPEST = 50
_TYPE = "type"


def bioc_reader(path: Path, options: ReadingOptions) -> RecordReader:
    """Return a reader of a BioC file: each passage, or each sentence where they are marked, is one.

    The type of an annotation is its infon ``type``, or the one that ``tag_column`` names.
    """
    column_name(options, "tag_column", f"the infons of BioC ({path.name})")
    return RecordReader(partial(_records, path, options), path, options)


def _records(path: Path, options: ReadingOptions) -> Iterator[Record]:
    with open_file(path) as stream:
        is_xml = stream.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    for number, document in enumerate(_xml_documents(path) if is_xml else _json_documents(path)):
        name = str(document.get("id") or document.get("_id") or "")
        where = f"{path}, document {name or number}"
        if not name and options.format != "bioc":
            raise SourceError(
                f"{where}: a document without an id, which BioC asks for. Is it BioC? Then pass format='bioc'."
            )
        units = [
            (unit, f"{where}, passage {place}")
            for place, passage in enumerate(_objects(document, "passages", where))
            for unit in _units(passage, where)
        ]
        anew = _counts_anew(units)
        for unit, at in units:
            if isinstance(unit.get("text"), str) and unit["text"].strip():
                start = 0 if anew else _number(unit, "offset", at)
                spans = [
                    _span(annotation, start, str(options.tag_column or _TYPE), at)
                    for annotation in _objects(unit, "annotations", at)
                ]
                yield {"text": unit["text"], "spans": spans}, at, False


def _counts_anew(units: list[tuple[Mapping[str, Any], str]]) -> bool:
    """Tell whether offsets begin anew in every passage, as some programs count, rather than in the document."""
    held = {True: True, False: True}
    for unit, where in units:
        text, start = str(unit.get("text", "")), _number(unit, "offset", where)
        for annotation in _objects(unit, "annotations", where):
            mention = annotation.get("text")
            for offset, length in _locations(annotation, where):
                if offset < start:
                    return True
                for anew, first in ((True, offset), (False, offset - start)):
                    held[anew] &= not isinstance(mention, str) or text[first : first + length] == mention
    return held[True] and not held[False]


def _units(passage: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """Return a passage with the annotations of its sentences, or its sentences where only they have the text."""
    sentences = list(_objects(passage, "sentences", where))
    if not isinstance(passage.get("text"), str) and sentences:
        return sentences
    inner = [annotation for one in sentences for annotation in _objects(one, "annotations", where)]
    return [{**passage, "annotations": [*_objects(passage, "annotations", where), *inner]}]


def _span(annotation: Mapping[str, Any], start: int, key: str, where: str) -> dict[str, Any]:
    infons = annotation.get("infons")
    infons = infons if isinstance(infons, Mapping) else {}
    label = infons.get(key)
    if not isinstance(label, str) or not label.strip():
        raise SourceError(
            f"{where}: an annotation without the infon {key!r}, which holds its type; it has "
            f"{', '.join(map(str, infons))[:200] or 'none'}. Name the one that does: tag_column=."
        )
    parts = sorted(
        (offset - start, offset - start + length) for offset, length in _locations(annotation, where)
    )
    offsets = {"offsets": [list(part) for part in parts]} if len(parts) > 1 else {}
    return {
        "start": parts[0][0],
        "end": max(end for _, end in parts),
        "label": label,
        "text": annotation.get("text"),
        **offsets,
    }


def _locations(annotation: Mapping[str, Any], where: str) -> list[tuple[int, int]]:
    places = [
        (_number(place, "offset", where), _number(place, "length", where))
        for place in _objects(annotation, "locations", where)
    ]
    if not places:
        raise SourceError(f"{where}: an annotation without a location. Leave it out, or say where it is.")
    return places


def _number(value: Mapping[str, Any], key: str, where: str) -> int:
    number = str(value.get(key, "")).strip()
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise SourceError(f"{where}: expected a number as {key!r}, found {str(value.get(key))!r:.60}.")
    return int(number)


def _objects(value: Mapping[str, Any], key: str, where: str) -> Iterator[Mapping[str, Any]]:
    entries = value.get(key) or ()
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SourceError(f"{where}: expected a list of objects as {key!r}, found {entries!r:.80}.")
    yield from entries


def _json_documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a file that is one collection, one list, or a document or collection a line."""
    lines = [text for _, text, _ in read_lines(path) if text.strip()]
    try:
        values = [json.loads("\n".join(lines))]
    except (ValueError, RecursionError):
        try:
            values = [json.loads(line) for line in lines]
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{path}: expected one JSON value, or one in every line ({error}).") from None
    if any("\\u" in line for line in lines):
        check_characters(json.dumps(values, ensure_ascii=False), str(path))
    for value in values:
        yield from _documents(value, path)


def _documents(value: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping) and "passages" in value:
        yield value
        return
    lists = (
        [one for one in value.values() if isinstance(one, list)] if isinstance(value, Mapping) else [value]
    )
    if not lists or not all(isinstance(one, list) for one in lists):
        raise SourceError(f"{path}: expected documents with passages, found {value!r:.80}.")
    for document in lists[0]:
        if not isinstance(document, Mapping) or "passages" not in document:
            raise SourceError(f"{path}: expected a document with passages, found {document!r:.80}.")
        yield document


def _xml_documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield documents while the file is read; nothing outside of it is, and no entities are declared in it."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth, ended = 0, []

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise SourceError(
                f"{path}, line {parser.CurrentLineNumber}: elements nested {depth} deep, expected at most {_DEEPEST}."
            )
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        element = builder.end(name)
        if name == "document":
            ended.append(element)

    def refuse_entity(name: str, *_: Any) -> NoReturn:
        raise SourceError(
            f"{path}, line {parser.CurrentLineNumber}: declares the entity {name!r}, which BioC has no use for and "
            "attacks have. Do not trust it."
        )

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse_entity
    with open_file(path) as stream:
        try:
            while chunk := stream.read(_CHUNK):
                parser.Parse(chunk, False)
                for element in ended:
                    yield _plain(element)
                    element.clear()
                ended.clear()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise SourceError(f"{path}: the XML is damaged: {error}. Fetch it again.") from None


def _plain(element: Element) -> dict[str, Any]:
    """Return a document, passage, sentence or annotation of BioC in XML as it is in JSON."""
    plain: dict[str, Any] = {"infons": {}}
    for child in element:
        if child.tag == "infon":
            plain["infons"][child.get("key", "")] = child.text or ""
        elif child.tag in ("passage", "sentence", "annotation"):
            plain.setdefault(f"{child.tag}s", []).append(_plain(child))
        elif child.tag == "location":
            plain.setdefault("locations", []).append(dict(child.attrib))
        elif child.tag in ("id", "offset", "text"):
            plain[child.tag] = child.text or ""
    return plain
