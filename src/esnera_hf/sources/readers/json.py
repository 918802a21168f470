"""JSON and JSON lines files of records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.options import ReadingOptions, TagNames
from esnera_hf.sources.readers.records import TAG_KEYS, Record, RecordReader, with_tag_names
from esnera_hf.sources.readers.text import read_lines

#: JSON can write half of a character beyond the BMP as an escape, which no file and no Arrow column can hold.
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def json_reader(path: Path, options: ReadingOptions | None = None) -> RecordReader:
    """Return a reader of a JSON or JSON lines file."""
    options = options or ReadingOptions()
    column = options.tag_column
    if isinstance(column, int):
        raise ConfigurationError(
            f"tag_column={column}: the records of {path.name} have names, not numbers. Give the name."
        )
    keys = TAG_KEYS if column is None else (column,)
    records = partial(_named_records, path, keys, options.tag_names)
    return RecordReader(records, str(path), options, keys, folder=str(path)[: -len(path.name)])


def _named_records(path: Path, keys: Sequence[str], names: TagNames | None) -> Iterator[Record]:
    for value, where, damaged in _records(path):
        if keys is not TAG_KEYS and not (isinstance(value, dict) and isinstance(value.get(keys[0]), list)):
            present = ", ".join(map(str, value))[:200] if isinstance(value, dict) else "none"
            raise SourceError(
                f"{where}: no list of tags {keys[0]!r}, which tag_column= names; found the keys {present}. "
                "Name one of them."
            )
        yield value if names is None else with_tag_names(value, names, where, keys), where, damaged


def _records(path: Path) -> Iterator[Record]:
    lines = (line for line in read_lines(path) if line[1].strip())
    first = next(lines, None)
    if first is None:
        raise SourceError(f"{path}: nothing but blank lines. Expected JSON records.")
    if _is_record(first[1]):
        for number, text, damaged in chain([first], lines):
            where = f"{path}, line {number}"
            yield _parsed(text, where), where, damaged
        return
    _, texts, damages = zip(*read_lines(path), strict=True)
    data = _parsed("\n".join(texts), f"{path}: neither JSON lines nor one JSON value")
    if isinstance(data, dict):  # around the records, with the version of a corpus and the like
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{path}: expected a list of records, found {type(data).__name__}.")
    for index, record in enumerate(data):
        yield record, f"{path}, record {index}", any(damages) and index == 0


def _parsed(text: str, place: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: expected a JSON record, found {text[:60]!r} ({error}).") from None
    if "\\u" in text and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise SourceError(f"{place}: half of a surrogate pair is no character. Mend the \\u escapes.")
    return value


def _is_record(text: str) -> bool:
    """Tell whether a line is a whole record: an object, or spaCy's text and annotation."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    )
