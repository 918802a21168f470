"""JSON and JSON lines: one record a line, or one list of records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

from esnera_hf.errors import ConfigurationError, SourceError
from esnera_hf.sources.offsets import CharacterSpans, to_tokens, written_without_spaces
from esnera_hf.sources.options import ReadingOptions
from esnera_hf.sources.records import TAG_KEYS, read_record, string_tags, with_tag_names
from esnera_hf.sources.sentence import RawSentence
from esnera_hf.sources.textfile import UNDECODABLE, detect_entity_scheme, read_lines
from esnera_hf.tagging import Scheme

_SNIFFED = 500
_SURROGATE = re.compile(r"[\ud800-\udfff]")

#: A parsed value, its place for messages, and whether bytes of it were not UTF-8.
_Record = tuple[Any, str, bool]


class JsonFile:
    """A JSON or JSON lines file, read from its beginning each time it is called.

    The shape of the records is told from each of them
    (:func:`read_record`). Texts are cut into characters where the
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
        if not any(string_tags(value, self._tag_keys) for value, _, _ in self._sample):
            return "IOB2"
        tags = (string_tags(value, self._tag_keys) or () for value, _, _ in self._records())
        return detect_entity_scheme(tags, str(self.path))

    @cached_property
    def characters(self) -> bool:
        """Whether texts are cut into characters."""
        if self._options.format == "cluener":
            return True
        if self._options.characters is not None:
            return self._options.characters
        records = (self._read(value, where) for value, where, _ in self._sample)
        return written_without_spaces(r.text for r in records if isinstance(r, CharacterSpans))

    def __call__(self) -> Iterator[RawSentence]:
        """Yield the sentences.

        Raises:
            SourceError: the file is not JSON, or a record cannot be read; file
                and line (or index in the list) are named.
        """
        for value, where, damaged in self._records():
            record = self._read(value, where)
            if isinstance(record, RawSentence):
                sentence: RawSentence | None = record
            else:
                sentence = to_tokens(record, characters=self.characters)
            if sentence is not None and sentence.tokens:
                sentence.where = self.path.name + where.removeprefix(str(self.path))
                sentence.repairs.extend([UNDECODABLE] * damaged)
                yield sentence

    def _read(self, value: Any, where: str) -> CharacterSpans | RawSentence:
        return read_record(value, where, self.scheme, self._tag_keys)

    def _records(self) -> Iterator[_Record]:
        names, column = self._options.tag_names, self._options.tag_column
        for value, where, damaged in _records(self.path):
            if column is not None and not (isinstance(value, dict) and isinstance(value.get(column), list)):
                keys = ", ".join(map(str, value))[:200] if isinstance(value, dict) else "none"
                raise SourceError(
                    f"{where}: no list of tags {column!r}, which tag_column= names; found the keys {keys}. "
                    "Name one of them."
                )
            yield (
                value if names is None else with_tag_names(value, names, where, self._tag_keys),
                where,
                damaged,
            )


def _records(path: Path) -> Iterator[_Record]:
    lines = (line for line in read_lines(path) if line.text.strip())
    first = next(lines, None)
    if first is None:
        raise SourceError(f"{path}: nothing but blank lines. Expected JSON records.")
    if _is_record(first.text):
        for line in chain([first], lines):
            where = f"{path}, line {line.number}"
            yield _parsed(line.text, where), where, line.damaged
        return
    whole = list(read_lines(path))
    data = _parsed("\n".join(line.text for line in whole), f"{path}: neither JSON lines nor one JSON value")
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else [data]
    if not isinstance(data, list):
        raise SourceError(f"{path}: expected a list of records, found {type(data).__name__}.")
    damaged = any(line.damaged for line in whole)
    for index, record in enumerate(data):
        yield record, f"{path}, record {index}", damaged and index == 0


def _parsed(text: str, place: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        SourceError: it is no JSON, or an escape is half of a surrogate pair.
    """
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
