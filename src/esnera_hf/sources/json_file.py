"""JSON and JSON lines: one record a line, or one list of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.json_value import parse_json
from esnera_hf.sources.offsets import CharacterSpans, to_tokens, written_without_spaces
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.records import TAG_KEYS, read_record, string_tags, with_tag_names
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, read_lines
from esnera_hf.sources.told_scheme import told_scheme
from esnera_hf.tagging import Scheme

_SNIFFED = 500


class _Record(NamedTuple):
    value: Any
    where: str
    damaged: bool


class JsonFile:
    """A JSON or JSON lines file, read from its beginning each time it is called.

    The shape of the records is told from each of them
    (:mod:`esnera_hf.sources.records`). Texts are cut into characters where the
    script is written without spaces, into words elsewhere.

    Args:
        path: the file.
        options: scheme and names of tags, characters or words, where they
            cannot be told.
    """

    def __init__(self, path: Path, options: ReadingOptions | None = None) -> None:
        self.path = path
        self._options = options or ReadingOptions()
        column = self._options.tag_column
        if isinstance(column, int):
            raise ConfigurationError(
                f"tag_column={column}: the records of {path.name} have names, not numbers. Give the name."
            )
        self._tag_keys = TAG_KEYS if column is None else (column,)

    @cached_property
    def _sample(self) -> list[_Record]:
        return list(islice(self._records(), _SNIFFED))

    @cached_property
    def scheme(self) -> Scheme:
        """The scheme of string tags, told from all of them; ``IOB2`` where the first records have none."""
        if self._options.scheme is not None:
            return self._options.scheme
        if not any(string_tags(record.value, self._tag_keys) for record in self._sample):
            return "IOB2"
        tags = (string_tags(record.value, self._tag_keys) or () for record in self._records())
        return told_scheme(tags, str(self.path))

    @cached_property
    def characters(self) -> bool:
        """Whether texts are cut into characters."""
        if self._options.characters is not None:
            return self._options.characters
        found = (
            read_record(record.value, record.where, self.scheme, self._tag_keys) for record in self._sample
        )
        return written_without_spaces(r.text for r in found if isinstance(r, CharacterSpans))

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: the file is not JSON, or a record cannot be read; file
                and line (or index in the list) are named.
        """
        for value, where, damaged in self._records():
            found = read_record(value, where, self.scheme, self._tag_keys)
            sentence = (
                found if isinstance(found, RawSentence) else to_tokens(found, characters=self.characters)
            )
            if sentence is not None and sentence.tokens:
                sentence.where = self.path.name + where.removeprefix(str(self.path))
                sentence.repairs.extend([UNDECODABLE] * damaged)
                yield sentence

    def _records(self) -> Iterator[_Record]:
        names, column = self._options.tag_names, self._options.tag_column
        for record in _records(self.path):
            value = record.value
            if column is not None and not (isinstance(value, dict) and isinstance(value.get(column), list)):
                keys = ", ".join(map(str, value))[:200] if isinstance(value, dict) else "none"
                raise SourceError(
                    f"{record.where}: no list of tags {column!r}, which tag_column= names; found the keys {keys}. "
                    "Name one of them."
                )
            if names is not None:
                value = with_tag_names(value, names, record.where, self._tag_keys)
            yield record._replace(value=value)


def _records(path: Path) -> Iterator[_Record]:
    lines = (line for line in read_lines(path) if line.text.strip())
    first = next(lines, None)
    if first is None:
        raise SourceError(f"{path}: nothing but blank lines. Expected JSON records.")
    if not _is_record(first.text):
        yield from _list_records(path)
        return
    yield _Record(
        parse_json(first.text, f"{path}, line {first.number}"), _where(path, first.number), first.damaged
    )
    for line in lines:
        value = parse_json(line.text, f"{path}, line {line.number}")
        yield _Record(value, _where(path, line.number), line.damaged)


def _list_records(path: Path) -> Iterator[_Record]:
    lines = list(read_lines(path))
    data = parse_json(
        "\n".join(line.text for line in lines), f"{path}: neither JSON lines nor one JSON value"
    )
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{path}: expected a list of records, found {type(data).__name__}.")
    damaged = any(line.damaged for line in lines)
    for index, record in enumerate(data):
        yield _Record(record, f"{path}, record {index}", damaged and index == 0)


def _where(path: Path, line: int) -> str:
    return f"{path}, line {line}"


def _is_record(text: str) -> bool:
    """Tell whether a line is a whole record: an object, or spaCy's text and annotation."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    )
