"""JSON and JSON lines files of records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from esnera_hf.errors import SourceError
from esnera_hf.sources.options import ReadingOptions, TagNames, column_name
from esnera_hf.sources.readers.records import (
    TAG_KEYS,
    TEXT_KEYS,
    TOKEN_KEYS,
    Record,
    RecordReader,
    with_tag_names,
)
from esnera_hf.sources.readers.text import check_characters, read_lines


def json_reader(path: Path, options: ReadingOptions | None = None) -> RecordReader:
    """Return a reader of a JSON or JSON lines file."""
    return records_reader(partial(json_records, path), path, options or ReadingOptions())


def records_reader(
    records: Callable[[], Iterator[Record]], place: str | Path, options: ReadingOptions
) -> RecordReader:
    """Return a reader of parsed records, whose keys the options name if they are not the usual ones.

    Raises:
        ConfigurationError: a key is given as a number.
    """
    whose = f"the records of {place.name if isinstance(place, Path) else place}"
    tags = column_name(options, "tag_column", whose)
    tokens = column_name(options, "token_column", whose)
    keys = TAG_KEYS if tags is None else (tags,)
    return RecordReader(
        partial(_named_records, records, keys, tokens, options.tag_names), place, options, keys
    )


def _named_records(
    records: Callable[[], Iterator[Record]],
    keys: Sequence[str],
    tokens: str | None,
    names: TagNames | None,
) -> Iterator[Record]:
    for value, where, damaged in records():
        if tokens is not None:
            value = _with_tokens(value, tokens, where)
        if keys is not TAG_KEYS and not (isinstance(value, Mapping) and isinstance(value.get(keys[0]), list)):
            raise _no_key(value, f"list of tags {keys[0]!r}, which tag_column= names", where)
        yield value if names is None else with_tag_names(value, names, where, keys), where, damaged


def _with_tokens(value: Any, key: str, where: str) -> dict[str, Any]:
    """Return a record with its tokens, or its text, under a usual key."""
    words = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(words, (str, list)):
        raise _no_key(value, f"list of tokens and no text {key!r}, which token_column= names", where)
    usual = TEXT_KEYS if isinstance(words, str) else (*TOKEN_KEYS, key)
    others = {name: value for name, value in value.items() if name not in usual}
    return {(TEXT_KEYS if isinstance(words, str) else TOKEN_KEYS)[0]: words, **others}


def _no_key(value: Any, missing: str, where: str) -> SourceError:
    present = ", ".join(map(str, value))[:200] if isinstance(value, Mapping) else "none"
    return SourceError(f"{where}: no {missing}; found the keys {present}. Name one of them.")


def json_records(path: Path) -> Iterator[Record]:
    """Yield the records of a JSON or JSON lines file, each with its place and whether bytes of it were not UTF-8.

    Raises:
        SourceError: the file holds no records.
    """
    lines = (line for line in read_lines(path) if line[1].strip())
    first, second = next(lines, None), next(lines, None)
    if first is None:
        raise SourceError(f"{path}: nothing but blank lines. Expected JSON records.")
    if second is not None and _is_record(first[1]):
        for number, text, damaged in chain([first, second], lines):
            where = f"{path}, line {number}"
            yield _parsed(text, where), where, damaged
        return
    _, texts, damages = zip(*read_lines(path), strict=True)
    data = _parsed("\n".join(texts), f"{path}: neither JSON lines nor one JSON value")
    records = [data] if second is None and _is_pair(data) else data
    if isinstance(data, dict):
        records = _wrapped(data, path)
    if not isinstance(records, list):
        raise SourceError(f"{path}: expected a list of records, found {type(data).__name__}.")
    for index, record in enumerate(records):
        where = f"{path}, line {first[0]}" if second is None and record is data else f"{path}, record {index}"
        if record is not None:  # annotators leave empty entries
            yield record, where, any(damages) and index == 0


def _wrapped(data: dict[str, Any], path: Path) -> list[Any]:
    """Return the records of an object around them, with the version of a corpus and the like, or itself as one."""
    lists = {key: value for key, value in data.items() if isinstance(value, list) and _holds_records(value)}
    if (
        any(isinstance(data.get(key), str) for key in TEXT_KEYS)
        or data.keys() & set(TOKEN_KEYS)
        or _is_task(data)
    ):
        return [data]
    if len(lists) == 1:
        return next(iter(lists.values()))
    if lists:
        raise SourceError(
            f"{path}: the lists {', '.join(lists)} all hold records. Write the one that is meant to a file of its "
            "own, or each split to one."
        )
    return [data]


def _is_task(data: dict[str, Any]) -> bool:
    return isinstance(data.get("data"), dict) and bool(data.keys() & {"annotations", "completions"})


def _holds_records(value: list[Any]) -> bool:
    entries = [entry for entry in value if entry is not None]
    return bool(entries) and all(isinstance(entry, dict) or _is_pair(entry) for entry in entries)


def _parsed(text: str, place: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: expected a JSON record, found {text[:60]!r} ({error}).") from None
    if "\\u" in text:
        check_characters(json.dumps(value, ensure_ascii=False), place)
    return value


def _is_record(text: str) -> bool:
    """Tell whether a line is a whole record: an object, or spaCy's text and annotation."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or _is_pair(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
