"""JSON and JSON lines: one record a line, or one list of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.offsets import CharacterSpans, to_tokens, written_without_spaces
from esnera_hf.sources.records import TAG_KEYS, read_record
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.tagging import Scheme, detect_scheme

_SNIFFED = 500


def read_json(
    path: Path, *, scheme: Scheme | None = None, characters: bool | None = None
) -> Iterator[RawSentence]:
    """Yield the sentences of a JSON or JSON lines file.

    The shape of the records is told from each of them
    (:mod:`esnera_hf.sources.records`). Texts are cut into characters where the
    script is written without spaces, into words elsewhere.

    Args:
        path: the file.
        scheme: of string tags; told from the file if not given.
        characters: cut texts into characters or words; told from the script if
            not given.

    Raises:
        SourceError: the file is not JSON, or a record cannot be read; file and
            line (or index in the list) are named.
    """
    if scheme is None:
        scheme = _detect_scheme(path)
    read = partial(read_record, scheme=scheme)
    if characters is None:
        sample = (read(record, where) for record, where, _ in islice(_records(path), _SNIFFED))
        characters = written_without_spaces(r.text for r in sample if isinstance(r, CharacterSpans))
    for record, where, damaged in _records(path):
        found = read(record, where)
        sentence = found if isinstance(found, RawSentence) else to_tokens(found, characters=characters)
        if sentence is not None and sentence.tokens:
            sentence.repairs.extend([UNDECODABLE] * damaged)
            yield sentence


def _detect_scheme(path: Path) -> Scheme:
    rows = (record for record, _, _ in _records(path) if isinstance(record, dict))
    return detect_scheme(
        row[key]
        for row in rows
        for key in TAG_KEYS
        if isinstance(row.get(key), list) and row[key] and all(isinstance(tag, str) for tag in row[key])
    )


def _records(path: Path) -> Iterator[tuple[Any, str, bool]]:
    lines = (line for line in read_lines(path) if line.text.strip())
    first = next(lines, None)
    if first is None:
        raise SourceError(f"{path}: nothing but blank lines. Expected JSON records.")
    whole = _try_parse(first.text)
    if not isinstance(whole, dict) and not _is_spacy_line(whole):
        yield from _list_records(path)
        return
    yield whole, f"{path.name}, line {first.number}", first.damaged
    for line in lines:
        record = _try_parse(line.text)
        if record is None:
            raise SourceError(
                f"{path}, line {line.number}: expected a JSON record, found {line.text[:60]!r}."
            )
        yield record, f"{path.name}, line {line.number}", line.damaged


def _list_records(path: Path) -> Iterator[tuple[Any, str, bool]]:
    lines = list(read_lines(path))
    try:
        data = json.loads("\n".join(line.text for line in lines))
    except ValueError as error:
        raise SourceError(f"{path}: neither JSON lines nor one JSON list: {error}.") from None
    damaged = any(line.damaged for line in lines)
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{path}: expected a list of records, found {type(data).__name__}.")
    for index, record in enumerate(data):
        yield record, f"{path.name}, record {index}", damaged and index == 0


def _try_parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_spacy_line(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
